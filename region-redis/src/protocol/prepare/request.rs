use std::time::Duration;

use redis::Cmd;

use crate::protocol::call::{Call, millis};
use crate::protocol::scripts::SCRIPTS;

/// Makes a connection's count ready, and retires those of connections that were given up. Answers the
/// count. It may be sent again at any time; the count rises by one each time. Without being refreshed it
/// lives for `lifetime`.
pub(crate) fn prepare<N: AsRef<str>>(count: &str, retired: &[N], lifetime: Duration) -> Cmd {
    let mut call = Call::new(&SCRIPTS.prepare, 1 + retired.len());
    call.arg(count);
    retired.iter().for_each(|retired| call.arg(retired.as_ref()));
    call.arg(millis(lifetime));
    call.done()
}

/// Makes a connection's count live for `lifetime` from now on. Answers 0 if there is none.
pub(crate) fn refresh(count: &str, lifetime: Duration) -> Cmd {
    let mut command = Cmd::new();
    command.arg("PEXPIRE").arg(count).arg(millis(lifetime));
    command
}

/// Deletes counts; `None` if there are none.
pub(crate) fn forget(counts: &[String]) -> Option<Cmd> {
    let mut command = Cmd::new();
    command.arg("DEL").arg(counts);
    (!counts.is_empty()).then_some(command)
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
    use crate::protocol::scripts::with_sources;
    use crate::protocol::write::{put, write};

    const COUNT: &str = "rc1:w{1}";
    const LIFETIME: Duration = Duration::from_secs(60);

    /// All commands that write, each with a count whose floor is `floor`.
    fn writing(path: &RegionPath, floor: u64) -> Vec<Cmd> {
        let count = Count { key: COUNT, floor };
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
            run(&mut connection, &prepare::<&str>(COUNT, &[], LIFETIME)).await;
            for command in writing(&path, 1) {
                let done = run(&mut connection, &command).await;
                assert!(!matches!(done, Value::ServerError(_)), "{done:?}");
            }
            server.command(&["FLUSHALL"]);
            run(&mut connection, &writing(&path, 0)[1]).await;
            run(&mut connection, &prepare("rc1:w{2}", &[COUNT], LIFETIME)).await;
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
