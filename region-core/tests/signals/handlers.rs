//! Handlers of a signal: their order, their failures, and what they do to their own signal.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use region_core::{Connection, Sent, Signal};
use tokio::sync::Notify;
use tokio::time::timeout;

/// The values that handlers got, each with the handler's name.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<(&'static str, u32)>>>);

impl Log {
    fn add(&self, handler: &'static str, value: u32) {
        self.0.lock().push((handler, value));
    }

    fn take(&self) -> Vec<(&'static str, u32)> {
        std::mem::take(&mut self.0.lock())
    }

    fn connect(&self, signal: &Signal<u32>, name: &'static str) -> Connection {
        let log = self.clone();
        signal.connecting().named(name).connect(move |sent: Sent<u32>| log.add(name, *sent))
    }
}

fn signal() -> (Signal<u32>, Log) {
    (Signal::new("changed"), Log::default())
}

#[tokio::test]
async fn handlers_are_called_in_the_order_in_which_they_were_connected() {
    let (signal, log) = signal();
    let connections = ["a", "b", "c"].map(|name| log.connect(&signal, name));
    assert_eq!(signal.send(1).await.called, 3);
    assert_eq!(log.take(), [("a", 1), ("b", 1), ("c", 1)]);
    let [a, b, c] = connections;
    drop(b);
    let report = signal.send(2).await;
    assert!(report.is_ok() && report.called == 2);
    assert_eq!(log.take(), [("a", 2), ("c", 2)]);
    drop((a, c));
    assert_eq!((signal.send(3).await.called, signal.handlers()), (0, 0));
    assert_eq!(log.take(), []);
}

#[tokio::test]
async fn a_failing_handler_keeps_nothing_from_the_others_and_is_named() {
    let (signal, log) = signal();
    let _error = signal.connecting().named("error").connect(|_| Err("on purpose"));
    let _panic =
        signal.connecting().named("panic").connect(|sent: Sent<u32>| assert!(*sent > 1, "in vain"));
    let line = line!() + 1;
    let _late = signal.connect_async(|_| async { Err::<(), _>(std::io::Error::other("late")) });
    let _async = signal
        .connecting()
        .named("async")
        .connect_async(|sent: Sent<u32>| async move { assert!(*sent > 1, "too late") });
    let _first = signal.connecting().named("first").connect_async(|sent: Sent<u32>| {
        assert!(*sent > 1, "it is too small");
        async {}
    });
    let _log = log.connect(&signal, "log");
    let report = signal.send(1).await;
    assert_eq!(report.called, 6);
    assert_eq!(log.take(), [("log", 1)]);
    let mut failures: Vec<String> = report.failures.iter().map(ToString::to_string).collect();
    failures.sort();
    let here = format!("{}:{line}:24: late", file!());
    let mut expected = vec![
        "async: panicked: too late".to_owned(),
        "error: on purpose".to_owned(),
        "first: panicked: it is too small".to_owned(),
        "panic: panicked: in vain".to_owned(),
        here,
    ];
    expected.sort();
    assert_eq!(failures, expected);
}

#[tokio::test]
async fn a_handler_may_be_for_one_sender() {
    let (signal, log) = signal();
    let importer = log.clone();
    let _importer = signal
        .connecting()
        .from_sender("importer")
        .connect(move |sent: Sent<u32>| importer.add("importer", *sent));
    let _all = log.connect(&signal, "all");
    assert_eq!(signal.send(1).await.called, 1);
    assert_eq!(signal.send_from("editor", 2).await.called, 1);
    assert_eq!(signal.send_from("importer", 3).await.called, 2);
    assert_eq!(log.take(), [("all", 1), ("all", 2), ("importer", 3), ("all", 3)]);
}

