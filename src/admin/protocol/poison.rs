//! What has brought actors down twice, as operators see it.

use actors::contract::PoisonKey;
use mail::Address;
use serde::{Deserialize, Serialize};

/// A message or a command that has brought actors down twice.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct PoisonView {
    /// The message, or the command's number.
    pub id: PoisonId,
    /// Since when it is set aside or refused, RFC 3339.
    pub since: String,
    /// What it is.
    #[serde(flatten)]
    pub what: PoisonWhat,
    /// Who crashed, and how: the report's first line.
    pub why: String,
    /// The report; only where one is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<String>,
}

/// What it is that has brought actors down.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PoisonWhat {
    /// A command; it is refused before it is run.
    Command {
        /// `smtp`, `imap` or `pop3`.
        protocol: String,
        /// Whose it is: an account's address, or `client` and the address of one that has not
        /// logged in.
        who: String,
        /// What of it may be shown.
        words: String,
        /// How many sessions it has brought down.
        crashes: u32,
        /// How often it was refused.
        refusals: u64,
        /// Whether it is run when it is said the next time.
        on_trial: bool,
    },
    /// A message; it is set aside.
    Message {
        /// Its sender; none is `<>`.
        from: Option<Address>,
        /// The recipients for whom something remains to be done.
        to: Vec<Address>,
        /// Its size in octets.
        octets: u64,
        /// Where it came from.
        origin: String,
    },
}

/// The id of a message or the number of a command, written as people write it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct PoisonId(pub PoisonKey);

impl std::str::FromStr for PoisonId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let message = text.parse().map(PoisonKey::Message);
        let key = message.or_else(|_| text.parse().map(PoisonKey::Command));
        key.map(Self)
            .map_err(|_| format!("{text} is neither a message's id nor a command's number"))
    }
}

impl TryFrom<String> for PoisonId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<PoisonId> for String {
    fn from(id: PoisonId) -> Self {
        match id.0 {
            PoisonKey::Command(id) => id.to_string(),
            PoisonKey::Message(id) => id.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use mail::MessageId;

    use super::{super::Request, *};

    #[test]
    fn what_is_poison_is_named_by_a_message_s_id_or_a_command_s_number() {
        for key in [
            PoisonKey::Message(MessageId(77)),
            PoisonKey::Command(actors::contract::CommandId(77)),
        ] {
            let line = serde_json::to_string(&Request::PoisonShow { id: PoisonId(key) }).unwrap();
            let Request::PoisonShow { id } = serde_json::from_str(&line).unwrap() else {
                panic!("{line}");
            };
            assert_eq!(id.0, key, "{line}");
        }
        assert!("77".parse::<PoisonId>().is_err());
        assert!(Request::PoisonList { after: None }.is_look());
        let id = "000000000000004d".parse().unwrap();
        let request = Request::PoisonRetry { id };
        assert!(!request.is_look());
        assert_eq!(request.act().1, "000000000000004d");
    }
}
