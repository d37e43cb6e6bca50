//! The model of a server beside real ones: the same random commands, the same replies and pushes.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Cmd, ProtocolVersion, PushInfo, PushKind, RedisConnectionInfo, Value,
};
use servers::{Flavor, TestServer};
use simredis::{Network, Server};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

const SEQUENCES: u64 = 60;
const COMMANDS: usize = 120;
const KEYS: [&str; 4] = ["k1", "k2", "k3", "k4"];
const NAMES: [&str; 4] = ["", "a", "b", "c"];
const SCORES: [&str; 5] = ["-inf", "+inf", "1", "1700000000000", "2.5"];
const TIMES: [&str; 3] = ["1", "99999999999999", "88888888888888"];

/// Calls a command and gives back its failure as an error of the script's own.
const CALL: &str = "return redis.pcall(unpack(ARGV))";

/// A client of a server, and what it was told.
struct Client {
    connection: MultiplexedConnection,
    told: Arc<Mutex<Vec<String>>>,
    driver: tokio::task::JoinHandle<()>,
}

impl Client {
    async fn over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        let told: Arc<Mutex<Vec<String>>> = Arc::default();
        let hears = Arc::clone(&told);
        let config = AsyncConnectionConfig::new().set_response_timeout(None).set_push_sender(
            move |push: PushInfo| {
                if push.kind == PushKind::Invalidate {
                    hears.lock().unwrap().push(format!("{:?}", push.data));
                }
                Ok::<(), std::convert::Infallible>(())
            },
        );
        let info = RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3);
        let opened = MultiplexedConnection::new_with_config(&info, stream, config).await.unwrap();
        Self { connection: opened.0, told, driver: tokio::spawn(opened.1) }
    }

    async fn send(&mut self, command: &[String]) -> Value {
        let mut cmd = Cmd::new();
        command.iter().for_each(|arg| {
            cmd.arg(arg);
        });
        let mut pipeline = redis::Pipeline::new();
        pipeline.add_command(cmd);
        self.connection.send_packed_commands(&pipeline, 0, 1).await.unwrap().pop().unwrap()
    }

    /// What it was told until now: pushes come before the reply that follows them.
    async fn told(&mut self) -> Vec<String> {
        self.send(&["PING".to_owned()]).await;
        let mut told = std::mem::take(&mut *self.told.lock().unwrap());
        told.sort();
        told
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// A reply without what servers are free to choose: the words of an error, an order, what time is left.
fn shown(command: &[String], reply: Value) -> String {
    let name = if command[0] == "EVAL" { command.get(4) } else { command.first() };
    match (name.map(String::as_str), reply) {
        (_, Value::ServerError(error)) => format!("error {}", error.code()),
        (Some("PTTL"), Value::Int(left @ 1..)) => format!("left {}", left > 0),
        (Some("HRANDFIELD"), Value::Array(all)) => {
            let size = if command.iter().any(|arg| arg == "WITHVALUES") { 2 } else { 1 };
            sorted(&all, size)
        }
        (Some("HSCAN" | "ZSCAN"), Value::Array(parts)) => match &parts[..] {
            [cursor, Value::Array(all)] => format!("{cursor:?} {}", sorted(all, 2)),
            other => format!("{other:?}"),
        },
        (_, reply) => format!("{reply:?}"),
    }
}

fn sorted(all: &[Value], size: usize) -> String {
    let mut groups: Vec<String> = all.chunks(size).map(|group| format!("{group:?}")).collect();
    groups.sort();
    groups.join(",")
}

fn one<'a>(rng: &mut StdRng, of: &[&'a str]) -> &'a str {
    of.choose(rng).unwrap()
}

