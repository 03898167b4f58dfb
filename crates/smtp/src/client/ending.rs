//! How a connection ends before its time, and what that means for the message that is on it.

use mail::{Outcome, Reply};

use super::{
    machine::{Client, Phase},
    reader::Reader,
    report::{Report, Settled, Stage, Unchunked},
    transaction::outcome,
};

impl Client {
    /// For reasons of ours, as when the message cannot be read on: whoever is not settled is deferred
    /// with `reply`. Nothing more is sent.
    pub fn give_up(&mut self, reply: Reply) {
        self.end(self.stage(), Outcome::Defer(reply), None);
    }

    /// The connection is gone, or the peer has been silent for too long: whoever is not settled is
    /// deferred with `reply`. Nothing more is sent.
    ///
    /// A refusal that came while the message was being sent, before the connection broke, counts
    /// instead.
    pub fn lost(&mut self, reply: Reply) {
        // Answers to an envelope that went out with its message count, if they came before the end.
        while matches!(&self.phase, Phase::Envelope(transaction) if transaction.chunks > 0)
            && let Ok(Some(said)) = self.reader.next()
        {
            self.hear(said);
        }
        let stage = self.stage();
        if let Some(said) = self.last_refusal()
            && let Phase::Body(transaction, _) | Phase::End(transaction) = &mut self.phase
        {
            if transaction.is_unknown(&said) {
                return self.end(Stage::Chunk, Outcome::Defer(said), Some(Unchunked::Refused));
            }
            if said.code() == 421 {
                return self.fail(stage, Outcome::Defer(said)); // it had enough, of whatever
            }
            transaction.settle_all(stage, &outcome(said));
        }
        // What has not been sent whole the peer cannot have.
        let is_chunk = stage == Stage::Body && self.doubts().is_some();
        let stage = if is_chunk { Stage::Chunk } else { stage };
        self.fail(stage, Outcome::Defer(reply));
    }

    /// What the peer refused a message with that is on its way, if it did and nobody has heard it.
    fn last_refusal(&mut self) -> Option<Reply> {
        let (transaction, last) = match &mut self.phase {
            Phase::Body(transaction, _) => (transaction, 0),
            Phase::End(transaction) => (transaction, 1),
            _ => return None,
        };
        while let Ok(Some(said)) = self.reader.next() {
            if !said.is_positive() {
                return Some(said);
            }
            if transaction.chunks <= last {
                return None; // to what it does not have whole it cannot say yes
            }
            transaction.chunks -= 1;
            self.takes_chunks = true;
        }
        None
    }

    /// Why the peer should get no more chunks, if the connection ends now.
    fn doubts(&self) -> Option<Unchunked> {
        let hangs = match &self.phase {
            Phase::Body(transaction, _)
            | Phase::End(transaction)
            | Phase::Envelope(transaction) => transaction.hangs_on_chunks(),
            _ => false,
        };
        (hangs && !self.takes_chunks).then_some(Unchunked::Lost)
    }

    /// The session is over before its time, by the peer.
    pub(super) fn fail(&mut self, stage: Stage, outcome: Outcome) {
        self.end(stage, outcome, self.doubts());
    }

    /// The session is over before its time.
    pub(super) fn end(&mut self, stage: Stage, outcome: Outcome, unchunked: Option<Unchunked>) {
        match std::mem::replace(&mut self.phase, Phase::Ready) {
            Phase::Quit => return self.close(None),
            phase @ Phase::Closing(_) => {
                self.phase = phase;
                return;
            }
            Phase::Body(mut transaction, _)
            | Phase::End(mut transaction)
            | Phase::Envelope(mut transaction) => {
                transaction.settle_all(stage, &outcome);
                let report = transaction.report(stage, outcome.reply());
                self.report = Some(Report {
                    unchunked,
                    ..report
                });
            }
            _ => {}
        }
        self.close(Some(Settled { outcome, stage }));
    }

    pub(super) fn close(&mut self, settled: Option<Settled>) {
        self.ready.clear();
        self.out.clear();
        self.reader = Reader::default();
        self.phase = Phase::Closing(settled);
    }
}
