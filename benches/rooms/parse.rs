//! What the grammars cost: SMTP, IMAP, MIME.
//!
//!     cargo bench --manifest-path benches/rooms/Cargo.toml --bench parse
//!
//! Machines without sockets, whose every question is answered yes. `smtp`: an envelope in one piece,
//! as clients with PIPELINING send it; a message whose every tenth line begins with a dot. `imap`: a
//! command, and the answer to FETCH for one message. `mime`: a message with an attachment.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a bench that cannot run has failed; criterion's macros document nothing"
)]

use std::{hint::black_box, sync::Arc};

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use imap::respond::FetchResponse;
use mail::{Flags, Time, Uid};
use smtp::server;

const ENVELOPE: &[u8] =
    b"MAIL FROM:<ann@client.test> SIZE=4096 BODY=8BITMIME\r\nRCPT TO:<bob@house.test>\r\n";

/// A client's session in which it has said EHLO.
fn session() -> server::Server {
    let hostname = "mx.house.test".parse().unwrap();
    let config = server::Config::new(hostname, smtp::Family::Smtp);
    let mut session = server::Server::new(Arc::new(config));
    hear(&mut session, Bytes::from_static(b"EHLO client.test\r\n"));
    session
}

/// Octets of answers and of messages.
fn hear(session: &mut server::Server, octets: Bytes) -> usize {
    session.feed(octets);
    let mut count = 0;
    loop {
        match session.step() {
            server::Step::Close | server::Step::Read | server::Step::StartTls => return count,
            server::Step::Discard => panic!("the message is refused"),
            server::Step::Heard => session.admit(),
            server::Step::Judge(_) => session.yes(),
            server::Step::Send(octets) | server::Step::Store(octets) => count += octets.len(),
        }
    }
}

/// As it is on the wire, every tenth line with a dot more than it has.
fn stuffed(octets: usize) -> Bytes {
    let line = "The quick brown fox jumps over the lazy dog, and the dog lets it pass.\r\n";
    let lines = (0..octets / line.len()).map(|number| match number % 10 {
        9 => format!("..{}", &line[1..]),
        _ => line.to_owned(),
    });
    let body: String = lines.collect();
    Bytes::from(format!("Subject: a bench\r\n\r\n{body}.\r\n"))
}

fn smtp_in(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("smtp");
    let mut session = session();
    let envelope = Bytes::from([ENVELOPE, b"RSET\r\n"].concat());
    group.throughput(Throughput::Elements(3));
    group.bench_function("envelope", |bencher| {
        bencher.iter(|| black_box(hear(&mut session, envelope.clone())));
    });
    let data = Bytes::from([ENVELOPE, b"DATA\r\n"].concat());
    for kib in [4, 1024] {
        let message = stuffed(kib * 1024);
        group.throughput(Throughput::Bytes(message.len() as u64));
        let id = BenchmarkId::new("message", format!("{kib} KiB"));
        group.bench_function(id, |bencher| {
            bencher.iter(|| {
                hear(&mut session, data.clone());
                // Pieces as large as what is read from a socket at once.
                for at in (0..message.len()).step_by(PIECE) {
                    let piece = message.slice(at..message.len().min(at + PIECE));
                    black_box(hear(&mut session, piece));
                }
            });
        });
    }
    group.finish();
}

/// A session that has a mailbox open.
fn reader() -> imap::Server {
    let mut server = imap::Server::new(imap::Config::new("mx.house.test"), true);
    let mut out = Vec::new();
    server.greet(&mut out);
    for command in ["a LOGIN ann secret\r\n", "b SELECT INBOX\r\n"] {
        command_of(&mut server, Bytes::from(command), &mut out);
    }
    server
}

fn command_of(server: &mut imap::Server, octets: Bytes, out: &mut Vec<u8>) {
    server.feed(octets);
    loop {
        match server.step(out) {
            imap::Step::Heard => server.admit(),
            imap::Step::Authenticate(_) | imap::Step::Run(_) => {
                server.answer(imap::Reply::ok("done"), out);
            }
            imap::Step::Read => return,
            other => panic!("{other:?}"),
        }
    }
}

fn imap_in_and_out(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("imap");
    let mut server = reader();
    let mut out = Vec::new();
    let command = Bytes::from_static(
        b"c UID FETCH 1:100,200:* (UID FLAGS RFC822.SIZE \
          BODY.PEEK[HEADER.FIELDS (From To Subject Date Message-Id)])\r\n",
    );
    group.throughput(Throughput::Elements(1));
    group.bench_function("command", |bencher| {
        bencher.iter(|| {
            out.clear();
            command_of(&mut server, command.clone(), &mut out);
            black_box(out.len())
        });
    });
    let message = letter();
    let head = Bytes::copy_from_slice(&message[..mime::header_end(&message).unwrap()]);
    group.bench_function("fetch response", |bencher| {
        bencher.iter(|| {
            out.clear();
            let mut response = FetchResponse::begin(&mut out, 4711);
            response.uid(&mut out, Uid::new(815).unwrap());
            let no_keywords: [&str; 0] = [];
            response.flags(&mut out, Flags::SEEN, no_keywords, false);
            response.internal_date(&mut out, Time::from_seconds(1_800_000_000));
            response.size(&mut out, message.len() as u64);
            response.literal(&mut out, "BODY[HEADER]", &head);
            response.end(&mut out);
            black_box(out.len())
        });
    });
    group.finish();
}

/// A text with an attachment of 64 KiB.
fn letter() -> Vec<u8> {
    let mut text = String::from(
        "Received: from client.test by mx.house.test; Sun, 29 Nov 2026 12:00:00 +0000\r\n\
         From: =?utf-8?q?Ann_M=C3=BCller?= <ann@client.test>\r\n\
         To: Bob <bob@house.test>, Carl <carl@house.test>\r\n\
         Subject: What a message\r\n costs\r\n\
         Date: Sun, 29 Nov 2026 12:00:00 +0000\r\n\
         Message-Id: <4711@client.test>\r\n\
         MIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=\"between\"\r\n\r\n\
         --between\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHello\r\n\r\n\
         --between\r\nContent-Type: application/octet-stream; name=\"a.bin\"\r\n\
         Content-Transfer-Encoding: base64\r\n\
         Content-Disposition: attachment; filename=\"a.bin\"\r\n\r\n",
    );
    for _ in 0..64 * 1024 / 78 {
        text.push_str(&"QUJD".repeat(19));
        text.push_str("\r\n");
    }
    text.push_str("--between--\r\n");
    text.into_bytes()
}

fn mime_in(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mime");
    let message = letter();
    group.throughput(Throughput::Bytes(message.len() as u64));
    group.bench_function("structure", |bencher| {
        bencher.iter(|| {
            let read = mime::Message::read(black_box(&message));
            black_box(read.parts().count())
        });
    });
    group.bench_function("outline", |bencher| {
        bencher.iter(|| {
            let read = mime::Message::read(black_box(&message));
            black_box(read.outline());
        });
    });
    group.finish();
}

/// What is read from a socket at once, at most.
const PIECE: usize = 64 * 1024;

criterion_group!(benches, smtp_in, imap_in_and_out, mime_in);
criterion_main!(benches);
