//! Where log lines go, and which of them.

use std::io::{self, IsTerminal};

use tracing_subscriber::{EnvFilter, filter::ParseError, fmt, prelude::*, util::TryInitError};

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Format {
    /// [`Text`](Self::Text) on a terminal, [`Json`](Self::Json) elsewhere.
    #[default]
    Auto,
    /// One JSON object a line, for journald and collectors.
    Json,
    /// Lines for people, coloured on a terminal.
    Text,
}

/// Why logging was not set up. Fault of the operator, or of us.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoggingError {
    /// The filter is not understood. Fault of the operator.
    #[error(
        "cannot read the log filter {filter:?}: a level such as `info` or a list such as `info,heronry_store=debug` is expected"
    )]
    Filter {
        /// What was given.
        filter: String,
        /// What is wrong with it.
        #[source]
        source: ParseError,
    },
    /// Logging was set up before. Fault of us.
    #[error("logging is set up already")]
    Twice(#[source] TryInitError),
}

/// Sends log lines that pass `filter` to standard error.
///
/// `filter` is a level (`info`) or a list of them by target (`info,heronry_store=debug`).
/// Standard output stays free for what a command answers.
///
/// # Errors
/// [`LoggingError::Filter`] when the filter is not understood, [`LoggingError::Twice`] when this
/// process has a subscriber already.
pub fn set_up(format: Format, filter: &str) -> Result<(), LoggingError> {
    let levels = EnvFilter::builder()
        .parse(filter)
        .map_err(|source| LoggingError::Filter {
            filter: filter.to_owned(),
            source,
        })?;
    let terminal = io::stderr().is_terminal();
    let json = match format {
        Format::Auto => !terminal,
        Format::Json => true,
        Format::Text => false,
    };
    let lines = fmt::layer().with_writer(io::stderr).with_ansi(terminal);
    let registry = tracing_subscriber::registry().with(levels);
    if json {
        let lines = lines.json().flatten_event(true).with_ansi(false);
        registry.with(lines).try_init()
    } else {
        registry.with(lines.with_target(true)).try_init()
    }
    .map_err(LoggingError::Twice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_is_not_understood_is_refused_by_name() {
        let refused = set_up(Format::Text, "heronry_store=loudly").unwrap_err();
        assert!(matches!(refused, LoggingError::Filter { .. }));
        assert!(refused.to_string().contains("heronry_store=loudly"));
    }
}
