//! What a message must say of itself so that an actor can be looked at.

use std::{fmt, future::Future, pin::Pin};

use ractor::{Message, RpcReplyPort};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::oneshot;

/// A message to a supervised actor. `impl Told for MyMsg {}` will do.
pub trait Told: Message {
    /// What kind of message it is, for the flight recorder: a name from the program, never a
    /// content.
    fn kind(&self) -> &'static str {
        "message"
    }

    /// The message that asks the actor how it is, if there is one.
    fn inspect() -> Option<Inquiry<Self>> {
        None
    }
}

/// A question for an actor's report, and where the report comes out.
pub struct Inquiry<M> {
    pub(crate) message: M,
    pub(crate) report: Answer,
}

/// The report, once it is there; none if the actor ended before it told.
pub(crate) type Answer = Pin<Box<dyn Future<Output = Option<Value>> + Send>>;

impl<M> Inquiry<M> {
    /// The question that `build` makes of a reply port: `Inquiry::new(RouterMsg::Inspect)`.
    pub fn new<R: Serialize + Send + 'static>(build: impl FnOnce(RpcReplyPort<R>) -> M) -> Self {
        let (port, reply) = oneshot::channel();
        Self {
            message: build(port.into()),
            report: Box::pin(async move { serde_json::to_value(reply.await.ok()?).ok() }),
        }
    }
}

impl<M> fmt::Debug for Inquiry<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inquiry(..)")
    }
}

impl Told for () {}
