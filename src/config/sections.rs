//! What an operator may set.

use std::path::PathBuf;

use mail::{Domain, Network};
use serde::{Deserialize, Serialize};

use super::{Listener, defaults};

/// Everything that an operator may set. `docs/heronry.example.toml` has every section.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The name by which this system knows itself: in greetings, in trace headers, as the sender
    /// of reports.
    pub hostname: Domain,
    /// Where everything is kept that must survive a restart.
    pub data: PathBuf,
    /// Domains that are added at the start if they are not there; more with `heronry domain add`.
    pub domains: Vec<Domain>,
    /// Clients that may send to other systems without logging in.
    pub trusted: Vec<Network>,
    /// Clients that may log in without TLS.
    pub login_without_tls: Vec<Network>,
    /// The doors.
    pub listener: Vec<Listener>,
    /// Next hops of single domains.
    pub route: Vec<actors::delivery::StaticRoute>,
    /// How addresses are understood.
    pub address: policy::route::Rules,
    /// How mail is brought to other systems.
    pub delivery: actors::delivery::Config,
    /// Where names are asked for.
    pub dns: actors::resolver::Config,
    /// How much is taken.
    pub limits: Limits,
    /// What is logged.
    pub log: Log,
    /// How passwords are checked.
    pub login: actors::login::Config,
    /// When mail for other systems is tried, and tried again.
    pub queue: actors::queue::Config,
    /// How the house closes.
    pub stop: Stop,
    /// How everything is kept.
    pub store: store::Config,
    /// What this system shows as itself.
    pub tls: Tls,
}

/// The section `[limits]`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The largest message, in octets (RFC 1870 §3).
    pub message_octets_max: u64,
    /// The most recipients of one transaction (RFC 5321 §4.5.3.1.8: 100 at least).
    pub recipients_max: usize,
    /// How many octets of mail may be in memory at a time, on their way to the disk.
    pub memory_octets: u64,
    /// How many connections each door takes.
    pub connections: policy::shape::Limits,
    /// How long clients may say nothing.
    pub silence: Silence,
}

/// The section `[limits.silence]`: after how many seconds without a word a client is sent away.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Silence {
    /// IMAP, also while it idles (RFC 3501 §5.4: 30 minutes at least).
    pub imap_seconds: u64,
    /// POP3 (RFC 1939 §3: 10 minutes at least).
    pub pop3_seconds: u64,
    /// SMTP, submission and LMTP (RFC 5321 §4.5.3.2.7: 5 minutes at least).
    pub smtp_seconds: u64,
}

/// The section `[log]`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// A level, or levels by room: `info,heronry_store=debug`.
    pub filter: String,
    /// How a line looks.
    pub format: LogFormat,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// The section `[stop]`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Stop {
    /// How long an orderly stop may take. Three quarters of it are for transactions under way, the
    /// rest is for the store.
    pub seconds: u64,
}

/// The section `[tls]`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// The certificate chain, PEM.
    pub certificate: Option<PathBuf>,
    /// Its private key, PEM.
    pub key: Option<PathBuf>,
    /// Whether a certificate is made in the data folder if none is given; no client has a reason
    /// to trust it.
    pub self_signed: bool,
}

impl Config {
    /// The store's own settings, in the data folder.
    #[must_use]
    pub fn store(&self) -> store::Config {
        store::Config {
            folder: self.data.clone(),
            ..self.store.clone()
        }
    }

    /// Whether nothing leads out: mail for other systems waits in its queue.
    #[must_use]
    pub fn holds_remote_mail(&self) -> bool {
        !self.delivery.dns && self.delivery.relay.is_none() && self.route.is_empty()
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            hostname: defaults::hostname(),
            data: defaults::DATA.into(),
            domains: Vec::new(),
            trusted: Vec::new(),
            login_without_tls: Vec::new(),
            listener: Vec::new(),
            route: Vec::new(),
            address: Default::default(),
            delivery: Default::default(),
            dns: Default::default(),
            limits: Limits::default(),
            log: Log::default(),
            login: Default::default(),
            queue: Default::default(),
            stop: Stop::default(),
            store: Default::default(),
            tls: Tls::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_octets_max: defaults::MESSAGE_OCTETS_MAX,
            recipients_max: defaults::RECIPIENTS_MAX,
            memory_octets: defaults::MEMORY_OCTETS,
            connections: Default::default(),
            silence: Silence::default(),
        }
    }
}

impl Default for Silence {
    fn default() -> Self {
        Self {
            imap_seconds: defaults::IMAP_SILENCE_SECONDS,
            pop3_seconds: defaults::POP3_SILENCE_SECONDS,
            smtp_seconds: defaults::SMTP_SILENCE_SECONDS,
        }
    }
}

impl Default for Stop {
    fn default() -> Self {
        Self {
            seconds: defaults::STOP_SECONDS,
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            filter: defaults::LOG_FILTER.to_owned(),
            format: LogFormat::Auto,
        }
    }
}
