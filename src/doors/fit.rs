//! What the sessions of a door are given: made anew when the settings change, for the sessions
//! that begin from then on. Who is inside keeps what it was told.

use std::{net::IpAddr, sync::Arc, time::Duration};

use actors::{
    facts::AccountFacts,
    session::{
        imap::ImapSessionArgs,
        pop3::Pop3SessionArgs,
        smtp::{Admission, SmtpSessionArgs},
    },
};
use mail::Network;
use policy::admit;
use smtp::Mechanism;
use supervision::Budget;
use world::connection::Options;

use crate::{
    config::{Config, Protocol},
    daemon::Parts,
    tree::Seats,
};

/// What sessions are given: with TLS before every password, and without, for trusted networks.
pub(super) struct Fit<A> {
    strict: Arc<A>,
    easy: Arc<A>,
    trusting: Vec<Network>,
}

impl<A> Fit<A> {
    fn new(config: &Config, make: impl Fn(bool) -> A) -> Self {
        Self {
            strict: Arc::new(make(false)),
            easy: Arc::new(make(true)),
            trusting: config.login_without_tls.clone(),
        }
    }

    /// For a client at that address.
    pub(super) fn choose(&self, client: IpAddr) -> Arc<A> {
        let is_trusted = |network: &Network| network.contains(client);
        let is_easy = self.trusting.iter().any(is_trusted);
        Arc::clone(if is_easy { &self.easy } else { &self.strict })
    }
}

/// The limits of the connections that begin from now on.
pub(super) fn options(parts: &Parts, protocol: Protocol) -> Options {
    let silence = parts.config.get().limits.silence;
    let idle = match protocol {
        Protocol::Imap | Protocol::Imaps => silence.imap_seconds,
        Protocol::Pop3 | Protocol::Pop3s => silence.pop3_seconds,
        _ => silence.smtp_seconds,
    };
    let tls = Option::clone(&parts.server_tls.get());
    Options {
        idle: Duration::from_secs(idle),
        tls: tls.filter(|_| protocol.is_tls_first()),
        ..Options::default()
    }
}

pub(super) fn imap(
    parts: &Parts,
    seats: &Seats,
    budget: &Budget,
    protocol: Protocol,
) -> Fit<ImapSessionArgs> {
    let (settings, tls) = (parts.config.get(), parts.server_tls.get());
    let limits = imap::Limits {
        append_octets: settings.limits.message_octets_max,
        ..imap::Limits::default()
    };
    Fit::new(&settings, |plaintext_login| ImapSessionArgs {
        budget: budget.clone(),
        clock: parts.clock.clone(),
        config: Arc::new(imap::Config {
            host: settings.hostname.to_string().into(),
            starttls: tls.is_some(),
            plaintext_login,
            limits,
        }),
        login: seats.login.clone(),
        mail: parts.mail.clone(),
        mailboxes: seats.mailboxes.clone(),
        refused: seats.refused.clone(),
        tls: Option::clone(&tls),
        tls_from_start: protocol.is_tls_first(),
    })
}

pub(super) fn pop3(parts: &Parts, seats: &Seats, protocol: Protocol) -> Fit<Pop3SessionArgs> {
    let (settings, tls) = (parts.config.get(), parts.server_tls.get());
    Fit::new(&settings, |plaintext_auth_allowed| Pop3SessionArgs {
        config: Arc::new(pop3::Config {
            tls_offered: tls.is_some(),
            tls_active: protocol.is_tls_first(),
            plaintext_auth_allowed,
            ..pop3::Config::new(settings.hostname.to_string())
        }),
        login: seats.login.clone(),
        mail: parts.mail.clone(),
        mailboxes: seats.mailboxes.clone(),
        refused: seats.refused.clone(),
        tls: Option::clone(&tls),
    })
}

pub(super) fn smtp(
    parts: &Parts,
    seats: &Seats,
    budget: &Budget,
    protocol: Protocol,
) -> Fit<SmtpSessionArgs> {
    let (settings, tls) = (parts.config.get(), parts.server_tls.get());
    let (dialogue, door) = match protocol {
        Protocol::Lmtp => (smtp::Family::Lmtp, admit::Door::Lmtp),
        Protocol::Submission | Protocol::Submissions => {
            (smtp::Family::Submission, admit::Door::Submission)
        }
        _ => (smtp::Family::Smtp, admit::Door::Smtp),
    };
    Fit::new(&settings, |plaintext_auth_allowed| {
        let mut config = smtp::server::Config::new(settings.hostname.clone(), dialogue);
        config.size_max = settings.limits.message_octets_max;
        config.recipients_max = settings.limits.recipients_max;
        config.tls_offered = tls.is_some();
        config.tls_active = protocol.is_tls_first();
        config.plaintext_auth_allowed = plaintext_auth_allowed;
        if dialogue != smtp::Family::Lmtp {
            config.mechanisms = vec![Mechanism::Plain, Mechanism::Login];
        }
        SmtpSessionArgs {
            admission: Admission {
                facts: AccountFacts(parts.accounts.clone()),
                door,
                rules: settings.address.clone(),
                trusted: settings.trusted.clone(),
            },
            budget: budget.clone(),
            clock: parts.clock.clone(),
            config: Arc::new(config),
            leases: parts.leases.clone(),
            login: seats.login.clone(),
            mail: parts.mail.clone(),
            mailboxes: seats.mailboxes.clone(),
            random: parts.random.clone(),
            refused: seats.refused.clone(),
            router: seats.router.clone(),
            spool: parts.spool.clone(),
            tls: Option::clone(&tls),
        }
    })
}
