//! The IMAP server: any octets, in any slicing, give the same replies and never a panic.

use bytes::Bytes;
use imap::{Config, Reply, Server, Step};

/// One run.
pub(crate) fn run(octets: &[u8]) {
    let (&cut, octets) = octets.split_first().unwrap_or((&1, &[]));
    let slices: Vec<&[u8]> = octets.chunks(usize::from(cut).max(1)).collect();
    assert_eq!(said(&slices), said(&[octets]));
}

/// What the machine says to a client that is let in and whose every wish is granted.
fn said(slices: &[&[u8]]) -> Vec<u8> {
    let mut server = Server::new(Config::new("mx.example.test"), true);
    server.watch(slices.len() > 1); // that makes no difference
    let mut said = Vec::new();
    for slice in slices {
        server.feed(Bytes::copy_from_slice(slice));
        loop {
            match server.step(&mut said) {
                Step::AppendAbort | Step::AppendChunk(_) | Step::IdleBegin => {}
                Step::Heard => server.admit(),
                Step::AppendBegin(_) => server.accept(&mut said),
                Step::AppendEnd | Step::Authenticate(_) | Step::IdleEnd | Step::Run(_) => {
                    server.answer(Reply::ok("done"), &mut said);
                }
                Step::Close | Step::StartTls => return said,
                Step::Read => break,
            }
        }
    }
    said
}
