//! What must survive the death of a session's actor.

use bytes::Bytes;

use super::{
    Server,
    hand::Hand,
    input::Line,
    login::SASL_LINE_OCTETS_MAX,
    machine::{Phase, Then},
};
use crate::{
    codec::{MailboxName, Tag, Verb, head, literal_at_end},
    reply::{Code, Reply},
};

/// What must survive the death of a session's actor while its socket lives: the session as it
/// stood when a step was handed out, what was heard and not read included.
///
/// If part of a reply has been sent since, no successor can know where it ended: close the
/// connection instead of going on from here.
#[derive(Clone, Debug)]
pub struct Checkpoint(Server);

/// An open mailbox.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Selected {
    /// Its name when it was opened.
    pub mailbox: MailboxName,
    /// Whether it is open for reading only.
    pub read_only: bool,
}

impl Server {
    /// What a successor must know. See [`Checkpoint`] for when to take it.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint(self.clone())
    }

    /// Goes on from `checkpoint`, on the same connection; `heard` is what the crashed session had
    /// been sent since.
    ///
    /// What it was about is answered with `NO [SERVERBUG]` (RFC 5530 §3) and not carried out: the
    /// command that was under way, the line that ends an IDLE or goes on with AUTHENTICATE, or the
    /// command at the head of what was heard. A command whose end has not come is none yet. So
    /// each command has one answer, and an IDLE or a handshake with nothing to answer goes on.
    #[must_use]
    pub fn resume(checkpoint: Checkpoint, heard: Bytes, out: &mut Vec<u8>) -> Self {
        let mut server = checkpoint.0;
        server.hand = Hand::default();
        if !heard.is_empty() {
            server.feed(heard);
        }
        server.answer_for_the_crash(out);
        server
    }

    /// Goes on from `checkpoint` as if nothing had happened: a session that was
    /// [at rest](Server::is_at_rest) had ended in peace.
    #[must_use]
    pub fn wake(checkpoint: Checkpoint) -> Self {
        checkpoint.0
    }

    /// Whether nothing is under way: no command, and no octets of one. An IDLE may be.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        matches!(self.phase, Phase::Command | Phase::Idle) && self.input.is_empty()
    }

    fn answer_for_the_crash(&mut self, out: &mut Vec<u8>) {
        match self.phase {
            Phase::Closed | Phase::Tls => {}
            Phase::Append { .. }
            | Phase::AppendAsked { .. }
            | Phase::AppendTail
            | Phase::Waiting => self.say_trouble(out),
            Phase::Idle | Phase::Sasl(_) => match self.input.line(SASL_LINE_OCTETS_MAX) {
                Line::Ends(_, next) => {
                    self.input.consume(next);
                    self.say_trouble(out);
                }
                Line::Open | Line::TooLong => {} // said again when the line is looked at
            },
            Phase::Command | Phase::Literal | Phase::SkipLine | Phase::SkipLiteral { .. } => {
                self.refuse_the_next(out);
            }
        }
    }

    /// Ends the command that is under way. That we crash says nothing of a password.
    fn say_trouble(&mut self, out: &mut Vec<u8>) {
        if let Some(pending) = &mut self.pending {
            pending.then = Then::Nothing;
            self.answer(trouble(), out);
        }
    }

    /// Answers the next command if it has been heard to its end.
    fn refuse_the_next(&mut self, out: &mut Vec<u8>) {
        while !matches!(self.phase, Phase::Command) {
            if self.advance(out).is_some() {
                return; // the rest of what is to be skipped has not come
            }
        }
        let (text, next) = match self.input.line(self.config.limits.line_octets) {
            Line::Ends(text, next) => (text, next),
            Line::Open => return,
            Line::TooLong => return self.too_long(out),
        };
        self.pass_over(text, next, &trouble(), out);
    }

    /// Answers the command that ends at `text` without carrying it out.
    pub(super) fn pass_over(&mut self, text: usize, next: usize, reply: &Reply, out: &mut Vec<u8>) {
        let tag = match head(self.input.upto(text)) {
            Ok((tag, verb, _)) => {
                if matches!(verb, Verb::Examine | Verb::Select) {
                    self.selected = None; // RFC 3501 §6.3.1: also if it fails
                }
                Some(tag)
            }
            Err((tag, _)) => tag,
        };
        let announced = literal_at_end(self.input.last_line(text));
        self.input.consume(next);
        reply.write_to(tag.as_ref().map_or("", Tag::as_str), out);
        self.skip(announced, out);
    }
}

fn trouble() -> Reply {
    Reply::no("trouble on our side; the command may have been carried out").with(Code::ServerBug)
}
