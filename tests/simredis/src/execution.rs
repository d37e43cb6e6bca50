//! One command that a server executes, with what it reads and changes.

use rand::rngs::StdRng;

use crate::commands::{self, Kind};
use crate::data::{Data, Entry, Value};
use crate::reply::{Args, Reply};
use crate::server::Flavor;

/// A key that was read or changed, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Touched {
    Read(Vec<u8>),
    Changed(Vec<u8>),
}

/// The reasons for which a server refuses writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Refusal {
    /// It takes them.
    #[default]
    None,
    /// It is out of memory: it refuses writes that need more.
    Full,
    /// It cannot write to its disk, and refuses all of them.
    Disk,
}

/// The state of a server while it executes a command.
#[derive(Debug)]
pub(crate) struct Execution {
    pub(crate) data: Data,
    /// The time, in microseconds: it stands still meanwhile.
    pub(crate) now: u64,
    pub(crate) rng: StdRng,
    pub(crate) is_replica: bool,
    pub(crate) refusal: Refusal,
    /// A script says so of itself.
    pub(crate) allows_oom: bool,
    /// Something has been written.
    pub(crate) has_written: bool,
    pub(crate) touched: Vec<Touched>,
    pub(crate) flavor: Flavor,
    /// The keys that are tracked in the place of those that a script reads.
    pub(crate) declared: Option<Args>,
}

impl Execution {
    pub(crate) fn millis(&self) -> u64 {
        self.now / 1000
    }

    /// Executes a command on keys.
    pub(crate) fn call(&mut self, args: &Args) -> Reply {
        let Some(command) = args.first().and_then(|name| commands::find(name)) else {
            let name = args.first().map(|name| String::from_utf8_lossy(name).into_owned());
            return Reply::error(format!("ERR unknown command '{}'", name.unwrap_or_default()));
        };
        if args.len() < command.least {
            let name = command.name.to_lowercase();
            return Reply::error(format!("ERR wrong number of arguments for '{name}' command"));
        }
        if command.kind != Kind::Read
            && let Some(refused) = self.refused(command.kind)
        {
            return refused;
        }
        let reply = (command.run)(self, &args[1..]).unwrap_or_else(|error| error);
        if command.kind == Kind::Read {
            let keys = match &self.declared {
                _ if command.least == 1 => &[],
                Some(declared) => &declared[..],
                None if command.all_keys => &args[1..],
                None => &args[1..args.len().min(2)],
            };
            self.touched.extend(keys.iter().cloned().map(Touched::Read));
        } else if !matches!(reply, Reply::Error(_)) {
            self.has_written = true;
        }
        reply
    }

    fn refused(&self, kind: Kind) -> Option<Reply> {
        if self.is_replica {
            return Some(Reply::error("READONLY You can't write against a read only replica."));
        }
        match self.refusal {
            Refusal::Full if kind == Kind::Grow && !self.allows_oom && !self.has_written => {
                Some(Reply::error("OOM command not allowed when used memory > 'maxmemory'."))
            }
            Refusal::Disk => Some(Reply::error(
                "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to \
                 persist to disk.",
            )),
            _ => None,
        }
    }

    /// The entry of a key, if it has not expired. A replica leaves it to its primary to delete what has.
    pub(crate) fn entry(&mut self, key: &[u8]) -> Option<&mut Entry> {
        let now = self.millis();
        if self.data.get(key)?.is_over(now) {
            if !self.is_replica {
                self.data.remove(key);
                self.touched.push(Touched::Changed(key.to_vec()));
            }
            return None;
        }
        self.data.get_mut(key)
    }

    pub(crate) fn changed(&mut self, key: &[u8]) {
        self.touched.push(Touched::Changed(key.to_vec()));
    }

    /// Stores a value; the key does not expire.
    pub(crate) fn store(&mut self, key: &[u8], value: Value) {
        self.data.insert(key.to_vec(), Entry::new(value));
        self.changed(key);
    }

    /// Removes a key. Returns whether it was there.
    pub(crate) fn remove(&mut self, key: &[u8]) -> bool {
        let is_there = self.entry(key).is_some();
        if is_there {
            self.data.remove(key);
            self.changed(key);
        }
        is_there
    }
}
