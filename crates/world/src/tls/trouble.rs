//! Every way in which certificates and keys are not what they should be.

use std::{io, path::PathBuf};

/// Why TLS cannot be set up. Fault of the operator, where not said otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsTrouble {
    /// No certificate was given at all.
    #[error("no certificate is configured: give a certificate file and a key file, both PEM")]
    Empty,
    /// A file cannot be read or written.
    #[error("cannot reach {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A self-signed certificate cannot be made. Fault of the names asked for, or of us.
    #[error("cannot make a certificate for {names}")]
    Make {
        /// What it was to be for.
        names: String,
        /// Why.
        #[source]
        source: rcgen::Error,
    },
    /// Key and certificate do not belong together, or the key is of an unknown kind.
    #[error("the key in {path} does not serve its certificate")]
    Pair {
        /// The key's file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// A file holds no PEM of the kind that is expected.
    #[error("no {expected} in PEM form is in {path}")]
    Pem {
        /// `certificate` or `private key`.
        expected: &'static str,
        /// Which file.
        path: PathBuf,
    },
    /// rustls refuses the configuration. Fault of us.
    #[error("TLS cannot be set up")]
    Setting(#[from] rustls::Error),
}
