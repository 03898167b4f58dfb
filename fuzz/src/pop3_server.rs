//! The POP3 server: any octets, in any slicing, give the same replies and never a panic.

use std::sync::Arc;

use bytes::Bytes;
use pop3::{Config, Entry, Question, Server, Step};

/// One run.
pub(crate) fn run(octets: &[u8]) {
    let (&cut, octets) = octets.split_first().unwrap_or((&1, &[]));
    if octets.is_empty() {
        return; // no slice at all: nobody asks the machine for anything
    }
    let slices: Vec<&[u8]> = octets.chunks(usize::from(cut).max(1)).collect();
    assert_eq!(said(&slices), said(&[octets]));
}

/// What the machine says about a maildrop of one message.
fn said(slices: &[&[u8]]) -> Vec<u8> {
    let mut config = Config::new("mx.example.test");
    config.plaintext_auth_allowed = true;
    let mut server = Server::new(Arc::new(config));
    server.watch(slices.len() > 1); // that makes no difference
    let mut said = Vec::new();
    let mut pieces = 0;
    for slice in slices {
        server.feed(Bytes::copy_from_slice(slice));
        loop {
            match server.step() {
                Step::Close | Step::StartTls => return said,
                Step::Heard => server.admit(),
                Step::Judge(Question::Login(_)) => {
                    server.logged_in(vec![Entry {
                        octets: 9,
                        unique: "u1".into(),
                    }]);
                }
                Step::Judge(_) => {
                    pieces = 1;
                    server.yes();
                }
                Step::Piece if pieces > 0 => {
                    pieces -= 1;
                    server.piece(Bytes::from_static(b"A:\r\n\r\n.\r\n"));
                }
                Step::Piece => server.end_message(),
                Step::Read => break,
                Step::Send(octets) => said.extend_from_slice(&octets),
            }
        }
    }
    said
}
