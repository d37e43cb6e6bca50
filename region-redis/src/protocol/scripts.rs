//! The scripts: files of their own, each with the parts that it needs before it.

use std::sync::LazyLock;

use redis::{Arg, Cmd, Pipeline, Value};

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
    /// As `write`, for operations none of which puts: a server that is out of memory does them too.
    pub(crate) free: Script,
    pub(crate) put: Script,
    pub(crate) invalidate: Script,
    pub(crate) touch: Script,
    pub(crate) invalidate_and_touch: Script,
    pub(crate) release: Script,
    pub(crate) expire: Script,
    pub(crate) reclaim: Script,
    pub(crate) len: Script,
    pub(crate) prepare: Script,
}

/// Makes a server that is out of memory run a script that only frees some.
const ALLOW_OOM: &str = "#!lua flags=allow-oom\n";
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
    free: Script::new(
        &[ALLOW_OOM, KEYS, COUNT, LINEAGE, FRESHNESS, LIFETIMES],
        include_str!("scripts/write.lua"),
    ),
    put: Script::new(&[COUNT], include_str!("scripts/put.lua")),
    invalidate: Script::new(&[KEYS, COUNT, LINEAGE], include_str!("scripts/invalidate.lua")),
    touch: Script::new(&[KEYS, COUNT], include_str!("scripts/touch.lua")),
    invalidate_and_touch: Script::new(
        &[KEYS, COUNT, LINEAGE],
        include_str!("scripts/invalidate_and_touch.lua"),
    ),
    release: Script::new(&[KEYS], include_str!("scripts/release.lua")),
    expire: Script::new(&[KEYS, COUNT, LINEAGE], include_str!("scripts/expire.lua")),
    reclaim: Script::new(&[KEYS, LINEAGE], include_str!("scripts/reclaim.lua")),
    len: Script::new(&[KEYS, LINEAGE, FRESHNESS], include_str!("scripts/len.lua")),
    prepare: Script::new(&[], include_str!("scripts/prepare.lua")),
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
    pub(crate) fn all(&self) -> [&Script; 12] {
        [
            &self.begin,
            &self.write,
            &self.free,
            &self.put,
            &self.invalidate,
            &self.touch,
            &self.invalidate_and_touch,
            &self.release,
            &self.expire,
            &self.reclaim,
            &self.len,
            &self.prepare,
        ]
    }

    /// The script with this digest.
    pub(crate) fn find(&self, digest: &[u8]) -> Option<&Script> {
        self.all().into_iter().find(|script| script.digest.as_bytes() == digest)
    }
}

/// Whether a server does not know a script, or not any more.
pub(crate) fn is_unknown_script(answer: &Value) -> bool {
    matches!(answer, Value::ServerError(error) if error.code() == "NOSCRIPT")
}

/// Whether a server refused a write because it lacks earlier writes of the same connection.
pub(crate) fn is_refused_as_lost(answer: &Value) -> bool {
    matches!(answer, Value::ServerError(error) if error.code() == "REGIONLOST")
}

/// The same commands, with their scripts in full.
pub(crate) fn with_sources(commands: &Pipeline) -> Pipeline {
    let mut pipeline = Pipeline::with_capacity(commands.len());
    for command in commands.cmd_iter() {
        let mut args = command.args_iter().map(|arg| match arg {
            Arg::Simple(arg) => arg,
            // Only scans have cursors, and no script is called by a scan.
            _ => &b"0"[..],
        });
        let (name, digest) = (args.next(), args.next());
        let script = digest.and_then(|digest| SCRIPTS.find(digest));
        let mut with_source = Cmd::new();
        match (name, script) {
            (Some(b"EVALSHA"), Some(script)) => {
                with_source.arg("EVAL").arg(&script.source);
                args.for_each(|arg| {
                    with_source.arg(arg);
                });
            }
            _ => with_source = command.clone(),
        }
        pipeline.add_command(with_source);
    }
    pipeline
}
