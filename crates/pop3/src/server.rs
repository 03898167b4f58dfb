//! The machine: which command means what, when.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use mail::{Credentials, Secret};

use crate::{
    command::{self, Command},
    config::Config,
    lines::{Found, Lines},
    listing::{self, Listing, write_number},
    maildrop::{Entry, Maildrop},
    stream::Stream,
    words::{Question, Refusal},
};

/// What the owner of the socket must do next.
#[must_use = "a step that is not carried out stalls the session"]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    /// Close the connection. Everything has been sent.
    Close,
    /// While commands are watched, see [`Server::watch`]: this one is [in hand](Server::in_hand),
    /// and nothing of it has been read. Then [`Server::admit`] or [`Server::refuse_command`].
    Heard,
    /// Decide, then call [`Server::logged_in`], [`Server::yes`] or [`Server::refuse`]. Nothing
    /// else happens until then.
    Judge(Question),
    /// Give the next piece of the message that was asked for to [`Server::piece`], or call
    /// [`Server::end_message`] if there is none.
    Piece,
    /// Wait for the client, then call [`Server::feed`].
    Read,
    /// Send these octets.
    Send(Bytes),
    /// Shake hands (RFC 2595 §4), then call [`Server::tls_started`]; close the connection if that
    /// fails.
    StartTls,
}

/// One session; its owner has the socket.
#[derive(Clone, Debug)]
pub struct Server {
    config: Arc<Config>,
    lines: Lines,
    /// What is to be sent before [`Server::out`].
    ready: VecDeque<Bytes>,
    out: Vec<u8>,
    pub(crate) phase: Phase,
    /// The line that is being carried out; empty: none.
    pub(crate) hand: Bytes,
    pub(crate) is_watched: bool,
    tls: bool,
    /// What USER said.
    user: Option<String>,
    pub(crate) drop: Option<Maildrop>,
    errors: u32,
    auth_failures: u32,
}

/// What the machine is waiting for.
#[derive(Clone, Debug)]
pub(crate) enum Phase {
    /// For the message of PLAIN.
    Auth,
    /// For nothing: the connection is to be closed.
    Closing,
    /// For a command.
    Commands,
    /// For the handshake.
    Handshake,
    /// For the owner's word whether this line may be carried out.
    Heard(Bytes),
    /// For an answer; TOP wants only so many lines.
    Judging(Question, Option<u64>),
    /// For room to go on with a list.
    Listing(Listing),
    /// For the pieces of a message.
    Streaming(Stream),
}

impl Server {
    /// A session that begins: the first step sends the greeting.
    #[must_use]
    pub fn new(config: Arc<Config>) -> Self {
        Self {
            out: format!("+OK {} POP3 ready\r\n", config.hostname).into_bytes(),
            tls: config.tls_active,
            config,
            lines: Lines::default(),
            ready: VecDeque::new(),
            phase: Phase::Commands,
            hand: Bytes::new(),
            is_watched: false,
            user: None,
            drop: None,
            errors: 0,
            auth_failures: 0,
        }
    }

    /// Hears what arrived. Nothing is copied if it is called as [`Step::Read`] asks; what is fed
    /// at other times is kept, and it is the owner who bounds it.
    pub fn feed(&mut self, octets: Bytes) {
        match self.phase {
            Phase::Closing => {}
            // In the clear, when the handshake was due: somebody else's words.
            Phase::Handshake => self.phase = Phase::Closing,
            _ => self.lines.push(octets),
        }
    }

    /// Whether what is still to be sent is the farewell: nothing of the maildrop is asked for any
    /// more.
    #[must_use]
    pub const fn is_leaving(&self) -> bool {
        matches!(self.phase, Phase::Closing)
    }

    /// What must happen next.
    pub fn step(&mut self) -> Step {
        loop {
            if let Some(octets) = self.ready.pop_front() {
                return Step::Send(octets);
            }
            if self.out.len() >= OUTPUT_OCTETS_HIGH {
                return self.send_or(Step::Read);
            }
            match &mut self.phase {
                Phase::Auth | Phase::Commands => {
                    self.hand = Bytes::new();
                    match self.lines.next() {
                        Found::Line(line) => self.begin_line(line),
                        Found::Nothing => return self.send_or(Step::Read),
                        Found::Overlong => {
                            self.phase = Phase::Commands;
                            self.error("line too long");
                        }
                    }
                }
                Phase::Closing => return self.send_or(Step::Close),
                Phase::Handshake => return self.send_or(Step::StartTls),
                Phase::Heard(_) => return Step::Heard,
                Phase::Judging(question, _) => return Step::Judge(question.clone()),
                Phase::Listing(listing) => {
                    let Some(drop) = &self.drop else {
                        unreachable!("a list is of the maildrop of who logged in");
                    };
                    if listing.write(drop, OUTPUT_OCTETS_HIGH, &mut self.out) {
                        self.phase = Phase::Commands;
                    }
                }
                Phase::Streaming(_) => return Step::Piece,
            }
        }
    }

