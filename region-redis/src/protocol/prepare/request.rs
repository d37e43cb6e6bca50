use std::time::Duration;

use redis::Cmd;

use crate::protocol::call::{Call, millis};
use crate::protocol::layout::{Anchor, CountNames};
use crate::protocol::scripts::{SCRIPTS, Script};

/// Makes a connection's count ready, and retires those of connections that were given up. Answers
/// [`Counts`](super::Counts). It may be sent again at any time; the count rises by one each time. Without
/// being refreshed it is kept for `lifetime`.
///
/// `earlier` is the count that shows whether the server still has what was written before, if there is one.
pub(crate) fn prepare<N: AsRef<str>>(
    names: CountNames,
    count: &str,
    earlier: Option<&str>,
    retired: &[N],
    lifetime: Duration,
) -> Cmd {
    call(&SCRIPTS.prepare, names, &[count, earlier.unwrap_or(count)], retired, lifetime)
}

/// Keeps a connection's count for `lifetime` from now on, and retires others if they are overdue. It
/// always writes something, unless the count is lost. Answers [`Refreshed`](super::Refreshed).
pub(crate) fn refresh<N: AsRef<str>>(
    names: CountNames,
    count: &str,
    overdue: &[N],
    lifetime: Duration,
) -> Cmd {
    call(&SCRIPTS.refresh, names, &[count], overdue, lifetime)
}

fn call<N: AsRef<str>>(
    script: &Script,
    names: CountNames,
    counts: &[&str],
    others: &[N],
    lifetime: Duration,
) -> Cmd {
    let mut call = Call::new(script, Anchor::ROOT, 1 + counts.len() + others.len());
    call.arg(names.list());
    counts.iter().for_each(|count| call.arg(*count));
    others.iter().for_each(|other| call.arg(other.as_ref()));
    call.arg(millis(lifetime));
    call.done()
}

