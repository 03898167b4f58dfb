//! A connection of a delivery that stands, and what is heard on it.

use std::time::Duration;

use bytes::BytesMut;
use mail::{Domain, Enhanced, Reply};
use smtp::{
    Family,
    client::{Client, Config, Tls},
};
use supervision::{Gate, Pass};
use tokio::{select, sync::oneshot};
use world::outbound::{Outbound, OutboundError};

use super::way::Stop;
use crate::contract::Load;

/// A connection that stands.
pub(super) struct Line {
    /// Messages that it has carried.
    pub(super) carried: u64,
    pub(super) client: Client,
    /// Whether what it carried last goes on to another host.
    pub(super) is_left: bool,
    pub(super) outbound: Outbound,
    pub(super) received: BytesMut,
    pub(super) stop: Stop,
    _pass: Pass,
}

/// A question to the queue: what is next?
pub(super) struct Asked {
    /// The answer. Once this is dropped, the queue keeps what it would have handed out.
    pub(super) answer: oneshot::Receiver<Option<Load>>,
    /// How long it is waited for.
    pub(super) limit: Duration,
}

impl Line {
    /// Connected; the peer speaks first.
    pub(super) fn new(
        (hostname, chunking): (&Domain, bool),
        stop: Stop,
        outbound: Outbound,
        pass: Pass,
    ) -> Self {
        let mut config = Config::new(hostname.clone(), Family::Smtp);
        config.chunking = chunking && !stop.without_chunks;
        if stop.in_the_clear {
            config.tls = Tls::Never;
        }
        Self {
            carried: 0,
            client: Client::new(config),
            is_left: false,
            outbound,
            received: BytesMut::new(),
            stop,
            _pass: pass,
        }
    }

    /// Waits for the peer, as long as the RFC says.
    pub(super) async fn hear(&mut self) {
        let limit = self.client.stage().time_limit();
        let read = self.outbound.read(&mut self.received, limit).await;
        self.heard(read);
    }

    /// Waits for the queue's answer, with an ear at the peer: who has had enough of us closes, and
    /// nothing is begun there.
    ///
    /// # Errors
    /// Why this connection carries nothing more: a label of
    /// [`LEFT`](super::metrics::LEFT).
    pub(super) async fn wait(&mut self, asked: Asked, gate: &Gate) -> Result<Load, &'static str> {
        select! {
            biased;
            answer = asked.answer => answer.ok().flatten().ok_or("nothing"),
            () = gate.closed() => Err("closing"),
            read = self.outbound.read(&mut self.received, asked.limit) => {
                if matches!(read, Err(OutboundError::TimedOut(_))) {
                    return Err("idle");
                }
                self.heard(read);
                Err("peer")
            }
        }
    }

    /// A peer that closes in the middle has mostly said why: that counts, and not the broken pipe.
    pub(super) async fn hear_last_words(&mut self) {
        let read = self.outbound.read(&mut self.received, LAST_WORDS_LIMIT);
        if read.await.is_ok() {
            self.client.feed(self.received.split().freeze());
        }
    }

    fn heard(&mut self, read: Result<usize, OutboundError>) {
        match read {
            Ok(_) => self.client.feed(self.received.split().freeze()),
            Err(error) => self.client.lost(lost(&error)),
        }
    }
}

/// RFC 3463 §3.5: bad connection.
pub(super) fn lost(error: &OutboundError) -> Reply {
    Reply::new(
        451,
        Enhanced(4, 4, 2),
        format!("the connection was lost: {error}"),
    )
}

/// What a peer said before it closed has arrived before its end.
const LAST_WORDS_LIMIT: Duration = Duration::from_secs(2);
