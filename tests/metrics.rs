//! The metrics: their names, what they count, and a scrape of the example over loopback.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use metrics_exporter_prometheus::PrometheusBuilder;
use region_cache::{MemoryStore, Metric, MetricKind, Policy, Region, RegionCache, RegionExt};

const PAGE: &str = include_str!("../docs/metrics.md");
const DASHBOARD: &str = include_str!("../docs/grafana-dashboard.json");

/// The suffixes of a histogram's series.
const PARTS: [&str; 3] = ["_bucket", "_sum", "_count"];

/// The longest time that the example takes until it shows hits, loads and durations.
const LIMIT: Duration = Duration::from_secs(60);

/// The time between two scrapes.
const INTERVAL: Duration = Duration::from_millis(100);

fn kind(kind: MetricKind) -> &'static str {
    match kind {
        MetricKind::Counter => "counter",
        MetricKind::Gauge => "gauge",
        MetricKind::Histogram => "histogram",
        _ => panic!("a kind without a name"),
    }
}

/// The page names each metric with its kind, and no other.
#[test]
fn the_page_names_each_metric() {
    let rows = PAGE.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `region_cache_")?.split(" | ");
        let name = cells.next()?.trim_end_matches('`').to_owned();
        Some((format!("region_cache_{name}"), cells.next()?.to_owned()))
    });
    let documented: BTreeSet<_> = rows.collect();
    let all = Metric::all();
    let known: BTreeSet<_> =
        all.iter().map(|metric| (metric.name.to_owned(), kind(metric.kind).to_owned())).collect();
    assert_eq!(documented, known);
    assert_eq!(known.len(), all.len(), "each once");
}

/// The words of an expression that are names of metrics.
fn names(expression: &str) -> BTreeSet<&str> {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = expression.split(|c| !is_of_name(c));
    words.filter(|word| word.starts_with("region_cache_")).collect()
}

/// Each query of the dashboard asks for metrics that there are, as what they are, and each metric is shown.
#[test]
fn the_dashboard_asks_for_metrics_that_exist() {
    let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD).unwrap();
    let all = Metric::all();
    let series_of = |metric: &Metric| match metric.kind {
        MetricKind::Histogram => PARTS.map(|part| format!("{}{part}", metric.name)).to_vec(),
        _ => vec![metric.name.to_owned()],
    };
    let series: BTreeSet<String> = all.iter().flat_map(series_of).collect();
    let (mut asked, mut queries) = (BTreeSet::new(), 0);
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let expression = target["expr"].as_str().unwrap();
            let names = names(expression);
            assert!(!names.is_empty(), "{expression}");
            for name in names {
                assert!(series.contains(name), "{name} in {expression}");
                asked.insert(name);
            }
            queries += 1;
        }
    }
    assert!(queries > 20, "{queries} queries");
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        let query = variable["query"].as_str().unwrap();
        assert!(names(query).iter().all(|name| series.contains(*name)), "{query}");
    }
    let is_asked = |metric: &Metric| series_of(metric).iter().any(|it| asked.contains(it.as_str()));
    let unasked: Vec<_> = all.iter().filter(|metric| !is_asked(metric)).collect();
    assert!(unasked.is_empty(), "no panel shows {unasked:?}");
}

/// The value of the series with this name and these labels in a scrape.
fn value(scrape: &str, series: &str) -> Option<f64> {
    let line = scrape.lines().find_map(|line| line.strip_prefix(series))?;
    line.trim().parse().ok()
}

/// A cache after a few loads, hits and misses, whose metrics were published.
async fn published() -> RegionCache {
    let store = MemoryStore::new();
    let cache = RegionCache::builder(store).root("shop").near(1 << 20).build().unwrap();
    let region = cache.region("org:42").unwrap();
    let load = || async { Ok::<_, Infallible>("secret value".to_owned()) };
    for _ in 0..3 {
        region.get_or_compute("page", load).await.unwrap();
    }
    let fail = || async { Err::<String, _>(std::io::Error::other("down")) };
    region.get_or_compute("failing", fail).await.unwrap_err();
    region.get::<u32>("none").await.unwrap();
    let plain = region.with_policy(Policy::new().version(2)).unwrap();
    plain.get::<String>("page").await.unwrap();
    region.invalidate().await.unwrap();
    Metric::describe_all();
    cache.publish_metrics();
    cache.publish_metrics();
    cache
}

