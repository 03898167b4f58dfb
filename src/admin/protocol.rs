//! What an operator's command line and the daemon say to each other: one JSON object a line.
//!
//! A connection carries any number of [`Request`]s; each is answered by one [`Answer`]. Lists come
//! in pages, so that neither side ever holds more than a page. Passwords travel as hashes only:
//! the command line computes them.

mod harm;

use mail::{Address, Domain, IdError, MessageId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::harm::{AimView, BlowView, HarmView};
use crate::{backup::Last, chaos::Harm};

mod cargo;
mod names;
mod poison;
mod waiting;

pub use cargo::{
    CompactView, FolderView, LetterNew, LetterPut, LetterView, SnapshotFileView, SnapshotView,
};
pub use names::AliasName;
pub use poison::{PoisonId, PoisonView, PoisonWhat};
pub use waiting::{QueueView, RecipientView};

/// What an operator wants.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "want", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Creates accounts, all or none; yields nothing.
    AccountAdd {
        /// At most [`PAGE_MAX`].
        accounts: Vec<AccountNew>,
        /// Whether one that is there gets the password and the limits given instead.
        update: bool,
    },
    /// Yields a page of [`AccountView`]s.
    AccountList {
        /// Of that domain; of all, for none.
        domain: Option<Domain>,
        /// The last address of the page before.
        after: Option<Address>,
    },
    /// Gives an account another password; `None` locks it.
    AccountPassword {
        /// Whose.
        address: Address,
        /// Its hash in PHC form.
        password: Option<String>,
    },
    /// Gives an account other limits.
    AccountQuota {
        /// Whose.
        address: Address,
        /// How much it may hold.
        quota: QuotaView,
    },
    /// Removes an account with all its mail.
    AccountRemove {
        /// Which.
        address: Address,
    },
    /// Yields an [`AccountView`].
    AccountShow {
        /// Which.
        address: Address,
    },
    /// Ends the present incarnation of an actor, so that the next one starts; yields nothing.
    ActorRestart {
        /// Its place in the supervision tree.
        path: String,
    },
    /// Yields what is known of an actor: a [`Sight`](supervision::Sight).
    ActorShow {
        /// Its place in the supervision tree.
        path: String,
    },
    /// Adds an alias, or gives it other targets.
    AliasAdd(AliasView),
    /// Yields [`AliasView`]s.
    AliasList {
        /// Of that domain; of all, for none.
        domain: Option<Domain>,
    },
    /// Removes an alias.
    AliasRemove {
        /// Its name.
        alias: AliasName,
    },
    /// Yields an [`AliasView`].
    AliasShow {
        /// Its name.
        alias: AliasName,
    },
    /// Tells of a state of a backup that is whole; yields nothing.
    BackupDone(Last),
    /// Adds a domain.
    DomainAdd {
        /// Which.
        domain: Domain,
    },
    /// Yields [`DomainView`]s.
    DomainList,
    /// Gives a domain other limits.
    DomainQuota {
        /// Whose.
        domain: Domain,
        /// How much its accounts may hold together.
        quota: QuotaView,
    },
    /// Removes a domain without accounts and aliases.
    DomainRemove {
        /// Which.
        domain: Domain,
    },
    /// Yields a [`DomainView`].
    DomainShow {
        /// Which.
        domain: Domain,
    },
    /// Yields [`FolderView`]s.
    FolderList {
        /// Whose.
        address: Address,
    },
    /// Makes a folder, if it is not there; yields its [`FolderView`].
    FolderMake {
        /// Whose.
        address: Address,
        /// Its full name, levels separated by `/`.
        folder: String,
        /// Its role (RFC 6154), if no other folder of the account has it.
        role: Option<String>,
    },
    /// Harms actors at their next message, while the connection stands; yields a [`HarmView`].
    Harm {
        /// A place in the supervision tree; of a family, its members are meant.
        path: String,
        /// From which member on: the remainder by their number.
        nth: u64,
        /// How many members, all at once.
        count: usize,
        /// What is done.
        harm: Harm,
    },
    /// Yields the daemon's [`About`].
    Hello,
    /// Yields a [`LetterView`]; behind the line of the answer follow the octets of the message.
    LetterGet {
        /// Whose.
        address: Address,
        /// In which folder.
        folder: String,
        /// Which.
        uid: u32,
    },
    /// Yields a page of [`LetterView`]s.
    LetterList {
        /// Whose.
        address: Address,
        /// In which folder.
        folder: String,
        /// The last UID of the page before.
        after: Option<u32>,
    },
    /// Adds messages to a folder, all or none; yields their UIDs.
    LetterPut(LetterPut),
    /// Yields the numbers that are served to Prometheus, as text.
    Metrics,
    /// Forgets a message that is set aside, or a command that is refused; yields nothing.
    PoisonDrop {
        /// Which.
        id: PoisonId,
    },
    /// Yields a page of [`PoisonView`]s.
    PoisonList {
        /// The last id of the page before.
        after: Option<PoisonId>,
    },
    /// Lets a message or a command try again; yields nothing.
    PoisonRetry {
        /// Which.
        id: PoisonId,
    },
    /// Yields a [`PoisonView`] with its report.
    PoisonShow {
        /// Which.
        id: PoisonId,
    },
    /// Tries waiting mail now; yields the number of recipients made due.
    QueueFlush {
        /// Of that domain; of all, for none.
        domain: Option<Domain>,
        /// Only that message.
        id: Option<Id>,
    },
    /// Yields a page of [`QueueView`]s.
    QueueList {
        /// Only those with a recipient that waits for that domain.
        domain: Option<Domain>,
        /// The last id of the page before.
        after: Option<Id>,
    },
    /// Yields a [`QueueView`].
    QueueShow {
        /// Which.
        id: Id,
    },
    /// Has the configuration read again; yields the [`Change`](crate::config::Change)s.
    Reload,
    /// Yields the [`Config`](crate::config::Config) in force.
    Settings,
    /// Gives back what [`Request::SnapshotTake`] has taken; yields nothing.
    SnapshotDrop,
    /// Takes a snapshot of the store, which stays until this connection ends; yields a
    /// [`SnapshotView`].
    SnapshotTake,
    /// Gives back all room that deleted mail has left, at once; yields a [`CompactView`].
    StoreCompact,
    /// Yields the supervision tree.
    Tree {
        /// In which form.
        form: TreeForm,
    },
    /// Takes back what was done by [`Request::Harm`] on this connection and has not struck, and
    /// lets go whoever was made to hang; yields the [`BlowView`]s that were not told yet.
    Truce,
}

