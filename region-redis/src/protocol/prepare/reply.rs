use redis::Value;

use crate::protocol::reply::{borrowed, number};

/// The answer to [`prepare`](super::prepare).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    /// The connection's count.
    pub(crate) count: u64,
    /// The names of counts that nobody keeps any more.
    pub(crate) overdue: Vec<String>,
    /// The count that shows earlier writes; zero if it is lost.
    pub(crate) shown: u64,
}

/// The answer to [`refresh`](super::refresh).
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refreshed {
    /// The count is kept; these counts are not kept by anybody.
    Kept { overdue: Vec<String> },
    /// The server has lost the count.
    Lost,
}

impl Counts {
    pub(crate) fn parse(answer: &Value) -> Option<Self> {
        let Value::Array(parts) = answer else { return None };
        let [count, overdue, shown] = parts.as_slice() else { return None };
        let shown = number(shown).unwrap_or_default();
        Some(Self { count: number(count)?, overdue: names(overdue)?, shown })
    }
}

impl Refreshed {
    pub(crate) fn parse(answer: &Value) -> Option<Self> {
        match answer {
            Value::Int(0) => Some(Self::Lost),
            overdue => Some(Self::Kept { overdue: names(overdue)? }),
        }
    }
}

fn names(answer: &Value) -> Option<Vec<String>> {
    let Value::Array(names) = answer else { return None };
    let text = |name: &Value| String::from_utf8(borrowed(name)?.to_vec()).ok();
    names.iter().map(text).collect()
}