/// A random command: each of those that the store or its scripts use, as they use them, on keys of any type.
fn command(rng: &mut StdRng) -> Vec<String> {
    let key = one(rng, &KEYS);
    let (name, other) = (one(rng, &NAMES), one(rng, &NAMES));
    let (score, least) = (one(rng, &SCORES), one(rng, &["-inf", "(-inf", "(1", "2"]));
    let (time, most) = (one(rng, &TIMES), one(rng, &["+inf", "(+inf", "1700000000000"]));
    let command: &[&str] = match rng.random_range(0..42) {
        0 => &["GET", key],
        1 => &["MGET", key, "k1", "k5"],
        2 => &["SET", key, "7"],
        3 => &["SET", key, "text", "PXAT", TIMES[1]],
        4 => &["SET", key, "8", "KEEPTTL"],
        5 | 6 => &["INCR", key],
        7 => &["DEL", key],
        8 => &["UNLINK", key, "k2"],
        9 => &["EXISTS", key, "k1", "k1"],
        10 => &["PTTL", key],
        11 => &["PEXPIRE", key, one(rng, &["-5", "100000000"])],
        12 => &["PEXPIREAT", key, time],
        13 => &["PEXPIREAT", key, time, "GT"],
        14 => &["PERSIST", key],
        15 => &["RENAME", key, one(rng, &KEYS)],
        16 => &["HGET", key, name],
        17 => &["HMGET", key, name, other],
        18..21 => &["HSET", key, name, score, other, time],
        21 | 22 => &["HDEL", key, name, other],
        23 => &["HLEN", key],
        24 => &["HEXISTS", key, name],
        25 => &["HSTRLEN", key, name],
        26 => &["HRANDFIELD", key, "16"],
        27 => &["HRANDFIELD", key, "16", "WITHVALUES"],
        28 => &["HSCAN", key, "0", "COUNT", "10"],
        29 | 30 => &["ZADD", key, score, name, one(rng, &SCORES), other],
        31 => &["ZADD", key, "LT", score, name],
        32 => &["ZADD", key, "XX", score, name, one(rng, &SCORES), other],
        33 => &["ZREM", key, name, other],
        34 => &["ZCARD", key],
        35 => &["ZSCORE", key, name],
        36 => &["ZRANGE", key, "0", one(rng, &["0", "-1"])],
        37 => &["ZREVRANGE", key, "0", "0", "WITHSCORES"],
        38 => &["ZRANGEBYSCORE", key, least, most, "LIMIT", "0", "2"],
        39 => &["ZPOPMIN", key, "2"],
        40 => &["ZSCAN", key, "0", "COUNT", "10"],
        _ => &["FLUSHALL"],
    };
    command.iter().map(|&arg| arg.to_owned()).collect()
}

/// As a client sends it: by itself, if the store does that too, or in a script.
fn sent(rng: &mut StdRng, command: Vec<String>) -> Vec<String> {
    const ALONE: [&str; 8] =
        ["MGET", "HMGET", "ZRANGE", "ZSCAN", "ZRANGEBYSCORE", "ZREM", "DEL", "FLUSHALL"];
    if command[0] == "FLUSHALL" || ALONE.contains(&command[0].as_str()) && rng.random() {
        return command;
    }
    // The key that it is called with need not be the one that it reads.
    let head = ["EVAL", CALL, "1", one(rng, &KEYS)].map(str::to_owned);
    head.into_iter().chain(command).collect()
}

async fn compare(flavor: Flavor) {
    let real = TestServer::start(flavor);
    let kind = match flavor {
        Flavor::Redis => simredis::Flavor::Redis,
        Flavor::Valkey => simredis::Flavor::Valkey,
    };
    for seed in 0..SEQUENCES {
        let mut rng = StdRng::seed_from_u64(seed);
        let network = Network::new(seed, Duration::ZERO);
        network.bind("model", &Server::new(seed, kind));
        real.command(&["FLUSHALL"]);
        let (mut reals, mut models) = (Vec::new(), Vec::new());
        for _ in 0..2 {
            let stream = TcpStream::connect(("127.0.0.1", real.port())).await.unwrap();
            reals.push(Client::over(stream).await);
            let stream = network.connector(0).connect("model", 1).await.unwrap();
            models.push(Client::over(stream).await);
        }
        let mut done = Vec::new();
        for _ in 0..COMMANDS {
            let by = rng.random_range(0..2);
            let command = match rng.random_range(0..40) {
                0 | 1 => ["CLIENT", "TRACKING", "ON"].map(str::to_owned).to_vec(),
                _ => {
                    let command = command(&mut rng);
                    sent(&mut rng, command)
                }
            };
            done.push(format!("{by}: {}", command.join(" ")));
            let expected = shown(&command, reals[by].send(&command).await);
            let answered = shown(&command, models[by].send(&command).await);
            assert_eq!(answered, expected, "{flavor:?}, seed {seed}: {done:#?}");
            for (real, model) in reals.iter_mut().zip(&mut models) {
                let (expected, told) = (real.told().await, model.told().await);
                assert_eq!(told, expected, "pushes of {flavor:?}, seed {seed}: {done:#?}");
            }
        }
    }
}

mod servers_of {
    use super::compare;

    servers::on_both! {
        compare
    }
}
