//! Every way in which the store fails, and what the peer is told about it.

use mail::{Enhanced, Reply};

/// Every way in which the store fails.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// More writes wait for the disk than the store takes. Nobody's fault: come back in a moment.
    #[error("too many writes wait for the disk")]
    Busy,
    /// Something has changed since the caller looked. Nobody's fault: he looks again.
    #[error("{what} has changed meanwhile")]
    Changed {
        /// What, by name.
        what: String,
    },
    /// A record or body fails its checksum. Fault of the disk or of us; it is set aside.
    #[error("{what} is damaged")]
    Damage {
        /// What, by name and place.
        what: String,
    },
    /// The disk refused to read or write. Fault of the disk.
    #[error("cannot {action}: {cause}")]
    Disk {
        /// What was tried, by file.
        action: String,
        /// What the system said.
        cause: String,
    },
    /// What was to be created is there already. Fault of the caller.
    #[error("{what} exists already")]
    Exists {
        /// What, by name.
        what: String,
    },
    /// Another owner has the shard. Nobody's fault: the house changed hands.
    #[error("another owner has taken over")]
    Fenced,
    /// The disk is full, or fuller than the reserve allows. Fault of the operator.
    #[error("less than {reserve_octets} octets are free")]
    Full {
        /// How much must stay free.
        reserve_octets: u64,
    },
    /// Another process has the data folder. Fault of the operator.
    #[error("{folder} is in use by another process")]
    InUse {
        /// The folder.
        folder: String,
    },
    /// A mailbox has 64 keywords already. Fault of the client.
    #[error("a mailbox has at most 64 keywords")]
    Keywords,
    /// The store has ended and is being opened anew, or has been closed. Of a write that was under
    /// way it is not known whether it is durable; a read has no other fault than to come now.
    #[error("the journal's writer is not running")]
    Lost,
    /// What was named is not there. Fault of the caller.
    #[error("{what} does not exist")]
    Missing {
        /// What, by name.
        what: String,
    },
    /// A newer Heronry wrote this. Fault of the operator (a downgrade).
    #[error("{what} has format {found}, newer than {known}: use the Heronry that wrote it")]
    Newer {
        /// What, by name and place.
        what: String,
        /// The format found.
        found: u8,
        /// The newest format known.
        known: u8,
    },
    /// An account, or all of its domain together, may not hold so much more. Fault of the owner,
    /// or of an operator who gives too little.
    #[error("{what} is full")]
    OverQuota {
        /// Who.
        what: String,
    },
    /// What was to be kept is larger than the format allows. Fault of the caller.
    #[error("{what} is too large")]
    TooLarge {
        /// What.
        what: String,
    },
    /// A restore into the folder has not come to its end. Fault of the operator.
    #[error("{folder} is being restored: run that restore again to its end")]
    Unfinished {
        /// The folder.
        folder: String,
    },
}

impl StoreError {
    /// What an SMTP client is told: never the cause, always whether to come back (RFC 3463 §3.4).
    #[must_use]
    pub fn reply(&self) -> Reply {
        match self {
            Self::Busy | Self::Full { .. } => {
                Reply::new(452, Enhanced(4, 3, 1), "insufficient storage")
            }
            // RFC 3463 §3.3: it may pass, by the owner's doing.
            Self::OverQuota { .. } => Reply::new(452, Enhanced(4, 2, 2), "the mailbox is full"),
            _ => Reply::new(451, Enhanced(4, 3, 0), "local trouble, try again later"),
        }
    }
}
