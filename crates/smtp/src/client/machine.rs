//! The client's machine: what is said, when, and what the peer's answers mean.

use std::collections::VecDeque;

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use mail::{BodyType, Credentials, Enhanced, Outcome, Reply};

use crate::{Family, Mail, Rcpt};

use super::{
    capabilities::Capabilities,
    chunks::Chunks,
    config::{Config, Tls},
    message::Content,
    reader::Reader,
    report::{Report, Settled, Stage, Unchunked},
    transaction::{Next, Transaction, is_yes},
};

/// What the owner of the socket must do next.
#[must_use = "a step that is not carried out stalls the session"]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    /// Give the next piece of the message to [`Client::body`], or call [`Client::end_body`].
    Body,
    /// Close the connection. If the session ended before its time, this is how: it holds for
    /// whatever else was to be sent over it.
    Close(Option<Settled>),
    /// Wait for the peer, [`Stage::time_limit`] at most, then call [`Client::feed`].
    Read,
    /// Nothing is under way: call [`Client::begin`] or [`Client::quit`].
    Ready,
    /// The transaction has ended.
    Report(Report),
    /// Send these octets.
    Send(Bytes),
    /// Shake hands (RFC 3207 §4), then call [`Client::tls_started`]; if that fails,
    /// [`Client::lost`], and try again with [`Tls::Never`] if the policy allows it.
    StartTls,
}

/// One connection to a peer; its owner has the socket.
#[derive(Clone, Debug)]
pub struct Client {
    pub(super) config: Config,
    capabilities: Capabilities,
    pub(super) reader: Reader,
    /// What is to be sent before [`Client::out`].
    pub(super) ready: VecDeque<Bytes>,
    pub(super) out: Vec<u8>,
    pub(super) phase: Phase,
    pub(super) report: Option<Report>,
    tls: bool,
    /// Whether the peer still holds a transaction that went nowhere.
    pub(super) stale: bool,
    /// Whether the peer has taken a chunk: it knows them.
    pub(super) takes_chunks: bool,
}

/// What the machine is waiting for.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    Auth,
    Banner,
    Body(Transaction, Content),
    Closing(Option<Settled>),
    /// The end of an empty message that nobody will get (RFC 2920 §3.1).
    Emptied,
    /// The replies to the whole message.
    End(Transaction),
    Envelope(Transaction),
    Handshake,
    Hello {
        extended: bool,
    },
    Quit,
    Ready,
    StartTls,
}

