//! Questions to the DNS and what comes back.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    pin::Pin,
    time::Duration,
};

use mail::Domain;

/// Asks the DNS.
pub trait Dns: fmt::Debug + Send + Sync {
    /// Asks once; the answer comes within the limits of the implementation, or is
    /// [`Missing::Trouble`].
    fn ask(&self, question: Question) -> Asking<'_>;
}

/// An answer that is on its way.
pub type Asking<'a> = Pin<Box<dyn Future<Output = Result<Found, Missing>> + Send + 'a>>;

/// What is asked.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Question {
    /// Where a domain's mail goes (RFC 5321 §5.1).
    Mx(Domain),
    /// The name of an address (RFC 1035 §3.5, RFC 3596 §2.5).
    Ptr(IpAddr),
    /// The texts of a name.
    Txt(Domain),
    /// The IPv4 addresses of a name.
    V4(Domain),
    /// The IPv6 addresses of a name.
    V6(Domain),
}

/// What was found: at least one record, all of the kind that was asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    /// The records.
    pub records: Records,
    /// How long they are true: the least of the answer and the aliases on the way to it.
    pub ttl: Duration,
}

/// Records of one kind.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Records {
    /// Mail exchangers, as they came.
    Mx(Vec<MxRecord>),
    /// Names.
    Ptr(Vec<Domain>),
    /// Texts, the strings of each joined (RFC 7208 §3.3).
    Txt(Vec<String>),
    /// IPv4 addresses.
    V4(Vec<Ipv4Addr>),
    /// IPv6 addresses.
    V6(Vec<Ipv6Addr>),
}

/// One mail exchanger.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MxRecord {
    /// The lower, the sooner.
    pub preference: u16,
    /// The host; `None` is the root, `.`: the domain takes no mail (RFC 7505 §3).
    pub host: Option<Domain>,
}

/// Why there is nothing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Missing {
    /// The name exists and has no records of this kind (RFC 2308 §2.2).
    #[error("no such records")]
    NoData {
        /// How long that is true (RFC 2308 §5); `None` when the answer did not say.
        ttl: Option<Duration>,
    },
    /// The name does not exist (RFC 2308 §2.1), nor any below it (RFC 8020 §2).
    #[error("no such name")]
    NoName {
        /// How long that is true (RFC 2308 §5); `None` when the answer did not say.
        ttl: Option<Duration>,
    },
    /// Nobody knows: it says nothing about the name.
    #[error(transparent)]
    Trouble(#[from] Trouble),
}

/// Why the DNS did not answer.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Trouble {
    /// Too many questions are on their way already. Fault of our load.
    #[error("too many questions at once")]
    Busy,
    /// The answer cannot be read, or holds nothing of use. Fault of the zone's operator.
    #[error("an answer of no use")]
    Malformed,
    /// The server says that it failed or will not say (SERVFAIL, REFUSED). Fault of a server.
    #[error("the DNS server failed")]
    Server,
    /// No server answered in time. Fault of a server or of the network.
    #[error("no DNS server answered in time")]
    TimedOut,
    /// No server can be reached. Fault of the network, or of the operator.
    #[error("no DNS server can be reached")]
    Unreachable,
}

impl Question {
    /// The kind of records, as the label `kind` of metrics.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Mx(_) => "mx",
            Self::Ptr(_) => "ptr",
            Self::Txt(_) => "txt",
            Self::V4(_) => "a",
            Self::V6(_) => "aaaa",
        }
    }

    /// The name that is asked about; `None` for an address.
    #[must_use]
    pub const fn name(&self) -> Option<&Domain> {
        match self {
            Self::Mx(name) | Self::Txt(name) | Self::V4(name) | Self::V6(name) => Some(name),
            Self::Ptr(_) => None,
        }
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ptr(address) => write!(f, "{} {address}", self.kind()),
            Self::Mx(name) | Self::Txt(name) | Self::V4(name) | Self::V6(name) => {
                write!(f, "{} {name}", self.kind())
            }
        }
    }
}
