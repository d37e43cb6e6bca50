//! The keys that clients have read, and want to be told of.

use std::collections::{BTreeMap, BTreeSet};

use crate::execution::Touched;
use crate::reply::Reply;

/// Names a client of a server.
pub(crate) type ClientId = u64;

/// The clients that track what they read, and the keys that each has read since it was told of them last.
#[derive(Debug, Default)]
pub(crate) struct Tracking {
    clients: BTreeSet<ClientId>,
    keys: BTreeMap<Vec<u8>, BTreeSet<ClientId>>,
}

impl Tracking {
    pub(crate) fn start(&mut self, client: ClientId) {
        self.clients.insert(client);
    }

    pub(crate) fn stop(&mut self, client: ClientId) {
        self.clients.remove(&client);
    }

    /// Notes what a command of `client` has read and changed, in this order. Returns who is to be told of which key.
    pub(crate) fn note(
        &mut self,
        client: Option<ClientId>,
        touched: &[Touched],
    ) -> Vec<(ClientId, Vec<u8>)> {
        let reader = client.filter(|client| self.clients.contains(client));
        let mut told = Vec::new();
        for touched in touched {
            match touched {
                Touched::Read(key) => {
                    if let Some(reader) = reader {
                        self.keys.entry(key.clone()).or_default().insert(reader);
                    }
                }
                Touched::Changed(key) => {
                    let readers = self.keys.remove(key).unwrap_or_default();
                    let readers = readers.into_iter().filter(|one| self.clients.contains(one));
                    told.extend(readers.map(|reader| (reader, key.clone())));
                }
            }
        }
        told
    }

    /// Everything is gone. Returns who is to be told.
    pub(crate) fn flush(&mut self) -> Vec<ClientId> {
        self.keys.clear();
        self.clients.iter().copied().collect()
    }
}

/// The push that tells of a change of a key; `None`: of all.
pub(crate) fn invalidation(key: Option<&[u8]>) -> Reply {
    let keys = key.map_or(Reply::Null, |key| Reply::Array(vec![Reply::bulk(key)]));
    Reply::Push(vec![Reply::bulk("invalidate"), keys])
}
