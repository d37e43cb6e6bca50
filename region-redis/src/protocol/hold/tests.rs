//! Claims, on real servers.

use bytes::Bytes;
use redis::{Cmd, Pipeline, Value};
use region_core::{LeaseTerms, LeaseToken, Op, Put, RegionPath, TakeLease, Write};
use servers::{Flavor, TestServer};

use crate::error::{ClaimRefused, Failure};
use crate::protocol::begin::begin;
use crate::protocol::call::Count;
use crate::protocol::layout::{Anchor, Claim, Located};
use crate::protocol::reclaim::{prune, reclaim_anchor};
use crate::protocol::scripts::with_sources;
use crate::protocol::write::{put, write};
use crate::server::Server;

const COUNT: Count<'_> = Count { key: "rc1:w{r.a}", floor: 0, receipt: None };

/// The keys below the anchor whose contents are compared, and the count: what is refused raises it no more than it
/// changes others, for its answer has none.
const KEYS: [&str; 6] =
    ["rc1:i{r.a}", "rc1:i{r.a}.b", "rc1:d{r.a}.b", "rc1:l{r.a}.b", "rc1:c{r.a}", COUNT.key];

/// A claim of a root with this `tree`, which never expires.
fn claim(tree: u8) -> Claim {
    let ids = [&[tree; 8][..], &[0; 10]].concat();
    Claim::new(vec![Some(ids)])
}

async fn run(connection: &mut redis::aio::MultiplexedConnection, command: Cmd) -> Value {
    let mut pipeline = Pipeline::new();
    pipeline.add_command(command);
    let pipeline = with_sources(&pipeline);
    let answers = connection.send_packed_commands(&pipeline, 0, 1).await.unwrap();
    answers.into_iter().next().unwrap()
}

/// All that a process may ask for below an anchor.
fn changing(at: Located<'_>) -> [Cmd; 6] {
    let value = Put::new("k", Bytes::from_static(b"old"));
    let terms = LeaseTerms::new(LeaseToken::from_bits(1), std::time::Duration::from_secs(9));
    let terms = terms.take(TakeLease::Always);
    [
        write(at, &Write::new(&[Op::Put(value.clone())]), COUNT),
        write(at, &Write::new(&[Op::Remove { key: "k" }]), COUNT),
        begin(at, &["k"], &terms, COUNT),
        prune(at, 9),
        reclaim_anchor(at),
        put(at, &[&value], region_core::Trust::NotKept, COUNT),
    ]
}

/// The record that a claim was refused for.
fn refused_for(answer: &Value) -> Option<Vec<u8>> {
    let Value::ServerError(error) = answer else { return None };
    let failure = Failure::server_error(&Server::parse("redis://h").unwrap(), error);
    let refused = ClaimRefused::of(&failure.error).unwrap_or_else(|| panic!("{error:?}"));
    Some(refused.record.clone())
}

#[tokio::test]
async fn an_old_claim_changes_nothing_that_is_newer() {
    for flavor in [Flavor::Redis, Flavor::Valkey] {
        let server = TestServer::start(flavor);
        let client = redis::Client::open(server.url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let (region, anchor) = (RegionPath::parse("r.a.b").unwrap(), Anchor::at(2));
        let (old, new) = (claim(1), claim(2));
        let contents = || {
            let command = [&["DEBUG", "DIGEST-VALUE"], &KEYS[..]].concat();
            server.command(&command).list().iter().map(|digest| digest.text()).collect::<Vec<_>>()
        };
        fn set(at: Located<'_>) -> Cmd {
            let value = Put::new("k", Bytes::from_static(b"new"));
            write(at, &Write::new(&[Op::Put(value)]), COUNT)
        }
        let at = anchor.locate(&region);
        assert_eq!(refused_for(&run(&mut connection, set(at.claiming(Some(&old)))).await), None);
        // It may be older than the record: it was read before that was seen, as far as is known.
        let before = contents();
        let answer = run(&mut connection, set(at.claiming(Some(&new)))).await;
        assert_eq!(refused_for(&answer), Some(old.trees()));
        assert_eq!(contents(), before);
        let read_later = new.clone().after(old.trees());
        let answer = run(&mut connection, set(at.claiming(Some(&read_later)))).await;
        assert_eq!(refused_for(&answer), None);
        let before = contents();
        for seen in [Vec::new(), old.trees()] {
            let late = old.clone().after(seen);
            for command in changing(at.claiming(Some(&late))) {
                let answer = run(&mut connection, command).await;
                // The script for ordinary puts leaves what it does not know to the other.
                assert!(
                    answer == Value::Nil || refused_for(&answer) == Some(new.trees()),
                    "{answer:?}"
                );
                assert_eq!(contents(), before);
            }
        }
        // Without the record nothing tells which is the newer: then there is a miss, and no old value.
        server.command(&["DEL", "rc1:a{r.a}"]);
        let answer = run(&mut connection, set(at.claiming(Some(&old)))).await;
        assert_eq!(refused_for(&answer), None);
        let stamp = redis::cmd("HGET").arg("rc1:d{r.a}.b").arg("").to_owned();
        let Value::BulkString(stamp) = run(&mut connection, stamp).await else {
            panic!("no stamp")
        };
        assert!(stamp.starts_with(&old.trees()), "of a life that readers do not ask for any more");
    }
}
