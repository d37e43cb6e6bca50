//! A client that knows just enough of the protocol to talk to a server under test, without using what
//! is under test.

use std::io::{BufRead, BufReader, Error, ErrorKind, Result, Write};
use std::net::TcpStream;
use std::time::Duration;

/// The longest that an answer may take.
const LIMIT: Duration = Duration::from_secs(20);

/// An answer of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Nothing.
    Nil,
    /// A number.
    Int(i64),
    /// A status or bytes.
    Bytes(Vec<u8>),
    /// An error.
    Error(String),
    /// Several answers.
    List(Vec<Reply>),
}

impl Reply {
    /// The answer as text; empty if it is not bytes.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Self::Int(number) => number.to_string(),
            Self::Error(text) => text.clone(),
            Self::Nil | Self::List(_) => String::new(),
        }
    }

    /// The answers in a list; none if it is not one.
    #[must_use]
    pub fn list(&self) -> &[Self] {
        match self {
            Self::List(replies) => replies,
            _ => &[],
        }
    }
}

/// Sends one command to the server on `port`, over a connection of its own.
///
/// # Errors
/// When the server does not answer.
pub fn ask(port: u16, args: &[&[u8]]) -> Result<Reply> {
    let mut stream = connect(port)?;
    send(&mut stream, args)
}

/// As [`ask`], of a server that asks for a password.
///
/// # Errors
/// When the server does not answer.
pub fn ask_as(port: u16, password: &str, args: &[&[u8]]) -> Result<Reply> {
    let mut stream = connect(port)?;
    send(&mut stream, &[b"AUTH", password.as_bytes()])?;
    send(&mut stream, args)
}

/// As [`ask`], in one of the server's databases.
pub(crate) fn ask_in(port: u16, database: u32, args: &[&[u8]]) -> Result<Reply> {
    let mut stream = connect(port)?;
    send(&mut stream, &[b"SELECT", database.to_string().as_bytes()])?;
    send(&mut stream, args)
}

fn connect(port: u16) -> Result<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(LIMIT))?;
    Ok(stream)
}

fn send(stream: &mut TcpStream, args: &[&[u8]]) -> Result<Reply> {
    let mut request = format!("*{}\r\n", args.len()).into_bytes();
    for arg in args {
        request.extend(format!("${}\r\n", arg.len()).into_bytes());
        request.extend(*arg);
        request.extend(b"\r\n");
    }
    stream.write_all(&request)?;
    read(&mut BufReader::new(stream))
}

fn read(from: &mut impl BufRead) -> Result<Reply> {
    let mut line = String::new();
    from.read_line(&mut line)?;
    let (kind, rest) = line.trim_end().split_at_checked(1).ok_or(ErrorKind::UnexpectedEof)?;
    let number = || rest.parse::<i64>().map_err(Error::other);
    Ok(match kind {
        "+" => Reply::Bytes(rest.as_bytes().to_vec()),
        "-" => Reply::Error(rest.to_owned()),
        ":" => Reply::Int(number()?),
        "$" => match usize::try_from(number()?) {
            Err(_) => Reply::Nil,
            Ok(len) => {
                let mut bytes = vec![0; len + 2];
                std::io::Read::read_exact(from, &mut bytes)?;
                bytes.truncate(len);
                Reply::Bytes(bytes)
            }
        },
        "*" => match usize::try_from(number()?) {
            Err(_) => Reply::Nil,
            Ok(len) => Reply::List((0..len).map(|_| read(from)).collect::<Result<_>>()?),
        },
        _ => return Err(Error::other(format!("an answer of another kind: {line}"))),
    })
}
