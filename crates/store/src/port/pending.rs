//! A write on its way to stable storage.

use std::{
    future::Future,
    mem,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker},
};

use crate::StoreError;

/// Resolves when the write is durable, or has failed.
///
/// It is awaited, or given something to do with [`Pending::then`], which costs no task. Dropping
/// it does not undo the write: whoever drops it does not learn what became of it.
#[must_use = "nobody may be told before this resolves"]
pub struct Pending<T>(Inner<T>);

/// The other end of a [`Pending`]: whoever writes keeps the promise. Dropped unkept, it ends as
/// [`StoreError::Lost`].
pub struct Promise<T>(Option<Arc<Slot<T>>>);

/// What is done with the end of a write.
type Then<T> = Box<dyn FnOnce(Result<T, StoreError>) + Send>;

enum Inner<T> {
    Ready(Option<Result<T, StoreError>>),
    Waiting(Arc<Slot<T>>),
}

struct Slot<T>(Mutex<State<T>>);

enum State<T> {
    Done(Result<T, StoreError>),
    Open(Option<Waker>),
    Taken,
    Then(Then<T>),
}

impl<T> Pending<T> {
    /// A write that has ended already.
    pub const fn ready(result: Result<T, StoreError>) -> Self {
        Self(Inner::Ready(Some(result)))
    }

    /// A write that ends when the promise is kept.
    pub fn promise() -> (Promise<T>, Self) {
        let slot = Arc::new(Slot(Mutex::new(State::Open(None))));
        (Promise(Some(slot.clone())), Self(Inner::Waiting(slot)))
    }

    /// Does something with the end, on whichever thread brings it: the journal's writer, mostly,
    /// so it must be short and must not wait (send a message, answer a call).
    pub fn then(self, then: impl FnOnce(Result<T, StoreError>) + Send + 'static) {
        match self.0 {
            Inner::Ready(result) => {
                if let Some(result) = result {
                    then(result);
                }
            }
            Inner::Waiting(slot) => slot.install(Box::new(then)),
        }
    }
}

impl<T> Promise<T> {
    /// Ends the write.
    pub fn keep(mut self, result: Result<T, StoreError>) {
        if let Some(slot) = self.0.take() {
            slot.end(result);
        }
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        if let Some(slot) = self.0.take() {
            slot.end(Err(StoreError::Lost));
        }
    }
}

impl<T: Unpin> Future for Pending<T> {
    type Output = Result<T, StoreError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Inner::Ready(result) => {
                Poll::Ready(result.take().expect("a future is not polled after its end"))
            }
            Inner::Waiting(slot) => slot.poll(cx),
        }
    }
}

impl<T> Slot<T> {
    fn lock(&self) -> std::sync::MutexGuard<'_, State<T>> {
        // Nothing inside can panic half-way: each change is one assignment.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, result: Result<T, StoreError>) {
        let mut state = self.lock();
        match mem::replace(&mut *state, State::Taken) {
            State::Open(waker) => {
                *state = State::Done(result);
                drop(state);
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            State::Then(then) => {
                drop(state);
                then(result);
            }
            State::Done(_) | State::Taken => {}
        }
    }

    fn install(&self, then: Then<T>) {
        let mut state = self.lock();
        match mem::replace(&mut *state, State::Taken) {
            State::Done(result) => {
                drop(state);
                then(result);
            }
            _ => *state = State::Then(then),
        }
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<Result<T, StoreError>> {
        let mut state = self.lock();
        match mem::replace(&mut *state, State::Taken) {
            State::Done(result) => Poll::Ready(result),
            _ => {
                *state = State::Open(Some(cx.waker().clone()));
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn missing() -> StoreError {
        StoreError::Missing {
            what: "it".to_owned(),
        }
    }

    #[tokio::test]
    async fn a_kept_promise_reaches_whoever_awaits_it_before_or_after() {
        let (promise, pending) = Pending::promise();
        promise.keep(Ok(1));
        assert_eq!(pending.await.unwrap(), 1);
        let (promise, pending) = Pending::promise();
        let later = async {
            tokio::task::yield_now().await;
            promise.keep(Ok(2));
        };
        let (waited, ()) = tokio::join!(pending, later);
        assert_eq!(waited.unwrap(), 2);
        assert!(matches!(
            Pending::<()>::ready(Err(missing())).await,
            Err(StoreError::Missing { .. })
        ));
    }

    #[tokio::test]
    async fn a_dropped_promise_is_a_lost_write() {
        let (promise, pending) = Pending::<()>::promise();
        drop(promise);
        assert!(matches!(pending.await, Err(StoreError::Lost)));
    }

    #[test]
    fn what_is_to_follow_follows_once_whichever_comes_first() {
        let (told, heard) = mpsc::channel();
        let (promise, pending) = Pending::promise();
        let teller = told.clone();
        pending.then(move |result| teller.send(result.unwrap()).unwrap());
        promise.keep(Ok(1));
        let (promise, pending) = Pending::promise();
        promise.keep(Ok(2));
        pending.then(move |result| told.send(result.unwrap()).unwrap());
        assert_eq!(heard.iter().collect::<Vec<i32>>(), [1, 2]);
    }
}
