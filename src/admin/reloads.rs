//! Where an operator asks that the configuration be read again: whoever runs the house does it,
//! between two other things.

use tokio::sync::{mpsc, oneshot};

use crate::config::Change;

/// Asks for reloads. Clones ask the same house.
#[derive(Clone, Debug)]
pub struct Reloads(mpsc::Sender<Reload>);

/// Who waits for the outcome of a reload: what has changed, or why nothing has.
pub type Reload = oneshot::Sender<Result<Vec<Change>, String>>;

impl Reloads {
    /// An address, and where the questions arrive.
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<Reload>) {
        let (ask, asked) = mpsc::channel(WAITING_MAX);
        (Self(ask), asked)
    }

    /// Has the configuration read again.
    ///
    /// # Errors
    /// Why nothing has changed.
    pub async fn ask(&self) -> Result<Vec<Change>, String> {
        let closing = || "the daemon is starting or stopping".to_owned();
        let (reply, outcome) = oneshot::channel();
        self.0.send(reply).await.map_err(|_| closing())?;
        outcome.await.map_err(|_| closing())?
    }
}

/// Operators are few.
const WAITING_MAX: usize = 4;
