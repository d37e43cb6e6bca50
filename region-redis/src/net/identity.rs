//! The identity of a server process, its role and its replication offset.

use std::borrow::Cow;

use redis::{Cmd, Pipeline, Value};

use crate::error::{Concerns, Failure};
use crate::net::transport::Transport;
use crate::server::Server;
use crate::settings::Settings;

/// The identity of a server, as it was when the connection was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Changes when the process is restarted, and when it takes over from another.
    history: Option<(String, String)>,
    pub(crate) role: Option<ReportedRole>,
}

/// The role that a server reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReportedRole {
    Primary,
    Replica,
}

/// The replication offset of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// The replication id: offsets of different ones say nothing about each other.
    pub(crate) history: String,
    pub(crate) offset: u64,
}

/// The answer of a server that is asked for a sign of life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pulse {
    pub(crate) role: ReportedRole,
    /// `None` if the server does not say.
    pub(crate) position: Option<Position>,
    /// True if the server is connected to its primary, or is one.
    pub(crate) is_following: bool,
}

impl Identity {
    /// Sends the `opening` command, names this client, and asks for the server's identity. A server that does
    /// not permit the question is taken for a new one each time.
    pub(crate) async fn ask(
        server: &Server,
        settings: &Settings,
        opening: Option<&Cmd>,
        transport: &Transport,
    ) -> Result<Self, Failure> {
        let mut commands = Pipeline::with_capacity(5);
        opening.into_iter().for_each(|command| {
            commands.add_command(command.clone());
        });
        commands.cmd("CLIENT").arg("SETNAME").arg(&settings.client_name);
        commands.cmd("INFO").arg("server");
        commands.cmd("INFO").arg("replication");
        if let Some(password) = server.password_of_default_user() {
            // A server that asks for no password takes any in HELLO, and says so here alone.
            commands.cmd("AUTH").arg(password);
        }
        let answers = transport.send(&commands).await;
        let answers = answers.map_err(|error| Failure::client(server, error))?;
        let mut info = String::new();
        for answer in answers {
            match answer {
                Value::ServerError(error) => {
                    let failure = Failure::server_error(server, &error);
                    if failure.concerns != Concerns::Call {
                        return Err(failure);
                    }
                    tracing::debug!(%server, error = %failure.error, "not permitted");
                }
                Value::BulkString(text) => info.push_str(&String::from_utf8_lossy(&text)),
                Value::VerbatimString { text, .. } => info.push_str(&text),
                _ => {}
            }
        }
        Ok(Self::parse(&info))
    }

    pub(crate) fn parse(info: &str) -> Self {
        let field = |name: &str| field_of(info, name).map(str::to_owned);
        let role = field_of(info, "role").and_then(ReportedRole::parse);
        Self { history: field("run_id").zip(field("master_replid")), role }
    }

    /// Returns whether the data of `earlier` is still there: the process and the replication id are the same.
    pub(crate) fn continues(&self, earlier: &Self) -> bool {
        self.history.is_some() && self.history == earlier.history
    }

    /// Returns whether it is the same process, even if its data is not.
    pub(crate) fn is_same_process(&self, other: &Self) -> bool {
        let process =
            |identity: &Self| identity.history.as_ref().map(|(process, _)| process.clone());
        !self.is_unknown() && process(self) == process(other)
    }

    /// Returns whether the server did not report its identity.
    pub(crate) fn is_unknown(&self) -> bool {
        self.history.is_none()
    }

    /// Refuses a server that is not a primary.
    pub(crate) fn check_primary(&self, server: &Server) -> Result<(), Failure> {
        match self.role {
            Some(ReportedRole::Replica) => {
                Err(Failure::unavailable(server, "is a replica, not a primary"))
            }
            _ => Ok(()),
        }
    }
}

impl ReportedRole {
    /// Reads the answer to `ROLE`.
    pub(crate) fn of_reply(reply: &Value) -> Option<Self> {
        match reply {
            Value::Array(fields) => Self::of_fields(fields),
            _ => None,
        }
    }

    fn of_fields(fields: &[Value]) -> Option<Self> {
        text(fields, 0).and_then(|role| Self::parse(&role))
    }

    fn parse(name: &str) -> Option<Self> {
        match name {
            "master" | "primary" => Some(Self::Primary),
            "slave" | "replica" => Some(Self::Replica),
            _ => None,
        }
    }
}

impl Position {
    /// Reads what `INFO replication` says of a server with this role.
    fn parse(info: &str, role: ReportedRole) -> Option<Self> {
        let said = field_of(info, "role").and_then(ReportedRole::parse)?;
        let offset = match role {
            ReportedRole::Primary => field_of(info, "master_repl_offset")?,
            ReportedRole::Replica => field_of(info, "slave_repl_offset")?,
        };
        let history = field_of(info, "master_replid")?.to_owned();
        // The role may have changed between two answers.
        (said == role).then_some(Self { history, offset: offset.parse().ok()? })
    }
}

/// The value of a field of `INFO`.
pub(crate) fn field_of<'i>(info: &'i str, name: &str) -> Option<&'i str> {
    let line = info.lines().find_map(|line| line.trim_end().strip_prefix(name));
    line.and_then(|rest| rest.strip_prefix(':'))
}

