//! What the resolver hears: one actor that asks the DNS for the whole house.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use mail::{Domain, Enhanced, Outcome, Reply};
use policy::mx::Mx;
use ractor::RpcReplyPort;
use serde::Serialize;
use world::dns::{Found, Missing, Question, Trouble};

/// Everything the resolver can be told.
///
/// A question is answered within [`ResolverMsg::ANSWER_SECONDS_MAX`] seconds; an answer that was
/// kept comes at once.
#[derive(Debug)]
pub enum ResolverMsg {
    /// From a delivery: at which addresses is this host? At least one is in the answer.
    Addresses(Domain, RpcReplyPort<Resolved<Addresses>>),
    /// From the world: this is what came of a question.
    Answered(Question, Result<Found, Missing>),
    /// From an operator: forget this name, or everything.
    Forget(Option<Domain>),
    /// From an operator: how are you?
    Inspect(RpcReplyPort<ResolverReport>),
    /// From a delivery: where does this domain's mail go? No record at all is an empty answer:
    /// the domain is its own host (RFC 5321 §5.1). [`policy::mx::hosts`] makes a list to try of it.
    Mx(Domain, RpcReplyPort<Resolved<Vec<Mx>>>),
    /// From a session: what are the names of this address? They are claims of its owner.
    Names(IpAddr, RpcReplyPort<Resolved<Arc<[Domain]>>>),
    /// From a policy: which texts has this name? No record at all is an empty answer.
    Texts(Domain, RpcReplyPort<Resolved<Arc<[String]>>>),
}

/// What came of a question.
pub type Resolved<T> = Result<T, Unresolved>;

/// The addresses of a host, in the order of the answers; [`policy::mx::addresses`] puts them in
/// the order of trying.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Addresses {
    /// IPv4.
    pub v4: Vec<Ipv4Addr>,
    /// IPv6.
    pub v6: Vec<Ipv6Addr>,
}

/// Why a question has no answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unresolved {
    /// The host exists and has no address. Fault of its operator.
    #[error("the host has no address")]
    NoAddress,
    /// There is no such name. Fault of whoever wrote it.
    #[error("no such name")]
    NoName,
    /// Nobody knows at the moment. Fault of a DNS server, of the network, or of our load.
    #[error(transparent)]
    Trouble(#[from] Trouble),
}

/// How the resolver is.
#[derive(Clone, Debug, Serialize)]
pub struct ResolverReport {
    /// Answers that are kept.
    pub kept: usize,
    /// How many may be kept.
    pub kept_max: usize,
    /// Questions on their way.
    pub asking: usize,
    /// Questions that were answered from what is kept, since the start.
    pub from_memory: u64,
    /// Questions that went to a server, since the start.
    pub asked: u64,
    /// Answers past their time that were given because no server answered (RFC 8767), since the
    /// start.
    pub stale: u64,
    /// Questions that no server answered, since the start.
    pub troubles: u64,
}

impl ResolverMsg {
    /// The limit to call with, in seconds: a little more than the resolver itself waits.
    pub const ANSWER_SECONDS_MAX: u64 = 25;
}

impl Unresolved {
    /// What it means for the recipients at `domain`.
    ///
    /// A host without address defers: the record may be on its way into the DNS.
    #[must_use]
    pub fn outcome(self, domain: &Domain) -> Outcome {
        match self {
            Self::NoAddress => Outcome::Defer(Reply::new(
                451,
                Enhanced(4, 4, 4),
                format!("no host for {domain} has an address"),
            )),
            // RFC 3463 §3.2: bad destination system address
            Self::NoName => Outcome::Fail(Reply::new(
                550,
                Enhanced(5, 1, 2),
                format!("the domain {domain} does not exist"),
            )),
            // RFC 3463 §3.5: directory server failure
            Self::Trouble(trouble) => Outcome::Defer(Reply::new(
                451,
                Enhanced(4, 4, 3),
                format!("looking up {domain}: {trouble}"),
            )),
        }
    }
}
