//! Commands, as they are meant (RFC 3501 §6 and the extensions that are advertised).

use std::{fmt, sync::Arc};

use mail::{Flags, Keyword, Time};

use super::{FetchItem, ListCommand, MailboxName, SearchKey, SequenceSet};

/// The client's name for one of its commands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tag(pub(crate) Arc<str>);

/// A command that only a store can answer.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Command {
    /// Look at the mailbox again.
    Check,
    /// Expunge without a word, unless it is open for reading, and leave the mailbox.
    Close,
    /// Copy messages.
    Copy(Transfer),
    /// Create a mailbox; the name is without a separator at its end.
    Create(MailboxName),
    /// Remove a mailbox.
    Delete(MailboxName),
    /// Open a mailbox for reading.
    Examine(MailboxName),
    /// Remove what is `\Deleted`; of these UIDs only, if there are any (RFC 4315 §2.1).
    Expunge(Option<SequenceSet>),
    /// Read messages.
    Fetch(Fetch),
    /// Say what a quota root limits, and how far it is used (RFC 9208 §4.1.1).
    GetQuota(String),
    /// Say which quota roots a mailbox has (RFC 9208 §4.1.2).
    GetQuotaRoot(MailboxName),
    /// List mailboxes.
    List(ListCommand),
    /// List subscriptions.
    Lsub(ListCommand),
    /// Move messages (RFC 6851).
    Move(Transfer),
    /// Say what is new.
    Noop,
    /// Rename a mailbox.
    Rename {
        /// Its name now.
        from: MailboxName,
        /// Its name afterwards.
        to: MailboxName,
    },
    /// Find messages.
    Search(Search),
    /// Open a mailbox.
    Select(MailboxName),
    /// Say how a mailbox stands.
    Status(MailboxName, Vec<StatusItem>),
    /// Change flags.
    Store(Store),
    /// Remember a name.
    Subscribe(MailboxName),
    /// Leave the mailbox (RFC 3691).
    Unselect,
    /// Forget a name.
    Unsubscribe(MailboxName),
}

/// Which messages, and where to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Transfer {
    /// Whether UIDs are meant and not sequence numbers.
    pub uid: bool,
    /// Which messages.
    pub set: SequenceSet,
    /// Where to.
    pub to: MailboxName,
}

/// What to read of which messages.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fetch {
    /// Whether UIDs are meant, and answered, and not sequence numbers.
    pub uid: bool,
    /// Which messages.
    pub set: SequenceSet,
    /// What of them, in the order asked; macros are resolved. With `uid`, [`FetchItem::Uid`] is
    /// among them (RFC 3501 §6.4.8).
    pub items: Vec<FetchItem>,
}

/// What to look for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Search {
    /// Whether UIDs are answered and not sequence numbers.
    pub uid: bool,
    /// What to look for.
    pub key: SearchKey,
}

/// How to change flags.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Store {
    /// Whether UIDs are meant and not sequence numbers.
    pub uid: bool,
    /// Which messages.
    pub set: SequenceSet,
    /// What to do with the flags named.
    pub how: StoreHow,
    /// Whether the client does not want to hear how they stand afterwards.
    pub silent: bool,
    /// The flags named.
    pub flags: FlagList,
}

/// What to do with the flags that a STORE names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StoreHow {
    /// `+FLAGS`
    Add,
    /// `-FLAGS`
    Remove,
    /// `FLAGS`
    Replace,
}

/// Flags as a client names them. `\Recent` is passed over: it cannot be set (RFC 3501 §2.3.2).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FlagList {
    /// System flags.
    pub flags: Flags,
    /// Keywords, each once.
    pub keywords: Vec<Keyword>,
}

/// One thing that STATUS tells (RFC 3501 §6.3.10).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StatusItem {
    /// How many are `\Deleted` (RFC 9208 §4.1.4).
    Deleted,
    /// The sum of their sizes in octets.
    DeletedStorage,
    /// How many messages.
    Messages,
    /// How many of them are recent.
    Recent,
    /// The next UID.
    UidNext,
    /// The generation of the UIDs.
    UidValidity,
    /// How many are not seen.
    Unseen,
}

/// A message that a client wants to add; its octets follow.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Append {
    /// Where to.
    pub mailbox: MailboxName,
    /// The flags it begins with.
    pub flags: FlagList,
    /// Its internal date; now, for `None`.
    pub date: Option<Time>,
    /// Its length.
    pub octets: u64,
}

impl Tag {
    /// The tag of that text; `None` if it cannot be one.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        (!text.is_empty() && text.bytes().all(Self::is_part)).then(|| Self(text.into()))
    }

    /// `tag` of RFC 3501 §9.
    pub(crate) const fn is_part(octet: u8) -> bool {
        super::is_atom(octet) && octet != b'+' || octet == b']'
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Command {
    /// Whether it is a command of UIDs: the FETCH responses that it causes tell the UID, asked or
    /// not (RFC 3501 §6.4.8).
    #[must_use]
    pub const fn is_by_uid(&self) -> bool {
        matches!(
            self,
            Self::Copy(Transfer { uid: true, .. })
                | Self::Expunge(Some(_))
                | Self::Fetch(Fetch { uid: true, .. })
                | Self::Move(Transfer { uid: true, .. })
                | Self::Search(Search { uid: true, .. })
                | Self::Store(Store { uid: true, .. })
        )
    }

    /// Whether EXPUNGE may be said at its end (RFC 3501 §7.4.1): not where sequence numbers of
    /// commands that follow could be meant otherwise.
    #[must_use]
    pub const fn may_tell_expunges(&self) -> bool {
        !matches!(
            self,
            Self::Fetch(Fetch { uid: false, .. })
                | Self::Store(Store { uid: false, .. })
                | Self::Search(Search { uid: false, .. })
        )
    }
}

impl StatusItem {
    /// Each item with its name on the wire.
    pub const NAMES: [(Self, &'static str); 7] = [
        (Self::Deleted, "DELETED"),
        (Self::DeletedStorage, "DELETED-STORAGE"),
        (Self::Messages, "MESSAGES"),
        (Self::Recent, "RECENT"),
        (Self::UidNext, "UIDNEXT"),
        (Self::UidValidity, "UIDVALIDITY"),
        (Self::Unseen, "UNSEEN"),
    ];

    /// Its name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES
            .iter()
            .find_map(|&(item, name)| (item == self).then_some(name))
            .unwrap_or_default()
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
