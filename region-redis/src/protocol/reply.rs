//! The parts of a server's answers.

use std::sync::Arc;

use redis::Value;
use region_core::{Cursor, Result, Timestamp};

use crate::error::Failure;
use crate::protocol::layout::PathIds;
use crate::server::Server;

/// Parses the answers to one request, in order.
pub(crate) struct Replies {
    server: Arc<Server>,
    values: std::vec::IntoIter<Value>,
}

impl Replies {
    pub(crate) fn new(server: &Arc<Server>, values: Vec<Value>) -> Self {
        Self { server: Arc::clone(server), values: values.into_iter() }
    }

    /// The next answer; the server's error if it is one.
    pub(crate) fn next(&mut self) -> Result<Value> {
        match self.values.next() {
            Some(Value::ServerError(error)) => {
                Err(Failure::server_error(&self.server, &error).error)
            }
            Some(value) => Ok(value),
            None => Err(self.unexpected()),
        }
    }

    /// The next answer, or nothing if the key that was asked for is of another type.
    pub(crate) fn next_of_type(&mut self) -> Result<Option<Value>> {
        match self.values.next() {
            Some(Value::ServerError(error)) if error.code() == "WRONGTYPE" => Ok(None),
            Some(Value::ServerError(error)) => {
                Err(Failure::server_error(&self.server, &error).error)
            }
            Some(value) => Ok(Some(value)),
            None => Err(self.unexpected()),
        }
    }

    pub(crate) fn time(&mut self) -> Result<Timestamp> {
        time_of(&self.next()?).ok_or_else(|| self.unexpected())
    }

    pub(crate) fn list(&mut self) -> Result<Vec<Value>> {
        list(self.next()?).ok_or_else(|| self.unexpected())
    }

    pub(crate) fn number(&mut self) -> Result<u64> {
        number(&self.next()?).ok_or_else(|| self.unexpected())
    }

    /// A time in microseconds.
    pub(crate) fn micros(&mut self) -> Result<Timestamp> {
        Ok(Timestamp::from_millis(self.number()? / 1000))
    }

    /// The ids along a path; `None` if its region does not exist.
    pub(crate) fn path_ids(&mut self) -> Result<Option<PathIds>> {
        Ok(PathIds::parse(self.list()?.iter().map(borrowed)))
    }

    /// The parts of an answer to the same server.
    pub(crate) fn of(&self, parts: Vec<Value>) -> Self {
        Self::new(&self.server, parts)
    }

    /// The answers within the next one.
    pub(crate) fn within(&mut self) -> Result<Self> {
        let values = self.list()?;
        Ok(Self::new(&self.server, values))
    }

    /// Returns whether there are no more answers.
    pub(crate) fn is_empty(&self) -> bool {
        self.values.as_slice().is_empty()
    }

    pub(crate) fn unexpected(&self) -> region_core::Error {
        Failure::unexpected(&self.server, "in another form than it should").error
    }
}

pub(crate) fn list(value: Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(values) => Some(values),
        _ => None,
    }
}

pub(crate) fn bytes(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        _ => None,
    }
}

pub(crate) fn borrowed(value: &Value) -> Option<&[u8]> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        _ => None,
    }
}

/// A text in UTF-8.
pub(crate) fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

/// The count that the answer to a script begins with which raises it; `None` if it was not raised.
pub(crate) fn answered_count(answers: &[Value]) -> Option<u64> {
    match answers.first()? {
        Value::Array(parts) => number(parts.first()?),
        count @ Value::Int(_) => number(count),
        _ => None,
    }
}

/// A number, written as one or as text. A server's have 63 bits: so sums of two do not overflow.
pub(crate) fn number(value: &Value) -> Option<u64> {
    unsigned(value).filter(|number| i64::try_from(*number).is_ok())
}

/// A number of all 64 bits, as those of cursors are.
fn unsigned(value: &Value) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        Value::BulkString(text) => std::str::from_utf8(text).ok()?.parse().ok(),
        _ => None,
    }
}

/// A cursor of the server; `None` at the end.
pub(crate) fn cursor(value: &Value) -> Option<Option<Cursor>> {
    let next = unsigned(value)?;
    Some((next != 0).then(|| Cursor::from_bytes(next.to_string().into_bytes())))
}

/// Reads the answer to `TIME`.
pub(crate) fn time_of(answer: &Value) -> Option<Timestamp> {
    let Value::Array(parts) = answer else { return None };
    let [seconds, micros] = parts.as_slice() else { return None };
    let millis = number(seconds)?.checked_mul(1000)?.checked_add(number(micros)? / 1000)?;
    Some(Timestamp::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bug: a number could be of 64 bits, and one was added to it. Effect: such an answer of a server that is none
    /// made the call panic. Fix: what no server counts is refused; a cursor may be as large.
    #[test]
    fn numbers_can_be_added() {
        let text = |number: u64| Value::BulkString(number.to_string().into_bytes());
        assert_eq!(number(&text(i64::MAX as u64)), Some(i64::MAX as u64));
        for large in [1 << 63, u64::MAX] {
            assert_eq!(number(&text(large)), None);
            let next = Cursor::from_bytes(large.to_string().into_bytes());
            assert_eq!(cursor(&text(large)), Some(Some(next)));
        }
        assert_eq!(cursor(&text(0)), Some(None));
    }
}
