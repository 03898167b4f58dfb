//! A write on its way to stable storage.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::sync::oneshot;

use crate::StoreError;

/// Resolves when the write is durable, or has failed.
///
/// Dropping it does not undo the write: whoever drops it does not learn what became of it.
#[must_use = "nobody may be told before this resolves"]
#[derive(Debug)]
pub struct Pending<T>(Inner<T>);

#[derive(Debug)]
enum Inner<T> {
    Ready(Option<Result<T, StoreError>>),
    Waiting(oneshot::Receiver<Result<T, StoreError>>),
}

impl<T> Pending<T> {
    /// A write that has ended already.
    pub const fn ready(result: Result<T, StoreError>) -> Self {
        Self(Inner::Ready(Some(result)))
    }

    /// A write that ends when the sender speaks; a dropped sender is [`StoreError::Lost`].
    pub const fn waiting(receiver: oneshot::Receiver<Result<T, StoreError>>) -> Self {
        Self(Inner::Waiting(receiver))
    }
}

impl<T: Unpin> Future for Pending<T> {
    type Output = Result<T, StoreError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match &mut self.0 {
            Inner::Ready(result) => result.take().expect("a future is not polled after its end"),
            Inner::Waiting(receiver) => {
                ready!(Pin::new(receiver).poll(cx)).unwrap_or(Err(StoreError::Lost))
            }
        })
    }
}
