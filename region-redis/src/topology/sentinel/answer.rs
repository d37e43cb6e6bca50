//! The questions to a sentinel, and its answers.

use redis::{Pipeline, Value};

use crate::error::Failure;
use crate::protocol::reply::text;
use crate::server::Server;
use crate::url::Host;

/// The most replicas of one primary.
const MAX_REPLICAS: usize = 64;

/// The flags of a replica that cannot be read from, as far as the sentinel knows.
const DOWN: [&str; 3] = ["s_down", "o_down", "disconnected"];

/// What one sentinel knows of a primary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) primary: Host,
    /// Rises with each failover that the sentinels agree on.
    pub(crate) epoch: u64,
    /// Those that are up.
    pub(crate) replicas: Vec<Host>,
}

/// The commands whose answers [`Answer::parse`] reads.
pub(crate) fn questions(service: &str) -> Pipeline {
    let mut questions = Pipeline::with_capacity(3);
    // It tells of the new primary sooner than the fields do, which have the epoch.
    for question in ["GET-MASTER-ADDR-BY-NAME", "MASTER", "REPLICAS"] {
        questions.cmd("SENTINEL").arg(question).arg(service);
    }
    questions
}

impl Answer {
    pub(crate) fn parse(sentinel: &Server, answers: Vec<Value>) -> Result<Self, Failure> {
        let mut answers = answers.into_iter();
        let mut next = || Failure::unless_error(sentinel, answers.next());
        let address = next()?;
        if address == Value::Nil {
            return Err(Failure::unavailable(sentinel, "does not know the primary"));
        }
        let unexpected = || Failure::unexpected(sentinel, "in another form than it should");
        let primary = host_of_address(&address).ok_or_else(unexpected)?;
        let fields = next()?;
        let fields = Fields::parse(&fields).ok_or_else(unexpected)?;
        let epoch = fields.get("config-epoch").and_then(|epoch| epoch.parse().ok());
        let epoch = epoch.ok_or_else(unexpected)?;
        let Value::Array(replicas) = next()? else { return Err(unexpected()) };
        let replicas = replicas.iter().take(MAX_REPLICAS);
        let replicas = replicas.filter_map(|fields| Fields::parse(fields)?.host_if_up()).collect();
        Ok(Self { primary, epoch, replicas })
    }
}

/// The names and values that describe a server.
struct Fields<'v>(Vec<(&'v str, &'v str)>);

impl<'v> Fields<'v> {
    fn parse(value: &'v Value) -> Option<Self> {
        let pair = |name, value| Some((text(name)?, text(value)?));
        let pairs: Option<Vec<_>> = match value {
            Value::Map(pairs) => pairs.iter().map(|(name, value)| pair(name, value)).collect(),
            Value::Array(flat) => flat
                .chunks(2)
                .map(|chunk| match chunk {
                    [name, value] => pair(name, value),
                    _ => None,
                })
                .collect(),
            _ => None,
        };
        pairs.map(Self)
    }

    fn get(&self, name: &str) -> Option<&'v str> {
        self.0.iter().find(|(found, _)| *found == name).map(|(_, value)| *value)
    }

    fn host_if_up(&self) -> Option<Host> {
        let is_down = self.get("flags")?.split(',').any(|flag| DOWN.contains(&flag));
        if is_down { None } else { Host::reported(self.get("ip")?, self.get("port")?) }
    }
}

fn host_of_address(address: &Value) -> Option<Host> {
    match address {
        Value::Array(parts) => match parts.as_slice() {
            [host, port] => Host::reported(text(host)?, text(port)?),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn list(parts: &[&str]) -> Value {
        Value::Array(parts.iter().map(|part| bulk(part)).collect())
    }

    fn map(parts: &[&str]) -> Value {
        Value::Map(parts.chunks(2).map(|pair| (bulk(pair[0]), bulk(pair[1]))).collect())
    }

    fn host(name: &str, port: u16) -> Host {
        Host { name: name.to_owned(), port }
    }

    fn parse(answers: &[Value]) -> Result<Answer, String> {
        let sentinel = Server::parse("redis://s:26379").unwrap();
        Answer::parse(&sentinel, answers.to_vec()).map_err(|failure| failure.error.to_string())
    }

    #[test]
    fn answers_of_both_protocols_are_read() {
        let replica = |port, flags| ["name", "x", "ip", "::1", "port", port, "flags", flags];
        for fields in [list, map] {
            let replicas = [
                fields(&replica("7", "slave")),
                fields(&replica("8", "s_down,slave")),
                fields(&replica("9", "slave,disconnected")),
                fields(&replica("none", "slave")),
            ];
            let answers = [
                list(&["h", "6379"]),
                fields(&["ip", "h", "config-epoch", "3"]),
                Value::Array(replicas.to_vec()),
            ];
            let answer =
                Answer { primary: host("h", 6379), epoch: 3, replicas: vec![host("::1", 7)] };
            assert_eq!(parse(&answers), Ok(answer));
        }
    }

    #[test]
    fn other_answers_are_errors() {
        let (address, fields) = (list(&["h", "6379"]), map(&["config-epoch", "3"]));
        let none = Value::Array(Vec::new());
        for (answers, says) in [
            (vec![], "does not know the primary"),
            (vec![Value::Nil, Value::Nil, Value::Nil], "does not know the primary"),
            (vec![list(&["h"]), fields.clone(), none.clone()], "another form"),
            (vec![list(&["h@x", "1"]), fields.clone(), none.clone()], "another form"),
            (vec![list(&["0.0.0.0", "1"]), fields.clone(), none.clone()], "another form"),
            (vec![list(&["h", "0"]), fields.clone(), none.clone()], "another form"),
            (vec![address.clone(), map(&["ip", "h"]), none.clone()], "another form"),
            (vec![address.clone(), list(&["config-epoch"]), none], "another form"),
            (vec![address, fields, Value::Int(3)], "another form"),
        ] {
            let error = parse(&answers).unwrap_err();
            assert!(error.contains(says), "{answers:?}: {error}");
        }
    }

    #[test]
    fn a_long_list_of_replicas_is_cut() {
        let replica = map(&["ip", "h", "port", "7", "flags", "slave"]);
        let answers = [
            list(&["h", "6379"]),
            map(&["config-epoch", "3"]),
            Value::Array(vec![replica; MAX_REPLICAS + 1]),
        ];
        assert_eq!(parse(&answers).unwrap().replicas.len(), MAX_REPLICAS);
    }
}
