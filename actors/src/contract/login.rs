//! What the login room hears: it says whether a password is right.

use std::{fmt, net::IpAddr};

use mail::{AccountId, Address};
use ractor::RpcReplyPort;
use serde::Serialize;
use zeroize::Zeroizing;

/// Everything the login room can be told.
#[derive(Debug)]
pub enum LoginMsg {
    /// From its workers: a hash has been computed.
    Checked(Checked),
    /// From an operator: how are you?
    Inspect(RpcReplyPort<LoginReport>),
    /// From the clock: refusals that were held back may be due.
    Wake,
    /// From a session: is that the password of that account? Call it with a limit of
    /// [`LoginMsg::ANSWER_SECONDS_MAX`]; an answer that does not come is [`LoginVerdict::Busy`].
    Verify(LoginRequest, RpcReplyPort<LoginVerdict>),
}

/// A name, a password, and where they come from.
#[derive(Debug)]
pub struct LoginRequest {
    /// An address, or a local part alone, which is looked for in the first domain of the house.
    pub user: String,
    /// What the client says the password is.
    pub password: Password,
    /// The client's address: failures slow its network down.
    pub client: IpAddr,
}

/// A password in clear: erased when dropped, never shown.
#[derive(Clone, Eq, PartialEq)]
pub struct Password(Zeroizing<Vec<u8>>);

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
#[derive(Debug)]
pub struct Checked {
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

impl Password {
    /// Takes the octets over; the caller's copy, if there is one, is the caller's to erase.
    #[must_use]
    pub fn new(octets: Vec<u8>) -> Self {
        Self(Zeroizing::new(octets))
    }

    /// The octets, for whoever computes with them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}
