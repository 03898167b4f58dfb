//! The SMTP server: any octets, in any slicing, give the same replies and never a panic.

use std::sync::Arc;

use bytes::Bytes;
use smtp::{
    Family,
    server::{Config, Server, Step},
};

/// One run.
pub(crate) fn run(octets: &[u8]) {
    let (&cut, octets) = octets.split_first().unwrap_or((&1, &[]));
    if octets.is_empty() {
        return; // no slice at all: nobody asks the machine for anything
    }
    let slices: Vec<&[u8]> = octets.chunks(usize::from(cut).max(1)).collect();
    assert_eq!(said(&slices), said(&[octets]));
}

/// What the machine says and stores, while it is told yes. Nothing after STARTTLS: there the
/// slicing matters, and must (RFC 3207 §5).
fn said(slices: &[&[u8]]) -> (Vec<u8>, Vec<u8>) {
    let hostname = "mx.example.test".parse().expect("a constant");
    let mut server = Server::new(Arc::new(Config::new(hostname, Family::Smtp)));
    server.watch(slices.len() > 1); // that makes no difference
    let (mut said, mut stored) = (Vec::new(), Vec::new());
    for slice in slices {
        server.feed(Bytes::copy_from_slice(slice));
        loop {
            match server.step() {
                Step::Close | Step::StartTls => return (said, stored),
                Step::Discard => stored.clear(),
                Step::Heard => server.admit(),
                Step::Judge(_) => server.yes(),
                Step::Read => break,
                Step::Send(octets) => said.extend_from_slice(&octets),
                Step::Store(piece) => stored.extend_from_slice(&piece),
            }
        }
    }
    (said, Vec::new())
}
