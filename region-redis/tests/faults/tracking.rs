//! Cases about pushes to a client that keeps trust.

use std::time::Duration;

use region_core::{
    Applied, Event, Guard, LeaseTerms, LeaseToken, Op, Put, ReadTerms, Store, TakeLease, Trust,
    Verb, When, Write, Written,
};
use region_redis::RedisStore;
use servers::{Flavor, TestServer};

use crate::kit::{Events, calls_of, connect, end, get, path, remove, set, used_memory};

servers::on_both! {
    a_touch_says_nothing_of_siblings_and_children
    what_begin_reads_is_tracked
    calls_at_once_arm_tracking_once
    entries_that_may_be_large_are_read_over_another_connection
    a_write_that_keeps_trust_hears_of_others_and_not_of_itself
    two_listeners_hear_of_each_write
    no_change_of_anothers_is_missed_beside_own_writes
    what_is_evicted_for_own_commands_is_told
}

/// Writes for a caller that trusts the answer.
async fn write_kept(store: &RedisStore, ops: &[Op<'_>], guard: Option<Guard<'_>>) -> Applied {
    let mut write = Write::new(ops).trust(Trust::Kept);
    write.guard = guard;
    match store.write(&path("r.a"), write).await.unwrap() {
        Written::Applied(applied) => applied,
        Written::Fenced => panic!("fenced"),
    }
}

/// Bug: each own write was pushed to its writer, after the reply. Effect: the answer of a write could not be trusted,
/// each hit after an own write cost a trip. Fix: the push of an own write is kept back.
async fn a_write_that_keeps_trust_hears_of_others_and_not_of_itself(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let (store, other) = (connect(&server.url()).await, connect(&server.url()).await);
    set(&other, "r.a", "k", "0").await.unwrap();
    let mut events = Events::of(&store);
    get(&store, "r.a", "k").await.unwrap();
    let put = || Op::Put(Put::new("k", "1"));
    for kind in ["a put", "a fill", "a put if absent", "a put of two"] {
        for _ in 0..3 {
            let applied = match kind {
                "a put" => write_kept(&store, &[put()], None).await,
                "a fill" => {
                    let token = LeaseToken::random();
                    let terms = LeaseTerms::new(token, Duration::from_secs(60));
                    let terms = terms.take(TakeLease::Always);
                    let begun = store.begin(&path("r.a"), &["k"], terms).await.unwrap();
                    let guard = Guard::new(&begun.lineage, &["k"], token);
                    write_kept(&store, &[put()], Some(guard)).await
                }
                "a put if absent" => {
                    let put = Put::new("absent", "1").when(When::Absent);
                    remove(&other, "r.a", "absent").await.unwrap();
                    // It is heard, unless nothing has been read since the last.
                    while events.next_within(Duration::from_millis(50)).await.is_some() {}
                    get(&store, "r.a", "k").await.unwrap();
                    write_kept(&store, &[Op::Put(put)], None).await
                }
                _ => write_kept(&store, &[put(), Op::Put(Put::new("b", "1"))], None).await,
            };
            assert!(applied.source.is_some() && applied.lineage.is_some(), "{kind}");
            assert!(applied.changes.is_some(), "{kind}");
        }
        let beyond = events.next_within(Duration::from_millis(50)).await;
        assert_eq!(beyond, None, "{kind}: its own push is kept back");
        set(&other, "r.a", "k", "theirs").await.unwrap();
        assert_eq!(events.next().await, Some(Event::Entries(path("r.a"))), "{kind}");
        get(&store, "r.a", "k").await.unwrap();
        end(&other, "r.a", Verb::Expire).await.unwrap();
        assert_eq!(events.next().await, Some(Event::Lineage(path("r.a"))), "{kind}");
        get(&store, "r.a", "k").await.unwrap();
    }
}

/// What one of two caches over a store writes concerns the other, which has only the push to hear of it.
async fn two_listeners_hear_of_each_write(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let store = connect(&server.url()).await;
    set(&store, "r.a", "k", "0").await.unwrap();
    let mut listeners = [Events::of(&store), Events::of(&store)];
    get(&store, "r.a", "k").await.unwrap();
    for value in ["1", "2", "3"] {
        write_kept(&store, &[Op::Put(Put::new("k", value))], None).await;
        for events in &mut listeners {
            assert_eq!(events.next().await, Some(Event::Entries(path("r.a"))), "{value}");
        }
    }
}

/// Two clients write to a region at the same time: what an answer does not show yet is told.
async fn no_change_of_anothers_is_missed_beside_own_writes(flavor: Flavor) {
    const ROUNDS: usize = 500;
    let server = TestServer::start(flavor);
    let (store, other) = (connect(&server.url()).await, connect(&server.url()).await);
    set(&other, "r.a", "k", "0").await.unwrap();
    let mut events = Events::of(&store);
    get(&store, "r.a", "k").await.unwrap();
    for round in 0..ROUNDS {
        while events.next_within(Duration::ZERO).await.is_some() {}
        let own = [Op::Put(Put::new("k", round.to_string()))];
        let absent = [Op::Put(Put::new("k", "x").when(When::Absent))];
        // One that is dropped on the way, one that changes nothing, and two that are done.
        let dropped = tokio::time::timeout(
            Duration::from_micros(round as u64 % 200),
            write_kept(&store, &own, None),
        );
        let (_, first, second, _, written) = tokio::join!(
            dropped,
            write_kept(&store, &own, None),
            write_kept(&store, &own, None),
            write_kept(&store, &absent, None),
            set(&other, "r.a", "k", "theirs"),
        );
        written.unwrap();
        let shown = [first, second].map(|applied| applied.changes.unwrap());
        let terms = ReadTerms::default().trust(Trust::Kept);
        let now = other.read(&path("r.a"), &[], terms).await.unwrap().changes.unwrap();
        if !shown.iter().any(|ring| ring.last() == now.last()) {
            let told = events.next().await;
            assert_eq!(told, Some(Event::Entries(path("r.a"))), "round {round}");
        }
    }
    // Nothing is left that would keep back what comes.
    let last = write_kept(&store, &[Op::Put(Put::new("k", "last"))], None).await;
    while events.next_within(Duration::from_millis(100)).await.is_some() {}
    set(&other, "r.a", "k", "theirs").await.unwrap();
    assert_eq!(events.next().await, last.source.map(|_| Event::Entries(path("r.a"))));
}

/// Bug (of a design with `NOLOOP`): what a server evicts to make room for a client's own command is not pushed to that
/// client, and no later change of it either. Effect: it served what others had written anew. Fix: without `NOLOOP`.
async fn what_is_evicted_for_own_commands_is_told(flavor: Flavor) {
    let server = TestServer::start_with(flavor, &["--maxmemory-policy", "allkeys-lru"]);
    let store = connect(&server.url()).await;
    set(&store, "r.a", "k", "1").await.unwrap();
    let room = used_memory(&server) + 3 * 1024 * 1024;
    server.command(&["CONFIG", "SET", "maxmemory", &room.to_string()]);
    let mut events = Events::of(&store);
    get(&store, "r.a", "k").await.unwrap();
    let value = "x".repeat(10_000);
    let names = ["rc1:d{r}.a", "rc1:i{r}.a", "rc1:i{r}"];
    let mut evicted = 0;
    for at in 0..5_000 {
        // Whether it is evicted by one of these or by the question, the store has to be told.
        if at % 50 == 0 {
            let left = server.command(&[&["EXISTS"], &names[..]].concat()).text();
            evicted = 3 - left.parse::<usize>().unwrap();
            if evicted > 0 {
                break;
            }
        }
        set(&store, &format!("filler.of:{at}"), "k", &value).await.unwrap();
    }
    assert!(evicted > 0, "nothing was evicted");
    loop {
        match events.next().await.expect("it is told") {
            Event::Lineage(region) if path("r.a").is_within(&region) => break,
            Event::Entries(region) if region == path("r.a") => break,
            _ => {}
        }
    }
}

/// Bug: a touch drew a new id for every region on its path. Effect: every client doubted all regions below
/// the root. Fix: a touch drops entries and leases, and changes no ids.
async fn a_touch_says_nothing_of_siblings_and_children(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let (reader, writer) = (connect(&server.url()).await, connect(&server.url()).await);
    for region in ["r", "r.a", "r.a.b", "r.a.b.child", "r.sibling"] {
        set(&writer, region, "k", "1").await.unwrap();
    }
    let mut events = Events::of(&reader);
    for region in ["r.a.b.child", "r.sibling"] {
        assert!(get(&reader, region, "k").await.unwrap().is_some());
    }
    end(&writer, "r.a.b", Verb::Touch).await.unwrap();
    // The first that it hears is what comes after.
    set(&writer, "r.sibling", "k", "2").await.unwrap();
    assert_eq!(events.next().await, Some(Event::Entries(path("r.sibling"))));
    assert_eq!(get(&reader, "r.a.b.child", "k").await.unwrap().as_deref(), Some("1"));
    for region in ["r", "r.a", "r.a.b"] {
        assert_eq!(get(&reader, region, "k").await.unwrap(), None, "{region}");
    }
}

/// Bug: each call that came before the first had armed tracking armed it too. Effect: callers that came all at once
/// made twice as many trips. Fix: they wait for the first.
async fn calls_at_once_arm_tracking_once(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let store = connect(&server.url()).await;
    let _events = Events::of(&store);
    let reads = (0..200).map(|_| get(&store, "r.a", "k"));
    for read in futures_util::future::join_all(reads).await {
        assert_eq!(read.unwrap(), None);
    }
    assert_eq!((calls_of(&server, "client|tracking"), calls_of(&server, "hmget")), (1, 200));
}

/// A load that finds an entry, or creates the region, hears of what happens next.
async fn what_begin_reads_is_tracked(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let (reader, writer) = (connect(&server.url()).await, connect(&server.url()).await);
    set(&writer, "r", "k", "1").await.unwrap();
    let mut events = Events::of(&reader);
    let terms = LeaseTerms::new(LeaseToken::from_bits(1), Duration::from_secs(60));
    let terms = terms.take(TakeLease::UnlessFresh);
    reader.begin(&path("r"), &["k"], terms).await.unwrap();
    set(&writer, "r", "k", "2").await.unwrap();
    assert_eq!(events.next().await, Some(Event::Entries(path("r"))));
    reader.begin(&path("r"), &["k"], terms).await.unwrap();
    end(&writer, "r", Verb::Invalidate).await.unwrap();
    let heard = [events.next().await.unwrap(), events.next().await.unwrap()];
    assert!(heard.contains(&Event::Lineage(path("r"))), "{heard:?}");
    assert!(heard.contains(&Event::Entries(path("r"))), "{heard:?}");
}

/// Bug: the first read of a large entry goes by the main connection. Effect: on a slow link it timed out there
/// for ever, and all others behind it. Fix: what has timed out goes by the other connection next time.
async fn entries_that_may_be_large_are_read_over_another_connection(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let writer = connect(&server.url()).await;
    let ops = [Op::Put(Put::new("k", vec![b'x'; 400_000]))];
    writer.write(&path("r"), Write::new(&ops)).await.unwrap();
    set(&writer, "r", "small", "1").await.unwrap();
    let proxy = servers::Proxy::start(server.port()).await;
    let store = connect(&proxy.url()).await;
    get(&store, "r", "small").await.unwrap();
    // It would take eight seconds.
    proxy.limit(50_000);
    let error = get(&store, "r", "k").await.unwrap_err();
    assert_eq!(error.kind(), region_core::ErrorKind::Timeout);
    proxy.restore();
    let connections = || {
        let clients = server.command(&["CLIENT", "LIST"]).text();
        clients.lines().filter(|line| line.contains("name=region-cache")).count()
    };
    let before = connections();
    let found = crate::kit::until_ok(|| get(&store, "r", "k")).await;
    assert_eq!(found.map(|value| value.len()), Some(400_000));
    assert!(connections() > before, "by a connection of its own");
}