/// What the daemon answers.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Done; here is what was asked for.
    Done(Value),
    /// Not done.
    Refused(Refusal),
}

/// Why something was not done.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// What kind of trouble it is.
    pub kind: RefusalKind,
    /// What, where, and what would be right.
    pub message: String,
}

/// What kind of trouble it is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalKind {
    /// The disk or an actor did not do its work. Fault of ours or the disk's.
    Broken,
    /// Something has come since whoever asks looked. Nobody's fault: he looks again.
    Changed,
    /// It is there already, still in use, or may not be so much. Fault of the operator.
    Conflict,
    /// It is not there. Fault of the operator.
    Missing,
    /// The request is not understood. Fault of whoever wrote it.
    Wrong,
}

/// Who answers.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct About {
    /// The daemon's version.
    pub version: String,
    /// Its name on the network.
    pub hostname: String,
    /// Its process number.
    pub process: u32,
    /// Since when it runs, RFC 3339.
    pub since: String,
}

/// An account to be created.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct AccountNew {
    /// Its address.
    pub address: Address,
    /// Its password's hash in PHC form; without one nobody can log in.
    pub password: Option<String>,
    /// How much it may hold.
    #[serde(default)]
    pub quota: QuotaView,
}

/// An account.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct AccountView {
    /// Its address, which is its login name.
    pub address: Address,
    /// Its number.
    pub id: u64,
    /// Whether a password is set.
    pub can_log_in: bool,
    /// How much it may hold.
    pub quota: QuotaView,
    /// When it was created, RFC 3339.
    pub created: String,
    /// What it holds; only where one account is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holds: Option<Holdings>,
}