fn text(fields: &[Value], at: usize) -> Option<Cow<'_, str>> {
    match fields.get(at) {
        Some(Value::BulkString(text)) => Some(String::from_utf8_lossy(text)),
        Some(Value::SimpleString(text)) => Some(Cow::Borrowed(text)),
        _ => None,
    }
}

impl Pulse {
    /// Reads the answers to `ROLE` and to `INFO replication`; one of them need not be permitted.
    pub(crate) fn parse(server: &Server, role: Value, info: &Value) -> Result<Self, Failure> {
        let info = match info {
            Value::BulkString(info) => String::from_utf8_lossy(info),
            Value::VerbatimString { text, .. } => text.as_str().into(),
            _ => "".into(),
        };
        let unexpected = || Failure::unexpected(server, "ROLE in another form");
        let (role, is_linked) = match role {
            Value::Array(fields) => {
                let role = ReportedRole::of_fields(&fields).ok_or_else(unexpected)?;
                (role, text(&fields, 3).as_deref() == Some("connected"))
            }
            Value::ServerError(error) => {
                let failure = Failure::server_error(server, &error);
                let role = field_of(&info, "role").and_then(ReportedRole::parse);
                match role {
                    Some(role) if failure.concerns == Concerns::Call => {
                        (role, field_of(&info, "master_link_status") == Some("up"))
                    }
                    _ => return Err(failure),
                }
            }
            _ => return Err(unexpected()),
        };
        let position = Position::parse(&info, role);
        let is_following = role == ReportedRole::Primary || is_linked;
        Ok(Self { role, position, is_following })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(run_id: &str, history: &str, role: &str) -> Identity {
        Identity::parse(&format!(
            "# Server\r\nredis_version:7.0.15\r\nrun_id:{run_id}\r\n# Replication\r\nrole:{role}\r\n\
             master_replid:{history}\r\nmaster_replid2:0\r\n"
        ))
    }

    #[test]
    fn a_restart_and_a_promotion_are_other_identities() {
        let first = info("a", "h", "master");
        assert_eq!(first.role, Some(ReportedRole::Primary));
        assert!(first.continues(&info("a", "h", "master")));
        assert!(!first.continues(&info("b", "h", "master")));
        assert!(!first.continues(&info("a", "i", "master")));
        assert!(!Identity::default().continues(&Identity::default()), "unknown");
    }

    #[test]
    fn replicas_are_told_apart() {
        let server = Server::parse("redis://h").unwrap();
        assert!(info("a", "h", "slave").check_primary(&server).is_err());
        assert!(info("a", "h", "master").check_primary(&server).is_ok());
        assert!(Identity::default().check_primary(&server).is_ok(), "not permitted to ask");
    }

    #[test]
    fn signs_of_life_are_read() {
        let server = Server::parse("redis://h").unwrap();
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let primary = Value::Array(vec![text("master"), Value::Int(7), Value::Array(Vec::new())]);
        let info = text("role:master\r\nmaster_replid:h\r\nmaster_repl_offset:7\r\n");
        let pulse = Pulse::parse(&server, primary.clone(), &info).unwrap();
        let position = Some(Position { history: "h".to_owned(), offset: 7 });
        assert_eq!(pulse, Pulse { role: ReportedRole::Primary, position, is_following: true });
        let fields = [text("slave"), text("h"), Value::Int(1), text("sync"), Value::Int(-1)];
        let replica = Value::Array(fields.to_vec());
        let info = text("role:slave\r\nslave_repl_offset:5\r\nmaster_replid:h\r\n");
        let pulse = Pulse::parse(&server, replica, &info).unwrap();
        let position = Some(Position { history: "h".to_owned(), offset: 5 });
        assert_eq!(pulse, Pulse { role: ReportedRole::Replica, position, is_following: false });
        assert_eq!(Pulse::parse(&server, primary.clone(), &info).unwrap().position, None);
        assert_eq!(Pulse::parse(&server, primary, &Value::Nil).unwrap().position, None);
        assert!(Pulse::parse(&server, Value::Nil, &Value::Nil).is_err());
        assert!(Pulse::parse(&server, Value::Array(Vec::new()), &Value::Nil).is_err());
    }

    #[test]
    fn the_role_is_known_where_only_info_is_permitted() {
        let server = Server::parse("redis://h").unwrap();
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let refused = |code: &str| {
            let line = format!("-{code} it is not permitted\r\n");
            redis::parse_redis_value(line.as_bytes()).unwrap()
        };
        let info = "role:slave\r\nslave_repl_offset:5\r\nmaster_replid:h\r\nmaster_link_status:";
        for (link, is_following) in [("up", true), ("down", false)] {
            let info = text(&format!("{info}{link}\r\n"));
            let pulse = Pulse::parse(&server, refused("NOPERM"), &info).unwrap();
            let position = Some(Position { history: "h".to_owned(), offset: 5 });
            assert_eq!(pulse, Pulse { role: ReportedRole::Replica, position, is_following });
            assert!(Pulse::parse(&server, refused("LOADING"), &info).is_err());
        }
        let pulse = Pulse::parse(&server, refused("ERR"), &text("role:master\r\n")).unwrap();
        let role = ReportedRole::Primary;
        assert_eq!(pulse, Pulse { role, position: None, is_following: true });
        assert!(Pulse::parse(&server, refused("ERR"), &text("used_memory:1\r\n")).is_err());
        assert!(Pulse::parse(&server, refused("ERR"), &refused("NOPERM")).is_err());
    }
}
