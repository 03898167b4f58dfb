//! Sessions of SMTP, submission and LMTP: one shell for the three dialogues.

mod actor;
mod admission;
mod incoming;
mod meant;
mod metrics;
mod room;
mod taking;

pub use actor::{SmtpCheckpoint, SmtpConnection, SmtpSession, SmtpSessionArgs};
pub use admission::Admission;
pub use metrics::METRICS;
