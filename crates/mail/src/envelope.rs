//! The envelope: who a message is from, whom it is for, and how it wants to be carried.

use serde::{Deserialize, Serialize};

use crate::{AccountId, Address, Domain};

/// What the SMTP dialogue said about a message, as the spool keeps it.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    /// The reverse-path; `None` is `<>`: nobody wants a bounce of it (RFC 5321 §4.5.5).
    pub from: Option<Address>,
    /// Final recipients: aliases are already followed. Their order is their number for ever.
    pub recipients: Vec<Recipient>,
    /// The content's type as declared by `BODY=`.
    pub body: BodyType,
    /// Whether the dialogue asked for SMTPUTF8 (RFC 6531 §3.4).
    pub smtputf8: bool,
    /// The sender's own name for the envelope, `ENVID=` (RFC 3461 §4.4).
    pub envid: Option<String>,
    /// How much of the message a failure report returns, `RET=` (RFC 3461 §4.3).
    pub ret: Option<Ret>,
}

/// One final recipient.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Recipient {
    /// Where the message goes.
    pub address: Address,
    /// As the sender wrote it, if an alias or `ORCPT=` makes it another (RFC 3461 §4.2).
    pub original: Option<Address>,
    /// Who takes it.
    pub target: Target,
    /// When the sender wants to hear of it, `NOTIFY=` (RFC 3461 §4.1).
    pub notify: Notify,
}

/// Who takes a recipient's message.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Target {
    /// A mailbox of ours.
    Local {
        /// The account.
        account: AccountId,
        /// What stood after the `+` of the local part.
        detail: Option<String>,
    },
    /// Another system, found by this domain: mostly the address's own.
    Remote(Domain),
}

/// The type of a message's content (RFC 6152 §2, RFC 3030 §3).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub enum BodyType {
    /// Lines of US-ASCII.
    #[default]
    SevenBit,
    /// Lines with octets above 127.
    EightBitMime,
    /// Any octets, lines of any length.
    BinaryMime,
}

/// How much of a message comes back with a failure report (RFC 3461 §4.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Ret {
    /// The whole message.
    Full,
    /// Its headers.
    Headers,
}

/// When a sender wants to hear about a recipient (RFC 3461 §4.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Notify {
    /// When it is late.
    pub delay: bool,
    /// When it cannot be delivered.
    pub failure: bool,
    /// When it has been delivered.
    pub success: bool,
}

impl Recipient {
    /// A recipient as it is without any DSN parameters.
    #[must_use]
    pub const fn new(address: Address, target: Target) -> Self {
        Self {
            address,
            original: None,
            target,
            notify: Notify::UNSAID,
        }
    }
}

impl Notify {
    /// What holds when a sender says nothing: failures and delays are told.
    pub const UNSAID: Self = Self {
        delay: true,
        failure: true,
        success: false,
    };
    /// `NOTIFY=NEVER`.
    pub const NEVER: Self = Self {
        delay: false,
        failure: false,
        success: false,
    };
}

impl Default for Notify {
    fn default() -> Self {
        Self::UNSAID
    }
}
