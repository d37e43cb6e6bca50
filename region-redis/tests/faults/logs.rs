//! Cases about log lines.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::sync::atomic::Ordering;
use std::time::Duration;

use region_core::Verb;
use region_redis::OnInvalidationFailure;
use servers::{Flavor, TestServer};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::kit::{Load, builder, end, until};

thread_local! {
    /// The lines of this thread.
    static LINES: RefCell<Vec<(Level, String)>> = const { RefCell::new(Vec::new()) };
}

/// Keeps what each thread logs: a case that counts its lines runs on one thread. For all threads of the
/// process, since what one thread does not log `tracing` may leave out on another.
struct Lines;

impl Lines {
    fn keep() {
        // Another case may have done so already.
        let _ = tracing::subscriber::set_global_default(Self);
    }

    fn containing(part: &str) -> Vec<(Level, String)> {
        LINES.with_borrow(|lines| {
            lines.iter().filter(|(_, line)| line.contains(part)).cloned().collect()
        })
    }
}

/// Writes the fields of a line.
struct Fields<'l>(&'l mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, "{}={value:?} ", field.name()).unwrap();
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO && metadata.target().starts_with("region_redis")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = String::new();
        event.record(&mut Fields(&mut line));
        LINES.with_borrow_mut(|lines| lines.push((*event.metadata().level(), line)));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Bug: each failed call and each attempt to connect wrote a line.
/// Effect: 439,427 lines (109 MB) in an outage of 15 seconds.
/// Fix: one line when an outage begins, one when it ends, and at most one a second of a kind between.
#[tokio::test]
async fn an_outage_is_a_few_lines() {
    Lines::keep();
    let mut server = TestServer::start(Flavor::Redis);
    let builder = builder(&server.url()).on_invalidation_failure(OnInvalidationFailure::Queue);
    let store = builder.connect().await.unwrap();
    assert_eq!(Lines::containing("").len(), 0);
    let load = Load::start(&store, 16);
    server.kill();
    for _ in 0..500 {
        end(&store, "r.a", Verb::Invalidate).await.unwrap();
        tokio::time::sleep(Duration::from_millis(4)).await;
    }
    server.restart();
    until_up(&store).await;
    let failed = load.failed.load(Ordering::SeqCst);
    load.stop().await;
    let all = Lines::containing("");
    assert_eq!(Lines::containing("the server cannot be used").len(), 1, "{all:?}");
    let ended = Lines::containing("connected again");
    assert_eq!(ended.len(), 1, "{all:?}");
    assert!(ended[0].1.contains("lasted=") && ended[0].1.contains("failed_calls="), "{ended:?}");
    assert!(failed > 500, "{failed} calls failed");
    assert!(all.len() < 25, "{} lines: {all:?}", all.len());
}

async fn until_up(store: &region_redis::RedisStore) {
    until("the store to come back", || store.stats().primary.is_up).await;
}

/// A refusal that only a person mends is an error, and is said once.
#[tokio::test]
async fn a_refused_password_is_one_error() {
    Lines::keep();
    let server = TestServer::start_with(Flavor::Redis, &["--requirepass", "right"]);
    let url = format!("redis://:wrong@127.0.0.1:{}", server.port());
    let store = builder(&url).build().unwrap();
    until("some attempts", || store.stats().primary.connects > 4).await;
    let all = Lines::containing("");
    let errors = all.iter().filter(|(level, _)| *level == Level::ERROR).count();
    assert_eq!(errors, 1, "{all:?}");
    assert!(!all.iter().any(|(_, line)| line.contains("wrong")), "{all:?}");
}
