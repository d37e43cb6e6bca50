//! Signs of life on a socket.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Counts signs that the peer is alive: bytes that arrive, and progress of a full send buffer. Bytes that go
/// into an empty send buffer are no sign: it takes them even if the peer is gone.
#[derive(Debug, Default)]
pub(crate) struct Traffic(AtomicU64);

impl Traffic {
    /// Changes with each sign of life.
    pub(crate) fn signs(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn note(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A stream whose traffic is counted.
pub(crate) struct Observed<S> {
    stream: S,
    traffic: Arc<Traffic>,
    /// The send buffer was full at the last attempt to write.
    is_blocked: bool,
}

impl<S> Observed<S> {
    pub(crate) fn new(stream: S, traffic: Arc<Traffic>) -> Self {
        Self { stream, traffic, is_blocked: false }
    }

    fn wrote(&mut self, written: &Poll<io::Result<usize>>) {
        match written {
            Poll::Pending => self.is_blocked = true,
            Poll::Ready(Ok(_)) if self.is_blocked => {
                self.is_blocked = false;
                self.traffic.note();
            }
            Poll::Ready(_) => {}
        }
    }
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
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.wrote(&written);
        written
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
}
