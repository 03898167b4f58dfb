//! The commands: what each means in this state of the session.

use mail::Reply;

use crate::{
    Family, Mail, Mechanism, Rcpt,
    command::{self, Command},
    extensions::{self, Offer},
    path::{self, Path, PathError},
};

use super::{
    config::Config,
    exchange::{Exchange, Next},
    machine::{Phase, Question, Server},
    replies,
    session::{Hello, Session},
};

impl Server {
    /// Hears a line.
    pub(super) fn line(&mut self, line: &[u8]) {
        if let Phase::Auth(exchange) = &mut self.phase {
            if line == b"*" {
                return self.bad_line(replies::auth_cancelled());
            }
            let next = exchange.hear(line);
            return self.go_on(next);
        }
        let command = command::read(line);
        // RFC 4954 §4: only the lines of AUTH may be longer.
        if line.len() + 2 > COMMAND_OCTETS_MAX && !matches!(command, Command::Auth(_)) {
            return self.error(replies::overlong());
        }
        if self.config.tls_required && !self.session.tls && !may_go_before_tls(&command) {
            return self.error(replies::tls_first());
        }
        match command {
            Command::Auth(rest) => self.auth(rest),
            Command::Data(rest) => self.without_argument(rest, Self::data),
            Command::Ehlo(name) if self.config.family != Family::Lmtp => self.ehlo(name),
            Command::Foreign => self.close(replies::foreign()),
            Command::Helo(name) if self.config.family != Family::Lmtp => self.helo(name),
            Command::Help => self.say(&replies::help()),
            Command::Lhlo(name) if self.config.family == Family::Lmtp => self.ehlo(name),
            // RFC 2033 §4.1: the hellos are how the two dialogues are told apart.
            Command::Ehlo(_) | Command::Helo(_) | Command::Lhlo(_) | Command::Unknown => {
                self.error(replies::unknown());
            }
            Command::Mail(rest) => self.mail_from(rest),
            Command::Noop => self.say(&replies::ok()),
            Command::Quit(rest) => self.without_argument(rest, |s| s.close(replies::bye())),
            Command::Rcpt(rest) => self.rcpt_to(rest),
            Command::Rset(rest) => self.without_argument(rest, Self::reset),
            Command::StartTls(rest) => self.without_argument(rest, Self::start_tls),
            Command::Syntax => self.error(replies::syntax()),
            Command::Unspoken => self.error(replies::unspoken()),
            Command::Vrfy(b"") => self.error(replies::argument()),
            Command::Vrfy(who) => {
                let who = String::from_utf8_lossy(who).into_owned();
                self.phase = Phase::Judging(Question::Vrfy(who));
            }
        }
    }

    /// RFC 5321 §4.1.1.1: clears all buffers.
    fn ehlo(&mut self, name: &[u8]) {
        if self.greet(name, true) {
            let offer = offer(&self.config, &self.session);
            replies::write_hello(&offer, &mut self.out);
        }
    }

    fn helo(&mut self, name: &[u8]) {
        if self.greet(name, false) {
            let text = self.config.hostname.as_str().to_owned();
            self.say(&Reply::new(250, None, text));
        }
    }

    /// Departs from RFC 5321 §4.1.2: any printable word is a name, because nothing is decided by
    /// it and many honest clients do not know theirs.
    fn greet(&mut self, name: &[u8], extended: bool) -> bool {
        let sound = name.iter().all(u8::is_ascii_graphic) && name.len() <= HELLO_OCTETS_MAX;
        let name = std::str::from_utf8(name)
            .ok()
            .filter(|name| sound && !name.is_empty());
        let Some(name) = name else {
            self.error(replies::hello_name());
            return false;
        };
        self.session.hello = Some(Hello {
            name: name.into(),
            extended,
        });
        self.session.transaction = None;
        true
    }

    fn mail_from(&mut self, rest: &[u8]) {
        if self.session.hello.is_none() {
            return self.error(replies::hello_first());
        }
        if self.session.transaction.is_some() {
            return self.error(replies::sequence());
        }
        if self.config.auth_required && self.session.identity.is_none() {
            return self.error(replies::auth_first());
        }
        let (from, rest) = match path::read(rest) {
            Ok((Path::Mailbox(from), rest)) => (Some(from), rest),
            Ok((Path::Null, rest)) => (None, rest),
            Err(PathError::Utf8) => return self.error(replies::sender_utf8()),
            Ok((Path::Postmaster, _)) | Err(_) => return self.error(replies::sender_syntax()),
        };
        let mut mail = Mail::new(from);
        let offer = offer(&self.config, &self.session);
        match extensions::read_mail(&mut mail, rest, &offer) {
            Ok(()) => self.phase = Phase::Judging(Question::Mail(mail)),
            // RFC 1870 §6.1: too big is no mistake.
            Err(reply) if reply.code() == 552 => self.say(&reply),
            Err(reply) => self.error(reply),
        }
    }

