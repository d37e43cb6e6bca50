//! The example `treecount`, run as its users run it.

#![cfg(all(feature = "derive", feature = "memory", feature = "redis"))]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use servers::{Certificates, Cluster, Flavor, SentinelSettings, Sentinels, TestServer};

/// A directory of the test's own, gone when it is dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("treecount-{}-{name}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    fn write(&self, file: &str, text: &str) {
        let file = self.0.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left of a failed test is in the way of nobody.
        let _ = fs::remove_dir_all(&self.0);
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
        build.args(["--example", "treecount", "--target-dir"]);
        build.arg(profile.parent().unwrap()).current_dir(env!("CARGO_MANIFEST_DIR"));
        assert!(build.status().unwrap().success(), "the example does not build");
        let built = profile.with_file_name("debug").join("examples/treecount");
        built.with_extension(std::env::consts::EXE_EXTENSION)
    })
}

fn treecount(args: &[&str]) -> Output {
    Command::new(program()).args(args).env_remove("REGION_CACHE_URL").output().unwrap()
}

fn printed(args: &[&str]) -> String {
    let output = treecount(args);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{args:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// The words of the line that begins with `name`.
fn line<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let line = text.lines().find(|line| line.starts_with(name));
    line.unwrap_or_else(|| panic!("no {name} in\n{text}")).split_whitespace().collect()
}

#[test]
fn only_what_changed_is_counted_again() {
    let dir = Scratch::new("dolls");
    dir.write("a.txt", "one\ntwo\n");
    dir.write("inner/b.txt", "three");
    dir.write("inner/deeper/c.txt", "four\n");
    dir.write("other/d.txt", "five\n");
    let text = printed(&[dir.0.to_str().unwrap()]);
    let total = line(&text, dir.0.canonicalize().unwrap().to_str().unwrap());
    assert_eq!(total[1..], ["4", "files", "4", "lines", "23", "B"]);
    assert_eq!(line(&text, "cold")[1..7], ["4", "files", "read", "8", "values", "loaded"]);
    assert_eq!(line(&text, "warm")[1..7], ["0", "files", "read", "0", "values", "loaded"]);
    // The file, and the totals of its directory and the two around.
    assert_eq!(line(&text, "changed")[1..7], ["1", "file", "read", "4", "values", "loaded"]);
    assert!(text.contains("inner/deeper/c.txt counts as changed"), "{text}");
    let text = printed(&[dir.0.to_str().unwrap(), "--changed", "a.txt"]);
    assert_eq!(line(&text, "changed")[1..7], ["1", "file", "read", "2", "values", "loaded"]);
}

#[test]
fn odd_trees_are_served() {
    let dir = Scratch::new("odd");
    let text = printed(&[dir.0.to_str().unwrap()]);
    assert!(text.contains("No file was read"), "{text}");
    // Deeper than a path may be, names that need escaping, and names with the longest length.
    let deep = "d/".repeat(100);
    dir.write(&format!("{deep}deep.txt"), "x\n");
    dir.write("a.b{c}:d%/e.f.txt", "x\n");
    dir.write(&format!("{}/{}", ".".repeat(255), ":".repeat(255)), "x\n");
    let text = printed(&[dir.0.to_str().unwrap()]);
    assert_eq!(line(&text, "cold")[1], "3");
    assert_eq!(line(&text, "warm")[1], "0");
    assert_eq!(line(&text, "changed")[1], "1");
    assert!(text.contains("too deep for a region"), "{text}");
}

#[cfg(unix)]
#[test]
fn what_is_no_plain_file_is_left_alone() {
    let dir = Scratch::new("special");
    dir.write("real", "x\n");
    std::os::unix::fs::symlink("/", dir.0.join("link")).unwrap();
    std::os::unix::fs::symlink("missing", dir.0.join("dangling")).unwrap();
    let socket = std::os::unix::net::UnixListener::bind(dir.0.join("socket")).unwrap();
    let name = std::os::unix::ffi::OsStringExt::from_vec(b"not utf-8: \xFF".to_vec());
    fs::write(dir.0.join::<std::ffi::OsString>(name), "y\n").unwrap();
    let text = printed(&[dir.0.to_str().unwrap()]);
    assert_eq!(line(&text, "cold")[1], "2");
    drop(socket);
}

#[test]
fn wrong_arguments_are_named() {
    let dir = Scratch::new("wrong");
    let dir = dir.0.to_str().unwrap();
    for (args, word) in [
        (&[][..], "which directory"),
        (&["/no/such/directory"], "/no/such/directory"),
        (&[dir, "--changed", "missing.txt"], "missing.txt"),
        (&[dir, "--nonsense"], "--nonsense"),
    ] {
        let output = treecount(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(errors.contains(word), "{errors}");
    }
    assert!(printed(&["--help"]).contains("Usage"));
}

fn with_server(url: &str, args: &[&str]) -> Output {
    Command::new(program()).args(args).env("REGION_CACHE_URL", url).output().unwrap()
}

fn succeeded(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The files of `/proc` are made up as they are read; some block, some never end.
#[cfg(target_os = "linux")]
#[test]
fn files_without_an_end_are_no_trouble() {
    const LIMIT: Duration = Duration::from_secs(120);
    let mut counting = Command::new(program())
        .arg("/proc")
        .env_remove("REGION_CACHE_URL")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while counting.try_wait().unwrap().is_none() {
        if start.elapsed() > LIMIT {
            counting.kill().unwrap();
            panic!("it has not ended");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(counting.wait().unwrap().success());
}

/// A cache on a server is kept between processes.
#[test]
fn a_second_process_finds_what_the_first_counted() {
    let scratch = Scratch::new("server");
    for file in ["a/one", "a/b/two", "c/three"] {
        scratch.write(file, "1\n2\n");
    }
    let dir = scratch.0.to_str().unwrap();
    for flavor in [Flavor::Redis, Flavor::Valkey] {
        let server = TestServer::start(flavor);
        let first = succeeded(&with_server(&server.url(), &[dir]));
        assert_eq!(line(&first, "cold")[1], "3", "{first}");
        let second = succeeded(&with_server(&server.url(), &[dir]));
        assert_eq!(line(&second, "cold")[1], "0", "{second}");
        // What was read from the server once is near from then on.
        assert_eq!(line(&second, "warm")[7..11], ["1", "hit", "1", "near"], "{second}");
        assert_eq!(line(&first, "warm")[7..11], ["1", "hit", "1", "near"], "{first}");
        let near: u64 = line(&first, "changed")[9].parse().unwrap();
        assert!(near > 0, "{first}");
        let changed = succeeded(&with_server(&server.url(), &[dir, "--changed", "a/b/two"]));
        assert_eq!(line(&changed, "changed")[1], "1", "{changed}");
        assert!(!changed.contains("uncached"), "{changed}");
    }
}

/// The URL alone says where the cache is kept.
#[test]
fn it_runs_on_each_store_by_its_url() {
    let scratch = Scratch::new("urls");
    scratch.write("a/one", "1\n2\n");
    let dir = scratch.0.to_str().unwrap();
    let certificates = Certificates::new();
    for flavor in [Flavor::Redis, Flavor::Valkey] {
        let server = TestServer::start_tls(flavor, &certificates, false);
        let tls = format!("{}/1?ca={}", server.tls_url(), certificates.path("ca.pem").display());
        let socket = format!("unix://{}?db=2", server.socket().display());
        for url in [tls, socket, format!("{}/3", server.url())] {
            let first = succeeded(&with_server(&url, &[dir]));
            assert_eq!(line(&first, "cold")[1], "1", "{url}: {first}");
            let second = succeeded(&with_server(&url, &[dir]));
            assert_eq!(line(&second, "cold")[1], "0", "{url}: {second}");
            assert!(!second.contains("uncached"), "{url}: {second}");
        }
    }
    for flavor in [Flavor::Redis, Flavor::Valkey] {
        let primary = TestServer::start(flavor);
        let sentinels = Sentinels::start(flavor, primary.port(), 0, &SentinelSettings::default());
        let cluster = Cluster::start(flavor);
        for url in [sentinels.url(), cluster.url()] {
            for read in ["1", "0"] {
                let counted = succeeded(&with_server(&url, &[dir]));
                assert_eq!(line(&counted, "cold")[1], read, "{url}: {counted}");
                assert!(!counted.contains("uncached"), "{url}: {counted}");
            }
        }
    }
    for flavor in [Flavor::Redis, Flavor::Valkey] {
        let cluster = Cluster::start(flavor);
        for read in ["1", "0"] {
            let counted = succeeded(&with_server(&cluster.url(), &[dir]));
            assert_eq!(line(&counted, "cold")[1], read, "{counted}");
            assert!(!counted.contains("uncached"), "{counted}");
        }
    }
    for url in ["memory:", "memory:?max_bytes=1MiB"] {
        let counted = succeeded(&with_server(url, &[dir]));
        assert_eq!(line(&counted, "warm")[1], "0", "{url}: {counted}");
    }
    let wrong = with_server("redis://:secret@h:port", &[dir]);
    let errors = String::from_utf8(wrong.stderr).unwrap();
    assert_eq!(wrong.status.code(), Some(2), "{errors}");
    assert!(errors.contains("REGION_CACHE_URL") && !errors.contains("secret"), "{errors}");
}

/// Without its server it counts all the same, and says so.
#[test]
fn a_killed_server_costs_the_cache_alone() {
    let scratch = Scratch::new("killed");
    for n in 0..3000 {
        scratch.write(&format!("dir-{}/sub/file-{n}", n % 300), "1\n2\n");
    }
    let dir = scratch.0.to_str().unwrap();
    let mut server = TestServer::start(Flavor::Redis);
    let url = server.url();
    let counting = {
        let (url, dir) = (url.clone(), dir.to_owned());
        std::thread::spawn(move || with_server(&url, &[&dir]))
    };
    while server.command(&["DBSIZE"]).text().parse::<u64>().unwrap() < 100 {
        assert!(!counting.is_finished(), "it was to be killed in the middle");
    }
    server.kill();
    let output = succeeded(&counting.join().unwrap());
    assert!(output.contains("3,000 files") && output.contains("ran uncached"), "{output}");
    let never = succeeded(&with_server(&url, &[dir]));
    assert!(never.contains("3,000 files") && never.contains("ran uncached"), "{never}");
}
