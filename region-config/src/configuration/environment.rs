//! Configurations from environment variables.

use region_core::{Error, ErrorKind, Result};
use serde_json::{Map, Value};

use super::origins::Origins;
use super::read::{self, Fault};
use super::rows::{ConfigurationSetting, Kind, PREFIX, URL_VARIABLE};
use super::{Configuration, address};
use crate::tree::Tree;

/// The words for a switch, by what they say.
const SWITCHES: [(&str, bool); 8] = [
    ("true", true),
    ("1", true),
    ("yes", true),
    ("on", true),
    ("false", false),
    ("0", false),
    ("no", false),
    ("off", false),
];

/// The place of the replica that has variables of its own.
const REPLICA: &str = "replicas[0].";

/// The variables of this process's environment.
pub(super) fn of_process() -> Result<Vec<(String, String)>> {
    let mut variables = Vec::new();
    for (name, value) in std::env::vars_os() {
        let shown = name.to_string_lossy();
        if !shown.starts_with(PREFIX) {
            continue;
        }
        let Some(value) = value.to_str() else { return Err(refuse(&shown, "is not UTF-8")) };
        variables.push((shown.into_owned(), value.to_owned()));
    }
    Ok(variables)
}

/// Reads `variables`, but for those without the prefix.
pub(super) fn read(mut variables: Vec<(String, String)>) -> Result<Configuration> {
    variables.retain(|(name, _)| name.starts_with(PREFIX));
    // So that of several faults always the same is reported.
    variables.sort();
    let settings = Configuration::settings();
    let mut found = Found::default();
    for (name, value) in &variables {
        let Some(setting) = settings.iter().find(|setting| setting.variable == *name) else {
            return Err(refuse(name, "is unknown: it sets nothing"));
        };
        found.add(setting, value)?;
    }
    found.finish()
}

/// The settings that variables have set so far.
#[derive(Default)]
struct Found {
    tree: Map<String, Value>,
    /// The replica that has variables of its own.
    replica: Map<String, Value>,
    origins: Origins,
}

impl Found {
    fn add(&mut self, setting: &ConfigurationSetting, text: &str) -> Result<()> {
        let name = &setting.variable;
        if text.trim().is_empty() {
            let help = match name.as_str() {
                URL_VARIABLE => format!("; write {}", address::FORMS),
                _ => ": unset it, or give it a value".to_owned(),
            };
            return Err(refuse(name, &format!("is empty{help}")));
        }
        if let (Kind::Settings, [table]) = (setting.kind, setting.paths.as_slice()) {
            for (key, value) in self::table(name, text)? {
                self.set(name, &format!("{table}.{key}"), value)?;
            }
            return Ok(());
        }
        let value = value(setting, text)?;
        for path in &setting.paths {
            self.set(name, path, value.clone())?;
        }
        Ok(())
    }

    fn set(&mut self, name: &str, path: &str, value: Value) -> Result<()> {
        if let Some(other) = self.origins.add(path, name) {
            return Err(refuse(name, &format!("and {other} both set {path}: unset one of them")));
        }
        if let Some(key) = path.strip_prefix(REPLICA) {
            self.replica.insert(key.to_owned(), value);
            return Ok(());
        }
        match path.split_once('.') {
            None => self.tree.insert(path.to_owned(), value),
            Some((table, key)) => {
                let table = self.tree.entry(table).or_insert_with(|| Value::Object(Map::new()));
                let Value::Object(table) = table else {
                    return Err(refuse(name, &format!("sets {path}, which is no setting")));
                };
                table.insert(key.to_owned(), value)
            }
        };
        Ok(())
    }

    fn finish(mut self) -> Result<Configuration> {
        let reads_replica = self.finish_replica()?;
        let Self { tree, origins, .. } = self;
        match read::of_tree(Value::Object(tree)) {
            Ok(configuration) => Ok(Configuration { reads_replica, origins, ..configuration }),
            Err(Fault { path, why }) => Err(origins.refuse(&path, &why)),
        }
    }

