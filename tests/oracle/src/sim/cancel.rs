use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A future that is given up once it has waited so often.
pub(super) struct Cancel<F> {
    future: Pin<Box<F>>,
    left: Option<u32>,
}

impl<F: Future> Cancel<F> {
    pub(super) fn after(waits: Option<u32>, future: F) -> Self {
        Self { future: Box::pin(future), left: waits }
    }
}

impl<F: Future> Future for Cancel<F> {
    /// `None`: it was given up.
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(output) = self.future.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        match &mut self.left {
            None => Poll::Pending,
            Some(0) => Poll::Ready(None),
            Some(left) => {
                *left -= 1;
                Poll::Pending
            }
        }
    }
}
