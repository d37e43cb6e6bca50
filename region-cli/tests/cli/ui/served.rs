//! A page that is served, and a client of it that sends just what a test wants.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Child;
use std::time::Duration;

use serde_json::Value;

use crate::kit::start;

/// The longest that an answer may take.
const LIMIT: Duration = Duration::from_secs(30);

/// The size of the buffer of a client that reads slowly, in bytes.
const SMALL: u32 = 4096;

/// The program, serving its page.
pub(crate) struct Served {
    pub(crate) child: Child,
    pub(crate) url: String,
    pub(crate) port: u16,
    pub(crate) token: String,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

/// A stream of events.
pub(crate) struct Events(BufReader<TcpStream>);

/// A line of a request's head.
pub(crate) fn header(name: &str, value: &str) -> String {
    format!("{name}: {value}\r\n")
}

impl Served {
    /// Starts the program, and waits until it says where the page is.
    pub(crate) fn start(redis: &str, args: &[&str]) -> Self {
        let args: Vec<&str> = ["ui", "--json"].into_iter().chain(args.iter().copied()).collect();
        let mut child = start(redis, &args);
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let told: Value =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let url = told["url"].as_str().unwrap().to_owned();
        let (port, token) = url.strip_prefix("http://127.0.0.1:").unwrap().split_once('/').unwrap();
        let (port, token) = (port.parse().unwrap(), token.strip_suffix('/').unwrap().to_owned());
        Self { child, url, port, token }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream
    }

    /// Sends a request, and reads the answer to its end.
    pub(crate) fn send(&self, request: &str) -> Answer {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer}"));
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned()));
        Answer { status, headers: headers.collect(), body: body.to_owned() }
    }

    /// Sends a request for a path, with these lines in its head.
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[&str]) -> Answer {
        self.send(&format!("{method} {path} HTTP/1.1\r\n{}\r\n", self.head(headers)))
    }

    fn head(&self, headers: &[&str]) -> String {
        let host = header("Host", &format!("127.0.0.1:{}", self.port));
        [host, header("Connection", "close"), headers.concat()].concat()
    }

    /// Asks for what lies below the token.
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", &format!("/{}/{path}", self.token), &[])
    }

    pub(crate) fn json(&self, path: &str) -> Value {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// Begins to listen.
    pub(crate) fn events(&self) -> Events {
        self.try_events().expect("a stream")
    }

    /// As [`events`](Self::events); `None`: it is refused.
    pub(crate) fn try_events(&self) -> Option<Events> {
        self.events_over(self.connect())
    }

    /// Begins to listen, over a connection that holds little of what nobody has read yet.
    pub(crate) async fn slow_events(&self) -> Events {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(SMALL).unwrap();
        let stream = socket.connect(([127, 0, 0, 1], self.port).into()).await.unwrap();
        let stream = stream.into_std().unwrap();
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        self.events_over(stream).expect("a stream")
    }

    fn events_over(&self, mut stream: TcpStream) -> Option<Events> {
        let request = format!("GET /{}/events HTTP/1.1\r\n{}\r\n", self.token, self.head(&[]));
        stream.write_all(request.as_bytes()).unwrap();
        let mut lines = BufReader::new(stream);
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        line.contains(" 200 ").then_some(Events(lines))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Events {
    /// The kind of the next event, and its data. What frames the events of a response in chunks is passed over.
    pub(crate) fn next(&mut self) -> (String, Value) {
        let mut kind = None;
        loop {
            let line = self.line();
            assert!(!line.is_empty(), "the stream has ended");
            if let Some(name) = line.strip_prefix("event: ") {
                kind = Some(name.trim_end().to_owned());
            } else if let (Some(data), Some(kind)) = (line.strip_prefix("data: "), &kind) {
                return (kind.clone(), serde_json::from_str(data).unwrap());
            }
        }
    }

    /// The data of the next event of this kind.
    pub(crate) fn until(&mut self, kind: &str) -> Value {
        loop {
            let (found, data) = self.next();
            if found == kind {
                return data;
            }
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line
    }

    /// Returns true if the stream ends, in time.
    pub(crate) fn rest_ends(mut self) -> bool {
        // A connection that is reset has ended too.
        let _ = self.0.get_ref().set_read_timeout(Some(LIMIT));
        let ended = self.0.read_to_end(&mut Vec::new());
        ended.map_or_else(|error| error.kind() == std::io::ErrorKind::ConnectionReset, |_| true)
    }
}
