//! A door: which protocol is spoken at which address.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// One `[[listener]]`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// What is spoken.
    pub protocol: Protocol,
    /// Where: an IP address and a port. `0.0.0.0` stands for every IPv4 address of this machine,
    /// `[::]` for every IPv6 address; for both there are two listeners.
    pub address: SocketAddr,
}

/// What is spoken at a door.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Health and metrics, for machines that are trusted to see them.
    Http,
    /// IMAP, TLS by STARTTLS (RFC 3501 §6.2.1).
    Imap,
    /// IMAP under TLS from the first octet (RFC 8314 §3.2).
    Imaps,
    /// LMTP: mail for our mailboxes from a neighbour (RFC 2033).
    Lmtp,
    /// POP3, TLS by STLS (RFC 2595 §4).
    Pop3,
    /// POP3 under TLS from the first octet (RFC 8314 §3.2).
    Pop3s,
    /// Mail from other systems (RFC 5321).
    Smtp,
    /// Mail from our users (RFC 6409).
    Submission,
    /// The same under TLS from the first octet (RFC 8314 §3.3).
    Submissions,
}

impl Protocol {
    /// Every protocol, in the order in which the demo names them.
    pub const ALL: [Self; 9] = [
        Self::Smtp,
        Self::Lmtp,
        Self::Submission,
        Self::Submissions,
        Self::Imap,
        Self::Imaps,
        Self::Pop3,
        Self::Pop3s,
        Self::Http,
    ];

    /// The port that belongs to it.
    #[must_use]
    pub const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Imap => 143,
            Self::Imaps => 993,
            Self::Lmtp => 24,
            Self::Pop3 => 110,
            Self::Pop3s => 995,
            Self::Smtp => 25,
            Self::Submission => 587,
            Self::Submissions => 465,
        }
    }

    /// Its name, as the configuration writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Imap => "imap",
            Self::Imaps => "imaps",
            Self::Lmtp => "lmtp",
            Self::Pop3 => "pop3",
            Self::Pop3s => "pop3s",
            Self::Smtp => "smtp",
            Self::Submission => "submission",
            Self::Submissions => "submissions",
        }
    }

    /// Whether TLS comes before the first octet.
    #[must_use]
    pub const fn is_tls_first(self) -> bool {
        matches!(self, Self::Imaps | Self::Pop3s | Self::Submissions)
    }
}
