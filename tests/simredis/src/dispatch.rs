//! The commands that concern the connection and the server; all others work on keys.

use std::time::Duration;

use tokio::time::Instant;

use crate::connection::Wait;
use crate::reply::{Args, Reply};
use crate::script::{self, Script};
use crate::server::{Server, State, encoded};
use crate::tracking::ClientId;

/// The version that the server says it has.
const VERSION: &str = "7.0.15";

impl Server {
    /// Executes a command of a client and sends the reply, unless the client has to wait for replicas.
    pub(crate) fn execute(&self, client: ClientId, args: &Args) -> Option<Wait> {
        let mut state = self.lock();
        let name = args.first().map(|name| name.to_ascii_uppercase()).unwrap_or_default();
        let rest = args.get(1..).unwrap_or_default();
        let reply = match name.as_slice() {
            b"WAIT" => return Some(state.wait(rest)),
            b"EVAL" | b"EVALSHA" => return state.eval(client, args),
            b"HELLO" => state.hello(),
            b"PING" => Reply::Simple("PONG"),
            b"CLIENT" => state.client_command(client, rest),
            b"SCRIPT" => state.script_command(rest),
            b"INFO" => Reply::Verbatim(state.info()),
            b"ROLE" => state.role(),
            b"FLUSHALL" => {
                state.replace(crate::data::Data::new());
                Reply::Simple("OK")
            }
            _ => {
                let (reply, own) = state.run(Some(client), |mut execution| {
                    let reply = execution.call(args);
                    (execution, reply)
                });
                state.reply(client, args, &reply, own);
                return None;
            }
        };
        state.send(client, encoded(&reply));
        None
    }
}

impl State {
    fn reply(&mut self, client: ClientId, args: &Args, reply: &Reply, own: Vec<Vec<u8>>) {
        self.send(client, encoded(reply));
        own.into_iter().for_each(|push| self.send(client, push));
        self.observed(client, args, reply);
    }

    fn eval(&mut self, client: ClientId, args: &Args) -> Option<Wait> {
        let (reply, own) = match self.script_of(args) {
            Ok((script, keys, rest)) => {
                self.run(Some(client), |execution| script.run(execution, &keys, &rest))
            }
            Err(error) => (error, Vec::new()),
        };
        self.reply(client, args, &reply, own);
        None
    }

    /// The script that is called, its keys and arguments.
    fn script_of(&mut self, args: &Args) -> Result<(Script, Args, Args), Reply> {
        let number = args.get(2).and_then(|number| std::str::from_utf8(number).ok()?.parse().ok());
        let keys: usize = number.ok_or_else(|| Reply::error("ERR value is not an integer"))?;
        let rest = &args[3..];
        if rest.len() < keys {
            return Err(Reply::error("ERR Number of keys can't be greater than number of args"));
        }
        let script = if args[0].eq_ignore_ascii_case(b"EVAL") {
            self.load(&args[1])?
        } else {
            let digest = String::from_utf8_lossy(&args[1]).to_lowercase();
            let known = self.scripts.get(&digest).cloned();
            known.ok_or_else(|| Reply::error("NOSCRIPT No matching script. Please use EVAL."))?
        };
        Ok((script, rest[..keys].to_vec(), rest[keys..].to_vec()))
    }

    fn load(&mut self, source: &[u8]) -> Result<Script, Reply> {
        let script = Script::new(source);
        script::check(&script)?;
        self.scripts.insert(script.digest.clone(), script.clone());
        Ok(script)
    }

    fn script_command(&mut self, args: &[Vec<u8>]) -> Reply {
        let name = args.first().map(|name| name.to_ascii_uppercase()).unwrap_or_default();
        match (name.as_slice(), args.get(1)) {
            (b"LOAD", Some(source)) => match self.load(source) {
                Ok(script) => Reply::bulk(script.digest),
                Err(error) => error,
            },
            (b"EXISTS", _) => {
                let is_known = |digest: &Vec<u8>| {
                    self.scripts.contains_key(&String::from_utf8_lossy(digest).to_lowercase())
                };
                Reply::Array(args[1..].iter().map(|one| Reply::Int(is_known(one).into())).collect())
            }
            (b"FLUSH", _) => {
                self.scripts.clear();
                Reply::Simple("OK")
            }
            _ => Reply::error("ERR unknown subcommand"),
        }
    }

    fn client_command(&mut self, client: ClientId, args: &[Vec<u8>]) -> Reply {
        let name = args.first().map(|name| name.to_ascii_uppercase()).unwrap_or_default();
        match (name.as_slice(), args.get(1..).unwrap_or_default()) {
            (b"SETNAME" | b"SETINFO", _) => Reply::Simple("OK"),
            (b"TRACKING", [on]) if on.eq_ignore_ascii_case(b"ON") => {
                self.tracking.start(client);
                Reply::Simple("OK")
            }
            _ => Reply::error("ERR unknown subcommand or syntax error"),
        }
    }

    fn hello(&self) -> Reply {
        let role = if self.following.is_some() { "replica" } else { "master" };
        let text = |text: &str| Reply::bulk(text);
        Reply::Map(vec![
            text("server"),
            text("redis"),
            text("version"),
            text(VERSION),
            text("proto"),
            Reply::Int(3),
            text("mode"),
            text("standalone"),
            text("role"),
            text(role),
            text("modules"),
            Reply::Array(Vec::new()),
        ])
    }

    fn info(&self) -> String {
        let Self { run_id, history, offset, .. } = self;
        let role = if self.following.is_some() {
            format!("role:slave\r\nmaster_link_status:up\r\nslave_repl_offset:{offset}")
        } else {
            "role:master".to_owned()
        };
        format!(
            "# Server\r\nredis_version:{VERSION}\r\nrun_id:{run_id}\r\n\r\n# Replication\r\n{role}\r\n\
             master_replid:{history}\r\nmaster_repl_offset:{offset}\r\n"
        )
    }

    fn role(&self) -> Reply {
        let offset = i64::try_from(self.offset).unwrap_or(i64::MAX);
        if self.following.is_some() {
            return Reply::Array(vec![
                Reply::bulk("slave"),
                Reply::bulk("primary"),
                Reply::Int(6379),
                Reply::bulk("connected"),
                Reply::Int(offset),
            ]);
        }
        let replica = |offset: u64| {
            Reply::Array(vec![
                Reply::bulk("replica"),
                Reply::bulk("6379"),
                Reply::bulk(offset.to_string()),
            ])
        };
        let replicas = self.acknowledged().into_iter().map(replica).collect();
        Reply::Array(vec![Reply::bulk("master"), Reply::Int(offset), Reply::Array(replicas)])
    }

    fn wait(&self, args: &[Vec<u8>]) -> Wait {
        let number = |at: usize| {
            let text = args.get(at).and_then(|arg| std::str::from_utf8(arg).ok());
            text.and_then(|text| text.parse::<u64>().ok()).unwrap_or_default()
        };
        let limit = Some(number(1)).filter(|limit| *limit > 0);
        Wait {
            replicas: usize::try_from(number(0)).unwrap_or(usize::MAX),
            until: limit.map(|limit| Instant::now() + Duration::from_millis(limit)),
            offset: self.offset,
        }
    }
}
