//! Writes that arrive after their connection was given up, and data that is lost unsaid.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use region_core::Verb;
use region_redis::OnInvalidationFailure;
use servers::{Flavor, Proxy, TestServer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::kit::{
    back_up, bounded, builder, connect, end, get, lose, put_back, set, until, until_ok, unwatched,
};

servers::on_both! {
    a_write_that_arrives_late_does_not_override_a_newer_one
    a_write_after_a_loss_does_not_hide_it
    an_invalidation_queued_again_during_its_replay_is_done_again
    counts_of_writes_end_with_the_store
    keys_put_back_while_nothing_was_connected_are_told_again
}

/// A way to a server that can hold requests back, and deliver them when the client is gone.
struct LateWay {
    port: u16,
    state: Arc<LateState>,
}

struct LateState {
    opened: AtomicU64,
    /// The connections with lower numbers are held back.
    held: AtomicU64,
    released: watch::Sender<bool>,
    late_answers: AtomicU64,
}

impl LateWay {
    async fn start(server: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(LateState {
            opened: AtomicU64::new(0),
            held: AtomicU64::new(0),
            released: watch::Sender::new(false),
            late_answers: AtomicU64::new(0),
        });
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let number = shared.opened.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(pass(client, server, number, Arc::clone(&shared)));
            }
        });
        Self { port, state }
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Holds back what is sent over the connections that are open now.
    fn hold(&self) {
        self.state.held.store(self.state.opened.load(Ordering::SeqCst), Ordering::SeqCst);
    }

    /// Delivers what was held back, and waits until the server has answered it.
    async fn release(&self) {
        self.state.released.send_replace(true);
        until("the server to answer what came late", || {
            self.state.late_answers.load(Ordering::SeqCst) > 0
        })
        .await;
    }
}

async fn pass(client: TcpStream, server: u16, number: u64, state: Arc<LateState>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await else { return };
    client.set_nodelay(true).unwrap();
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let is_late = Arc::new(AtomicU64::new(0));
    let (late, answers) = (Arc::clone(&is_late), Arc::clone(&state));
    tokio::spawn(async move {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(len @ 1..) = from_server.read(&mut buffer).await {
            answers.late_answers.fetch_add(late.load(Ordering::SeqCst), Ordering::SeqCst);
            // The client may be gone: the server must not notice.
            let _ = to_client.write_all(&buffer[..len]).await;
        }
    });
    let (mut buffer, mut held) = (vec![0; 64 * 1024], Vec::new());
    while let Ok(len @ 1..) = from_client.read(&mut buffer).await {
        if number < state.held.load(Ordering::SeqCst) {
            held.extend_from_slice(&buffer[..len]);
        } else if to_server.write_all(&buffer[..len]).await.is_err() {
            return;
        }
    }
    if !held.is_empty() && state.released.subscribe().wait_for(|released| *released).await.is_ok() {
        is_late.store(1, Ordering::SeqCst);
        to_server.write_all(&held).await.unwrap();
        // Until the server has seen all: it drops what it has not read when the connection ends.
        let _ = state.released.subscribe().wait_for(|released| !*released).await;
    }
}

/// Bug: a write that timed out over a connection since given up was still done when it arrived. Effect:
/// the older value won. Fix: the count of a given-up connection is deleted before a new one is used, and a
/// write without its count is refused.
async fn a_write_that_arrives_late_does_not_override_a_newer_one(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let way = LateWay::start(server.port()).await;
    let store = connect(&way.url()).await;
    set(&store, "r", "k", "first").await.unwrap();
    let connects = store.stats().primary.connects;
    way.hold();
    assert!(bounded(set(&store, "r", "k", "older")).await.is_err());
    until("the connection to be given up", || store.stats().primary.connects > connects).await;
    until_ok(|| set(&store, "r", "k", "newer")).await;
    way.release().await;
    assert_eq!(get(&store, "r", "k").await.unwrap().as_deref(), Some("newer"));
}

/// Bug: a blind write after a loss that had not been seen raised the count to what had to be shown. Effect:
/// an invalidation that the server had lost stayed lost, and the old value was read. Fix: a write whose
/// count is not above what the server has answered before is refused, and the server is told again first.
async fn a_write_after_a_loss_does_not_hide_it(flavor: Flavor) {
    let primary = TestServer::start(flavor);
    let store = unwatched(&primary.url()).connect().await.unwrap();
    set(&store, "r.a", "k", "old").await.unwrap();
    lose(&primary, end(&store, "r.a", Verb::Invalidate)).await;
    until_ok(|| set(&store, "r.b", "k", "new")).await;
    assert_eq!(get(&store, "r.b", "k").await.unwrap().as_deref(), Some("new"), "it is stored");
    assert_eq!(get(&store, "r.a", "k").await.unwrap(), None);
    let other = connect(&primary.url()).await;
    assert_eq!(get(&other, "r.a", "k").await.unwrap(), None);
}

