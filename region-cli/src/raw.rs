//! Commands of the servers' own, over connections of the client library.

use std::collections::HashMap;
use std::time::Duration;

use redis::{Cmd, FromRedisValue, PushInfo, RedisError, RedisResult};
use region_cache::{Error, RedisStore, Server, ServerConnection};

/// A connection to one server.
#[derive(Debug)]
pub(crate) struct Raw {
    connection: ServerConnection,
}

/// What `INFO` tells, by the names of its fields.
#[derive(Debug, Default)]
pub(crate) struct Info(HashMap<String, String>);

impl Raw {
    pub(crate) async fn connect(server: &Server, limit: Duration) -> Result<Self, Error> {
        Self::connect_pushed(server, limit, |_| ()).await
    }

    /// As [`connect`](Self::connect); `pushed` gets what the server pushes.
    pub(crate) async fn connect_pushed(
        server: &Server,
        limit: Duration,
        pushed: impl Fn(PushInfo) + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        Ok(Self { connection: server.connect(limit, pushed).await? })
    }

    pub(crate) async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> RedisResult<T> {
        command.query_async(&mut self.connection.client()).await
    }

    /// Asks for all that `INFO` tells, or for one section.
    pub(crate) async fn info(&self, section: &str) -> RedisResult<Info> {
        let text: String = self.ask(redis::cmd("INFO").arg(section)).await?;
        Ok(Info::parse(&text))
    }
}

impl Info {
    pub(crate) fn parse(text: &str) -> Self {
        let fields = text.lines().filter_map(|line| line.trim_end().split_once(':'));
        Self(fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }

    /// The sub-fields of a field such as `slave0:ip=..,port=..`.
    pub(crate) fn parts(&self, name: &str) -> Option<HashMap<&str, &str>> {
        let parts = self.text(name)?.split(',').filter_map(|part| part.split_once('='));
        Some(parts.collect())
    }

    /// The name of the server's program, and its version.
    pub(crate) fn version(&self) -> Option<(&'static str, &str)> {
        let valkey = self.text("valkey_version").map(|version| ("Valkey", version));
        valkey.or_else(|| self.text("redis_version").map(|version| ("Redis", version)))
    }
}

/// Returns true if the server refuses this user the command, or its key.
pub(crate) fn is_denied(error: &RedisError) -> bool {
    error.code() == Some("NOPERM")
}

/// The primaries that a store's regions lie on. Of a cluster: all that have slots.
pub(crate) async fn primaries(store: &RedisStore, limit: Duration) -> Result<Vec<Server>, Error> {
    if let Some(primary) = store.primary() {
        return Ok(vec![primary]);
    }
    let mut last_error = None;
    for node in store.servers() {
        match of_cluster(&node, limit).await {
            Ok(primaries) => return Ok(primaries),
            Err(error) => last_error = Some(error),
        }
    }
    let none = || Error::new(region_cache::ErrorKind::Unavailable, "no primary has been found");
    Err(last_error.unwrap_or_else(none))
}

/// Asks a node of a cluster for the primaries.
async fn of_cluster(node: &Server, limit: Duration) -> Result<Vec<Server>, Error> {
    let raw = Raw::connect(node, limit).await?;
    let unavailable =
        |why: String| Error::new(region_cache::ErrorKind::Unavailable, format!("{node} {why}"));
    let nodes: String = raw
        .ask(redis::cmd("CLUSTER").arg("NODES"))
        .await
        .map_err(|error| unavailable(format!("does not name the nodes: {error}")))?;
    let found: Vec<Server> = nodes.lines().filter_map(|line| primary_in(node, line)).collect();
    if found.is_empty() {
        return Err(unavailable("knows no primary that has slots".to_owned()));
    }
    Ok(found)
}

/// The server in a line of `CLUSTER NODES`, if it is a primary with slots. An address without a host is the node's own.
fn primary_in(node: &Server, line: &str) -> Option<Server> {
    let fields: Vec<&str> = line.split(' ').collect();
    let (address, flags) = (*fields.get(1)?, *fields.get(2)?);
    let is_primary = flags.split(',').any(|flag| flag == "master");
    if !is_primary || fields.len() < 9 {
        return None;
    }
    let (host, port) = address.split_once('@')?.0.rsplit_once(':')?;
    match host {
        "" => Some(node.clone()),
        host => node.at(host, port.parse().ok()?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn info_is_read_by_its_fields() {
        let info = Info::parse(
            "# Server\r\nredis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.0.1\r\n\
             slave0:ip=127.0.0.1,port=7000,state=online,offset=12,lag=1\r\n",
        );
        assert_eq!(info.version(), Some(("Valkey", "8.0.1")));
        assert_eq!(info.parts("slave0").unwrap()["state"], "online");
        assert_eq!(info.number("redis_version"), None);
    }

    #[test]
    fn primaries_are_those_with_slots() {
        let node = Server::parse("redis://127.0.0.1:7000").unwrap();
        let of = |line: &str| primary_in(&node, line).map(|server| server.to_string());
        let begin = "07c37df 127.0.0.1:7001@17001";
        let primary = format!("{begin} myself,master - 0 1 2 connected 0-5460");
        assert_eq!(of(&primary).as_deref(), Some("redis://127.0.0.1:7001"));
        assert_eq!(of(&format!("{begin} master - 0 1 2 connected")), None);
        assert_eq!(of(&format!("{begin} slave 07c 0 1 2 connected 0-5460")), None);
        let named = "07c37df 127.0.0.1:7002@17002,host master - 0 1 2 connected 1";
        assert_eq!(of(named).as_deref(), Some("redis://127.0.0.1:7002"));
        let own = "07c37df :7000@17000 myself,master - 0 1 2 connected 1";
        assert_eq!(of(own).as_deref(), Some("redis://127.0.0.1:7000"));
    }
}
