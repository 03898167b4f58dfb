//! The state of one session, and what each line does to it.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    Config, Selected, Step,
    capability::capabilities,
    hand::Hand,
    input::{Input, Line},
    login::SASL_LINE_OCTETS_MAX,
    sasl::{Exchange, login},
};
use crate::{
    codec::{
        Allowed, Command, Literal, MailboxName, Request, Stop, Tag, Verb, head, literal_at_end,
    },
    reply::{Code, Reply, Status},
    respond,
};

/// The server side of one session.
#[derive(Clone, Debug)]
pub struct Server {
    pub(super) config: Arc<Config>,
    pub(super) input: Input,
    pub(super) hand: Hand,
    pub(super) phase: Phase,
    pub(super) pending: Option<Pending>,
    user: Option<Arc<str>>,
    pub(super) selected: Option<Selected>,
    pub(super) tls: bool,
    bad_commands: u32,
    failed_logins: u32,
}

/// What the next octets are.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// A message.
    Append {
        left: u64,
    },
    /// Nothing, until it is known whether the message is wanted.
    AppendAsked {
        left: u64,
        waits: bool,
    },
    /// The end of the line behind a message.
    AppendTail,
    /// Of no interest any more.
    Closed,
    Command,
    Idle,
    /// A literal of a command that is being gathered.
    Literal,
    Sasl(Exchange),
    /// The rest of a line that has been answered.
    SkipLine,
    /// A literal that has been refused and comes all the same.
    SkipLiteral {
        left: u64,
    },
    /// Nothing may come before TLS does.
    Tls,
    /// Pipelined: they wait until the command that is under way is answered.
    Waiting,
}

/// The command that is under way.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) tag: Tag,
    pub(super) then: Then,
}

/// What `OK` means.
#[derive(Clone, Debug)]
pub(super) enum Then {
    Leave,
    LogIn(Arc<str>),
    Nothing,
    /// The client ended IDLE with something else than `DONE`.
    Refuse,
    Select(Selected),
}

impl Server {
    /// A session on a connection that is encrypted already, or is not.
    #[must_use]
    pub fn new(config: Arc<Config>, tls: bool) -> Self {
        Self {
            config,
            input: Input::default(),
            hand: Hand::default(),
            phase: Phase::Command,
            pending: None,
            user: None,
            selected: None,
            tls,
            bad_commands: 0,
            failed_logins: 0,
        }
    }

    /// Greets the client (RFC 3501 §7.1.1).
    pub fn greet(&self, out: &mut Vec<u8>) {
        let text = format!("{} Heronry is ready", self.config.host);
        let code = Code::Capability(self.capabilities());
        respond::untagged(out, &Reply::ok("").saying(text).with(code));
    }

    /// The login name, once it has been accepted.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The mailbox that is open.
    #[must_use]
    pub const fn selected(&self) -> Option<&Selected> {
        self.selected.as_ref()
    }

    /// Whether the client idles.
    #[must_use]
    pub const fn is_idling(&self) -> bool {
        matches!(self.phase, Phase::Idle)
    }

