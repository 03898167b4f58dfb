//! A door of this room, as an actor: it keeps a server running.
//!
//! # Owns
//! One server and its connections: they end when this actor does.
//!
//! # Hears
//! [`ServiceMsg::Ended`] from its server, if that ever ends.
//!
//! # Says
//! Nothing: what the server does, it does through what it was given.
//!
//! # Supervised by
//! The doors supervisor, `Permanent`.
//!
//! # When it crashes
//! Operators and Prometheus are disconnected and come back; mail does not notice.
//!
//! # Metrics
//! None.

use std::{fmt, future::Future, io, pin::Pin, sync::Arc};

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::task::AbortHandle;

/// A door of this room.
#[derive(Debug)]
pub struct Service;

/// What it can be told.
#[derive(Debug)]
pub enum ServiceMsg {
    /// From its server: it has ended, for this reason.
    Ended(String),
}

impl supervision::Told for ServiceMsg {
    fn kind(&self) -> &'static str {
        match self {
            Self::Ended(_) => "Ended",
        }
    }
}

/// What it needs to live.
#[derive(Clone)]
pub struct ServiceArgs {
    /// Binds; what comes back serves.
    pub(super) bind: Arc<dyn Fn() -> Binding + Send + Sync>,
}

/// A server that is about to be bound.
pub(super) type Binding = Pin<Box<dyn Future<Output = io::Result<Serving>> + Send>>;
/// A server that is bound.
pub(super) type Serving = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

/// The running server; dropping this ends it.
pub struct ServiceState(AbortHandle);

impl Actor for Service {
    type Msg = ServiceMsg;
    type State = ServiceState;
    type Arguments = ServiceArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<ServiceMsg>,
        args: ServiceArgs,
    ) -> Result<ServiceState, ActorProcessingErr> {
        let serving = (args.bind)().await?;
        let serve = async move {
            let why = match serving.await {
                Ok(()) => "it closed".to_owned(),
                Err(error) => error.to_string(),
            };
            let _ = myself.cast(ServiceMsg::Ended(why)); // if we are gone, so is the server
        };
        #[allow(
            clippy::disallowed_methods,
            reason = "the task is this actor's own: it ends with its state"
        )]
        let task = tokio::spawn(serve);
        Ok(ServiceState(task.abort_handle()))
    }

    async fn handle(
        &self,
        _: ActorRef<ServiceMsg>,
        ServiceMsg::Ended(why): ServiceMsg,
        _: &mut ServiceState,
    ) -> Result<(), ActorProcessingErr> {
        Err(io::Error::other(format!("the server ended: {why}")).into())
    }
}

impl Drop for ServiceState {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl fmt::Debug for ServiceArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServiceArgs(..)")
    }
}
