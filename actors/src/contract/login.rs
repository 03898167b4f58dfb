//! What the login room hears: it says whether a password is right, and its workers compute.

use std::net::IpAddr;

use mail::{AccountId, Address, Credentials, Secret};
use ractor::RpcReplyPort;
use serde::Serialize;

/// Everything the login room can be told.
#[derive(Debug)]
pub enum LoginMsg {
    /// From a worker: a hash has been computed.
    Checked(Checked),
    /// From an operator: how are you?
    Inspect(RpcReplyPort<LoginReport>),
    /// From the clock: refusals that were held back may be due.
    Wake,
    /// From a session: is that the password of that account? Call it with a limit of
    /// [`LoginMsg::ANSWER_SECONDS_MAX`]; an answer that does not come is [`LoginVerdict::Busy`].
    Verify(LoginRequest, RpcReplyPort<LoginVerdict>),
}

/// Everything a worker of the login room can be told. It does one thing at a time.
#[derive(Debug)]
pub enum HashMsg {
    /// From the login room: is this the password? Answered by [`LoginMsg::Checked`].
    Check {
        /// The request that it belongs to.
        request: u64,
        /// What the store has.
        hash: String,
        /// What the client gave.
        password: Secret,
    },
}

/// Who wants in, and from where.
#[derive(Debug)]
pub struct LoginRequest {
    /// The user is an address, or a local part alone, which is looked for in the first domain
    /// of the house. Nobody may act as somebody else: a differing `authzid` is refused.
    pub credentials: Credentials,
    /// The client's address: failures slow its network down.
    pub client: IpAddr,
}

/// What a session may tell its client.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LoginVerdict {
    /// Too many wait for an answer, or the store cannot be read: try again later
    /// (`454 4.7.0`, `NO [UNAVAILABLE]`, `-ERR [SYS/TEMP]`).
    Busy,
    /// Name or password are wrong; which of them is not said (`535 5.7.8`,
    /// `NO [AUTHENTICATIONFAILED]`, `-ERR [AUTH]`). Comes late, and later after each failure.
    Refused,
    /// Welcome.
    Welcome(Identity),
}

/// Who has logged in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identity {
    /// The account.
    pub account: AccountId,
    /// Its address as the house writes it.
    pub address: Address,
}

/// A hash that a worker has computed.
#[derive(Clone, Copy, Debug)]
pub struct Checked {
    /// The worker's number.
    pub worker: usize,
    /// Which request it belongs to.
    pub request: u64,
    /// Whether the password was right.
    pub matches: bool,
}

/// How the login room is.
#[derive(Clone, Debug, Serialize)]
pub struct LoginReport {
    /// Requests whose hash is being computed or waits for a worker.
    pub computing: usize,
    /// Refusals that are held back.
    pub held_back: usize,
    /// Logins that need no hash, because they were right a short while ago.
    pub remembered: usize,
    /// Networks and accounts with recent failures.
    pub slowed_down: usize,
}

impl LoginMsg {
    /// Longest time after which [`LoginMsg::Verify`] is answered, in seconds.
    pub const ANSWER_SECONDS_MAX: u64 = 30;
}
