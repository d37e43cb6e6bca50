use std::io::{BufRead, BufReader, Result, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::client::{Reply, ask};

/// The longest time that a command may take to be shown.
const LIMIT: Duration = Duration::from_secs(20);

/// The commands that a server gets, from some moment on.
#[derive(Debug)]
pub struct Monitor {
    port: u16,
    stream: TcpStream,
    lines: Receiver<String>,
}

/// A command that a server got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Monitored {
    /// The address that it came from.
    pub from: String,
    /// The command's name, in capitals.
    pub command: String,
}

impl Monitor {
    pub(crate) fn start(port: u16) -> Result<Self> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        let reading = stream.try_clone()?;
        stream.write_all(b"MONITOR\r\n")?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let mut output = BufReader::new(reading).lines();
            while let Some(Ok(line)) = output.next() {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let monitor = Self { port, stream, lines };
        // The first line says that it has begun.
        monitor.next();
        Ok(monitor)
    }

    fn next(&self) -> String {
        self.lines.recv_timeout(LIMIT).unwrap_or_else(|error| panic!("it shows nothing: {error}"))
    }

    /// Ends, and returns what clients have sent since the start. What scripts did is left out.
    ///
    /// # Panics
    /// When the server does not answer.
    #[must_use]
    pub fn finish(self) -> Vec<Monitored> {
        // What the server got before this has been shown before it.
        const MARK: &str = "the end of what is monitored";
        let sent = ask(self.port, &[b"ECHO", MARK.as_bytes()]);
        assert_eq!(sent.ok(), Some(Reply::Bytes(MARK.as_bytes().to_vec())));
        let lines = std::iter::from_fn(|| Some(self.next()));
        lines.take_while(|line| !line.contains(MARK)).filter_map(|line| parse(&line)).collect()
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        // It ends the thread that reads; a connection that is closed already needs nothing.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// A line such as `+1339518083.107412 [0 127.0.0.1:60866] "keys" "*"`.
fn parse(line: &str) -> Option<Monitored> {
    let (client, rest) = line.split_once('[')?.1.split_once("] \"")?;
    let from = client.split_once(' ')?.1;
    let command = rest.split_once('"')?.0.to_uppercase();
    (from != "lua").then(|| Monitored { from: from.to_owned(), command })
}