#[tokio::test]
async fn a_handler_may_connect_disconnect_and_send() {
    let (signal, log) = signal();
    let held: Arc<Mutex<Vec<Connection>>> = Arc::default();
    let _first = {
        let (signal, log, held) = (signal.clone(), log.clone(), Arc::clone(&held));
        let again = signal.clone();
        signal.connect(move |sent: Sent<u32>| {
            log.add("first", *sent);
            match *sent {
                1 => {
                    // The one that comes next, and itself is disconnected by nobody.
                    drop(held.lock().pop());
                    held.lock().push(log.connect(&again, "connected"));
                }
                2 => drop(again.send(3)),
                _ => {}
            }
        })
    };
    let second = log.connect(&signal, "second");
    held.lock().push(second);
    let _last = log.connect(&signal, "last");
    assert_eq!(signal.send(1).await.called, 2);
    assert_eq!(log.take(), [("first", 1), ("last", 1)]);
    assert_eq!(signal.send(2).await.called, 3);
    let inner = [("first", 3), ("last", 3), ("connected", 3)];
    assert_eq!(
        log.take(),
        [&[("first", 2)][..], &inner, &[("last", 2), ("connected", 2)]].concat()
    );
}

/// A handler that holds its own connection, and one of another handler, is disconnected without a deadlock.
#[tokio::test]
async fn a_handler_may_hold_connections_to_its_own_signal() {
    let (signal, log) = signal();
    let inner = log.connect(&signal, "inner");
    let outer = signal.connect(move |_| {
        let _ = &inner;
    });
    assert_eq!(signal.handlers(), 2);
    drop(outer);
    assert_eq!(signal.handlers(), 0);
    let weak = signal.clone();
    signal.connect(move |_| assert_eq!(weak.name(), "changed")).detach();
    assert_eq!(signal.send(1).await.called, 1);
}

#[tokio::test]
async fn asynchronous_handlers_run_at_the_same_time() {
    let (signal, log) = signal();
    let (one, other) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let connect = |mine: &Arc<Notify>, others: &Arc<Notify>| {
        let (mine, others, log) = (Arc::clone(mine), Arc::clone(others), log.clone());
        signal.connect_async(move |sent: Sent<u32>| {
            let (mine, others, log) = (Arc::clone(&mine), Arc::clone(&others), log.clone());
            async move {
                others.notify_one();
                mine.notified().await;
                log.add("met", *sent);
            }
        })
    };
    let _connections = [connect(&one, &other), connect(&other, &one)];
    let report = timeout(Duration::from_secs(30), signal.send(1)).await.expect("they do not meet");
    assert!(report.is_ok() && report.called == 2);
    assert_eq!(log.take(), [("met", 1), ("met", 1)]);
}

/// The synchronous handlers have been called; of the asynchronous ones nothing is left.
#[tokio::test]
async fn a_dropped_send_has_called_the_synchronous_handlers() {
    let (signal, log) = signal();
    let dropped = Arc::new(AtomicUsize::new(0));
    struct Dropped(Arc<AtomicUsize>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let count = Arc::clone(&dropped);
    let _hangs = signal.connect_async(move |_| {
        let held = Dropped(Arc::clone(&count));
        async move {
            std::future::pending::<()>().await;
            drop(held);
        }
    });
    let _log = log.connect(&signal, "log");
    drop(signal.send(1));
    assert_eq!((log.take(), dropped.load(Ordering::SeqCst)), (vec![("log", 1)], 1));
    let mut sending = Box::pin(signal.send(2));
    assert!(futures_util::poll!(&mut sending).is_pending());
    drop(sending);
    assert_eq!((log.take(), dropped.load(Ordering::SeqCst)), (vec![("log", 2)], 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn handlers_come_and_go_while_many_send() {
    const SENDS: usize = 500;
    let signal: Signal<usize> = Signal::new("busy");
    let always = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&always);
    let _always = signal.connect(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
    });
    let senders = (0..4).map(|_| {
        let signal = signal.clone();
        tokio::spawn(async move {
            for value in 0..SENDS {
                let _passing = signal.connect(|_| {});
                assert!(signal.send(value).await.is_ok());
            }
        })
    });
    for sender in senders.collect::<Vec<_>>() {
        sender.await.unwrap();
    }
    assert_eq!((always.load(Ordering::SeqCst), signal.handlers()), (4 * SENDS, 1));
}
