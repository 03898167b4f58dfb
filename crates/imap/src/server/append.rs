//! APPEND: what stands before a message and behind it; the message itself passes by.

use super::{
    Server, Step,
    input::Line,
    machine::{Phase, Then},
};
use crate::{
    codec::{Append, Literal, Tag, literal_at_end},
    reply::{Code, Reply},
};

impl Server {
    pub(super) fn append(
        &mut self,
        tag: Tag,
        append: Append,
        literal: Literal,
        out: &mut Vec<u8>,
    ) -> Option<Step> {
        let refusal = match literal.octets {
            0 => Reply::no("a message is not empty").with(Code::Cannot),
            octets if octets > self.config.limits.append_octets => {
                Reply::no("the message is too large").with(Code::TooBig)
            }
            left => {
                self.wait(tag, Then::Nothing);
                self.phase = Phase::AppendAsked {
                    left,
                    waits: literal.waits,
                };
                return Some(Step::AppendBegin(append));
            }
        };
        self.skip(Some(literal), out);
        if !matches!(self.phase, Phase::Closed) {
            refusal.write_to(tag.as_str(), out);
        }
        None
    }

    /// The line end behind a message; anything else spoils it.
    pub(super) fn append_tail(&mut self, out: &mut Vec<u8>) -> Option<Step> {
        let announced = match self.input.line(self.config.limits.line_octets) {
            Line::Open => return Some(Step::Read),
            Line::Ends(0, next) => {
                self.input.consume(next);
                self.phase = Phase::Waiting;
                return Some(Step::AppendEnd);
            }
            Line::Ends(text, next) => {
                let announced = literal_at_end(self.input.last_line(text));
                self.input.consume(next);
                Some(announced)
            }
            Line::TooLong => None,
        };
        let tag = self.pending.take().map(|pending| pending.tag);
        self.phase = Phase::SkipLine;
        let reply = Reply::bad("the line must end behind the message");
        self.refuse(tag.as_ref(), &reply, out);
        if let Some(announced) = announced {
            self.skip(announced, out);
        }
        Some(Step::AppendAbort)
    }
}
