//! Why an incarnation ended.

use std::{error::Error, fmt, sync::Arc};

use crate::{name::Name, stack::Stack};

/// Why an incarnation of a child ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ExitCause {
    /// It was told to end before it had started.
    Cancelled,
    /// It handled everything in its inbox and ended as it was asked to.
    Drained,
    /// A handler returned this error; [`ExitCause::error`] gives it back with its type.
    Error(Arc<dyn Error + Send + Sync>),
    /// A supervisor gave up: `child` failed more often than its intensity allows.
    Escalated {
        /// The child that failed once too often.
        child: Name,
        /// How that child ended the last time.
        cause: Box<Self>,
    },
    /// Its handler was dropped at an await point, or its runtime went away. A crash.
    Killed,
    /// It stopped, by itself or because it was asked to.
    Normal,
    /// A handler panicked.
    Panic(PanicReport),
    /// It was asked to stop, did not within the time its spec allows, and was killed.
    ShutdownTimeout,
    /// It never came up: this is how its start ended.
    StartFailed(Box<Self>),
}

/// What is known of a panic.
#[derive(Clone, Debug)]
pub struct PanicReport {
    /// The text given to `panic!`.
    pub message: String,
    /// `file:line:column` of the panic, if the panic hook saw it.
    pub location: Option<String>,
    /// The stack at the panic; taken for the first panics of a burst only.
    pub backtrace: Option<Stack>,
}

impl ExitCause {
    /// A cause made of the error that a handler returned.
    pub fn from_error(error: Box<dyn Error + Send + Sync>) -> Self {
        // A cause may have come by way of ractor, or of `?`.
        error
            .downcast()
            .map_or_else(|error| Self::Error(Arc::from(error)), |cause| *cause)
    }

    /// The error of type `E` in this cause, however deeply it is wrapped.
    pub fn error<E: Error + 'static>(&self) -> Option<&E> {
        match self {
            Self::Error(error) => error.downcast_ref(),
            Self::Escalated { cause, .. } | Self::StartFailed(cause) => cause.error(),
            _ => None,
        }
    }

    /// Whether a transient child is started again after this end.
    pub fn is_abnormal(&self) -> bool {
        !matches!(self, Self::Cancelled | Self::Drained | Self::Normal)
    }

    /// The same end, of an incarnation that had been asked to end; `timed_out`: it was killed
    /// because it did not in time.
    pub(crate) fn when_asked(self, timed_out: bool) -> Self {
        let is_killed = |cause: &Self| matches!(cause, Self::Killed);
        match self {
            Self::Killed if timed_out => Self::ShutdownTimeout,
            Self::StartFailed(cause) if is_killed(&cause) && timed_out => Self::ShutdownTimeout,
            Self::StartFailed(cause) if is_killed(&cause) => Self::Cancelled,
            cause => cause,
        }
    }

    /// The label `cause` in metrics: one of a closed set.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::Drained => "drained",
            Self::Error(_) => "error",
            Self::Escalated { .. } => "escalated",
            Self::Killed => "killed",
            Self::Normal => "normal",
            Self::Panic(_) => "panic",
            Self::ShutdownTimeout => "shutdown_timeout",
            Self::StartFailed(_) => "start_failed",
        }
    }

    /// The panic at the bottom of this cause, if there is one.
    pub fn panic(&self) -> Option<&PanicReport> {
        match self {
            Self::Escalated { cause, .. } | Self::StartFailed(cause) => cause.panic(),
            Self::Panic(report) => Some(report),
            _ => None,
        }
    }
}

impl Error for ExitCause {}

impl fmt::Display for ExitCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled => f.write_str("cancelled before it had started"),
            Self::Drained => f.write_str("drained"),
            Self::Error(error) => {
                write!(f, "error: {error}")?;
                let mut source = error.source();
                while let Some(error) = source {
                    write!(f, ": {error}")?;
                    source = error.source();
                }
                Ok(())
            }
            Self::Escalated { child, cause } => write!(f, "gave up on {child}: {cause}"),
            Self::Killed => f.write_str("killed"),
            Self::Normal => f.write_str("normal"),
            Self::Panic(report) => write!(f, "{report}"),
            Self::ShutdownTimeout => f.write_str("killed: it did not stop in time"),
            Self::StartFailed(cause) => write!(f, "start failed: {cause}"),
        }
    }
}

impl fmt::Display for PanicReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.location {
            Some(location) => write!(f, "panic at {location}: {}", self.message),
            None => write!(f, "panic: {}", self.message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("disk on fire")]
    struct Fire;

    #[test]
    fn a_typed_error_is_found_through_every_wrapping() {
        let cause = ExitCause::Escalated {
            child: "store".into(),
            cause: Box::new(ExitCause::StartFailed(Box::new(ExitCause::from_error(
                Fire.into(),
            )))),
        };
        assert!(cause.error::<Fire>().is_some());
        assert!(cause.error::<fmt::Error>().is_none());
        assert_eq!(
            cause.to_string(),
            "gave up on store: start failed: error: disk on fire"
        );
    }

    #[test]
    fn a_cause_that_passed_through_ractor_comes_back_as_it_was() {
        let cause = ExitCause::from_error(ExitCause::ShutdownTimeout.into());
        assert!(matches!(cause, ExitCause::ShutdownTimeout));
    }
}
