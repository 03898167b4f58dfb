//! The server's machine: its steps, its questions, and the message on its way.

use std::sync::Arc;

use bytes::Bytes;
use mail::{Credentials, Reply};

use crate::{
    Family, Mail, Mechanism, Rcpt,
    lines::{Found, Lines},
};

use super::{
    body::{Limits, Piece, Scanner},
    config::Config,
    exchange::Exchange,
    recipients::Recipients,
    replies,
    session::{Session, Transaction},
};

/// What the owner of the socket must do next.
#[must_use = "a step that is not carried out stalls the session"]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    /// Close the connection. Everything has been sent.
    Close,
    /// Forget what was stored of this message: it cannot be taken. No [`Step::Store`] and no
    /// [`Question::Take`] follows for it; the client is told at its end.
    Discard,
    /// While commands are watched, see [`Server::watch`]: this one is [in hand](Server::in_hand),
    /// and nothing of it has been read. Then [`Server::admit`] or [`Server::refuse_command`].
    Heard,
    /// Decide, then call [`Server::verdict`], [`Server::verdicts`] or [`Server::yes`]. Nothing
    /// else happens until then.
    Judge(Question),
    /// Wait for the client, then call [`Server::feed`].
    Read,
    /// Send these octets.
    Send(Bytes),
    /// Shake hands (RFC 3207 §4), then call [`Server::tls_started`]; close the connection if that
    /// fails.
    StartTls,
    /// Append this piece to the message. Slices of what was fed, dot-stuffing undone.
    Store(Bytes),
}

/// A question that only policy or storage can answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Question {
    /// Is this who it says it is? Yes is 235, no is `535 5.7.8` or `454 4.7.0`.
    Auth(Mechanism, Credentials),
    /// Is there room for a message? Asked before 354, so that memory can be taken for it. The
    /// length is what the client declared.
    BeginBody {
        /// Declared length in octets (RFC 1870).
        size: Option<u64>,
    },
    /// May this reverse-path send?
    Mail(Mail),
    /// Do we take mail for this forward-path?
    Rcpt(Rcpt),
    /// The message has ended, whole. Is it safe on disk? Answer 250 only once it is
    /// (RFC 5321 §6.1). In LMTP each recipient has its own answer: [`Server::verdicts`].
    Take {
        /// Its length in octets.
        octets: u64,
    },
    /// Does this user or mailbox exist? [`Server::yes`] is a 252 that says nothing
    /// (RFC 5321 §3.5.3).
    Vrfy(String),
}

/// One session; its owner has the socket.
#[derive(Clone, Debug)]
pub struct Server {
    pub(super) config: Arc<Config>,
    pub(super) lines: Lines,
    pub(super) out: Vec<u8>,
    pub(super) phase: Phase,
    pub(super) session: Session,
    /// The line that is being carried out; empty: none.
    pub(super) hand: Bytes,
    pub(super) is_watched: bool,
}

/// What the machine is waiting for.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// For an answer to a challenge.
    Auth(Exchange),
    /// For the end of a message.
    Body(Body),
    /// For nothing: the connection is to be closed.
    Closing,
    /// For a command.
    Commands,
    /// For the handshake.
    Handshake,
    /// For the owner's word whether this line may be carried out.
    Heard(Bytes),
    /// For the owner's verdict.
    Judging(Question),
}

/// A message on its way.
#[derive(Clone, Debug)]
pub(super) struct Body {
    scanner: Scanner,
    /// What its owner wants to be told at its end, whatever it is.
    refusal: Option<Reply>,
    /// Whether the owner knows that it cannot be taken.
    discarded: bool,
}

impl Server {
    /// A session that begins: the first step sends the greeting.
    #[must_use]
    pub fn new(config: Arc<Config>) -> Self {
        let dialect = match config.family {
            Family::Lmtp => "LMTP",
            Family::Smtp | Family::Submission => "ESMTP",
        };
        let out = format!("220 {} {dialect}\r\n", config.hostname).into_bytes();
        let session = Session {
            tls: config.tls_active,
            ..Session::default()
        };
        Self {
            config,
            lines: Lines::default(),
            out,
            phase: Phase::Commands,
            session,
            hand: Bytes::new(),
            is_watched: false,
        }
    }

    /// Hears what arrived. Nothing is copied if it is called as [`Step::Read`] asks; what is fed
    /// at other times is kept, and it is the owner who bounds it.
    pub fn feed(&mut self, octets: Bytes) {
        match self.phase {
            Phase::Closing => {}
            // In the clear, when the handshake was due: somebody else's words (RFC 3207 §5).
            Phase::Handshake => self.phase = Phase::Closing,
            _ => self.lines.push(octets),
        }
    }