/// What an account holds, or all of a domain together.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Holdings {
    /// Mailboxes, INBOX included.
    pub mailboxes: u64,
    /// Messages.
    pub messages: u64,
    /// The sum of their sizes in octets.
    pub octets: u64,
}

/// How much an account, or a domain, may hold; none is without limit.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct QuotaView {
    /// The sum of the sizes of the messages, in octets.
    pub octets: Option<u64>,
    /// The number of messages.
    pub messages: Option<u64>,
}

/// An alias and where it leads.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct AliasView {
    /// Its name.
    pub alias: AliasName,
    /// Its targets.
    pub targets: Vec<Address>,
}

/// A domain.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct DomainView {
    /// Its name.
    pub domain: Domain,
    /// How many accounts it has; only where one domain is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accounts: Option<u64>,
    /// How many aliases it has; likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aliases: Option<u64>,
    /// How much its accounts may hold together.
    #[serde(default)]
    pub quota: QuotaView,
    /// What they hold; only where one domain is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holds: Option<Holdings>,
}

/// A page of a list.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Page<T> {
    /// The items, ascending.
    pub items: Vec<T>,
    /// Whether there are more behind the last one.
    pub more: bool,
}

/// A message's id, written as people write it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Id(pub MessageId);

/// How the supervision tree is written.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TreeForm {
    /// For Graphviz.
    Dot,
    /// As data.
    Json,
    /// For people.
    Text,
}

impl Request {
    /// What is wanted, for the log: the request's name, and what it is about.
    #[must_use]
    pub fn act(&self) -> (String, String) {
        let Ok(Value::Object(fields)) = serde_json::to_value(self) else {
            return (String::new(), String::new());
        };
        let word = |key: &&str| match fields.get(*key)? {
            Value::String(text) => Some(text.clone()),
            _ => None,
        };
        let about: Vec<_> = ABOUT.iter().filter_map(word).collect();
        (word(&"want").unwrap_or_default(), about.join(" "))
    }

    /// Whether it only looks.
    #[must_use]
    pub fn is_look(&self) -> bool {
        let (want, _) = self.act();
        let looks = |ending| want.ends_with(ending);
        looks("_list") || looks("_show") || LOOKS.contains(&want.as_str())
    }
}

impl Refusal {
    /// A refusal of that kind.
    pub fn new(kind: RefusalKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }
}

impl TryFrom<String> for Id {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse().map(Self)
    }
}

impl From<Id> for String {
    fn from(id: Id) -> Self {
        id.0.to_string()
    }
}

/// Items of a list in one answer, and accounts in one request.
pub const PAGE_MAX: usize = 1000;

/// What a request may be about: never a password's hash.
const ABOUT: [&str; 6] = ["address", "alias", "domain", "folder", "id", "path"];

/// Requests that change nothing, besides those that list and show.
const LOOKS: [&str; 4] = ["hello", "metrics", "settings", "tree"];

/// A request or an answer longer than this is not read: a page of the longest items fits.
pub const LINE_OCTETS_MAX: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_answers_survive_being_written_and_read() {
        let requests = [
            Request::Hello,
            Request::AliasShow {
                alias: "@example.test".parse().unwrap(),
            },
            Request::QueueFlush {
                domain: Some("d.test".parse().unwrap()),
                id: Some(Id(MessageId(77))),
            },
        ];
        for request in requests {
            let line = serde_json::to_string(&request).unwrap();
            assert_eq!(
                serde_json::from_str::<Request>(&line).unwrap(),
                request,
                "{line}"
            );
        }
        let answer = Answer::Refused(Refusal::new(RefusalKind::Missing, "no such account"));
        let line = serde_json::to_string(&answer).unwrap();
        assert_eq!(
            line,
            r#"{"refused":{"kind":"missing","message":"no such account"}}"#
        );
        assert_eq!(serde_json::from_str::<Answer>(&line).unwrap(), answer);
    }

    #[test]
    fn a_catch_all_is_written_with_nothing_before_the_at() {
        let name: AliasName = "@Example.test".parse().unwrap();
        assert_eq!(
            (name.local.as_str(), name.to_string().as_str()),
            ("", "@example.test")
        );
        assert!("example.test".parse::<AliasName>().is_err());
    }
}
