//! Asking an actor, with a time limit.

use std::time::Duration;

use ractor::RpcReplyPort;
use tokio::{sync::oneshot, time};

use crate::family::Reason;

/// Why a call brought no answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// Whoever was asked ended, or dropped the reply port without an answer.
    #[error("the question was dropped")]
    Dropped,
    /// The family did not take the message.
    #[error("{0}")]
    Refused(Reason),
    /// No answer in time. The message may still be handled later: its effects must be idempotent.
    #[error("no answer in time")]
    Timeout,
    /// Nobody sits at this address at the moment.
    #[error("nobody sits here at the moment")]
    Vacant,
}

/// Hands a reply port to `ask` and waits for what comes through it.
pub(crate) async fn answer<T: Send + 'static>(
    timeout: Duration,
    ask: impl FnOnce(RpcReplyPort<T>) -> Result<(), CallError>,
) -> Result<T, CallError> {
    let (port, reply) = oneshot::channel();
    ask((port, timeout).into())?;
    match time::timeout(timeout, reply).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) => Err(CallError::Dropped),
        Err(_) => Err(CallError::Timeout),
    }
}