    /// Makes a list of the replica that has variables of its own. Returns true if there is one.
    fn finish_replica(&mut self) -> Result<bool> {
        let variable = |key: &str| self.origins.name(&format!("{REPLICA}{key}"));
        let Some((first, _)) = self.replica.iter().next() else { return Ok(false) };
        let has_url = self.replica.contains_key("url");
        for (key, needed) in [("host", "RR_HOST"), ("port", "RR_PORT")] {
            if !has_url && !self.replica.contains_key(key) {
                let why = format!("needs {PREFIX}{needed}, which is not set");
                return Err(refuse(&variable(first), &why));
            }
        }
        if self.tree.contains_key("replicas") {
            let why = format!("and {} both name replicas: unset one", variable(first));
            return Err(refuse(&self.origins.name("replicas"), &why));
        }
        let replica = Value::Object(std::mem::take(&mut self.replica));
        self.tree.insert("replicas".to_owned(), Value::Array(vec![replica]));
        Ok(true)
    }
}

/// The value that `text` is for this setting. A message does not repeat it, since it may be a misplaced secret.
fn value(setting: &ConfigurationSetting, text: &str) -> Result<Value> {
    let name = &setting.variable;
    let trimmed = text.trim();
    Ok(match setting.kind {
        Kind::Text if name.ends_with("PASSWORD") || name.ends_with("_PEM") => Value::from(text),
        Kind::Text => Value::from(trimmed),
        Kind::Number => match trimmed.parse::<u64>() {
            Ok(number) => Value::from(number),
            Err(_) => return Err(refuse(name, "is not a whole number")),
        },
        Kind::Integer => match trimmed.parse::<i64>() {
            Ok(number) => Value::from(number),
            Err(_) => return Err(refuse(name, "is not a whole number")),
        },
        Kind::Switch => Value::from(switch(name, trimmed)?),
        Kind::Words { on, off } => Value::from(if switch(name, trimmed)? { on } else { off }),
        Kind::Seconds => seconds(name, trimmed)?,
        Kind::Urls => {
            let urls = trimmed.split(',').map(|url| serde_json::json!({ "url": url.trim() }));
            Value::Array(urls.collect())
        }
        Kind::Table | Kind::Settings => Value::Object(table(name, trimmed)?),
        Kind::Refused(why) => return Err(refuse(name, &format!("is no setting: {why}"))),
    })
}

fn switch(name: &str, text: &str) -> Result<bool> {
    let lower = text.to_ascii_lowercase();
    match SWITCHES.iter().find(|(word, _)| *word == lower) {
        Some((_, is_on)) => Ok(*is_on),
        None => Err(refuse(name, "is neither true nor false")),
    }
}

/// A duration, whose number without a unit counts seconds.
fn seconds(name: &str, text: &str) -> Result<Value> {
    let Ok(number) = text.parse::<f64>() else { return Ok(Value::from(text)) };
    match std::time::Duration::try_from_secs_f64(number) {
        Ok(duration) => Ok(Value::from(format!("{} ns", duration.as_nanos()))),
        Err(_) => Err(refuse(name, "is not a number of seconds")),
    }
}

fn table(name: &str, text: &str) -> Result<Map<String, Value>> {
    match serde_json::from_str(text) {
        Ok(Tree(Value::Object(table))) => Ok(table),
        Ok(_) => Err(refuse(name, "is not a table in JSON, which begins with {")),
        Err(error) => {
            let (line, column) = (error.line(), error.column());
            let why = format!("is not a table in JSON: see line {line}, column {column}");
            Err(refuse(name, &why))
        }
    }
}

fn refuse(name: &str, why: &str) -> Error {
    let message = format!("the environment variable {name} {why}");
    Error::new(ErrorKind::InvalidConfig, message)
}
