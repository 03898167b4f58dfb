//! What a mail transaction consists of: the protocols' family, `MAIL` and `RCPT`.

use mail::{Address, BodyType, Notify, Ret};

/// Which of the three dialogues is spoken.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Family {
    /// Between a queue and a store: one answer for each recipient (RFC 2033).
    Lmtp,
    /// Between mail servers (RFC 5321).
    Smtp,
    /// From a person's client to its own server (RFC 6409).
    Submission,
}

/// A mechanism of AUTH (RFC 4954).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Mechanism {
    /// User name and password, each asked for. Never standardised, asked for everywhere.
    Login,
    /// User name and password in one message (RFC 4616).
    Plain,
}

/// What `MAIL` says.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Mail {
    /// The reverse-path; `None` is `<>` (RFC 5321 §4.5.5).
    pub from: Option<Address>,
    /// The message's length in octets as the client knows it (RFC 1870 §5).
    pub size: Option<u64>,
    /// The content's type (RFC 6152 §2).
    pub body: BodyType,
    /// How much of the message a failure report returns (RFC 3461 §4.3).
    pub ret: Option<Ret>,
    /// The sender's name for the envelope, decoded: 1 to 100 printable characters
    /// (RFC 3461 §4.4).
    pub envid: Option<String>,
    /// Who submitted the message first, decoded; `<>` if that is not known (RFC 4954 §5).
    pub submitter: Option<String>,
}

/// What `RCPT` says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rcpt {
    /// The forward-path, without a source route.
    pub to: Address,
    /// When the sender wants to hear about this recipient (RFC 3461 §4.1).
    pub notify: Notify,
    /// The recipient as the sender first wrote it (RFC 3461 §4.2).
    pub original: Option<OriginalRecipient>,
}

/// An address of any kind of mail (RFC 3461 §4.2).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OriginalRecipient {
    /// The kind, mostly `rfc822`.
    pub kind: String,
    /// The address, decoded.
    pub address: String,
}

impl Mechanism {
    /// Its registered name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Login => "LOGIN",
            Self::Plain => "PLAIN",
        }
    }
}

impl Mail {
    /// The `MAIL` of that reverse-path without any parameters.
    #[must_use]
    pub fn new(from: Option<Address>) -> Self {
        Self {
            from,
            ..Self::default()
        }
    }
}

impl Rcpt {
    /// The `RCPT` of that forward-path without any parameters.
    #[must_use]
    pub const fn new(to: Address) -> Self {
        Self {
            to,
            notify: Notify::UNSAID,
            original: None,
        }
    }

    /// The original recipient, where it is an address of Internet mail.
    #[must_use]
    pub fn original_address(&self) -> Option<Address> {
        let original = self.original.as_ref()?;
        original
            .kind
            .eq_ignore_ascii_case("rfc822")
            .then(|| original.address.parse().ok())?
    }
}