impl Client {
    /// A connection that has just been made; the peer speaks first.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            tls: config.tls_active,
            config,
            capabilities: Capabilities::default(),
            reader: Reader::default(),
            ready: VecDeque::new(),
            out: Vec::new(),
            phase: Phase::Banner,
            report: None,
            stale: false,
            takes_chunks: false,
        }
    }

    /// Hears what arrived.
    pub fn feed(&mut self, octets: Bytes) {
        match self.phase {
            Phase::Closing(_) => {}
            Phase::Handshake => self.fail(Stage::StartTls, injected()),
            _ => self.reader.push(octets),
        }
    }

    /// What must happen next.
    pub fn step(&mut self) -> Step {
        loop {
            if let Some(octets) = self.ready.pop_front() {
                return Step::Send(octets);
            }
            // Both never wait for each other to read (RFC 2920 §3.1).
            if let Phase::Body(transaction, _) = &self.phase
                && self.out.len() < OUTPUT_OCTETS_HIGH
                && transaction.chunks < CHUNKS_AWAITED_MAX
            {
                return Step::Body;
            }
            if !self.out.is_empty() {
                return Step::Send(std::mem::take(&mut self.out).into());
            }
            if let Some(report) = self.report.take() {
                return Step::Report(report);
            }
            match &self.phase {
                Phase::Closing(settled) => return Step::Close(settled.clone()),
                Phase::Handshake => return Step::StartTls,
                _ => {}
            }
            match self.reader.next() {
                Ok(Some(reply)) => self.hear(reply),
                Ok(None) if matches!(self.phase, Phase::Ready) => return Step::Ready,
                Ok(None) => return Step::Read,
                Err(error) => {
                    let reply = Reply::new(451, Enhanced(4, 5, 0), error.to_string());
                    self.fail(self.stage(), Outcome::Defer(reply));
                }
            }
        }
    }

    /// Begins a transaction. A message that the peer has declared too long is not sent at all, and
    /// neither is one of octets that are no lines: as such it could go in chunks only, to a peer that
    /// offers BINARYMIME, and this client neither asks for that nor converts (RFC 3030 §3).
    ///
    /// # Panics
    /// If the last step was not [`Step::Ready`], or there are no recipients.
    pub fn begin(&mut self, mail: Mail, recipients: Vec<Rcpt>) {
        assert!(
            matches!(self.phase, Phase::Ready),
            "a transaction begins when the last has ended"
        );
        assert!(!recipients.is_empty(), "a message is for somebody");
        let is_chunked = self.capabilities.chunking
            && self.config.chunking
            // In LMTP nobody knows how many replies follow a message for nobody.
            && self.config.family != Family::Lmtp;
        let mut transaction = Transaction::new(mail, recipients, (self.stale, is_chunked));
        if let Some(reply) = self.why_not(&transaction.mail) {
            transaction.settle_all(Stage::Mail, &Outcome::Fail(reply.clone()));
            self.report = Some(transaction.report(Stage::Mail, &reply));
            return;
        }
        self.stale = false;
        transaction.write_group(&self.capabilities, &mut self.out);
        self.phase = match transaction.is_eager(&self.capabilities) {
            true => Phase::Body(transaction, Content::Chunks(Chunks::new())),
            false => Phase::Envelope(transaction),
        };
    }

    /// Why a message is not sent at all.
    fn why_not(&self, mail: &Mail) -> Option<Reply> {
        let size_max = self.capabilities.size_max.unwrap_or(u64::MAX);
        if mail.size.is_some_and(|size| size > size_max) {
            // RFC 1870 §6.2.
            let text = format!("the peer takes no message longer than {size_max} octets");
            return Some(Reply::new(552, Enhanced(5, 3, 4), text));
        }
        // RFC 3463 §3.7: conversion required but not supported.
        let text = "a binary message, which cannot be converted";
        let is_binary = mail.body == BodyType::BinaryMime;
        is_binary.then(|| Reply::new(554, Enhanced(5, 6, 3), text))
    }

    /// The handshake is done: forgets what the peer offered before it (RFC 3207 §4.2).
    pub fn tls_started(&mut self) {
        if matches!(self.phase, Phase::Handshake) {
            self.tls = true;
            self.capabilities = Capabilities::default();
            self.reader = Reader::default();
            self.say_hello(true);
        }
    }

    /// Takes leave. At any other time than [`Step::Ready`] the transaction is given up first, as
    /// by [`Client::give_up`].
    pub fn quit(&mut self) {
        match self.phase {
            Phase::Ready => {
                self.out.extend_from_slice(b"QUIT\r\n");
                self.phase = Phase::Quit;
            }
            Phase::Closing(_) | Phase::Quit => {}
            _ => self.give_up(Reply::new(451, Enhanced(4, 3, 2), "given up")),
        }
    }

    /// How far the session has come: what a time-out or a loss would belong to.
    #[must_use]
    pub fn stage(&self) -> Stage {
        match &self.phase {
            Phase::Auth => Stage::Auth,
            Phase::Banner => Stage::Banner,
            Phase::Body(..) => Stage::Body,
            Phase::Closing(_) | Phase::Quit => Stage::Quit,
            Phase::Emptied | Phase::Ready => Stage::Idle,
            Phase::End(_) => Stage::End,
            // The message is on its way with its envelope: the peer may have it.
            Phase::Envelope(transaction) if transaction.chunks > 0 => Stage::End,
            Phase::Envelope(transaction) => stage_of(transaction.awaited()),
            Phase::Handshake | Phase::StartTls => Stage::StartTls,
            Phase::Hello { .. } => Stage::Hello,
        }
    }

    /// Whether TLS is active.
    #[must_use]
    pub const fn tls_active(&self) -> bool {
        self.tls
    }

    /// Whether the peer offers DSN: if not, it is on us to send the reports (RFC 3461 §6.2.1).
    #[must_use]
    pub const fn offers_dsn(&self) -> bool {
        self.capabilities.dsn
    }

    pub(super) fn hear(&mut self, reply: Reply) {
        let stage = match &self.phase {
            Phase::Envelope(transaction) => stage_of(transaction.awaited()),
            _ => self.stage(),
        };
        // RFC 5321 §3.8: the peer is about to close, whatever was asked.
        if reply.code() == 421 {
            return self.fail(stage, Outcome::Defer(reply));
        }
        match std::mem::replace(&mut self.phase, Phase::Ready) {
            Phase::Auth if is_yes(&reply) => {}
            // A wrong password is our operator's mistake: mail waits until it is mended.
            Phase::Auth => self.fail(stage, Outcome::Defer(reply)),
            Phase::Banner if reply.code() == 220 => self.say_hello(true),
            Phase::Banner => self.fail(stage, refused(reply)),
            Phase::Emptied => {}
            Phase::Body(transaction, _) | Phase::End(transaction)
                if transaction.is_unknown(&reply) =>
            {
                self.phase = Phase::End(transaction);
                self.end(
                    Stage::Chunk,
                    Outcome::Defer(reply),
                    Some(Unchunked::Refused),
                );
            }
            Phase::End(transaction) => self.hear_end(transaction, reply),
            Phase::Envelope(transaction) => self.hear_envelope(transaction, reply),
            Phase::Hello { extended } => self.hear_hello(extended, reply),
            Phase::Quit => self.close(None),
            Phase::StartTls => self.hear_start_tls(&reply),
            Phase::Ready => {
                let text = format!("the peer said {reply} and was not asked");
                let reply = Reply::new(451, Enhanced(4, 5, 0), text);
                self.fail(stage, Outcome::Defer(reply));
            }
            Phase::Body(mut transaction, content) if transaction.chunks > 0 => {
                self.hear_chunk(&mut transaction, reply);
                self.phase = match (transaction.accepted(), transaction.chunks) {
                    (0, 0) => return self.finish(transaction),
                    (0, _) => Phase::End(transaction), // nothing more of it is sent
                    _ => Phase::Body(transaction, content),
                };
            }
            phase @ (Phase::Body(..) | Phase::Closing(_) | Phase::Handshake) => self.phase = phase,
        }
    }

    fn say_hello(&mut self, extended: bool) {
        let verb = match (self.config.family, extended) {
            (Family::Lmtp, _) => "LHLO",
            (_, true) => "EHLO",
            (_, false) => "HELO",
        };
        let line = format!("{verb} {}\r\n", self.config.hostname);
        self.out.extend_from_slice(line.as_bytes());
        self.phase = Phase::Hello { extended };
    }

    /// RFC 5321 §3.2: a peer that does not know EHLO gets HELO.
    fn hear_hello(&mut self, extended: bool, reply: Reply) {
        if is_yes(&reply) {
            if extended {
                self.capabilities = Capabilities::read(&reply);
            }
            return self.begin_tls();
        }
        if extended && reply.is_permanent() && self.config.family != Family::Lmtp && !self.tls {
            return self.say_hello(false);
        }
        self.fail(Stage::Hello, refused(reply));
    }

    fn begin_tls(&mut self) {
        match self.config.tls {
            _ if self.tls => self.begin_auth(),
            Tls::Opportunistic | Tls::Required if self.capabilities.starttls => {
                self.out.extend_from_slice(b"STARTTLS\r\n");
                self.phase = Phase::StartTls;
            }
            Tls::Never | Tls::Opportunistic => self.begin_auth(),
            Tls::Required => self.fail(Stage::StartTls, no_tls()),
        }
    }

    fn hear_start_tls(&mut self, reply: &Reply) {
        match self.config.tls {
            _ if reply.code() == 220 && !self.reader.is_empty() => {
                self.fail(Stage::StartTls, injected());
            }
            _ if reply.code() == 220 => self.phase = Phase::Handshake,
            // RFC 7435 §3: something is better than nothing.
            Tls::Never | Tls::Opportunistic => self.begin_auth(),
            Tls::Required => self.fail(Stage::StartTls, no_tls()),
        }
    }

    fn begin_auth(&mut self) {
        self.phase = Phase::Ready;
        let Some(credentials) = self.config.credentials.clone() else {
            return;
        };
        let private = self.tls || self.config.plaintext_auth_allowed;
        if !private || !self.capabilities.auth_plain {
            let text = "the peer offers no login that is safe to use";
            let reply = Reply::new(451, Enhanced(4, 7, 0), text);
            return self.fail(Stage::Auth, Outcome::Defer(reply));
        }
        self.out.extend_from_slice(b"AUTH PLAIN ");
        self.out.extend_from_slice(plain(&credentials).as_bytes());
        self.out.extend_from_slice(b"\r\n");
        self.phase = Phase::Auth;
    }

    fn hear_envelope(&mut self, mut transaction: Transaction, reply: Reply) {
        let command = transaction.awaited();
        let goes_on = command == Next::Data && reply.code() == 354;
        transaction.hear(reply);
        if goes_on {
            return self.begin_body(transaction);
        }
        if transaction.awaited() == Next::Nothing && command != Next::Data {
            transaction.write_group(&self.capabilities, &mut self.out);
        }
        if transaction.awaited() == Next::Nothing {
            if transaction.chunks > 0 {
                self.phase = Phase::End(transaction);
                return;
            }
            if transaction.is_chunked && transaction.accepted() > 0 {
                self.phase = Phase::Body(transaction, Content::Chunks(Chunks::new()));
                return;
            }
            // The peer may hold a sender or recipients of a message that does not come.
            self.stale = true;
            return self.finish(transaction);
        }
        self.phase = Phase::Envelope(transaction);
    }

    pub(super) fn finish(&mut self, transaction: Transaction) {
        let reply = Reply::new(451, Enhanced(4, 5, 0), "the peer did not answer");
        self.report = Some(transaction.report(Stage::End, &reply));
        self.phase = Phase::Ready;
    }
}

