//! A peer for the tests of the client: it says what the test makes it say.

use bytes::Bytes;
use heronry_smtp::{
    Family, Mail, Rcpt,
    client::{Client, Config, Report, Settled, Stage, Step},
};
use mail::Outcome;

/// The usual family.
pub(crate) const SMTP: Family = Family::Smtp;

pub(crate) fn from(address: &str) -> Mail {
    Mail::new(address.parse().ok())
}

pub(crate) fn to(count: usize) -> Vec<Rcpt> {
    let rcpt = |number| Rcpt::new(format!("user{number}@b.test").parse().unwrap());
    (0..count).map(rcpt).collect()
}

/// A peer that says what the test makes it say, and the owner of the client.
pub(crate) struct Peer {
    pub(crate) client: Client,
    pub(crate) said: String,
    pub(crate) body: Vec<u8>,
    pub(crate) reports: Vec<Report>,
    pub(crate) idle: bool,
    pub(crate) handshake: bool,
    pub(crate) closed: Option<Option<Settled>>,
}

impl Peer {
    pub(crate) fn new(family: Family) -> Self {
        Self::with(Config::new("we.test".parse().unwrap(), family))
    }

    pub(crate) fn with(config: Config) -> Self {
        Self {
            client: Client::new(config),
            said: String::new(),
            body: Vec::new(),
            reports: Vec::new(),
            idle: false,
            handshake: false,
            closed: None,
        }
    }

    /// One that has said what it offers.
    pub(crate) fn ready(family: Family, offers: &str) -> Self {
        let mut peer = Self::new(family);
        peer.hear("220 a\r\n");
        peer.says();
        let separator = if offers.contains("\r\n") { '-' } else { ' ' };
        peer.hear(&format!("250-a\r\n250{separator}{offers}\r\n"));
        assert_eq!((peer.idle, peer.says().as_str()), (true, ""));
        peer
    }

    pub(crate) fn hear(&mut self, said: &str) {
        self.client.feed(Bytes::copy_from_slice(said.as_bytes()));
        self.go_on();
    }

    /// What has been said to the peer since the last time.
    pub(crate) fn says(&mut self) -> String {
        self.go_on();
        std::mem::take(&mut self.said)
    }

    pub(crate) fn report(&mut self) -> Vec<(Stage, Outcome)> {
        self.go_on();
        let report = self.reports.pop().unwrap();
        report
            .recipients
            .into_iter()
            .map(|end| (end.stage, end.outcome))
            .collect()
    }

    pub(crate) fn stages(&mut self) -> Vec<Stage> {
        self.report().into_iter().map(|(stage, _)| stage).collect()
    }

    pub(crate) fn go_on(&mut self) {
        while self.closed.is_none() {
            self.idle = false;
            match self.client.step() {
                Step::Body => {
                    let piece = std::mem::take(&mut self.body);
                    if !piece.is_empty() {
                        self.client.body(piece.into());
                    }
                    self.client.end_body();
                }
                Step::Close(settled) => self.closed = Some(settled),
                Step::Read => return,
                Step::Ready => {
                    self.idle = true;
                    return;
                }
                Step::Report(report) => self.reports.push(report),
                Step::Send(octets) => self.said += &String::from_utf8_lossy(&octets),
                Step::StartTls => {
                    self.handshake = true;
                    return;
                }
            }
        }
    }
}
