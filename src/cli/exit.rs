//! How a command ends when it has not done what it should.

use std::{error::Error, fmt, io, process::ExitCode};

use store::StoreError;

use crate::{
    admin::protocol::{Refusal, RefusalKind},
    backup::BackupError,
    config::ConfigError,
    daemon::StartError,
};

/// Why a command has not done what it should: what, where, and what would be right.
#[derive(Debug)]
pub struct Failure {
    /// What the process ends with; see [`cli`](crate::cli).
    pub code: u8,
    /// For the operator; may have several lines.
    pub message: String,
}

impl Failure {
    /// Something was not done.
    pub fn new(message: impl Into<String>) -> Self {
        Self::with_code(NOT_DONE, message)
    }

    /// The command line or the configuration is wrong.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::with_code(USAGE, message)
    }

    /// No daemon answers.
    pub fn unreachable(message: impl Into<String>) -> Self {
        Self::with_code(UNREACHABLE, message)
    }

    /// The store is damaged.
    pub fn damaged(message: impl Into<String>) -> Self {
        Self::with_code(DAMAGED, message)
    }

    /// Whether no daemon answers.
    pub(super) const fn is_unreachable(&self) -> bool {
        self.code == UNREACHABLE
    }

    /// The code for the process.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }

    fn with_code(code: u8, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal.kind {
            RefusalKind::Wrong => Self::usage(refusal.message),
            RefusalKind::Broken
            | RefusalKind::Changed
            | RefusalKind::Conflict
            | RefusalKind::Missing => Self::new(refusal.message),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Self {
        match &error {
            BackupError::Damaged { .. } => Self::damaged(error.to_string()),
            BackupError::Place(what) => Self::usage(what.clone()),
            BackupError::Store(StoreError::Damage { .. }) => Self::damaged(error.to_string()),
            _ => Self::new(with_causes(&error)),
        }
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        Self::new(with_causes(&error))
    }
}

/// Standard output cannot be written.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::new(format!("cannot write the answer: {error}"))
    }
}

/// What an error says, and what its causes add to that.
pub(super) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

const NOT_DONE: u8 = 1;
const USAGE: u8 = 2;
const UNREACHABLE: u8 = 3;
const DAMAGED: u8 = 4;

#[cfg(test)]
mod tests {
    use world::tls::TlsTrouble;

    use super::*;

    #[test]
    fn a_failure_names_its_causes_and_each_once() {
        let file = TlsTrouble::File {
            path: "cert.pem".into(),
            source: io::ErrorKind::NotFound.into(),
        };
        let failure = Failure::from(StartError::Tls(file));
        assert_eq!(
            failure.message,
            "tls: cannot reach cert.pem: entity not found"
        );
    }
}
