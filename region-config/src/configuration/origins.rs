//! The places that settings come from, for messages.

use std::collections::BTreeMap;

use region_core::{Error, ErrorKind};

/// The environment variables that settings come from, by the paths of these.
#[derive(Clone, Debug, Default)]
pub(super) struct Origins(BTreeMap<String, Option<String>>);

impl Origins {
    /// Makes `variable` the origin of the setting at `path`. Returns the variable that is its origin already.
    pub(super) fn add(&mut self, path: &str, variable: &str) -> Option<String> {
        self.0.insert(path.to_owned(), Some(variable.to_owned())).flatten()
    }

    /// Leaves the setting at `path` out of messages: it is no setting to the caller.
    pub(super) fn leave_out(&mut self, path: &str) {
        self.0.insert(path.to_owned(), None);
    }

    /// Takes the origins of `other`, which is put over this; `is_given` says which settings it has.
    pub(super) fn put_over(&mut self, other: Self, is_given: impl Fn(&str) -> bool) {
        self.0.retain(|path, _| !is_given(path));
        self.0.extend(other.0);
    }

    /// The name of the setting at `path`, as it was written.
    pub(super) fn name(&self, path: &str) -> String {
        match self.0.get(path) {
            Some(Some(variable)) => return variable.clone(),
            Some(None) => return "the URL".to_owned(),
            None => {}
        }
        let inner =
            |outer: &str| path.strip_prefix(outer).is_some_and(|rest| rest.starts_with(['.', '[']));
        match self.0.iter().find(|(outer, _)| inner(outer)) {
            Some((_, Some(variable))) => format!("{variable} ({path})"),
            _ => path.to_owned(),
        }
    }

    /// The error of the setting at `path`.
    pub(super) fn refuse(&self, path: &str, why: &str) -> Error {
        if let Some(None) = self.0.get(path) {
            return Error::new(ErrorKind::InvalidConfig, why);
        }
        Error::new(ErrorKind::InvalidConfig, format!("{}: {why}", self.name(path)))
    }
}
