//! The words of mail: what every room means when it says address, envelope, reply or outcome.
//!
//! No I/O, no clock, no protocol: only values that can be made, compared and shown.

mod address;
mod credentials;
mod domain;
mod envelope;
mod flags;
mod ids;
mod network;
mod outcome;
mod reply;
mod spoken;
mod time;

pub use address::{Address, AddressError};
pub use credentials::{Credentials, Secret};
pub use domain::{Domain, DomainError};
pub use envelope::{BodyType, Envelope, Notify, Recipient, Ret, Target};
pub use flags::{Flags, Keyword, KeywordError};
pub use ids::{AccountId, IdError, MailboxId, MessageId, ModSeq, Uid, UidValidity};
pub use network::{Network, NetworkError};
pub use outcome::Outcome;
pub use reply::{Enhanced, Reply};
pub use spoken::{CommandLine, Shown, Spoken};
pub use time::Time;
