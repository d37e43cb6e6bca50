//! Signs of life on a socket.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Counts signs that the peer is alive: bytes that arrive, and progress of a full send buffer. Bytes that go
/// into an empty send buffer are no sign: it takes them even if the peer is gone.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    signs: AtomicU64,
    refusal: OnceLock<String>,
}

/// The most bytes of a refusal that are kept.
const REFUSAL: usize = 256;

impl Traffic {
    /// Changes with each sign of life.
    pub(crate) fn signs(&self) -> u64 {
        self.signs.load(Ordering::Relaxed)
    }

    /// The code and the details of an error that the peer has begun with.
    pub(crate) fn refusal(&self) -> Option<(&str, &str)> {
        let refusal = self.refusal.get()?.strip_prefix('-')?;
        Some(refusal.split_once(' ').unwrap_or((refusal, "")))
    }

    fn note(&self) {
        self.signs.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes what the peer has begun with.
    fn note_first(&self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(REFUSAL)]);
        let line = text.lines().next().unwrap_or_default();
        if line.starts_with('-') {
            // Only the first counts.
            let _ = self.refusal.set(line.to_owned());
        }
    }
}

/// A stream whose traffic is counted.
pub(crate) struct Observed<S> {
    stream: S,
    traffic: Arc<Traffic>,
    /// The send buffer was full at the last attempt to write.
    is_blocked: bool,
    /// Something has arrived.
    has_heard: bool,
    /// The peer had closed the stream before anything was written.
    is_refused: bool,
}

impl<S> Observed<S> {
    pub(crate) fn new(stream: S, traffic: Arc<Traffic>) -> Self {
        Self { stream, traffic, is_blocked: false, has_heard: false, is_refused: false }
    }

    /// Notes what became of an attempt to write `len` bytes.
    fn wrote(&mut self, written: Poll<io::Result<usize>>, len: usize) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Pending => self.is_blocked = true,
            Poll::Ready(Ok(_)) if self.is_blocked => {
                self.is_blocked = false;
                self.traffic.note();
            }
            // A server that takes no more clients says so unasked, and closes the connection. That is still to be read,
            // and the end of the stream after it.
            Poll::Ready(Err(error)) if !self.has_heard && is_close(error) => {
                self.is_refused = true;
                return Poll::Ready(Ok(len));
            }
            Poll::Ready(_) => {}
        }
        written
    }
}

/// Returns whether the peer has closed the stream.
fn is_close(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

impl<S: AsyncRead + Unpin> AsyncRead for Observed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            if !self.has_heard {
                self.has_heard = true;
                self.traffic.note_first(&buffer.filled()[before..]);
            }
            self.traffic.note();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Observed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_refused {
            return Poll::Ready(Ok(bytes.len()));
        }
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(written, bytes.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let len = bytes.iter().map(|slice| slice.len()).sum();
        if self.is_refused {
            return Poll::Ready(Ok(len));
        }
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.wrote(written, len)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn what_arrives_and_what_makes_room_are_signs_of_life() {
        let (near, mut far) = tokio::io::duplex(4);
        let traffic = Arc::new(Traffic::default());
        let mut stream = Observed::new(near, Arc::clone(&traffic));
        stream.write_all(b"1234").await.unwrap();
        assert_eq!(traffic.signs(), 0, "a peer that is gone takes this too");
        let mut taken = [0; 4];
        let (written, ()) = tokio::join!(stream.write_all(b"5678"), async {
            far.read_exact(&mut taken).await.unwrap();
        });
        written.unwrap();
        assert_eq!(traffic.signs(), 1, "it has made room");
        far.write_all(b"a").await.unwrap();
        stream.read_exact(&mut [0; 1]).await.unwrap();
        assert_eq!(traffic.signs(), 2, "it has answered");
    }

    /// Bug: a server that had closed the connection with a reason was said to be out of reach by a broken pipe.
    /// Effect: nobody thought of its limit on clients. Fix: what it has said is read first.
    #[tokio::test]
    async fn a_peer_that_closes_unasked_is_read_first() {
        let (near, mut far) = tokio::io::duplex(64);
        let traffic = Arc::new(Traffic::default());
        let mut stream = Observed::new(near, Arc::clone(&traffic));
        far.write_all(b"-ERR too many\r\n").await.unwrap();
        drop(far);
        stream.write_all(b"hello").await.unwrap();
        stream.read_to_end(&mut Vec::new()).await.unwrap();
        assert_eq!(traffic.refusal(), Some(("ERR", "too many")));
        let (near, mut far) = tokio::io::duplex(64);
        let mut stream = Observed::new(near, Arc::clone(&traffic));
        far.write_all(b"+OK").await.unwrap();
        stream.read_exact(&mut [0; 3]).await.unwrap();
        drop(far);
        let error = stream.write_all(b"hello").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe, "it had taken this client");
        assert_eq!(Traffic::default().refusal(), None);
    }
}
