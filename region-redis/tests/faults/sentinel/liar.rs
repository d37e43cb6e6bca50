//! A sentinel that lies.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// What it says.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lie {
    /// The primary is behind this port, and so are two replicas.
    Primary(u16),
    /// Nothing.
    Silence,
    /// Something else than was asked for.
    Garbage,
}

/// Says that it knows the newest configuration. Ends with this value.
pub(crate) struct Liar {
    port: u16,
    asked: Arc<AtomicU64>,
    accepting: AbortHandle,
}

impl Liar {
    pub(crate) async fn start(lie: Lie) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&asked);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, lie, Arc::clone(&count)));
            }
        });
        Self { port, asked, accepting: accepting.abort_handle() }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The number of questions that it has got.
    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Answers until the peer is gone.
async fn answer(stream: TcpStream, lie: Lie, asked: Arc<AtomicU64>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let request = request(&mut stream).await?;
        asked.fetch_add(1, Ordering::SeqCst);
        let words: Vec<_> = request.iter().map(String::as_str).collect();
        let answer = match (lie, &words[..]) {
            (Lie::Silence, _) => continue,
            (_, ["HELLO", ..]) => "%1\r\n+proto\r\n:3\r\n".to_owned(),
            (_, ["SUBSCRIBE", channel]) => format!(">3\r\n+subscribe\r\n+{channel}\r\n:1\r\n"),
            (Lie::Garbage, ["SENTINEL", ..]) => "*1\r\n:7\r\n".to_owned(),
            (Lie::Primary(port), ["SENTINEL", question, ..]) => lies(question, port),
            _ => "+OK\r\n".to_owned(),
        };
        stream.write_all(answer.as_bytes()).await.ok()?;
    }
}

fn lies(question: &str, port: u16) -> String {
    let replica = format!("%3\r\n+ip\r\n+127.0.0.1\r\n+port\r\n+{port}\r\n+flags\r\n+slave\r\n");
    match question {
        "GET-MASTER-ADDR-BY-NAME" => format!("*2\r\n+127.0.0.1\r\n+{port}\r\n"),
        "MASTER" => "%1\r\n+config-epoch\r\n+1000000000000\r\n".to_owned(),
        _ => format!("*2\r\n{replica}{replica}"),
    }
}

/// The words of the next request.
async fn request(stream: &mut BufReader<TcpStream>) -> Option<Vec<String>> {
    let words = number(stream).await?;
    let mut request = Vec::new();
    for _ in 0..words {
        let mut word = vec![0; number(stream).await? + 2];
        stream.read_exact(&mut word).await.ok()?;
        word.truncate(word.len() - 2);
        request.push(String::from_utf8(word).ok()?);
    }
    Some(request)
}

/// The number in the next line, after its first character.
async fn number(stream: &mut BufReader<TcpStream>) -> Option<usize> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    line.trim_end().get(1..)?.parse().ok()
}
