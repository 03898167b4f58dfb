//! What is said of mail that waits.

use mail::Address;
use serde::{Deserialize, Serialize};

use super::Id;

/// A message that waits.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct QueueView {
    /// The message.
    pub id: Id,
    /// Its sender; none is `<>`.
    pub from: Option<Address>,
    /// Its size in octets.
    pub octets: u64,
    /// Since when it waits, RFC 3339.
    pub arrived: String,
    /// Where it came from.
    pub origin: String,
    /// Its recipients; those that nothing remains to be done for only where one is shown.
    pub recipients: Vec<RecipientView>,
}

/// A recipient of a message that waits.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RecipientView {
    /// Who.
    pub address: Address,
    /// `local`, or the domain whose queue it is in.
    pub to: String,
    /// `open`, `failed` or `closed`.
    pub state: String,
    /// How many attempts have ended.
    pub attempts: u32,
    /// When the next attempt is due, RFC 3339; none if there is none.
    pub next: Option<String>,
    /// How the last attempt ended, or why there has been none.
    pub why: Option<String>,
}
