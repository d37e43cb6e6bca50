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
    let mut read = VecDeque::new();
    let mut bytes = 0_usize;
    while let Some(frame) = body.frame().await {
        let is_failed = frame.is_err();
        let data = frame.as_ref().ok().and_then(Frame::data_ref);
        bytes = data.map_or(usize::MAX, |data| data.len().saturating_add(bytes));
        read.push_back(frame);
        if is_failed || bytes > limit {
            let body = Body::new(PartlyRead { read, rest: body });
            return if is_failed { Collected::Failed(body) } else { Collected::NotStored(body) };
        }
    }
    let mut parts = read.into_iter().filter_map(|frame| frame.ok()?.into_data().ok());
    let first = parts.next().unwrap_or_default();
    let Some(second) = parts.next() else { return Collected::Whole(first) };
    let mut whole = BytesMut::with_capacity(bytes);
    [first, second].into_iter().chain(parts).for_each(|part| whole.extend_from_slice(&part));
    Collected::Whole(whole.freeze())
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

    #[tokio::test]
    async fn one_that_fails_passes_with_its_failure() {
        let Collected::Failed(passed) = collect(body(&[Ok("ab"), Err("lost")]), 3).await else {
            panic!("it failed")
        };
        assert!(to_bytes(passed, 100).await.is_err());
    }
}