    /// Answers [`Question::Login`] with yes: these are the messages of the maildrop, in their
    /// order for the whole session.
    pub fn logged_in(&mut self, entries: Vec<Entry>) {
        if !matches!(self.phase, Phase::Judging(Question::Login(_), _)) {
            return;
        }
        let drop = Maildrop::new(entries);
        self.phase = Phase::Commands;
        self.say_count(&drop);
        self.drop = Some(drop);
    }

    /// Answers [`Question::Message`] or [`Question::Remove`] with yes.
    pub fn yes(&mut self) {
        match std::mem::replace(&mut self.phase, Phase::Commands) {
            Phase::Judging(Question::Message { index }, lines) => {
                let found = self.drop.as_ref().and_then(|drop| drop.find(index + 1));
                let octets = found.map_or(0, |(_, entry)| entry.octets);
                self.out.extend_from_slice(b"+OK");
                if lines.is_none() {
                    self.out.push(b' ');
                    write_number(octets, &mut self.out);
                    self.out.extend_from_slice(b" octets");
                }
                self.out.extend_from_slice(b"\r\n");
                self.phase = Phase::Streaming(Stream::new(lines));
            }
            Phase::Judging(Question::Remove { .. }, _) => self.leave(),
            phase => self.phase = phase,
        }
    }

    /// Answers the open question with no.
    pub fn refuse(&mut self, refusal: Refusal) {
        match std::mem::replace(&mut self.phase, Phase::Commands) {
            Phase::Judging(Question::Login(_), _) => {
                self.say_no(refusal.text());
                self.auth_failures += u32::from(refusal == Refusal::Credentials);
                if self.auth_failures >= self.config.auth_failures_max {
                    self.close();
                }
            }
            Phase::Judging(Question::Message { .. }, _) => self.say_no(refusal.text()),
            Phase::Judging(Question::Remove { .. }, _) => {
                // RFC 1939 §6.
                self.say_no("[SYS/TEMP] some messages have not been removed");
                self.close();
            }
            phase => self.phase = phase,
        }
    }

    /// Sends a piece of the message, as [`Step::Piece`] asked. A large piece that needs no change
    /// is not copied.
    pub fn piece(&mut self, piece: Bytes) {
        let Phase::Streaming(stream) = &mut self.phase else {
            return;
        };
        let (wanted, ended) = stream.cut(&piece);
        let piece = piece.slice(..wanted);
        if piece.len() >= PIECE_OCTETS_LARGE && stream.passes(&piece) {
            if !self.out.is_empty() {
                self.ready.push_back(std::mem::take(&mut self.out).into());
            }
            self.ready.push_back(piece);
        } else {
            self.out.reserve(piece.len() + 8);
            stream.write(&piece, &mut self.out);
        }
        if ended {
            self.end_message();
        }
    }

    /// Ends the message. After TOP has seen enough the machine has done so itself.
    pub fn end_message(&mut self) {
        if let Phase::Streaming(stream) = &self.phase {
            stream.end(&mut self.out);
            self.phase = Phase::Commands;
        }
    }

    /// The handshake is done: forgets everything that was heard before (RFC 2595 §4).
    pub fn tls_started(&mut self) {
        if matches!(self.phase, Phase::Handshake) {
            self.lines.clear();
            self.user = None;
            self.tls = true;
            self.phase = Phase::Commands;
        }
    }

    /// Ends the session from our side, without removing anything: for time-outs (RFC 1939 §3),
    /// for the end of the house, and when a message cannot be read on.
    pub fn shut(&mut self) {
        self.end("[SYS/TEMP] closing");
    }

    /// Ends the session, because the maildrop is another session's by now (RFC 1939 §3). Nothing
    /// is removed.
    pub fn lock_out(&mut self) {
        self.end(Refusal::InUse.text());
    }