/// Bug: a queued invalidation that was asked for again while it was being replayed was dropped when the
/// replay ended. Effect: what had been filled meanwhile survived it. Fix: each has a number of its own.
async fn an_invalidation_queued_again_during_its_replay_is_done_again(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let proxy = Proxy::start(server.port()).await;
    let other = connect(&server.url()).await;
    let store = builder(&proxy.url())
        .call_timeout(Duration::from_millis(200))
        .connect_timeout(Duration::from_secs(5))
        .on_invalidation_failure(OnInvalidationFailure::Queue)
        .connect()
        .await
        .unwrap();
    set(&other, "r.a", "k", "old").await.unwrap();
    proxy.silence();
    end(&store, "r", Verb::Invalidate).await.unwrap();
    for n in 0..63 {
        end(&store, &format!("q.n:{n}"), Verb::Invalidate).await.unwrap();
    }
    proxy.restore();
    // So slow that its end comes seconds after the first of it was done.
    proxy.limit(8000);
    until("the first of the replay to be done", || {
        let other = other.clone();
        let read = async move { get(&other, "r.a", "k").await };
        let read = tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(read));
        read.unwrap().is_none()
    })
    .await;
    set(&other, "r.a", "k", "filled meanwhile").await.unwrap();
    end(&store, "r", Verb::Invalidate).await.unwrap();
    assert_eq!(until_ok(|| get(&store, "r.a", "k")).await, None);
    assert!(!store.stats().has_queued);
}

/// Bug: the counts of connections stayed on the server for ever. Effect: its memory grew with every
/// connection. Fix: a store that ends takes its count back, and others those that nobody keeps any more.
async fn counts_of_writes_end_with_the_store(flavor: Flavor) {
    const LIST: &str = "rc1:w";
    const LEFT: &str = "rc1:w{0123456789abcdef0123456789abcdef}";
    let server = TestServer::start(flavor);
    let counts = || {
        let names = server.command(&["KEYS", "rc1:w{*"]);
        names.list().iter().map(servers::Reply::text).collect::<Vec<_>>()
    };
    // What a process that was killed has left: its time is over.
    server.command(&["SET", LEFT, "7"]);
    server.command(&["ZADD", LIST, "1", LEFT]);
    let store = connect(&server.url()).await;
    set(&store, "r", "k", "1").await.unwrap();
    until("what others left to be deleted", || counts().len() == 1).await;
    let first = counts();
    assert_ne!(first, [LEFT]);
    // It will be over by itself too.
    let due: f64 = server.command(&["ZSCORE", LIST, &first[0]]).text().parse().unwrap();
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
    let left = due / 1e6 - now;
    assert!((0.0..=3600.0).contains(&left), "{left}");
    let connects = store.stats().primary.connects;
    server.command(&["CLIENT", "KILL", "TYPE", "normal"]);
    until("the store to connect again", || store.stats().primary.connects > connects).await;
    until_ok(|| set(&store, "r", "k", "2")).await;
    let second = counts();
    assert!(second.len() == 1 && second != first, "only that of the present connection is there");
    drop(store);
    until("the count to end with the store", || counts().is_empty()).await;
    assert_eq!(server.command(&["ZCARD", LIST]).text(), "0");
}

/// Bug: new connections to the same run of a server took its keys for those that were there before. Effect: keys
/// that were put back from a backup meanwhile showed what had been invalidated. Fix: the server must still show the
/// highest count that it had answered.
async fn keys_put_back_while_nothing_was_connected_are_told_again(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let store = connect(&server.url()).await;
    set(&store, "r.a.b", "k", "old").await.unwrap();
    back_up(&server);
    end(&store, "r.a", Verb::Invalidate).await.unwrap();
    put_back(&server);
    server.command(&["CLIENT", "KILL", "TYPE", "normal"]);
    until("new connections", || store.stats().primary.connects == 2).await;
    let found = until_ok(async || get(&store, "r.a.b", "k").await).await;
    assert_eq!(found, None);
    set(&store, "r.a.b", "k", "new").await.unwrap();
    assert_eq!(get(&store, "r.a.b", "k").await.unwrap().as_deref(), Some("new"));
}