    /// What must happen next.
    pub fn step(&mut self) -> Step {
        loop {
            if self.out.len() >= OUTPUT_OCTETS_HIGH {
                return self.send_or(Step::Read);
            }
            match &self.phase {
                Phase::Auth(_) | Phase::Commands => {
                    self.hand = Bytes::new();
                    match self.lines.next() {
                        Found::BareLf => self.bad_line(replies::bare_lf()),
                        Found::Line(line) => self.begin_line(line),
                        Found::Nothing => return self.send_or(Step::Read),
                        Found::Overlong => self.overlong(),
                    }
                }
                Phase::Body(_) => {
                    if let Some(step) = self.body() {
                        return step;
                    }
                }
                Phase::Closing => return self.send_or(Step::Close),
                Phase::Handshake => return self.send_or(Step::StartTls),
                Phase::Heard(_) => return Step::Heard,
                Phase::Judging(question) => return Step::Judge(question.clone()),
            }
        }
    }

    /// Answers the open question; a positive reply means yes. A 421 closes the connection. In
    /// LMTP the answer to [`Question::Take`] holds for each recipient. Without an open question
    /// nothing happens.
    pub fn verdict(&mut self, reply: Reply) {
        let Phase::Judging(question) = std::mem::replace(&mut self.phase, Phase::Commands) else {
            return;
        };
        let yes = reply.is_positive();
        match question {
            Question::Auth(_, credentials) if yes => {
                self.session.identity = Some(credentials.authcid.as_str().into());
            }
            // "Try again later" says nothing of the password.
            Question::Auth(..) => {
                self.session.auth_failures += u32::from(reply.is_permanent());
            }
            Question::BeginBody { .. } if yes => {
                self.phase = Phase::Body(self.begin_body());
                self.hand = Bytes::new(); // what is in a message is no fault of the command
            }
            Question::BeginBody { .. } | Question::Vrfy(_) => {}
            Question::Mail(mail) if yes => {
                self.session.transaction = Some(Transaction {
                    mail,
                    recipients: Recipients::default(),
                });
            }
            Question::Mail(_) => {}
            Question::Rcpt(rcpt) if yes => {
                if let Some(transaction) = &mut self.session.transaction {
                    transaction.recipients.push(rcpt);
                }
            }
            Question::Rcpt(_) => {}
            Question::Take { .. } => return self.end_body(&reply),
        }
        self.say(&reply);
        if self.session.auth_failures >= self.config.auth_failures_max {
            self.phase = Phase::Closing;
            self.lines.clear();
        }
    }

    /// Answers [`Question::Take`] for each recipient of an LMTP transaction, in the order of
    /// [`Server::recipients`] (RFC 2033 §4.2). Elsewhere the first answer holds for all.
    ///
    /// # Panics
    /// If there is not an answer for each recipient.
    pub fn verdicts(&mut self, replies: &[Reply]) {
        assert_eq!(
            replies.len(),
            self.recipients().len(),
            "an answer for each recipient"
        );
        if self.config.family != Family::Lmtp {
            return self.verdict(replies[0].clone());
        }
        if matches!(self.phase, Phase::Judging(Question::Take { .. })) {
            self.phase = Phase::Commands;
            self.session.transaction = None;
            for reply in replies {
                self.say(reply);
            }
        }
    }

    /// Answers the open question with yes, in the words that are always right.
    pub fn yes(&mut self) {
        let Phase::Judging(question) = &self.phase else {
            return;
        };
        self.verdict(match question {
            Question::Auth(..) => replies::authenticated(),
            Question::BeginBody { .. } => replies::go_on(),
            Question::Mail(_) => replies::sender_ok(),
            Question::Rcpt(_) => replies::recipient_ok(),
            Question::Take { .. } => replies::taken(),
            Question::Vrfy(_) => replies::not_verified(),
        });
    }

    /// The message that is on its way cannot be stored: reads it to its end and then says
    /// `reply`. No [`Step::Store`], [`Step::Discard`] or [`Question::Take`] follows for it.
    pub fn refuse_body(&mut self, reply: Reply) {
        if let Phase::Body(body) = &mut self.phase {
            body.refusal.get_or_insert(reply);
            body.discarded = true;
        }
    }

    /// The handshake is done: forgets everything that was heard before (RFC 3207 §4.2).
    pub fn tls_started(&mut self) {
        if matches!(self.phase, Phase::Handshake) {
            self.lines.clear();
            self.session = self.session.in_private();
            self.phase = Phase::Commands;
        }
    }

    /// Ends the session from our side: says `reply` (a 421, RFC 5321 §3.8), then closes. For
    /// time-outs and for the end of the house.
    pub fn close(&mut self, reply: Reply) {
        if !matches!(self.phase, Phase::Closing) {
            self.say(&reply);
            self.phase = Phase::Closing;
        }
        self.lines.clear();
    }

    /// The name by which the client introduced itself.
    #[must_use]
    pub fn hello(&self) -> Option<&str> {
        self.session.hello.as_ref().map(|hello| &*hello.name)
    }

    /// The user name with which the client logged in.
    #[must_use]
    pub fn identity(&self) -> Option<&str> {
        self.session.identity.as_deref()
    }

    /// What MAIL said, while a transaction is open.
    #[must_use]
    pub fn mail(&self) -> Option<&Mail> {
        Some(&self.session.transaction.as_ref()?.mail)
    }

