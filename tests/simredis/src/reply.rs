//! Requests and replies, as bytes of RESP3.

/// The arguments of a command, its name first.
pub(crate) type Args = Vec<Vec<u8>>;

/// A reply of a server, or something that it pushes.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// A short text.
    Simple(&'static str),
    /// An error: its code, a space, and what else there is to say.
    Error(String),
    /// A number.
    Int(i64),
    /// Bytes.
    Bulk(Vec<u8>),
    /// A text with a format.
    Verbatim(String),
    /// Nothing.
    Null,
    /// Several replies.
    Array(Vec<Reply>),
    /// Names and values, one after the other.
    Map(Vec<Reply>),
    /// A push.
    Push(Vec<Reply>),
}

impl Reply {
    pub(crate) fn bulk(bytes: impl AsRef<[u8]>) -> Self {
        Self::Bulk(bytes.as_ref().to_vec())
    }

    pub(crate) fn error(text: impl Into<String>) -> Self {
        Self::Error(text.into())
    }

    pub(crate) fn wrong_type() -> Self {
        Self::error("WRONGTYPE Operation against a key holding the wrong kind of value")
    }

    pub(crate) fn count(number: usize) -> Self {
        Self::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }

    pub(crate) fn optional(bytes: Option<&Vec<u8>>) -> Self {
        bytes.map_or(Self::Null, Self::bulk)
    }

    /// Adds the bytes of the reply.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Simple(text) => line(out, '+', text),
            Self::Error(text) => line(out, '-', text),
            Self::Int(number) => line(out, ':', &number.to_string()),
            Self::Bulk(bytes) => {
                line(out, '$', &bytes.len().to_string());
                out.extend_from_slice(bytes);
                out.extend_from_slice(b"\r\n");
            }
            Self::Verbatim(text) => {
                line(out, '=', &(text.len() + 4).to_string());
                out.extend_from_slice(b"txt:");
                out.extend_from_slice(text.as_bytes());
                out.extend_from_slice(b"\r\n");
            }
            Self::Null => line(out, '_', ""),
            Self::Array(replies) => all(out, '*', replies.len(), replies),
            Self::Map(replies) => all(out, '%', replies.len() / 2, replies),
            Self::Push(replies) => all(out, '>', replies.len(), replies),
        }
    }
}

fn line(out: &mut Vec<u8>, kind: char, text: &str) {
    out.extend_from_slice(format!("{kind}{text}\r\n").as_bytes());
}

fn all(out: &mut Vec<u8>, kind: char, len: usize, replies: &[Reply]) {
    line(out, kind, &len.to_string());
    replies.iter().for_each(|reply| reply.encode(out));
}

/// Takes a whole command from the beginning of what has arrived; `None` if it has not arrived yet.
///
/// # Errors
/// When the bytes are no command.
pub(crate) fn take_command(arrived: &mut Vec<u8>) -> Result<Option<Args>, String> {
    let mut at = 0;
    let Some(count) = number(arrived, &mut at, b'*')? else { return Ok(None) };
    let mut args = Vec::with_capacity(count);
    for _ in 0..count {
        let Some(len) = number(arrived, &mut at, b'$')? else { return Ok(None) };
        let Some(arg) = arrived.get(at..at + len).filter(|_| arrived.len() >= at + len + 2) else {
            return Ok(None);
        };
        args.push(arg.to_vec());
        at += len + 2;
    }
    arrived.drain(..at);
    Ok(Some(args))
}

/// Reads a line of this kind that holds a number.
fn number(arrived: &[u8], at: &mut usize, kind: u8) -> Result<Option<usize>, String> {
    let rest = &arrived[*at..];
    let Some(len) = rest.windows(2).position(|end| end == b"\r\n") else { return Ok(None) };
    let bad = || format!("not a command: {:?}", String::from_utf8_lossy(&rest[..len]));
    let (first, digits) = rest[..len].split_first().ok_or_else(bad)?;
    let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    *at += len + 2;
    match number {
        Some(number) if *first == kind => Ok(Some(number)),
        _ => Err(bad()),
    }
}
