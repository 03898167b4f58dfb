//! What actors say to each other: one file per listener. Ids travel, bodies do not.
//!
//! Rooms know the contract and never each other, so that no circle can arise. A message is a
//! hint: it may be lost, repeated or late, because the store has the fact; whoever says the same
//! thing twice does no harm. Calls carry a reply port and are always made with a time limit.

mod bounce;
mod delivery;
mod listener;
mod login;
mod mailbox;
mod poison;
mod queue;
mod resolver;
mod router;
mod scrubber;
mod session;
mod told;

pub use bounce::{BounceMsg, BounceReport};
pub use delivery::{Attempt, DeliveryMsg, DeliveryReport};
pub use listener::{ListenerMsg, ListenerReport};
pub use login::{Checked, HashMsg, Identity, LoginMsg, LoginReport, LoginRequest, LoginVerdict};
pub use mailbox::{
    AppendRequest, CopyRequest, ExpungeRequest, FlagRequest, Flagged, Landed, MailboxFailure,
    MailboxMsg, MailboxReport, Watcher,
};
pub use poison::{
    CommandId, CommandIdError, CommandInHand, CommandMark, CrashNote, CrashTeller, Crashed,
    MessageInHand, PoisonFailure, PoisonKey, PoisonMsg, PoisonReport, RefusedCommand, Speaker,
    Subject,
};
pub use queue::{Load, QueueMsg, QueueReport};
pub use resolver::*;
pub use router::{RouterMsg, RouterReport};
pub use scrubber::{ScrubberMsg, ScrubberReport};
pub use session::SessionMsg;
