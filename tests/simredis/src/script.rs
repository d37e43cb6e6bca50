//! Scripts, run by Lua 5.1 as a server runs them.

use std::cell::RefCell;
use std::collections::BTreeMap;

use mlua::{Function, Lua, LuaString, Result, Table, Value, Variadic};

use crate::execution::Execution;
use crate::packing;
use crate::reply::{Args, Reply};
use crate::server::Flavor;

/// A script as it was sent.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    source: String,
    pub(crate) digest: String,
    /// The first line gives flags: then a script that may write is refused before it runs.
    has_flags: bool,
    allows_oom: bool,
}

impl Script {
    pub(crate) fn new(source: &[u8]) -> Self {
        let digest = sha1_smol::Sha1::from(source).hexdigest();
        let source = String::from_utf8_lossy(source).into_owned();
        let first = source.lines().next().filter(|line| line.starts_with("#!"));
        let (has_flags, allows_oom) =
            (first.is_some(), first.is_some_and(|line| line.contains("allow-oom")));
        // The line stays, empty, so that errors name the right one.
        let source = match first {
            Some(first) => source[first.len()..].to_owned(),
            None => source,
        };
        Self { source, digest, has_flags, allows_oom }
    }

    /// Runs the script.
    pub(crate) fn run(
        &self,
        mut execution: Execution,
        keys: &Args,
        args: &Args,
    ) -> (Execution, Reply) {
        if self.has_flags && execution.is_replica {
            let refused = "READONLY Can not run script with write flag on readonly replica.";
            return (execution, Reply::error(refused));
        }
        execution.allows_oom = self.allows_oom;
        execution.declared = (execution.flavor == Flavor::Redis).then(|| keys.clone());
        RUNNING.set(Some(execution));
        let done = INTERPRETER.with(|interpreter| match interpreter {
            Ok(interpreter) => interpreter.run(self, keys, args),
            Err(error) => Err(error.clone()),
        });
        let execution = RUNNING.take();
        // Nothing in between takes it away.
        let execution = execution.unwrap_or_else(|| panic!("the state of the server is gone"));
        (
            execution,
            done.unwrap_or_else(|error| Reply::error(format!("ERR {}", first_line(&error)))),
        )
    }
}

fn first_line(error: &mlua::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

thread_local! {
    static INTERPRETER: Result<Interpreter> = Interpreter::new();
    /// What the script that runs reads and changes.
    static RUNNING: RefCell<Option<Execution>> = const { RefCell::new(None) };
}

/// Calls a script and gives back its failure as a value: it may be a table.
const GUARD: &str = "
local pcall, type, error, raw = pcall, type, error, redis.pcall
function redis.call(...)
  local reply = raw(...)
  if type(reply) == 'table' and reply.err then error(reply) end
  return reply
end
return function(script) return pcall(script) end
";

/// The interpreter of a thread, with the scripts that it has compiled.
struct Interpreter {
    lua: Lua,
    guard: Function,
    compiled: RefCell<BTreeMap<String, Function>>,
}

impl Interpreter {
    fn new() -> Result<Self> {
        let lua = Lua::new();
        let redis = lua.create_table()?;
        redis.set("pcall", lua.create_function(call)?)?;
        redis.set("sha1hex", lua.create_function(sha1hex)?)?;
        let packing = lua.create_table()?;
        packing.set("pack", lua.create_function(packing::pack)?)?;
        packing.set("unpack", lua.create_function(packing::unpack)?)?;
        lua.globals().set("redis", redis)?;
        lua.globals().set("struct", packing)?;
        let guard = lua.load(GUARD).eval()?;
        Ok(Self { lua, guard, compiled: RefCell::default() })
    }

    fn run(&self, script: &Script, keys: &Args, args: &Args) -> Result<Reply> {
        let lua = &self.lua;
        let strings = |strings: &Args| {
            let strings: Result<Vec<_>> =
                strings.iter().map(|string| lua.create_string(string)).collect();
            lua.create_sequence_from(strings?)
        };
        lua.globals().set("KEYS", strings(keys)?)?;
        lua.globals().set("ARGV", strings(args)?)?;
        let (is_done, value): (bool, Value) = self.guard.call(self.compiled(script)?)?;
        Ok(match (is_done, to_reply(&value)?) {
            (true, reply) | (false, reply @ Reply::Error(_)) => reply,
            (false, Reply::Bulk(text)) => {
                Reply::error(format!("ERR {}", String::from_utf8_lossy(&text).replace('\n', " ")))
            }
            (false, _) => Reply::error("ERR the script has failed"),
        })
    }

    fn compiled(&self, script: &Script) -> Result<Function> {
        if let Some(compiled) = self.compiled.borrow().get(&script.digest) {
            return Ok(compiled.clone());
        }
        let compiled = self.lua.load(&script.source).set_name("@user_script").into_function()?;
        self.compiled.borrow_mut().insert(script.digest.clone(), compiled.clone());
        Ok(compiled)
    }
}

/// Checks that a script can be compiled.
pub(crate) fn check(script: &Script) -> std::result::Result<(), Reply> {
    let checked = INTERPRETER.with(|interpreter| match interpreter {
        Ok(interpreter) => interpreter.compiled(script).map(drop),
        Err(error) => Err(error.clone()),
    });
    checked.map_err(|error| {
        Reply::error(format!("ERR Error compiling script: {}", first_line(&error)))
    })
}

/// `redis.pcall`.
fn call(lua: &Lua, args: Variadic<Value>) -> Result<Value> {
    let args: Option<Args> = args.iter().map(to_argument).collect();
    let reply = match args {
        Some(args) => RUNNING.with_borrow_mut(|running| {
            let running = running.as_mut();
            running.map_or_else(|| Reply::error("ERR no script runs"), |run| run.call(&args))
        }),
        None => Reply::error("ERR Lua redis lib command arguments must be strings or integers"),
    };
    to_lua(lua, reply)
}

fn to_argument(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::String(text) => Some(text.as_bytes().to_vec()),
        Value::Integer(number) => Some(number.to_string().into_bytes()),
        Value::Number(number) => Some(format!("{number}").into_bytes()),
        _ => None,
    }
}

