//! What a session hears: an actor per connection of a client.

use mail::{MailboxId, ModSeq};
use world::connection::Event;

/// Everything a session can be told.
#[derive(Debug)]
pub enum SessionMsg {
    /// From the listener, or from itself when it goes on after a crash: say what is to be said
    /// first.
    Begin,
    /// From a mailbox: that mailbox has changed up to that MODSEQ.
    Changed(MailboxId, ModSeq),
    /// From the house: it is closing; say goodbye, unless a transaction is under way. It is said
    /// again and again until the client has left.
    Closing,
    /// From the connection: something happened on the socket.
    Connection(Event),
    /// From its family, if its members sleep: nobody has said anything for a while.
    Idle,
}
