//! What an IMAP session leaves to its successor, and how that one goes on.

use imap::Server;

use super::{
    actor::ImapSessionState,
    failure::Failure,
    metrics::IDLING,
    opened::{Kept, Opened},
};
use crate::contract::Identity;

/// What a restarted session goes on from.
#[derive(Clone, Debug)]
pub struct ImapCheckpoint {
    server: imap::Checkpoint,
    identity: Option<Identity>,
    opened: Option<Kept>,
    greeted: bool,
    /// Answers that have not left.
    unsent: Vec<u8>,
    /// Whether a part of an answer has left since: no successor can know which.
    pub(super) in_answer: bool,
}

impl ImapSessionState {
    /// Leaves what the next incarnation needs where a crash cannot reach it. Answers that have
    /// not left belong to it: it is only in the middle of one that nothing may be kept.
    pub(super) fn keep(&mut self) {
        self.out.end();
        let kept = ImapCheckpoint {
            server: self.server.checkpoint(),
            identity: self.identity.clone(),
            opened: self.opened.as_ref().map(Opened::keep),
            greeted: self.greeted,
            unsent: self.out.buffer.clone(),
            in_answer: false,
        };
        self.connection.keep(kept);
    }

    /// Takes up what a predecessor left.
    pub(super) fn resume(&mut self, kept: ImapCheckpoint) {
        self.greeted = kept.greeted;
        self.out.buffer = kept.unsent;
        let heard = self.connection.hear();
        self.server = Server::resume(kept.server, heard, &mut self.out.buffer);
        if kept.in_answer {
            self.out.buffer.clear();
            self.server.bye(
                "trouble on our side, in the middle of an answer",
                &mut self.out.buffer,
            );
        }
        self.identity = kept.identity;
        // A SELECT that died has closed what was open before it (RFC 3501 §6.3.1).
        let opened = kept.opened.filter(|_| self.server.selected().is_some());
        if let (Some(who), Some(opened)) = (&self.identity, opened) {
            self.opened = Some(Opened::resume(who.account, opened));
        }
        if self.server.is_idling() {
            self.idling = Some(IDLING.hold(&[]));
        }
    }

    /// Whether the connection begins in TLS, and that has not been negotiated.
    fn awaits_tls(&self) -> bool {
        self.args.tls_from_start && self.connection.tls().is_none()
    }

    /// Greets the client, or goes on where a predecessor ended: with what the connection says of
    /// itself, for an event that said so may have died with it.
    pub(super) async fn begin(&mut self) -> Result<(), Failure> {
        if self.awaits_tls() {
            return Ok(()); // under TLS from the first octet, nothing is said before `Secured`
        }
        if self.connection.tls().is_some() && !self.server.is_tls() {
            self.server.tls_started();
        }
        if self.connection.overdue().is_some() {
            return self.bye("you have been silent too long").await;
        }
        if !self.greeted {
            self.greeted = true;
            self.server.greet(&mut self.out.buffer);
        } else if let Some(id) = self.opened_id() {
            self.watch_again(id).await;
            if self.idling.is_some() {
                self.news(true, false).await?;
            }
        }
        self.go_on().await
    }
}