fn sha1hex(_: &Lua, text: LuaString) -> Result<String> {
    Ok(sha1_smol::Sha1::from(&text.as_bytes()[..]).hexdigest())
}

fn to_lua(lua: &Lua, reply: Reply) -> Result<Value> {
    let named = |name: &str, text: &str| -> Result<Value> {
        let table = lua.create_table()?;
        table.set(name, text)?;
        Ok(Value::Table(table))
    };
    match reply {
        Reply::Simple(text) => named("ok", text),
        Reply::Error(text) => named("err", &text),
        Reply::Int(number) => Ok(Value::Number(number as f64)),
        Reply::Bulk(bytes) => Ok(Value::String(lua.create_string(bytes)?)),
        Reply::Verbatim(text) => Ok(Value::String(lua.create_string(text)?)),
        Reply::Null => Ok(Value::Boolean(false)),
        Reply::Array(replies) | Reply::Map(replies) | Reply::Push(replies) => {
            let table = lua.create_table_with_capacity(replies.len(), 0)?;
            for reply in replies {
                table.raw_push(to_lua(lua, reply)?)?;
            }
            Ok(Value::Table(table))
        }
    }
}

fn to_reply(value: &Value) -> Result<Reply> {
    Ok(match value {
        Value::Nil | Value::Boolean(false) => Reply::Null,
        Value::Boolean(true) => Reply::Int(1),
        Value::Integer(number) => Reply::Int(*number),
        Value::Number(number) => Reply::Int(*number as i64),
        Value::String(text) => Reply::bulk(text.as_bytes()),
        Value::Table(table) => table_to_reply(table)?,
        Value::Error(error) => Reply::error(format!("ERR {}", first_line(error))),
        _ => Reply::Null,
    })
}

fn table_to_reply(table: &Table) -> Result<Reply> {
    if let Some(error) = table.raw_get::<Option<LuaString>>("err")? {
        return Ok(Reply::error(error.to_string_lossy()));
    }
    if table.raw_get::<Option<LuaString>>("ok")?.is_some() {
        // Commands on keys have no other status.
        return Ok(Reply::Simple("OK"));
    }
    let mut replies = Vec::new();
    for at in 1.. {
        match table.raw_get::<Value>(at)? {
            Value::Nil => break,
            value => replies.push(to_reply(&value)?),
        }
    }
    Ok(Reply::Array(replies))
}
