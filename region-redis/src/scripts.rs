//! The scripts: files of their own, each with the parts that it needs before it.

use std::sync::LazyLock;

/// A script, and the digest under which a server knows it.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) source: String,
    pub(crate) digest: String,
}

/// All scripts.
#[derive(Debug)]
pub(crate) struct Scripts {
    pub(crate) begin: Script,
    pub(crate) write: Script,
    pub(crate) put: Script,
    pub(crate) invalidate: Script,
    pub(crate) touch: Script,
    pub(crate) expire: Script,
    pub(crate) reclaim: Script,
    pub(crate) len: Script,
}

const KEYS: &str = include_str!("scripts/keys.lua");
const COUNT: &str = include_str!("scripts/count.lua");
const LINEAGE: &str = include_str!("scripts/lineage.lua");
const FRESHNESS: &str = include_str!("scripts/freshness.lua");
const LIFETIMES: &str = include_str!("scripts/lifetimes.lua");

pub(crate) static SCRIPTS: LazyLock<Scripts> = LazyLock::new(|| Scripts {
    begin: Script::new(
        &[KEYS, COUNT, LINEAGE, FRESHNESS, LIFETIMES],
        include_str!("scripts/begin.lua"),
    ),
    write: Script::new(
        &[KEYS, COUNT, LINEAGE, FRESHNESS, LIFETIMES],
        include_str!("scripts/write.lua"),
    ),
    put: Script::new(&[], include_str!("scripts/put.lua")),
    invalidate: Script::new(&[KEYS, COUNT, LINEAGE], include_str!("scripts/invalidate.lua")),
    touch: Script::new(&[KEYS, COUNT, LINEAGE], include_str!("scripts/touch.lua")),
    expire: Script::new(&[KEYS, COUNT, LINEAGE], include_str!("scripts/expire.lua")),
    reclaim: Script::new(&[KEYS, LINEAGE], include_str!("scripts/reclaim.lua")),
    len: Script::new(&[KEYS, LINEAGE, FRESHNESS], include_str!("scripts/len.lua")),
});

impl Script {
    fn new(parts: &[&str], script: &str) -> Self {
        // What a script says of itself to the server stands in its first line.
        let (first, rest) = match script.split_once('\n') {
            Some((first, rest)) if first.starts_with("#!") => (first, rest),
            _ => ("", script),
        };
        let mut source = String::new();
        if !first.is_empty() {
            source.push_str(first);
            source.push('\n');
        }
        parts.iter().for_each(|part| source.push_str(part));
        source.push_str(rest);
        let digest = sha1_smol::Sha1::from(&source).hexdigest();
        Self { source, digest }
    }
}

impl Scripts {
    pub(crate) fn all(&self) -> [&Script; 8] {
        [
            &self.begin,
            &self.write,
            &self.put,
            &self.invalidate,
            &self.touch,
            &self.expire,
            &self.reclaim,
            &self.len,
        ]
    }

    /// The script with this digest.
    pub(crate) fn find(&self, digest: &[u8]) -> Option<&Script> {
        self.all().into_iter().find(|script| script.digest.as_bytes() == digest)
    }
}