    fn rcpt_to(&mut self, rest: &[u8]) {
        let Some(transaction) = &self.session.transaction else {
            return self.say(&replies::sequence()); // no error: see `data`
        };
        if transaction.recipients.len() >= self.config.recipients_max {
            return self.say(&replies::recipients());
        }
        let (to, rest) = match (path::read(rest), &self.config.postmaster) {
            (Ok((Path::Mailbox(to), rest)), _) => (to, rest),
            (Ok((Path::Postmaster, rest)), Some(postmaster)) => (postmaster.clone(), rest),
            (Err(PathError::Utf8), _) => return self.error(replies::sender_utf8()),
            (Ok(_) | Err(_), _) => return self.error(replies::recipient_syntax()),
        };
        let mut rcpt = Rcpt::new(to);
        let offer = offer(&self.config, &self.session);
        match extensions::read_rcpt(&mut rcpt, rest, &offer) {
            Ok(()) => self.phase = Phase::Judging(Question::Rcpt(rcpt)),
            Err(reply) => self.error(reply),
        }
    }

    /// RCPT and DATA out of sequence are no errors of the client: whoever pipelines has sent them
    /// before it can know that MAIL, or every recipient, is refused (RFC 2920 §3.1).
    fn data(&mut self) {
        match &self.session.transaction {
            None => self.say(&replies::sequence()),
            // RFC 5321 §4.1.4, RFC 2033 §4.2.
            Some(transaction) if transaction.recipients.is_empty() => {
                self.say(&replies::no_recipients());
            }
            Some(transaction) => {
                let size = transaction.mail.size;
                self.phase = Phase::Judging(Question::BeginBody { size });
            }
        }
    }

    fn reset(&mut self) {
        self.session.transaction = None;
        self.say(&replies::ok());
    }

    fn start_tls(&mut self) {
        if self.session.tls {
            self.error(replies::sequence());
        } else if !self.config.tls_offered {
            self.error(replies::unspoken());
        } else if !self.lines.is_empty() {
            // Commands that somebody put in before the handshake (RFC 3207 §5).
            self.close(replies::tls_injection());
        } else {
            self.say(&replies::start_tls());
            self.phase = Phase::Handshake;
        }
    }

    fn auth(&mut self, rest: &[u8]) {
        if self.config.mechanisms.is_empty() {
            return self.error(replies::unspoken());
        }
        if self.session.hello.is_none() {
            return self.error(replies::hello_first());
        }
        // RFC 4954 §4: once a session, and not within a transaction.
        if self.session.identity.is_some() || self.session.transaction.is_some() {
            return self.error(replies::sequence());
        }
        let space = memchr::memchr(b' ', rest).unwrap_or(rest.len());
        let (name, initial) = (&rest[..space], rest[space..].trim_ascii_start());
        let named = |m: &&Mechanism| m.name().as_bytes().eq_ignore_ascii_case(name);
        let Some(&mechanism) = self.config.mechanisms.iter().find(named) else {
            return self.error(replies::auth_mechanism());
        };
        if !extensions::auth::is_offered(&offer(&self.config, &self.session)) {
            return self.error(replies::auth_in_clear());
        }
        let mut exchange = Exchange::begin(mechanism);
        let next = if initial.is_empty() {
            Next::Ask(exchange.challenge())
        } else {
            exchange.hear(initial)
        };
        self.phase = Phase::Auth(exchange);
        self.go_on(next);
    }

    fn go_on(&mut self, next: Next) {
        let mechanism = match &self.phase {
            Phase::Auth(Exchange::Plain) => Mechanism::Plain,
            _ => Mechanism::Login,
        };
        match next {
            Next::Ask(challenge) => self.say(&Reply::new(334, None, challenge)),
            Next::Judge(credentials) => {
                self.phase = Phase::Judging(Question::Auth(mechanism, credentials));
            }
            Next::Malformed => self.bad_line(replies::auth_malformed()),
        }
    }

    fn without_argument(&mut self, rest: &[u8], act: fn(&mut Self)) {
        if rest.is_empty() {
            act(self);
        } else {
            self.error(replies::no_arguments());
        }
    }
}

const fn offer<'a>(config: &'a Config, session: &Session) -> Offer<'a> {
    Offer {
        config,
        tls: session.tls,
        authenticated: session.identity.is_some(),
    }
}

/// RFC 3207 §4.
const fn may_go_before_tls(command: &Command<'_>) -> bool {
    matches!(
        command,
        Command::Ehlo(_)
            | Command::Foreign
            | Command::Helo(_)
            | Command::Lhlo(_)
            | Command::Noop
            | Command::Quit(_)
            | Command::StartTls(_)
            | Command::Syntax
            | Command::Unknown
            | Command::Unspoken
    )
}

/// Longest command but AUTH, CRLF included, in octets: 512 (RFC 5321 §4.5.3.1.4) and what SIZE,
/// 8BITMIME, AUTH and DSN add (RFC 1870 §4, RFC 6152 §2, RFC 4954 §3, RFC 3461 §4), rounded up.
const COMMAND_OCTETS_MAX: usize = 2048;

/// RFC 5321 §4.5.3.1.2.
const HELLO_OCTETS_MAX: usize = 255;
