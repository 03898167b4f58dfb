//! What the poison actor hears: who has crashed, and with what in hand.

use std::{fmt, net::IpAddr, str::FromStr};

use mail::{AccountId, MessageId, Time};
use ractor::RpcReplyPort;
use serde::Serialize;
use store::StoreError;
use supervision::{Crash, Credit, Credits, InHand, Seat};

/// Everything the poison actor can be told.
#[derive(Debug)]
pub enum PoisonMsg {
    /// From itself: a message has been set aside, released or dropped, or could not be.
    Changed,
    /// From its clock: how many messages are aside?
    Count,
    /// From the frame. It is said by a [`CrashTeller`], which bounds how many of them wait.
    Crashed(Crashed, Credit),
    /// From an operator: forget it. Nobody is told of a message; a command has two crashes again.
    Drop(PoisonKey, RpcReplyPort<Result<(), PoisonFailure>>),
    /// From an operator: how are you?
    Inspect(RpcReplyPort<PoisonReport>),
    /// From an operator: which commands are refused, the oldest first?
    List(RpcReplyPort<Vec<RefusedCommand>>),
    /// From an operator: let it try again. A message goes on where it was; a command is run once,
    /// when its client says it the next time, and is forgotten if that goes well.
    Retry(PoisonKey, RpcReplyPort<Result<(), PoisonFailure>>),
    /// From an operator: what is known of a command that is refused? A message's report is in the
    /// spool.
    Show(
        CommandId,
        RpcReplyPort<Result<RefusedCommand, PoisonFailure>>,
    ),
}

/// Somebody has crashed.
#[derive(Clone, Debug)]
pub struct Crashed {
    /// Where it stands in the tree.
    pub path: String,
    /// How it ended: the frame's word, one of a closed set.
    pub kind: &'static str,
    /// What it was at, if it said so.
    pub in_hand: Option<Subject>,
    /// All that is known: the cause with its place, and what it had heard before.
    pub report: String,
}

/// What an actor can have in hand.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Subject {
    /// A client's command.
    Command(CommandMark),
    /// A message of the spool.
    Message(MessageId),
}

/// A message of the spool that an actor has in hand, as it says by [`supervision::in_hand`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MessageInHand(pub MessageId);

/// A command of a client that its session has in hand, as it says by [`supervision::in_hand`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CommandInHand(pub CommandMark);

/// A command, without what may be secret.
#[derive(Clone, Debug, Eq, Hash, PartialEq, Serialize)]
pub struct CommandMark {
    /// Which command it is: the same words of the same client have the same number, until the
    /// process ends.
    pub id: CommandId,
    /// `smtp`, `imap` or `pop3`.
    pub protocol: &'static str,
    /// Whose it is.
    #[serde(serialize_with = "as_text")]
    pub speaker: Speaker,
    /// What of it may be shown.
    pub words: String,
}

/// Who says commands.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Speaker {
    /// Who has logged in.
    Account(AccountId),
    /// Who has not, by its address.
    Client(IpAddr),
}

/// A digest of a command's octets, with a key that nobody knows: it tells nothing about them.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CommandId(pub u64);

/// The text is not the number of a command.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a command's number: 16 hexadecimal digits are expected")]
pub struct CommandIdError;

/// What an operator can name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PoisonKey {
    /// A command that is refused.
    Command(CommandId),
    /// A message that is aside.
    Message(MessageId),
}

/// A command that is refused before it is run.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct RefusedCommand {
    /// Which.
    #[serde(flatten)]
    pub mark: CommandMark,
    /// Since when.
    #[serde(serialize_with = "as_text")]
    pub since: Time,
    /// How many sessions it has brought down.
    pub crashes: u32,
    /// How often it was refused.
    pub refusals: u64,
    /// Whether it is run when it is said the next time.
    pub is_on_trial: bool,
    /// Of the last crash.
    pub report: String,
}

/// Why an operator's wish was not done.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PoisonFailure {
    /// It is not aside, or not refused. Fault of the operator.
    #[error("{0} is not set aside; `heronry poison list` shows what is")]
    Missing(String),
    /// The store did not do its work.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How the poison actor is.