    fn end(&mut self, why: &str) {
        match self.phase {
            Phase::Auth | Phase::Commands | Phase::Heard(_) | Phase::Judging(..) => {
                self.say_no(why);
            }
            // In the middle of a reply there is no way to say anything.
            Phase::Closing | Phase::Handshake | Phase::Listing(_) | Phase::Streaming(_) => {}
        }
        self.close();
    }

    /// Whether TLS is active.
    #[must_use]
    pub const fn tls_active(&self) -> bool {
        self.tls
    }

    /// Whether the client has logged in.
    #[must_use]
    pub const fn is_logged_in(&self) -> bool {
        self.drop.is_some()
    }

    /// See [`Server::resume`].
    pub(crate) fn answer_for_the_crash(&mut self) {
        match &self.phase {
            Phase::Closing | Phase::Handshake | Phase::Listing(_) => {}
            Phase::Streaming(_) => self.close(),
            Phase::Heard(_) => self.refuse_command(Refusal::Temporary),
            Phase::Judging(..) => self.refuse(Refusal::Temporary),
            Phase::Auth | Phase::Commands => match self.lines.next() {
                Found::Nothing => {}
                Found::Line(_) | Found::Overlong => {
                    self.phase = Phase::Commands;
                    self.say_no(Refusal::Temporary.text());
                }
            },
        }
    }

    /// A whole line, and whether it is carried out at once.
    fn begin_line(&mut self, line: Bytes) {
        if matches!(self.phase, Phase::Commands) {
            if self.is_watched && !line.is_empty() {
                self.phase = Phase::Heard(line);
                return;
            }
            self.hand = line.clone();
        }
        self.line(&line);
    }

    pub(crate) fn line(&mut self, line: &[u8]) {
        if matches!(self.phase, Phase::Auth) {
            return self.answer(line);
        }
        match (command::read(line), self.drop.is_some()) {
            (Command::Auth(mechanism, initial), false) => self.auth(mechanism, initial),
            (Command::Capa, logged_in) => {
                listing::write_capabilities(&self.config, self.tls, logged_in, &mut self.out);
            }
            (Command::Dele(number), true) => self.dele(number),
            (Command::List(None), true) => self.list(false),
            (Command::List(Some(number)), true) => self.list_one(number, false),
            (Command::Noop, true) => self.say("+OK"),
            (Command::Pass(password), false) => self.pass(password),
            (Command::Quit, false) => self.leave(),
            (Command::Quit, true) => self.quit(),
            (Command::Retr(number), true) => self.retrieve(number, None),
            (Command::Rset, true) => self.reset(),
            (Command::Stat, true) => self.stat(),
            (Command::Stls, false) => self.stls(),
            (Command::Syntax, _) => self.error("wrong arguments"),
            (Command::Top(number, lines), true) => self.retrieve(number, Some(lines)),
            (Command::Uidl(None), true) => self.list(true),
            (Command::Uidl(Some(number)), true) => self.list_one(number, true),
            (Command::Unknown, _) => self.error("unknown command"),
            (Command::User(name), false) => self.user(name),
            (_, false) => self.error("log in first"),
            (_, true) => self.error("you are logged in"),
        }
    }

    /// RFC 5034 §4.
    fn auth(&mut self, mechanism: Option<&str>, initial: Option<&str>) {
        match (mechanism, initial) {
            // Older than RFC 5034, and still asked by clients: the list of mechanisms.
            (None, _) if self.may_log_in() => self.say("+OK\r\nPLAIN\r\n."),
            (None, _) => self.say("+OK\r\n."),
            (Some(name), _) if !name.eq_ignore_ascii_case("PLAIN") => {
                self.error("unknown mechanism");
            }
            _ if !self.may_log_in() => self.error("TLS is needed first"),
            (_, None) => {
                self.say("+ ");
                self.phase = Phase::Auth;
            }
            (_, Some(initial)) => self.answer(initial.as_bytes()),
        }
    }

    fn answer(&mut self, answer: &[u8]) {
        self.phase = Phase::Commands;
        if answer == b"*" {
            return self.error("cancelled");
        }
        match command::read_plain(answer) {
            Some(credentials) => self.judge(Question::Login(credentials), None),
            None => self.error("cannot decode that"),
        }
    }

    fn user(&mut self, name: &str) {
        if !self.may_log_in() {
            return self.error("TLS is needed first");
        }
        self.user = Some(name.to_owned());
        // RFC 1939 §7: whether the user exists is not told.
        self.say("+OK");
    }

    fn pass(&mut self, password: &str) {
        let Some(authcid) = self.user.take() else {
            return self.error("USER first");
        };
        let credentials = Credentials {
            authzid: None,
            authcid,
            password: Secret::new(password),
        };
        self.judge(Question::Login(credentials), None);
    }