    /// Whether the connection is encrypted.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        self.tls
    }

    /// Takes what the peer said.
    pub fn feed(&mut self, octets: Bytes) {
        if !matches!(self.phase, Phase::Closed) {
            self.input.feed(octets);
        }
    }

    /// What must happen next. The machine's own words are appended to `out`.
    pub fn step(&mut self, out: &mut Vec<u8>) -> Step {
        loop {
            if let Some(step) = self.advance(out) {
                return step;
            }
        }
    }

    /// The message that was announced is wanted: its octets come in [`Step::AppendChunk`].
    pub fn accept(&mut self, out: &mut Vec<u8>) {
        let Phase::AppendAsked { left, waits } = self.phase else {
            return debug_assert!(false, "only an announced message can be accepted");
        };
        if waits {
            respond::go_on(out, "OK");
        }
        self.phase = Phase::Append { left };
    }

    /// Ends the command that is under way. What must be said before it, is in `out` already.
    pub fn answer(&mut self, reply: Reply, out: &mut Vec<u8>) {
        let Some(pending) = self.pending.take() else {
            return debug_assert!(false, "only a command that is under way can be answered");
        };
        self.phase = match self.phase {
            Phase::Append { left } | Phase::AppendAsked { left, waits: false } => {
                Phase::SkipLiteral { left }
            }
            Phase::AppendTail => Phase::SkipLine,
            Phase::Closed => Phase::Closed, // good-bye was said while it was under way
            _ => Phase::Command,
        };
        let mut reply = reply;
        match pending.then {
            Then::Leave if reply.is_ok() => self.selected = None,
            Then::LogIn(user) if reply.is_ok() => {
                self.user = Some(user);
                self.failed_logins = 0;
                let capabilities = self.capabilities();
                reply.code.get_or_insert(Code::Capability(capabilities));
            }
            // "Come back later" says nothing of the password.
            Then::LogIn(_) if reply.code == Some(Code::Unavailable) => {}
            Then::LogIn(_) => self.failed_logins += 1,
            Then::Refuse if reply.is_ok() => reply = Reply::bad("DONE is expected"),
            Then::Select(mut selected) if reply.is_ok() => {
                selected.read_only |= reply.code == Some(Code::ReadOnly);
                let code = if selected.read_only {
                    Code::ReadOnly
                } else {
                    Code::ReadWrite
                };
                reply.code = Some(code);
                self.selected = Some(selected);
            }
            _ => {}
        }
        reply.write_to(pending.tag.as_str(), out);
        if self.failed_logins >= self.config.limits.failed_logins {
            self.bye("too many failed logins", out);
        }
    }

    /// TLS has been negotiated: everything heard before is forgotten (RFC 3501 §6.2.1).
    pub fn tls_started(&mut self) {
        debug_assert!(!self.tls, "TLS begins once");
        *self = Self::new(Arc::clone(&self.config), true);
    }

    /// The mailbox that was open is there no longer; the session goes on without one.
    pub fn deselect(&mut self) {
        self.selected = None;
    }

    /// Says good-bye; the next step is [`Step::Close`].
    pub fn bye(&mut self, words: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(b"* BYE ");
        respond::text(out, words);
        out.extend_from_slice(b"\r\n");
        self.phase = Phase::Closed;
        self.input.clear();
    }

    /// One move; `None` if another one is possible.
    pub(super) fn advance(&mut self, out: &mut Vec<u8>) -> Option<Step> {
        match self.phase {
            Phase::Append { left: 0 } => self.phase = Phase::AppendTail,
            Phase::Append { left } => {
                if self.input.is_empty() {
                    return Some(Step::Read);
                }
                let chunk = self.input.take(left);
                self.phase = Phase::Append {
                    left: left - chunk.len() as u64,
                };
                return Some(Step::AppendChunk(chunk));
            }
            Phase::AppendTail => return self.append_tail(out),
            Phase::Closed => return Some(Step::Close),
            Phase::Command => {
                self.hand.put_down();
                match self.input.line(self.config.limits.line_octets) {
                    Line::Ends(..) if self.hand.asks() => return Some(Step::Heard),
                    Line::Ends(text, next) => return self.command(text, next, out),
                    Line::Open => return Some(Step::Read),
                    Line::TooLong => self.too_long(out),
                }
            }
            Phase::Idle => {
                self.hand.put_down(); // what comes of news is no fault of the command
                return self.idle(out);
            }
            Phase::Literal if self.input.has_literal() => self.phase = Phase::Command,
            Phase::Sasl(_) => return self.sasl(out),
            Phase::SkipLine => match self.input.skip_line() {
                None => return Some(Step::Read),
                Some(announced) => self.skip(announced, out),
            },
            Phase::SkipLiteral { left: 0 } => self.phase = Phase::SkipLine,
            Phase::SkipLiteral { left } => {
                if self.input.is_empty() {
                    return Some(Step::Read);
                }
                let skipped = self.input.take(left).len() as u64;
                self.phase = Phase::SkipLiteral {
                    left: left - skipped,
                };
            }
            // What was said in the clear must not be taken for what is said under TLS.
            Phase::Tls if !self.input.is_empty() => self.bye("nothing may follow STARTTLS", out),
            Phase::AppendAsked { .. } | Phase::Literal | Phase::Waiting => {
                return Some(Step::Read);
            }
            Phase::Tls => return Some(Step::StartTls),
        }
        None
    }

    /// A line of a command has ended at `text`; what follows begins at `next`.
    fn command(&mut self, text: usize, next: usize, out: &mut Vec<u8>) -> Option<Step> {
        let read = match head(self.input.upto(text)) {
            Err((tag, stop)) => Err((tag, stop)),
            Ok((tag, verb, cursor)) => match self.forbids(verb) {
                Some(reply) => Err((Some(tag), Stop::Refuse(reply))),
                None => match verb.arguments(cursor) {
                    Ok(request) => Ok((tag, request)),
                    Err(stop) => Err((Some(tag), stop)),
                },
            },
        };
        match read {
            Ok((tag, request)) => {
                let command = self.input.take_command(text, next);
                self.hand.take(command);
                self.bad_commands = 0;
                self.request(tag, request, out)
            }
            Err((tag, Stop::Literal(literal))) => {
                self.literal(tag.as_ref(), literal, next, out);
                None
            }
            Err((tag, Stop::Refuse(reply))) => {
                let announced = literal_at_end(self.input.last_line(text));
                self.input.consume(next);
                self.refuse(tag.as_ref(), &reply, out);
                self.skip(announced, out);
                None
            }
        }
    }

    /// Refuses what could not be read, and counts it.
    pub(super) fn refuse(&mut self, tag: Option<&Tag>, reply: &Reply, out: &mut Vec<u8>) {
        reply.write_to(tag.map_or("", Tag::as_str), out);
        if reply.status == Status::Bad {
            self.bad_commands += 1;
            if self.bad_commands >= self.config.limits.bad_commands {
                self.bye("too many bad commands", out);
            }
        }
    }

    /// After a refusal: a literal that was announced is read past if it comes unasked.
    pub(super) fn skip(&mut self, announced: Option<Literal>, out: &mut Vec<u8>) {
        if matches!(self.phase, Phase::Closed) {
            return;
        }
        self.phase = match announced {
            Some(Literal {
                waits: false,
                octets,
            }) => {
                if octets > self.config.limits.skip_octets {
                    return self.bye("the literal is too large", out); // RFC 7888 §4
                }
                Phase::SkipLiteral { left: octets }
            }
            _ => Phase::Command,
        };
    }

    pub(super) fn too_long(&mut self, out: &mut Vec<u8>) {
        let tag = match head(self.input.beginning(self.config.limits.line_octets)) {
            Ok((tag, ..)) => Some(tag),
            Err((tag, _)) => tag,
        };
        self.phase = Phase::SkipLine;
        self.refuse(tag.as_ref(), &Reply::bad("the command is too long"), out);
    }

    /// A literal is announced. It is refused before it is read if it is too large.
    fn literal(&mut self, tag: Option<&Tag>, literal: Literal, next: usize, out: &mut Vec<u8>) {
        let allowed = match self.user {
            Some(_) => self.config.limits.literal_octets,
            None => self.config.limits.literal_octets / 8,
        };
        let (all, count) = self.input.literals_with(literal.octets);
        match usize::try_from(literal.octets) {
            Ok(octets) if all <= allowed as u64 && count <= LITERALS_MAX => {
                if literal.waits {
                    respond::go_on(out, "OK");
                }
                self.input.expect_literal(next, octets);
                self.phase = Phase::Literal;
            }
            _ => {
                let reply = Reply::no("the literal is too large").with(Code::TooBig);
                self.input.consume(next);
                self.skip(Some(literal), out);
                if !matches!(self.phase, Phase::Closed) {
                    self.refuse(tag, &reply, out);
                }
            }
        }
    }

    /// Why a command is not allowed now (RFC 3501 §3).
    fn forbids(&self, verb: Verb) -> Option<Reply> {
        match verb.allowed() {
            Allowed::Before if self.user.is_some() => Some(Reply::bad("already logged in")),
            Allowed::LoggedIn | Allowed::Selected if self.user.is_none() => {
                Some(Reply::bad("log in first"))
            }
            Allowed::Selected if self.selected.is_none() => {
                Some(Reply::bad("select a mailbox first"))
            }
            _ => None,
        }
    }

    fn request(&mut self, tag: Tag, request: Request, out: &mut Vec<u8>) -> Option<Step> {
        let done = |out: &mut Vec<u8>, text| Reply::ok(text).write_to(tag.as_str(), out);
        match request {
            Request::Append(append, literal) => return self.append(tag, append, literal, out),
            Request::Authenticate { mechanism, initial } => {
                return self.authenticate(tag, &mechanism, initial, out);
            }
            Request::Capability => {
                let line = format!("* CAPABILITY {}\r\n", self.capabilities());
                out.extend_from_slice(line.as_bytes());
                done(out, "that is what we can do");
            }
            Request::Enable => {
                out.extend_from_slice(b"* ENABLED\r\n"); // RFC 5161 §3.1
                done(out, "enabled");
            }
            Request::Id => {
                out.extend_from_slice(b"* ID (\"name\" \"Heronry\")\r\n");
                done(out, "pleased to meet you");
            }
            Request::Idle => {
                respond::go_on(out, "idling");
                self.phase = Phase::Idle;
                self.pending = Some(Pending {
                    tag,
                    then: Then::Nothing,
                });
                return Some(Step::IdleBegin);
            }
            Request::Login { user, password } => {
                return self.log_in(tag, login(user, password), out);
            }
            Request::Logout => {
                self.bye("see you", out);
                done(out, "logged out");
            }
            Request::Namespace => {
                out.extend_from_slice(b"* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n");
                done(out, "that is all");
            }
            Request::StartTls => return self.start_tls(&tag, out),
            Request::Store(command) => return self.run(tag, command, out),
        }
        None
    }

    fn run(&mut self, tag: Tag, command: Command, out: &mut Vec<u8>) -> Option<Step> {
        let writes = matches!(
            command,
            Command::Expunge(_) | Command::Move(_) | Command::Store(_)
        );
        if writes
            && self
                .selected
                .as_ref()
                .is_some_and(|selected| selected.read_only)
        {
            let reply = Reply::no("the mailbox is open for reading only");
            reply.with(Code::ReadOnly).write_to(tag.as_str(), out);
            return None;
        }
        let select = |mailbox: &MailboxName, read_only| {
            Then::Select(Selected {
                mailbox: mailbox.clone(),
                read_only,
            })
        };
        let then = match &command {
            Command::Close | Command::Unselect => Then::Leave,
            Command::Examine(mailbox) => select(mailbox, true),
            Command::Noop if self.selected.is_none() => {
                Reply::ok("still here").write_to(tag.as_str(), out);
                return None;
            }
            Command::Select(mailbox) => select(mailbox, false),
            _ => Then::Nothing,
        };
        if matches!(then, Then::Select(_)) {
            self.selected = None; // RFC 3501 §6.3.1: also if the other one cannot be opened
        }
        self.wait(tag, then);
        Some(Step::Run(command))
    }

    pub(super) fn wait(&mut self, tag: Tag, then: Then) {
        self.pending = Some(Pending { tag, then });
        self.phase = Phase::Waiting;
    }

    /// A line while idling: anything ends it, and only `DONE` is right (RFC 2177 §3).
    fn idle(&mut self, out: &mut Vec<u8>) -> Option<Step> {
        let (text, next) = match self.input.line(SASL_LINE_OCTETS_MAX) {
            Line::Ends(text, next) => (text, next),
            Line::Open => return Some(Step::Read),
            Line::TooLong => {
                self.bye("DONE is expected", out);
                return None;
            }
        };
        let done = self.input.upto(text).eq_ignore_ascii_case(b"DONE");
        self.input.consume(next);
        self.phase = Phase::Waiting;
        if let (Some(pending), false) = (&mut self.pending, done) {
            pending.then = Then::Refuse;
        }
        Some(Step::IdleEnd)
    }

    fn capabilities(&self) -> String {
        let starttls = self.config.starttls && !self.tls && self.user.is_none();
        capabilities(self.user.is_some(), starttls, self.may_say_passwords())
    }
}

/// More than any client sends in one command; each is read again for each that follows.
const LITERALS_MAX: usize = 64;
