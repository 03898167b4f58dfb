//! The signals that an operator sends.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Waits for an operator to say stop.
pub(super) struct Signals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// From here on the signals are ours.
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// The next one that ends the house, by name.
    pub(super) async fn next(&mut self) -> &'static str {
        loop {
            tokio::select! {
                // A terminal that is closed takes no mail system with it.
                _ = self.hangup.recv() => tracing::info!("SIGHUP changes nothing"),
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.terminate.recv() => return "SIGTERM",
            }
        }
    }
}
