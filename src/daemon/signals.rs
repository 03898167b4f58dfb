//! The signals that an operator sends.

use std::io;

use tokio::signal::unix::{Signal as Source, SignalKind, signal};

/// Waits for what an operator says.
pub(super) struct Signals {
    hangup: Source,
    interrupt: Source,
    terminate: Source,
}

/// What an operator says by a signal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Signal {
    /// Read the configuration again.
    Reload,
    /// Stop; the signal's name.
    Stop(&'static str),
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

    /// The next one.
    pub(super) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.hangup.recv() => Signal::Reload,
            _ = self.interrupt.recv() => Signal::Stop("SIGINT"),
            _ = self.terminate.recv() => Signal::Stop("SIGTERM"),
        }
    }

    /// The next one that ends the house, by name; whatever else is said has its time later.
    pub(super) async fn stop(&mut self) -> &'static str {
        loop {
            match self.next().await {
                Signal::Reload => tracing::info!("SIGHUP changes nothing now"),
                Signal::Stop(name) => return name,
            }
        }
    }
}