/// Deletes counts.
pub(crate) fn forget(names: CountNames, counts: &[String]) -> [Cmd; 2] {
    let (mut delete, mut remove) = (redis::cmd("DEL"), redis::cmd("ZREM"));
    delete.arg(counts);
    remove.arg(names.list()).arg(counts);
    [delete, remove]
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use redis::Value;
    use region_core::{LeaseTerms, LeaseToken, Op, Put, RegionPath, TakeLease, Trust, Verb, Write};
    use servers::{Flavor, TestServer};

    use super::*;
    use crate::protocol::begin::begin;
    use crate::protocol::call::Count;
    use crate::protocol::end::end;
    use crate::protocol::prepare::{Counts, Refreshed};
    use crate::protocol::scripts::with_sources;
    use crate::protocol::write::{put, write};

    const COUNT: &str = "rc1:w{1}";
    const NAMES: CountNames = CountNames::STANDALONE;
    const LIFETIME: Duration = Duration::from_secs(60);

    /// All commands that write, each with a count whose floor is `floor`.
    fn writing(path: &RegionPath, floor: u64) -> Vec<Cmd> {
        let count = Count { key: COUNT, floor, receipt: None };
        let path = Anchor::ROOT.locate(path);
        let value = Put::new("k", Bytes::from_static(b"other"));
        let terms = LeaseTerms::new(LeaseToken::from_bits(1), Duration::from_secs(9));
        let terms = terms.take(TakeLease::Always);
        let write = |ops: &[Op<'_>]| write(path, &Write::new(ops), count);
        vec![
            put(path, &[&value], Trust::NotKept, count),
            write(&[Op::Put(value.clone())]),
            write(&[Op::Remove { key: "k" }]),
            begin(path, &["k"], &terms, count),
            end(path, Verb::Expire, count),
            end(path, Verb::Touch, count),
            end(path, Verb::InvalidateAndTouch, count),
            end(path, Verb::Invalidate, count),
        ]
    }

    async fn run(connection: &mut redis::aio::MultiplexedConnection, command: &Cmd) -> Value {
        let mut pipeline = redis::Pipeline::new();
        pipeline.add_command(command.clone());
        let pipeline = with_sources(&pipeline);
        let answers = connection.send_packed_commands(&pipeline, 0, 1).await.unwrap();
        answers.into_iter().next().unwrap()
    }

    /// A process that died cannot take its count back, so others do, but none that is kept.
    #[tokio::test]
    async fn counts_that_nobody_keeps_are_retired() {
        let overdue = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        for flavor in [Flavor::Redis, Flavor::Valkey] {
            let server = TestServer::start(flavor);
            let client = redis::Client::open(server.url()).unwrap();
            let mut connection = client.get_multiplexed_async_connection().await.unwrap();
            for dead in ["a", "b"] {
                run(&mut connection, &prepare::<&str>(NAMES, dead, None, &[], Duration::ZERO))
                    .await;
            }
            let answer =
                run(&mut connection, &prepare::<&str>(NAMES, COUNT, None, &[], LIFETIME)).await;
            let counts = Counts { count: 1, overdue: overdue(&["a", "b"]), shown: 0 };
            assert_eq!(Counts::parse(&answer), Some(counts));
            // It was only slow.
            run(&mut connection, &refresh::<&str>(NAMES, "b", &[], LIFETIME)).await;
            let answer =
                run(&mut connection, &refresh(NAMES, COUNT, &["a", "b", "c"], LIFETIME)).await;
            assert_eq!(Refreshed::parse(&answer), Some(Refreshed::Kept { overdue: vec![] }));
            let left = |names: &[&str]| server.command(&[&["EXISTS"], names].concat()).text();
            assert_eq!((left(&["a"]), left(&["b", COUNT])), ("0".to_owned(), "2".to_owned()));
            let next = prepare(NAMES, "rc1:w{2}", Some(COUNT), &[COUNT], LIFETIME);
            let counts = Counts { count: 1, overdue: vec![], shown: 1 };
            assert_eq!(Counts::parse(&run(&mut connection, &next).await), Some(counts));
            assert_eq!(left(&[COUNT]), "0");
            server.command(&["FLUSHALL"]);
            let answer = run(&mut connection, &refresh::<&str>(NAMES, COUNT, &[], LIFETIME)).await;
            assert_eq!(Refreshed::parse(&answer), Some(Refreshed::Lost));
            assert_eq!(left(&["rc1:w"]), "0", "nothing is left of a count that is lost");
        }
    }

    /// Bug: a write that reached a server late, or one that had lost earlier writes of its connection, was
    /// done all the same. Effect: an older value won, and the loss went unseen. Fix: a write whose count is
    /// not above the floor is refused before it changes anything.
    #[tokio::test]
    async fn a_write_over_a_retired_connection_changes_nothing() {
        for flavor in [Flavor::Redis, Flavor::Valkey] {
            let server = TestServer::start(flavor);
            let client = redis::Client::open(server.url()).unwrap();
            let mut connection = client.get_multiplexed_async_connection().await.unwrap();
            let path = RegionPath::parse("r.a").unwrap();
            run(&mut connection, &prepare::<&str>(NAMES, COUNT, None, &[], LIFETIME)).await;
            for command in writing(&path, 1) {
                let done = run(&mut connection, &command).await;
                assert!(!matches!(done, Value::ServerError(_)), "{done:?}");
            }
            server.command(&["FLUSHALL"]);
            run(&mut connection, &writing(&path, 0)[1]).await;
            run(&mut connection, &prepare(NAMES, "rc1:w{2}", None, &[COUNT], LIFETIME)).await;
            let digest = || {
                let digest = server.command(&["DEBUG", "DIGEST"]).text();
                (digest, server.command(&["EXISTS", COUNT]).text())
            };
            let before = digest();
            for command in writing(&path, 1) {
                match run(&mut connection, &command).await {
                    Value::ServerError(error) => assert_eq!(error.code(), "REGIONLOST"),
                    other => panic!("not refused: {other:?}"),
                }
                assert_eq!(digest(), before, "nothing has changed");
            }
        }
    }
}
