//! Why the house did not come up, or did not stay up.

use std::{io, path::PathBuf};

use store::StoreError;
use supervision::ExitCause;
use world::tls::TlsTrouble;

use crate::admin::RecorderError;

/// Why the house did not come up, or did not stay up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The data folder cannot be used. Fault of the operator.
    #[error("cannot use the data folder {}: {source}", folder.display())]
    Folder {
        /// Which.
        folder: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A port cannot be listened at. Fault of the operator.
    #[error(transparent)]
    Door(#[from] world::listen::DoorError),
    /// The DNS cannot be asked. Fault of the operator.
    #[error("dns: {0}")]
    Dns(#[from] world::dns::DnsSetting),
    /// Logging cannot be set up. Fault of the operator.
    #[error("log.filter: {0}")]
    Log(#[from] telemetry::LoggingError),
    /// Metrics cannot be kept. Fault of us.
    #[error(transparent)]
    Recorder(#[from] RecorderError),
    /// The system gives no threads or no signals. Fault of the operator.
    #[error("cannot start the runtime: {0}")]
    Runtime(io::Error),
    /// The store cannot be opened, or not written. The error says whose fault it is.
    #[error("cannot open the store in {}: {source}{}", folder.display(), hint(source))]
    Store {
        /// Where.
        folder: PathBuf,
        /// Why not.
        source: StoreError,
    },
    /// The certificate cannot be used. Fault of the operator.
    #[error("tls: {0}")]
    Tls(#[from] TlsTrouble),
    /// A part of the house did not start, or failed too often. The cause says why.
    #[error("the house is down: {0}")]
    Tree(ExitCause),
}

/// What would be right.
fn hint(error: &StoreError) -> &'static str {
    match error {
        StoreError::InUse { .. } => "; stop that process, or use another data folder",
        StoreError::Full { .. } => "; make room on that disk",
        StoreError::Damage { .. } => "; `heronry store check` says what is damaged",
        _ => "",
    }
}