    /// The recipients accepted so far.
    #[must_use]
    pub fn recipients(&self) -> &Recipients {
        let transaction = self.session.transaction.as_ref();
        transaction.map_or(Recipients::NONE, |transaction| &transaction.recipients)
    }

    /// Whether TLS is active.
    #[must_use]
    pub const fn tls_active(&self) -> bool {
        self.session.tls
    }

    /// Whether the client has begun a message and not ended it.
    #[must_use]
    pub const fn is_in_body(&self) -> bool {
        matches!(self.phase, Phase::Body(_))
    }

    /// The transmission type for the `with` of a Received field (RFC 3848).
    #[must_use]
    pub fn protocol(&self) -> &'static str {
        self.session.protocol(self.config.family)
    }

    /// The settings of the listener.
    #[must_use]
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// See [`Server::resume`].
    pub(super) fn answer_for_the_crash(&mut self, trouble: Reply) {
        match &self.phase {
            Phase::Body(_) => self.refuse_body(trouble),
            Phase::Closing | Phase::Handshake => {}
            Phase::Heard(_) => self.refuse_command(&trouble),
            Phase::Judging(_) => self.verdict(trouble),
            Phase::Auth(_) | Phase::Commands => match self.lines.next() {
                Found::Nothing => {}
                Found::BareLf | Found::Line(_) | Found::Overlong => {
                    self.phase = Phase::Commands;
                    self.say(&trouble);
                }
            },
        }
    }

    /// A whole line, and whether it is carried out at once.
    fn begin_line(&mut self, line: Bytes) {
        if matches!(self.phase, Phase::Commands) {
            if self.is_watched && self.spoken(&line).is_some() {
                self.phase = Phase::Heard(line);
                return;
            }
            self.hand = line.clone();
        }
        self.line(&line);
    }

    fn begin_body(&self) -> Body {
        Body {
            scanner: Scanner::new(Limits {
                octets_max: self.config.size_max,
                line_octets_max: self.config.line_octets_max,
                received_max: self.config.received_max,
            }),
            refusal: None,
            discarded: false,
        }
    }

    /// Goes through what has arrived of a message.
    fn body(&mut self) -> Option<Step> {
        let Phase::Body(body) = &mut self.phase else {
            return None;
        };
        let piece = body.scanner.scan(self.lines.rest());
        let defect = body.scanner.defect();
        let discard = defect.is_some() && !body.discarded;
        body.discarded |= discard;
        match piece {
            Piece::Chunk(chunk) if !body.discarded => return Some(Step::Store(chunk)),
            Piece::Chunk(_) => {}
            Piece::End => {
                let octets = body.scanner.octets();
                let size_max = self.config.size_max;
                let refusal = body.refusal.take();
                match refusal.or_else(|| defect.map(|defect| replies::defect(defect, size_max))) {
                    None => self.phase = Phase::Judging(Question::Take { octets }),
                    Some(reply) => self.end_body(&reply),
                }
            }
            Piece::Hungry if discard => {}
            Piece::Hungry => return Some(self.send_or(Step::Read)),
        }
        discard.then_some(Step::Discard)
    }

    /// One answer for the message, or in LMTP one for each recipient (RFC 2033 §4.2).
    fn end_body(&mut self, reply: &Reply) {
        self.phase = Phase::Commands;
        let answers = match self.config.family {
            Family::Lmtp => self.recipients().len(),
            Family::Smtp | Family::Submission => 1,
        };
        for _ in 0..answers {
            self.say(reply);
        }
        self.session.transaction = None;
        if reply.is_positive() {
            // A relay that keeps its connection for days is wrong now and then.
            self.session.errors = 0;
        }
    }

    fn overlong(&mut self) {
        match self.phase {
            Phase::Auth(_) => self.bad_line(replies::auth_overlong()),
            _ => self.bad_line(replies::overlong()),
        }
    }

    /// A line that cannot be read; it also ends an exchange.
    pub(super) fn bad_line(&mut self, reply: Reply) {
        self.phase = Phase::Commands;
        self.error(reply);
    }

    /// Says that the client is wrong; says goodbye when it is wrong too often.
    pub(super) fn error(&mut self, reply: Reply) {
        self.session.errors += 1;
        if self.session.errors >= self.config.errors_max {
            return self.close(replies::too_many_errors());
        }
        self.say(&reply);
    }

    /// 421 means that the connection is closed (RFC 5321 §3.8).
    pub(super) fn say(&mut self, reply: &Reply) {
        reply.write_to(&mut self.out);
        if reply.code() == 421 {
            self.phase = Phase::Closing;
            self.lines.clear();
        }
    }

    fn send_or(&mut self, step: Step) -> Step {
        if self.out.is_empty() {
            return step;
        }
        Step::Send(std::mem::take(&mut self.out).into())
    }
}

/// Replies to a client that pipelines without reading are sent in portions of about this size.
const OUTPUT_OCTETS_HIGH: usize = 16 * 1024;
