//! What a domain queue hears.

use mail::{Domain, MessageId, Outcome, Reply, Time};
use ractor::RpcReplyPort;
use serde::Serialize;

/// Everything the queue of one outbound domain can be told. Ids only: bodies stay in the spool.
#[derive(Debug)]
pub enum QueueMsg {
    /// From the router: `recipient` of the message `id` is to go to this domain. A hint: the
    /// spool's due rows are the truth.
    Enqueue {
        /// The message in the spool.
        id: MessageId,
        /// The recipient's number in its envelope.
        recipient: u32,
        /// When it was accepted.
        arrived: Time,
        /// When it is due.
        due: Time,
        /// How many attempts have ended.
        attempts: u32,
    },
    /// From an operator: try everything (or this message) now.
    Flush(Option<MessageId>),
    /// From a delivery: it is gone, whatever it had not settled is free again.
    Gone {
        /// The attempt's number.
        attempt: u64,
        /// Why it never had a connection, if it never had one.
        unreachable: Option<Reply>,
    },
    /// From its family: nobody has said anything for a while.
    Idle,
    /// From an operator: how are you?
    Inspect(RpcReplyPort<QueueReport>),
    /// From a delivery: it takes its leave. What it was handed and has not begun with is free again.
    Leave(u64),
    /// From the router: the spool may have what a lost hint did not tell.
    Look,
    /// From a delivery whose connection stands: what is next? The answer may take as long as the
    /// delivery waits for it; whoever does not wait any more gets nothing and loses nothing.
    More {
        /// The attempt's number.
        attempt: u64,
        /// Whether it waits if there is nothing now.
        may_wait: bool,
        /// The next message with its recipients, or nothing: then it is to leave.
        reply: RpcReplyPort<Option<Load>>,
    },
    /// From itself: the store has recorded a settlement.
    Recorded {
        /// The message.
        id: MessageId,
        /// The recipients settled.
        recipients: Vec<u32>,
        /// Whether the store took it.
        stored: bool,
    },
    /// From a delivery: attempts at recipients of `id` have ended.
    Settle {
        /// The attempt's number.
        attempt: u64,
        /// The message.
        id: MessageId,
        /// How each recipient's attempt ended.
        outcomes: Vec<(u32, Outcome)>,
        /// Answered when it need not be said again: the store has it. Dropped with a queue that has
        /// died over it: its successor is to be told.
        recorded: RpcReplyPort<()>,
    },
    /// From the clock, or from itself: something may be due.
    Wake,
}

/// A message, and the numbers of the recipients that it is to be carried to.
pub type Load = (MessageId, Vec<u32>);

/// How a domain queue is: the answer to "why does it not move?".
#[derive(Clone, Debug, Serialize)]
pub struct QueueReport {
    /// The domain.
    pub domain: Domain,
    /// Recipients that wait for their time or for a connection, in memory.
    pub waiting: usize,
    /// Recipients that are being tried.
    pub in_flight: usize,
    /// Deliveries that are there, and thus connections at most.
    pub deliveries: usize,
    /// Those that wait with their connections for something to carry.
    pub idle: usize,
    /// When the next attempt is due.
    pub next_due: Option<Time>,
    /// How the last attempt ended, in words.
    pub last: Option<String>,
    /// Why nothing is being tried, if nothing is.
    pub held: Option<String>,
}
