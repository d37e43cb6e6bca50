//! The scripts: each stands in a file beside its request and reply, and is sent with the parts that it
//! needs before it.

use std::sync::LazyLock;

use redis::{Arg, Cmd, Pipeline, Value};

use crate::error::is_migrating;

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
    pub(crate) expire: Script,
    pub(crate) confirm: Script,
    pub(crate) hold: Script,
    pub(crate) release: Script,
    pub(crate) scan: Script,
    pub(crate) unlist: Script,
    pub(crate) take: Script,
    pub(crate) reclaim: Script,
    pub(crate) prune: Script,
    pub(crate) prepare: Script,
    pub(crate) refresh: Script,
}

/// Makes a server that is out of memory run a script that only frees some.
const ALLOW_OOM: &str = "#!lua flags=allow-oom\n";

/// The parts that scripts share; each uses those before it.
const COUNT: &str = include_str!("shared/count.lua");
const ABOVE: &str = include_str!("shared/above.lua");
const MARKS: &str = include_str!("shared/marks.lua");
const STAMPS: &str = include_str!("shared/stamps.lua");
const PATH: &str = include_str!("shared/path.lua");
const KEYS: &str = include_str!("shared/keys.lua");
const LINEAGE: &str = include_str!("shared/lineage.lua");
const FRESHNESS: &str = include_str!("shared/freshness.lua");
const LIFETIMES: &str = include_str!("shared/lifetimes.lua");
const CHILDREN: &str = include_str!("shared/children.lua");
const COUNTS: &str = include_str!("prepare/counts.lua");

/// All that those who write entries need.
const ALL: [&str; 10] =
    [COUNT, ABOVE, MARKS, STAMPS, PATH, KEYS, LINEAGE, FRESHNESS, LIFETIMES, CHILDREN];

pub(crate) static SCRIPTS: LazyLock<Scripts> = LazyLock::new(|| Scripts {
    begin: Script::new(&ALL, include_str!("begin/begin.lua")),
    write: Script::new(&ALL, include_str!("write/write.lua")),
    free: Script::new(&[&[ALLOW_OOM], &ALL[..]].concat(), include_str!("write/write.lua")),
    put: Script::new(&[COUNT, ABOVE], include_str!("write/put.lua")),
    invalidate: Script::new(&[COUNT], include_str!("end/invalidate.lua")),
    touch: Script::new(
        &[COUNT, MARKS, STAMPS, KEYS, LINEAGE, CHILDREN],
        include_str!("end/touch.lua"),
    ),
    expire: Script::new(&[COUNT, MARKS, STAMPS, KEYS, LINEAGE], include_str!("end/expire.lua")),
    confirm: Script::new(&[COUNT], include_str!("confirm/confirm.lua")),
    hold: Script::new(
        &[COUNT, ABOVE, MARKS, STAMPS, PATH, KEYS, LINEAGE, LIFETIMES, CHILDREN],
        include_str!("hold/hold.lua"),
    ),
    release: Script::new(&[KEYS], include_str!("release/release.lua")),
    scan: Script::new(
        &[ABOVE, MARKS, STAMPS, KEYS, LINEAGE, FRESHNESS],
        include_str!("scan/scan.lua"),
    ),
    unlist: Script::new(&[], include_str!("reclaim/unlist.lua")),
    take: Script::new(&[KEYS, LINEAGE], include_str!("reclaim/take.lua")),
    reclaim: Script::new(
        &[ABOVE, MARKS, STAMPS, KEYS, LINEAGE, CHILDREN],
        include_str!("reclaim/reclaim.lua"),
    ),
    prune: Script::new(
        &[ABOVE, MARKS, STAMPS, PATH, KEYS, LINEAGE, LIFETIMES, CHILDREN],
        include_str!("reclaim/prune.lua"),
    ),
    prepare: Script::new(&[COUNTS], include_str!("prepare/prepare.lua")),
    refresh: Script::new(&[COUNTS], include_str!("prepare/refresh.lua")),
});

impl Script {
    fn new(parts: &[&str], script: &str) -> Self {
        // The first line tells the server how to run the script.
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
    pub(crate) fn all(&self) -> [&Script; 17] {
        [
            &self.begin,
            &self.write,
            &self.free,
            &self.put,
            &self.invalidate,
            &self.touch,
            &self.expire,
            &self.confirm,
            &self.hold,
            &self.release,
            &self.scan,
            &self.unlist,
            &self.take,
            &self.reclaim,
            &self.prune,
            &self.prepare,
            &self.refresh,
        ]
    }

    /// The name of the script with this digest.
    #[cfg(feature = "testing")]
    pub(crate) fn name_of(&self, digest: &[u8]) -> Option<&'static str> {
        const NAMES: [&str; 17] = [
            "begin",
            "write",
            "free",
            "put",
            "invalidate",
            "touch",
            "expire",
            "confirm",
            "hold",
            "release",
            "scan",
            "unlist",
            "take",
            "reclaim",
            "prune",
            "prepare",
            "refresh",
        ];
        let place = self.all().iter().position(|script| script.digest.as_bytes() == digest)?;
        Some(NAMES[place])
    }

    /// The script with this digest.
    pub(crate) fn find(&self, digest: &[u8]) -> Option<&Script> {
        self.all().into_iter().find(|script| script.digest.as_bytes() == digest)
    }
}

/// Returns whether a server does not know a script, or not any more.
pub(crate) fn is_unknown_script(answer: &Value) -> bool {
    matches!(answer, Value::ServerError(error) if error.code() == "NOSCRIPT")
}

/// Returns whether a server refused a write because it lacks earlier writes of the same connection.
pub(crate) fn is_refused_as_lost(answer: &Value) -> bool {
    matches!(answer, Value::ServerError(error) if error.code() == "REGIONLOST")
}

/// Returns whether a node refused a call because the keys of the slot are being moved to another.
pub(crate) fn is_refused_as_moving(answer: &Value) -> bool {
    matches!(answer, Value::ServerError(error)
        if is_migrating(error.code(), error.details().unwrap_or_default()))
}

/// Returns whether a node refused all commands because another has their slot: so none of them was done.
pub(crate) fn is_moved(answers: &[Value]) -> bool {
    let is_moved =
        |answer: &Value| matches!(answer, Value::ServerError(error) if error.code() == "MOVED");
    !answers.is_empty() && answers.iter().all(is_moved)
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
