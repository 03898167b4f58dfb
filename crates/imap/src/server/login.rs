//! STARTTLS, LOGIN and AUTHENTICATE: from who is not known to who says who it is.

use mail::Credentials;

use super::{
    Server, Step,
    input::Line,
    machine::{Pending, Phase, Then},
    sasl::{Exchange, Heard},
};
use crate::{
    codec::Tag,
    reply::{Code, Reply},
};

impl Server {
    pub(super) fn start_tls(&mut self, tag: &Tag, out: &mut Vec<u8>) -> Option<Step> {
        if self.tls || !self.config.starttls {
            self.refuse(Some(tag), &Reply::bad("there is no TLS to be started"), out);
            return None;
        }
        self.phase = Phase::Tls;
        if !self.input.is_empty() {
            return None;
        }
        Reply::ok("begin TLS now").write_to(tag.as_str(), out);
        Some(Step::StartTls)
    }

    pub(super) fn may_say_passwords(&self) -> bool {
        self.tls || self.config.plaintext_login
    }

    pub(super) fn log_in(&mut self, tag: Tag, who: Credentials, out: &mut Vec<u8>) -> Option<Step> {
        if !self.may_say_passwords() {
            let reply = Reply::no("not without TLS").with(Code::PrivacyRequired);
            reply.write_to(tag.as_str(), out);
            return None;
        }
        let user = who.authzid.as_deref().unwrap_or(&who.authcid);
        self.wait(tag, Then::LogIn(user.into()));
        Some(Step::Authenticate(who))
    }

    pub(super) fn authenticate(
        &mut self,
        tag: Tag,
        mechanism: &str,
        initial: Option<Vec<u8>>,
        out: &mut Vec<u8>,
    ) -> Option<Step> {
        let refusal = match Exchange::begin(mechanism) {
            Some(_) if !self.may_say_passwords() => {
                Reply::no("not without TLS").with(Code::PrivacyRequired)
            }
            Some((exchange, question)) => match initial {
                Some(line) => return self.heard(tag, exchange.hear(&line), out),
                None => return self.heard(tag, Heard::Ask(exchange, question), out),
            },
            None => Reply::no("that mechanism is unknown").with(Code::Cannot),
        };
        refusal.write_to(tag.as_str(), out);
        None
    }

    pub(super) fn heard(&mut self, tag: Tag, heard: Heard, out: &mut Vec<u8>) -> Option<Step> {
        self.phase = Phase::Command;
        match heard {
            Heard::Ask(exchange, question) => {
                out.extend_from_slice(b"+ ");
                out.extend_from_slice(question.as_bytes());
                out.extend_from_slice(b"\r\n");
                self.phase = Phase::Sasl(exchange);
                self.hand.put_down(); // an answer is no command, and holds a password
                self.pending = Some(Pending {
                    tag,
                    then: Then::Nothing,
                });
                None
            }
            Heard::Bad(text) => {
                self.refuse(Some(&tag), &Reply::bad(text), out);
                None
            }
            Heard::Done(who) => self.log_in(tag, who, out),
        }
    }

    /// A line of an exchange of AUTHENTICATE.
    pub(super) fn sasl(&mut self, out: &mut Vec<u8>) -> Option<Step> {
        let (text, next) = match self.input.line(SASL_LINE_OCTETS_MAX) {
            Line::Ends(text, next) => (text, next),
            Line::Open => return Some(Step::Read),
            Line::TooLong => {
                self.phase = Phase::SkipLine;
                let tag = self.pending.take().map(|pending| pending.tag);
                self.refuse(tag.as_ref(), &Reply::bad("the line is too long"), out);
                return None;
            }
        };
        let line = self.input.upto(text).to_vec();
        self.input.consume(next);
        let phase = std::mem::replace(&mut self.phase, Phase::Command);
        let (Phase::Sasl(exchange), Some(pending)) = (phase, self.pending.take()) else {
            return None; // there is an exchange, or this would not have been called
        };
        self.heard(pending.tag, exchange.hear(&line), out)
    }
}

/// More than any response of the mechanisms is long.
pub(super) const SASL_LINE_OCTETS_MAX: usize = 4096;