    /// Both ways to log in show the password, so only in private (RFC 2595 §2.3).
    fn may_log_in(&self) -> bool {
        self.tls || self.config.plaintext_auth_allowed
    }

    fn stls(&mut self) {
        if self.tls || !self.config.tls_offered {
            self.error("STLS is not possible now");
        } else if !self.lines.is_empty() {
            // Commands that somebody put in before the handshake.
            self.say_no("nothing may follow STLS in the clear");
            self.close();
        } else {
            self.say("+OK");
            self.phase = Phase::Handshake;
        }
    }

    fn stat(&mut self) {
        if let Some(drop) = &self.drop {
            self.out.extend_from_slice(b"+OK ");
            write_number(drop.count as u64, &mut self.out);
            self.out.push(b' ');
            write_number(drop.octets, &mut self.out);
            self.out.extend_from_slice(b"\r\n");
        }
    }

    fn list(&mut self, unique: bool) {
        self.say("+OK");
        self.phase = Phase::Listing(Listing::new(unique));
    }

    fn list_one(&mut self, number: usize, unique: bool) {
        let found = self.drop.as_ref().and_then(|drop| drop.find(number));
        let Some((_, entry)) = found else {
            return self.no_such_message();
        };
        self.out.extend_from_slice(b"+OK ");
        write_number(number as u64, &mut self.out);
        self.out.push(b' ');
        if unique {
            self.out.extend_from_slice(entry.unique.as_bytes());
        } else {
            write_number(entry.octets, &mut self.out);
        }
        self.out.extend_from_slice(b"\r\n");
    }

    fn retrieve(&mut self, number: usize, lines: Option<u64>) {
        match self.drop.as_ref().and_then(|drop| drop.find(number)) {
            Some((index, _)) => self.judge(Question::Message { index }, lines),
            None => self.no_such_message(),
        }
    }

    fn dele(&mut self, number: usize) {
        let index = self.drop.as_ref().and_then(|drop| drop.find(number));
        match (index.map(|(index, _)| index), &mut self.drop) {
            (Some(index), Some(drop)) => {
                drop.mark(index);
                self.say("+OK");
            }
            _ => self.no_such_message(),
        }
    }

    fn reset(&mut self) {
        if let Some(mut drop) = self.drop.take() {
            drop.unmark_all();
            self.say_count(&drop);
            self.drop = Some(drop);
        }
    }

    fn quit(&mut self) {
        let indices = self.drop.as_ref().map(Maildrop::marked).unwrap_or_default();
        if indices.is_empty() {
            self.leave();
        } else {
            self.judge(Question::Remove { indices }, None);
        }
    }

    fn leave(&mut self) {
        self.say("+OK bye");
        self.close();
    }

    fn judge(&mut self, question: Question, lines: Option<u64>) {
        self.phase = Phase::Judging(question, lines);
    }

    fn no_such_message(&mut self) {
        // No error of the client's: a program may ask for what it has marked before.
        self.say_no("no such message");
    }

    /// Says that the client is wrong; says goodbye when it is wrong too often.
    fn error(&mut self, text: &str) {
        self.errors += 1;
        if self.errors >= self.config.errors_max {
            self.say_no("too many errors");
            return self.close();
        }
        self.say_no(text);
    }

    fn say(&mut self, line: &str) {
        self.out.extend_from_slice(line.as_bytes());
        self.out.extend_from_slice(b"\r\n");
    }

    pub(crate) fn say_no(&mut self, text: &str) {
        self.out.extend_from_slice(b"-ERR ");
        self.say(text);
    }

    fn say_count(&mut self, drop: &Maildrop) {
        self.out.extend_from_slice(b"+OK ");
        write_number(drop.count as u64, &mut self.out);
        self.out.extend_from_slice(b" messages, ");
        write_number(drop.octets, &mut self.out);
        self.say(" octets");
    }

    fn close(&mut self) {
        self.lines.clear();
        self.phase = Phase::Closing;
    }

    fn send_or(&mut self, step: Step) -> Step {
        if self.out.is_empty() {
            return step;
        }
        Step::Send(std::mem::take(&mut self.out).into())
    }
}

/// What is sent in one go, more or less.
const OUTPUT_OCTETS_HIGH: usize = 16 * 1024;

/// From this length on, a piece is worth a write of its own.
const PIECE_OCTETS_LARGE: usize = 8 * 1024;
