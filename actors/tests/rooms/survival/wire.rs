//! A client's end of a connection without a network.

use std::time::Duration;

use bytes::{Buf, BytesMut};
use imap::client::{ReadError, Response};
use tokio::io::DuplexStream;
use world::{
    outbound::{Outbound, OutboundError},
    tls::{ClientTls, Trust},
};

use super::house::{SOMEWHERE, settle};

/// A client's end, and what it has heard and not read.
pub(crate) struct Wire {
    heard: BytesMut,
    out: Outbound,
}

impl Wire {
    pub(crate) fn new(pipe: DuplexStream) -> Self {
        Self {
            heard: BytesMut::new(),
            out: Outbound::memory(pipe, SOMEWHERE, SOMEWHERE),
        }
    }

    pub(crate) async fn start_tls(&mut self, tls: &ClientTls) {
        let name = "mx.house.test".parse().unwrap();
        let shaken = self.out.start_tls(tls, &name, Trust::Required, PATIENCE);
        shaken.await.unwrap();
    }

    pub(crate) async fn say(&mut self, text: &str) {
        self.out.write(text.as_bytes(), PATIENCE).await.unwrap();
    }

    /// Says it in pieces, and lets the other end look at each.
    pub(crate) async fn say_in_pieces(&mut self, text: &str, pieces: &[usize]) {
        let (mut rest, mut pieces) = (text, pieces.iter().copied());
        while !rest.is_empty() {
            let (piece, more) = rest.split_at(pieces.next().unwrap_or(usize::MAX).min(rest.len()));
            self.say(piece).await;
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            rest = more;
        }
    }

    /// The next line; `None` at the end of the connection, which TLS has to say.
    pub(crate) async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(lf) = self.heard.iter().position(|&octet| octet == b'\n') {
                let line = self.heard.split_to(lf + 1);
                return Some(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            self.hear().await?;
        }
    }

    /// The next reply of SMTP, its lines joined by `/`.
    pub(crate) async fn reply(&mut self) -> Option<String> {
        let mut reply = String::new();
        loop {
            let line = self.line().await?;
            reply.push_str(&line);
            if line.as_bytes().get(3) != Some(&b'-') {
                return Some(reply);
            }
            reply.push('/');
        }
    }

    /// The next response of IMAP.
    pub(crate) async fn response(&mut self) -> Option<Response> {
        loop {
            match Response::read(&self.heard) {
                Ok((response, length)) => {
                    self.heard.advance(length);
                    return Some(response);
                }
                Err(ReadError::Open) => self.hear().await?,
                Err(ReadError::Form) => panic!("no response: {:?}", self.heard),
            }
        }
    }

    /// Whether anything has been said that was not read, once everybody has done what they can.
    pub(crate) async fn is_quiet(&mut self) -> bool {
        settle().await;
        let more = self
            .out
            .read(&mut self.heard, Duration::from_millis(1))
            .await;
        more.is_err() && self.heard.is_empty()
    }

    async fn hear(&mut self) -> Option<()> {
        match self.out.read(&mut self.heard, PATIENCE).await {
            Ok(_) => Some(()),
            Err(OutboundError::Closed) => None,
            Err(error) => panic!("no answer: {error}"),
        }
    }
}

const PATIENCE: Duration = Duration::from_secs(20);