#[derive(Clone, Debug, Serialize)]
pub struct PoisonReport {
    /// Messages that are aside.
    pub set_aside: usize,
    /// Commands that are refused.
    pub refused: usize,
    /// Things that were in hand in one crash, and are watched.
    pub suspects: usize,
    /// The last crashes, the newest last.
    pub crashes: Vec<CrashNote>,
}

/// A crash, as it is remembered.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct CrashNote {
    /// When it was heard of.
    #[serde(serialize_with = "as_text")]
    pub at: Time,
    /// Where.
    pub path: String,
    /// How it ended.
    pub kind: &'static str,
    /// What was in hand.
    pub in_hand: Option<String>,
    /// All that is known.
    pub report: String,
}

impl Subject {
    /// Whether it is that command.
    #[must_use]
    pub fn is_command(&self, id: CommandId) -> bool {
        matches!(self, Self::Command(mark) if mark.id == id)
    }
}

impl From<&Crash> for Crashed {
    fn from(crash: &Crash) -> Self {
        let recent: Vec<_> = crash.recent.iter().map(|message| message.kind).collect();
        let panic = crash.cause.panic();
        let backtrace = panic
            .and_then(|panic| panic.backtrace.as_ref())
            .map_or_else(String::new, |trace| format!("\n{trace}"));
        Self {
            path: crash.path.clone(),
            kind: crash.kind,
            in_hand: crash.in_hand.as_ref().and_then(subject),
            report: format!("{}; heard last: {recent:?}{backtrace}", crash.cause),
        }
    }
}

/// What was in hand, if it is something that can be set aside.
fn subject(in_hand: &InHand) -> Option<Subject> {
    if let Some(MessageInHand(id)) = in_hand.downcast_ref() {
        return Some(Subject::Message(*id));
    }
    let CommandInHand(mark) = in_hand.downcast_ref()?;
    Some(Subject::Command(mark.clone()))
}

/// Tells the poison actor of crashes, never more than it can hear. Clones tell the same one.
#[derive(Clone, Debug)]
pub struct CrashTeller {
    seat: Seat<PoisonMsg>,
    credits: Credits,
}

impl CrashTeller {
    /// Tells whoever sits there.
    #[must_use]
    pub fn new(seat: Seat<PoisonMsg>) -> Self {
        Self {
            seat,
            credits: Credits::new(CRASHES_WAITING_MAX),
        }
    }

    /// Tells of a crash. In a storm, and while nobody sits there, it is forgotten: what is poison
    /// will crash again.
    pub fn tell(&self, crash: &Crash) {
        if let Some(credit) = self.credits.try_take() {
            drop(self.seat.cast(PoisonMsg::Crashed(crash.into(), credit)));
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(mark) => mark.fmt(f),
            Self::Message(id) => write!(f, "message {id}"),
        }
    }
}

impl fmt::Display for CommandInHand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for CommandMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            id,
            protocol,
            speaker,
            words,
        } = self;
        write!(f, "command {id} of {speaker}: {protocol} {words}")
    }
}

impl fmt::Display for Speaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(id) => write!(f, "account {id}"),
            Self::Client(address) => write!(f, "client {address}"),
        }
    }
}

impl fmt::Display for MessageInHand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "message {}", self.0)
    }
}

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for CommandId {
    type Err = CommandIdError;

    fn from_str(text: &str) -> Result<Self, CommandIdError> {
        let is_one = text.len() == 16 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        let number = u64::from_str_radix(text, 16).ok().filter(|_| is_one);
        number.map(Self).ok_or(CommandIdError)
    }
}

impl Serialize for CommandId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for PoisonKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(id) => write!(f, "command {id}"),
            Self::Message(id) => write!(f, "message {id}"),
        }
    }
}

fn as_text<S: serde::Serializer>(
    value: &impl fmt::Display,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// Crashes that wait to be heard: a storm of ten thousand says nothing that a thousand do not.
const CRASHES_WAITING_MAX: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_s_number_is_read_as_it_is_written() {
        let id = CommandId(0x00ab_cdef_0123_4567);
        assert_eq!(id.to_string(), "00abcdef01234567");
        assert_eq!(id.to_string().parse(), Ok(id));
        for wrong in ["", "abc", "+0abcdef01234567", "00abcdef012345678"] {
            assert_eq!(wrong.parse::<CommandId>(), Err(CommandIdError), "{wrong}");
        }
    }
}
