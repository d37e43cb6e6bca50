//! The parts that requests are made of.

use std::time::Duration;

use rand::RngExt;
use redis::Cmd;
use region_core::{ChangedKey, MAX_DEPTH};

use crate::protocol::layout::{Anchor, Claim, Kind, Located, NameBuffer, record};
use crate::protocol::scripts::Script;
use crate::random;

/// Bytes of a random id.
pub(crate) const ID: usize = 8;

/// About how long names are.
const NAME_BYTES: usize = 64;

/// The count of one connection's writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Count<'k> {
    /// The key that holds it.
    pub(crate) key: &'k str,
    /// The highest count that a server has answered over the connection: a write whose count is not
    /// higher is refused. Zero refuses nothing.
    pub(crate) floor: u64,
    /// Over another connection than the main one, where the order of answers says nothing, a write does not raise the
    /// count. It leaves this key, by which the count is raised for it later: see [`confirm`](super::confirm).
    pub(crate) receipt: Option<&'k str>,
}

impl<'k> Count<'k> {
    /// The count of a write that leaves this receipt, if there is one.
    pub(crate) fn with_receipt(self, receipt: Option<&'k str>) -> Self {
        Self { receipt, ..self }
    }

    /// The number of keys that it takes.
    pub(crate) fn keys(self) -> usize {
        1 + usize::from(self.receipt.is_some())
    }
}

/// Writes the call of a script.
pub(crate) struct Call<'p> {
    command: Cmd,
    claim: Option<&'p Claim>,
    anchor: Anchor,
    names: NameBuffer,
}

impl<'p> Call<'p> {
    pub(crate) fn new(script: &Script, anchor: Anchor, keys: usize) -> Self {
        Self::claiming(script, anchor, keys, None)
    }

    /// The call of a script that is told of the regions above an anchor, if there are any.
    pub(crate) fn at(script: &Script, at: Located<'p>, keys: usize) -> Self {
        Self::claiming(script, at.anchor, keys, at.claim)
    }

    fn claiming(script: &Script, anchor: Anchor, keys: usize, claim: Option<&'p Claim>) -> Self {
        let keys = keys + usize::from(claim.is_some());
        let mut command = Cmd::with_capacity(keys + 16, (keys + 6) * NAME_BYTES);
        command.arg("EVALSHA").arg(&script.digest).arg(keys);
        Self { command, claim, anchor, names: NameBuffer::new(anchor) }
    }

    pub(crate) fn key(&mut self, kind: Kind, path: &str) {
        self.command.arg(self.names.of(kind, path));
    }

    /// Adds the keys of a region and of its ancestors in the same slot, from the outermost on.
    pub(crate) fn path(&mut self, kind: Kind, path: Located<'_>) {
        path.here().for_each(|prefix| self.key(kind, prefix));
    }

    /// Ends the keys, if a claim goes along: with the record of what was claimed before.
    pub(crate) fn end_keys(&mut self, path: Located<'_>) {
        if self.claim.is_some() {
            self.command.arg(record(path.tag()));
        }
    }

    pub(crate) fn arg(&mut self, arg: impl redis::ToRedisArgs) {
        self.command.arg(arg);
    }

    /// Adds a new random id for each of `regions` regions, and what the ids of a root say of its anchors.
    pub(crate) fn ids(&mut self, regions: usize) {
        let mut bytes = [0_u8; MAX_DEPTH * ID + 4];
        let (ids, rest) = bytes.split_at_mut(regions * ID);
        random::draw(|rng| rng.fill(ids));
        rest[..4].copy_from_slice(&self.anchor.mark());
        self.arg(&bytes[..regions * ID + 4]);
    }

    /// Adds a new random id.
    pub(crate) fn id(&mut self) {
        self.arg(&random::bits().to_be_bytes()[..]);
    }

    /// Adds a random id for a tombstone.
    pub(crate) fn tombstone(&mut self) {
        self.arg(tombstone_id());
    }

    /// Adds a change of these keys, with a random id.
    pub(crate) fn change<'k>(&mut self, keys: impl IntoIterator<Item = &'k str>) {
        let key = ChangedKey::of_keys(keys).unwrap_or(ChangedKey::All);
        let (id, key) = (random::bits() as u32, key.to_bits());
        let [a, b, c, d] = id.to_be_bytes();
        let [e, f, g, h] = key.to_be_bytes();
        self.arg(&[a, b, c, d, e, f, g, h][..]);
    }

    pub(crate) fn done(mut self) -> Cmd {
        if let Some(claim) = self.claim {
            self.command.arg(claim.argument()).arg(claim.seen());
        }
        self.command
    }
}

/// A random id for a tombstone.
pub(crate) fn tombstone_id() -> String {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
    let random = random::bits();
    (0..12).map(|at| char::from(DIGITS[(random >> (5 * at)) as usize % 32])).collect()
}

/// Whole milliseconds, within what the layout's six bytes hold.
pub(crate) fn millis(duration: Duration) -> u64 {
    const MOST: u64 = (1 << 47) - 1;
    u64::try_from(duration.as_millis()).unwrap_or(MOST).min(MOST)
}
