//! What an IMAP session leaves to its successor, and how that one goes on.

use std::sync::Arc;

use imap::Server;

use super::{
    actor::ImapSessionState,
    failure::Failure,
    metrics::IDLING,
    opened::{Kept, Opened},
    sleep::Nap,
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
    /// That the session sleeps, and what it has left on.
    pub(super) nap: Option<Arc<Nap>>,
}

impl ImapSessionState {
    /// Leaves what the next incarnation needs where a crash cannot reach it. Answers that have
    /// not left belong to it: it is only in the middle of one that nothing may be kept.
    pub(super) fn keep(&mut self) {
        let kept = self.checkpoint();
        self.connection.keep(kept);
    }

    /// What the next incarnation needs.
    pub(super) fn checkpoint(&mut self) -> ImapCheckpoint {
        self.out.end();
        ImapCheckpoint {
            server: self.server.checkpoint(),
            identity: self.identity.clone(),
            opened: self.opened.as_ref().map(Opened::keep),
            greeted: self.greeted,
            unsent: self.out.buffer.clone(),
            in_answer: false,
            nap: None,
        }
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

    /// Takes up what this very session left when it fell asleep: nothing has gone wrong.
    pub(super) fn wake(&mut self, kept: ImapCheckpoint, nap: Nap) {
        self.greeted = kept.greeted;
        self.out.buffer = kept.unsent;
        self.server = Server::wake(kept.server);
        self.identity = kept.identity;
        if let (Some(who), Some(opened)) = (&self.identity, kept.opened) {
            let mut opened = Opened::resume(who.account, opened);
            opened.watch = nap.watch;
            self.opened = Some(opened);
        }
        self.idling = nap.idling;
    }

    /// Whether the connection begins in TLS, and that has not been negotiated.
    pub(super) fn awaits_tls(&self) -> bool {
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
        } else if self.idling.is_some() {
            self.watch_if_deaf().await;
            self.news(true, false).await?;
        }
        // Of a session that was woken by them, or whose predecessor was told of them in vain.
        let octets = self.connection.hear();
        if !octets.is_empty() {
            self.server.feed(octets);
        }
        self.go_on().await
    }
}