/// The counters say what the statistics say, and the histograms have what took time.
#[test]
fn metrics_are_the_statistics() {
    let recorder = PrometheusBuilder::new().set_buckets(&[1.0]).unwrap().build_recorder();
    let handle = recorder.handle();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let cache = metrics::with_local_recorder(&recorder, || runtime.block_on(published()));
    let (scrape, stats, near) = (handle.render(), cache.stats(), cache.near_use());
    for (name, expected) in [
        ("near_hits_total", stats.near_hits),
        ("store_hits_total", stats.store_hits),
        ("absent_misses_total", stats.absent_misses),
        ("other_type_misses_total", stats.other_type_misses),
        ("loads_total", stats.loads),
        ("load_failures_total", stats.load_failures),
        ("fills_total", stats.fills),
        ("near_bytes", near.bytes),
        ("near_entries", near.entries),
    ] {
        let published = value(&scrape, &format!("region_cache_{name}{{cache=\"shop\"}}"));
        assert_eq!(published, Some(expected as f64), "{name} in\n{scrape}");
    }
    assert_eq!((stats.loads, stats.load_failures, stats.other_type_misses), (2, 1, 1));
    for metric in Metric::all() {
        let line = format!("# TYPE {} {}", metric.name, kind(metric.kind));
        assert!(scrape.contains(&line), "{line} in\n{scrape}");
    }
    for (labels, expected) in [
        ("load_seconds_count{cache=\"shop\",is_ok=\"true\"}", 1.0),
        ("load_seconds_count{cache=\"shop\",is_ok=\"false\"}", 1.0),
        ("store_call_seconds_count{cache=\"shop\",operation=\"end\",is_ok=\"true\"}", 1.0),
        ("store_call_seconds_count{cache=\"shop\",operation=\"write\",is_ok=\"true\"}", 1.0),
    ] {
        let counted = value(&scrape, &format!("region_cache_{labels}"));
        assert_eq!(counted, Some(expected), "{labels} in\n{scrape}");
    }
    for word in ["secret", "page", "org", "failing"] {
        assert!(!scrape.contains(word), "{word} in\n{scrape}");
    }
}

/// The example, built: cargo builds it as a test only when it runs the tests.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let here = std::env::current_exe().unwrap();
        let profile = here.parent().and_then(Path::parent).unwrap();
        let mut build = Command::new(env!("CARGO"));
        // With the features of the tests, so that nothing but the example is built for it.
        build.args(["build", "--quiet", "--workspace", "--all-features"]);
        build.args(["--example", "prometheus", "--target-dir"]);
        build.arg(profile.parent().unwrap()).current_dir(env!("CARGO_MANIFEST_DIR"));
        assert!(build.status().unwrap().success(), "the example does not build");
        let built = profile.with_file_name("debug").join("examples/prometheus");
        built.with_extension(std::env::consts::EXE_EXTENSION)
    })
}

/// A running example, ended when it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn scrape(address: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.starts_with("HTTP/1.1 200").then_some(answer)
}

/// Prometheus gets the metrics of the example, and they move.
#[test]
fn the_example_is_scraped() {
    let address = SocketAddr::from(([127, 0, 0, 1], servers::free_port()));
    let mut run = Command::new(program());
    run.arg(address.to_string()).stdout(Stdio::null());
    let mut running = Running(run.spawn().unwrap());
    let (started, mut first) = (Instant::now(), None);
    let last = loop {
        assert!(started.elapsed() < LIMIT, "no scrape shows hits, loads and durations");
        assert_eq!(running.0.try_wait().unwrap(), None, "the example has ended");
        if let Some(answer) = scrape(address) {
            let of = |series: &str| value(&answer, &format!("region_cache_{series}"));
            let hits = of("near_hits_total{cache=\"shop\"}");
            let loads = of("load_seconds_count{cache=\"shop\",is_ok=\"true\"}");
            if let (Some(hits), Some(loads)) = (hits, loads)
                && loads > 0.0
                && hits > *first.get_or_insert(hits)
            {
                break answer;
            }
        }
        std::thread::sleep(INTERVAL);
    };
    for metric in Metric::all() {
        assert!(last.contains(&format!("# TYPE {} ", metric.name)), "{metric:?} in\n{last}");
    }
}
