//! Reading a body up to a limit, and giving it back where it cannot be stored.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Error;
use axum::body::{Body, HttpBody};
use bytes::{Bytes, BytesMut};
use http_body::Frame;
use http_body_util::BodyExt;

/// A body that was read.
pub(super) enum Collected {
    /// All of it.
    Whole(Bytes),
    /// The body as it was: it is larger than the limit, or has trailers.
    NotStored(Body),
    /// The body as it was: it failed.
    Failed(Body),
}

/// Reads `body`, at most about `limit` bytes of it.
pub(super) async fn collect(mut body: Body, limit: usize) -> Collected {
    if body.size_hint().lower() > limit as u64 {
        return Collected::NotStored(body);
    }
    let mut read = Beginning::default();
    while let Some(frame) = body.frame().await {
        match frame.map(Frame::into_data) {
            Ok(Ok(data)) if read.len() + data.len() <= limit => read.add(data),
            Ok(Ok(data)) => {
                return Collected::NotStored(read.before(Ok(Frame::data(data)), body));
            }
            Ok(Err(trailers)) => return Collected::NotStored(read.before(Ok(trailers), body)),
            Err(error) => return Collected::Failed(read.before(Err(error), body)),
        }
    }
    Collected::Whole(read.into_bytes())
}

/// What was read of a body: it takes about as much memory as it has bytes, in whatever parts they came.
#[derive(Default)]
struct Beginning {
    first: Bytes,
    /// All, once there is a second part.
    more: BytesMut,
}

impl Beginning {
    fn len(&self) -> usize {
        self.first.len() + self.more.len()
    }

    fn add(&mut self, data: Bytes) {
        if self.len() == 0 {
            self.first = data;
            return;
        }
        self.more.extend_from_slice(&std::mem::take(&mut self.first));
        self.more.extend_from_slice(&data);
    }

    fn into_bytes(self) -> Bytes {
        if self.more.is_empty() { self.first } else { self.more.freeze() }
    }

    /// The body that begins so, goes on with `next`, and then with `rest`.
    fn before(self, next: Result<Frame<Bytes>, Error>, rest: Body) -> Body {
        let beginning = self.into_bytes();
        let beginning = (!beginning.is_empty()).then(|| Ok(Frame::data(beginning)));
        Body::new(PartlyRead { read: beginning.into_iter().chain([next]).collect(), rest })
    }
}

/// A body whose beginning was read.
struct PartlyRead {
    read: VecDeque<Result<Frame<Bytes>, Error>>,
    rest: Body,
}

impl HttpBody for PartlyRead {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match self.read.pop_front() {
            Some(frame) => Poll::Ready(Some(frame)),
            None => Pin::new(&mut self.rest).poll_frame(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use futures_util::stream;

    use super::*;

    fn body(parts: &[Result<&'static str, &'static str>]) -> Body {
        let parts: Vec<_> = parts.iter().map(|part| part.map_err(std::io::Error::other)).collect();
        Body::from_stream(stream::iter(parts))
    }

    #[tokio::test]
    async fn a_body_within_the_limit_is_read() {
        for (parts, expected) in
            [(vec![], ""), (vec![Ok("abc")], "abc"), (vec![Ok("ab"), Ok(""), Ok("c")], "abc")]
        {
            let Collected::Whole(whole) = collect(body(&parts), 3).await else {
                panic!("{parts:?} is within the limit")
            };
            assert_eq!(whole, expected);
        }
    }

    #[tokio::test]
    async fn a_larger_one_passes_in_full() {
        for large in [body(&[Ok("ab"), Ok("cd"), Ok("ef")]), Body::from("abcdef")] {
            let Collected::NotStored(passed) = collect(large, 3).await else { panic!("too large") };
            assert_eq!(to_bytes(passed, 100).await.unwrap(), "abcdef");
        }
    }

    /// Bug: each part of a body was kept by itself until all had come. Effect: a body in parts of one byte took
    /// dozens of times its size, and one in empty parts memory without end. Fix: parts are put together as they
    /// come.
    #[tokio::test]
    async fn parts_are_put_together_as_they_come() {
        let empty = std::iter::repeat_n(Ok(""), 1000);
        let parts: Vec<_> = empty.chain(std::iter::repeat_n(Ok("x"), 1000)).collect();
        let Collected::Whole(whole) = collect(body(&parts), 1000).await else { panic!("it fits") };
        assert_eq!(whole, "x".repeat(1000));
        let lost: Vec<_> = parts.into_iter().chain([Err("lost")]).collect();
        for (limit, frames) in [(1000, 2), (999, 3)] {
            let (Collected::Failed(mut passed) | Collected::NotStored(mut passed)) =
                collect(body(&lost), limit).await
            else {
                panic!("it fails")
            };
            let mut seen = 0;
            while passed.frame().await.is_some() {
                seen += 1;
            }
            assert_eq!(seen, frames, "{limit}");
        }
    }

    #[tokio::test]
    async fn one_that_fails_passes_with_its_failure() {
        let Collected::Failed(passed) = collect(body(&[Ok("ab"), Err("lost")]), 3).await else {
            panic!("it failed")
        };
        assert!(to_bytes(passed, 100).await.is_err());
    }
}