const fn stage_of(command: Next) -> Stage {
    match command {
        Next::Rcpt(_) => Stage::Rcpt,
        Next::Data => Stage::Data,
        Next::Mail | Next::Nothing | Next::Reset => Stage::Mail,
    }
}

/// A refusal of the greeting or of EHLO; a 2xx or 3xx where none belongs is confusion.
fn refused(reply: Reply) -> Outcome {
    if reply.is_permanent() {
        Outcome::Fail(reply)
    } else {
        Outcome::Defer(reply)
    }
}

fn no_tls() -> Outcome {
    let text = "TLS is required here, and the peer does not offer it";
    Outcome::Defer(Reply::new(451, Enhanced(4, 7, 4), text))
}

fn injected() -> Outcome {
    let text = "something was said in the clear after STARTTLS";
    Outcome::Defer(Reply::new(451, Enhanced(4, 7, 0), text))
}

/// The message of PLAIN, in base64 (RFC 4616 §2).
fn plain(credentials: &Credentials) -> String {
    let authzid = credentials.authzid.as_deref().unwrap_or_default();
    let password = credentials.password.expose();
    BASE64_STANDARD.encode(format!("{authzid}\0{}\0{password}", credentials.authcid))
}

/// What is sent in one go, more or less.
const OUTPUT_OCTETS_HIGH: usize = 16 * 1024;

/// Chunks whose replies fit into any peer's send buffer.
const CHUNKS_AWAITED_MAX: usize = 16;
