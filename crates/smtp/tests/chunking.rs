//! What the client promises where a peer counts octets (RFC 3030): nobody waits for a 354, and whatever
//! the peer refuses, each recipient is settled by the command that decided it.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use bytes::Bytes;
use heronry_smtp::{
    Family, Mail,
    client::{Client, Config, Stage, Step, Unchunked},
};
use mail::{BodyType, Enhanced, Outcome, Reply};
use proptest::prelude::*;

use peer::{Peer, SMTP, from, to};

mod peer;

const BOTH: &str = "PIPELINING\r\n250 CHUNKING";

fn small(octets: u64) -> Mail {
    Mail {
        size: Some(octets),
        ..from("ann@a.test")
    }
}

/// A small message for so many, which has been sent.
fn sent(offers: &str, recipients: usize) -> Peer {
    let mut peer = Peer::ready(SMTP, offers);
    peer.body = b".hi\r\n".to_vec();
    peer.client.begin(small(5), to(recipients));
    peer
}

/// A large message for one, of which so many chunks have been sent, and not the last one.
fn flowing(chunks: usize) -> Peer {
    let mut peer = Peer::ready(SMTP, BOTH);
    peer.client.begin(small(1 << 30), to(1));
    peer.says();
    peer.client
        .feed(Bytes::from_static(b"250 ok\r\n250 ok\r\n"));
    let line = Bytes::from(b"a line\r\n".repeat(8192));
    for _ in 0..=chunks {
        while let Step::Send(_) = peer.client.step() {}
        peer.client.body(line.clone());
    }
    while let Step::Send(_) = peer.client.step() {}
    peer
}

#[test]
fn a_small_message_goes_out_in_one_write_with_its_envelope_and_nothing_is_stuffed() {
    let mut peer = Peer::ready(SMTP, BOTH);
    peer.client.begin(small(5), to(2));
    assert_eq!(peer.client.step(), Step::Body);
    peer.client.body(Bytes::from_static(b".hi\r\n"));
    peer.client.end_body();
    let Step::Send(octets) = peer.client.step() else {
        panic!("all of it is sent")
    };
    let expected = "MAIL FROM:<ann@a.test>\r\nRCPT TO:<user0@b.test>\r\n\
                    RCPT TO:<user1@b.test>\r\nBDAT 5 LAST\r\n.hi\r\n";
    assert_eq!(octets, expected);
    assert_eq!(peer.client.step(), Step::Read);
    peer.hear("250 ok\r\n250 ok\r\n550 5.1.1 no\r\n250 2.0.0 taken\r\n");
    let expected = [
        (
            Stage::End,
            Outcome::Deliver(Reply::new(250, Enhanced(2, 0, 0), "taken")),
        ),
        (
            Stage::Rcpt,
            Outcome::Fail(Reply::new(550, Enhanced(5, 1, 1), "no")),
        ),
    ];
    assert_eq!(peer.report(), expected);
    // The next one needs no RSET.
    peer.client.begin(small(5), to(1));
    assert!(peer.says().starts_with("MAIL"));
}

#[test]
fn where_chunks_are_not_offered_or_not_wanted_there_is_data() {
    let mut peer = sent("PIPELINING\r\n250 SIZE", 1);
    assert!(peer.says().ends_with("DATA\r\n"));
    let mut config = Config::new("we.test".parse().unwrap(), SMTP);
    config.chunking = false;
    let mut peer = Peer::with(config);
    peer.hear("220 a\r\n");
    peer.hear("250-a\r\n250-PIPELINING\r\n250 CHUNKING\r\n");
    peer.says();
    peer.client.begin(small(5), to(1));
    assert!(peer.says().ends_with("DATA\r\n"));
    let mut peer = Peer::ready(Family::Lmtp, BOTH);
    peer.client.begin(small(5), to(1));
    assert!(peer.says().ends_with("DATA\r\n"));
}

#[test]
fn a_refused_envelope_has_cost_the_message_and_each_is_settled_by_its_own_reply() {
    let mut peer = sent(BOTH, 2);
    peer.says();
    peer.hear("250 ok\r\n550 5.1.1 no\r\n451 4.2.0 wait\r\n554 5.5.1 nobody\r\n");
    let expected = [
        (
            Stage::Rcpt,
            Outcome::Fail(Reply::new(550, Enhanced(5, 1, 1), "no")),
        ),
        (
            Stage::Rcpt,
            Outcome::Defer(Reply::new(451, Enhanced(4, 2, 0), "wait")),
        ),
    ];
    assert_eq!(peer.report(), expected);
    assert!(peer.idle);
    peer.body = b"x\r\n".to_vec();
    peer.client.begin(small(3), to(1));
    assert!(peer.says().starts_with("RSET\r\nMAIL"), "RFC 3030 2");
    peer.hear("250 ok\r\n550 5.7.1 not you\r\n503 5.5.1 x\r\n503 5.5.1 x\r\n");
    let fail = Outcome::Fail(Reply::new(550, Enhanced(5, 7, 1), "not you"));
    assert_eq!(peer.report(), [(Stage::Mail, fail)]);
    assert!(peer.idle);
}

#[test]
fn a_refused_message_is_told_apart_and_forgotten_by_the_peer() {
    let mut peer = sent(BOTH, 1);
    peer.says();
    peer.hear("250 ok\r\n250 ok\r\n452 4.3.1 full\r\n");
    assert_eq!(peer.stages(), [Stage::End]);
    peer.client.begin(small(5), to(1));
    assert!(peer.says().starts_with("RSET\r\nMAIL"));
}

#[test]
fn a_peer_that_does_not_know_chunks_is_left_and_whomever_it_took_goes_another_way() {
    for code in 500..=504 {
        let mut peer = sent(BOTH, 2);
        peer.says();
        // The line of the message is a command, too.
        let replies =
            format!("250 ok\r\n550 5.1.1 no\r\n250 ok\r\n{code} 5.5.1 odd\r\n500 .hi?\r\n");
        peer.hear(&replies);
        assert_eq!(peer.reports[0].unchunked, Some(Unchunked::Refused));
        assert_eq!(peer.stages(), [Stage::Rcpt, Stage::Chunk], "{code}");
        let why = peer.closed.unwrap().unwrap();
        let odd = Outcome::Defer(Reply::new(code, Enhanced(5, 5, 1), "odd"));
        assert_eq!((why.stage, why.outcome), (Stage::Chunk, odd));
    }
    // Nobody was taken: then it has no use for a message, and says so as it likes.
    let mut peer = sent(BOTH, 1);
    peer.says();
    peer.hear("250 ok\r\n450 4.2.0 wait\r\n503 5.5.1 for whom\r\n");
    assert_eq!(peer.reports[0].unchunked, None);
    assert_eq!(peer.stages(), [Stage::Rcpt]);
    assert!(peer.idle);
}

#[test]
fn the_first_of_several_chunks_may_be_the_one_that_is_unknown() {
    let mut peer = flowing(3);
    peer.hear("502 5.5.1 odd\r\n500 a line?\r\n");
    assert_eq!(peer.reports[0].unchunked, Some(Unchunked::Refused));
    assert_eq!(peer.stages(), [Stage::Chunk]);
    // It closes while they are being sent, and what it said is read afterwards.
    let mut peer = flowing(3);
    peer.client
        .feed(Bytes::from_static(b"502 5.5.1 odd\r\n500 a"));
    peer.client.lost(Reply::new(451, Enhanced(4, 4, 2), "lost"));
    peer.go_on();
    assert_eq!(peer.reports[0].unchunked, Some(Unchunked::Refused));
    let odd = Outcome::Defer(Reply::new(502, Enhanced(5, 5, 1), "odd"));
    assert_eq!(peer.report(), [(Stage::Chunk, odd)]);
}

#[test]
fn a_connection_that_breaks_over_the_first_chunks_may_be_a_peer_that_does_not_know_them() {
    let lost = Reply::new(451, Enhanced(4, 4, 2), "lost");
    // It does not have all of it.
    let mut peer = flowing(3);
    peer.client.lost(lost.clone());
    peer.go_on();
    assert_eq!(peer.reports[0].unchunked, Some(Unchunked::Lost));
    assert_eq!(peer.stages(), [Stage::Chunk]);
    // It may have all of it: nobody sends it again at once.
    let mut peer = sent(BOTH, 1);
    peer.says();
    peer.hear("250 ok\r\n250 ok\r\n");
    peer.client.lost(lost.clone());
    peer.go_on();
    assert_eq!(peer.reports[0].unchunked, Some(Unchunked::Lost));
    assert_eq!(peer.stages(), [Stage::End]);
    // It has taken one: it knows them.
    let mut peer = flowing(3);
    peer.client.feed(Bytes::from_static(b"250 some\r\n"));
    peer.client.lost(lost.clone());
    peer.go_on();
    assert_eq!(peer.reports[0].unchunked, None);
    assert_eq!(peer.stages(), [Stage::Body]);
    // It is we who cannot go on.
    let mut peer = flowing(3);
    peer.client.give_up(lost);
    peer.go_on();
    assert_eq!(peer.reports[0].unchunked, None);
    assert_eq!(peer.stages(), [Stage::Body]);
}

#[test]
fn a_refusal_behind_chunks_that_were_taken_counts_when_the_connection_breaks() {
    let mut peer = flowing(3);
    peer.client
        .feed(Bytes::from_static(b"250 some\r\n552 5.3.4 too big\r\n"));
    peer.client.lost(Reply::new(451, Enhanced(4, 4, 2), "lost"));
    peer.go_on();
    assert_eq!(peer.reports[0].unchunked, None);
    let fail = Outcome::Fail(Reply::new(552, Enhanced(5, 3, 4), "too big"));
    assert_eq!(peer.report(), [(Stage::Body, fail)]);
    // And a goodbye is a goodbye, but nothing is known of chunks.
    let mut peer = flowing(3);
    peer.client.feed(Bytes::from_static(b"421 4.7.0 bye\r\n"));
    peer.client.lost(Reply::new(451, Enhanced(4, 4, 2), "lost"));
    peer.go_on();
    assert_eq!(peer.reports[0].unchunked, Some(Unchunked::Lost));
    let defer = Outcome::Defer(Reply::new(421, Enhanced(4, 7, 0), "bye"));
    assert_eq!(peer.report(), [(Stage::Body, defer)]);
}

#[test]
fn octets_that_are_no_lines_are_sent_to_nobody() {
    let mut peer = Peer::ready(SMTP, "BINARYMIME\r\n250 CHUNKING");
    let binary = Mail {
        body: BodyType::BinaryMime,
        ..small(5)
    };
    peer.client.begin(binary, to(2));
    assert_eq!(peer.says(), "");
    let text = "a binary message, which cannot be converted";
    let fail = Outcome::Fail(Reply::new(554, Enhanced(5, 6, 3), text));
    assert_eq!(peer.report(), vec![(Stage::Mail, fail); 2]);
    assert!(peer.idle);
}

#[test]
fn a_connection_that_breaks_behind_the_message_leaves_open_whether_the_peer_has_it() {
    let lost = Reply::new(451, Enhanced(4, 4, 2), "lost");
    let mut peer = sent(BOTH, 2);
    peer.says();
    peer.hear("250 ok\r\n550 5.1.1 no\r\n");
    assert_eq!(peer.client.stage(), Stage::End);
    peer.client.lost(lost.clone());
    assert_eq!(peer.stages(), [Stage::Rcpt, Stage::End]);
    // Unless it has said otherwise before.
    let mut peer = sent(BOTH, 2);
    peer.says();
    peer.client
        .feed(Bytes::from_static(b"421 4.7.0 not you\r\n"));
    peer.client.lost(lost);
    let defer = Outcome::Defer(Reply::new(421, Enhanced(4, 7, 0), "not you"));
    assert_eq!(peer.report(), vec![(Stage::Mail, defer); 2]);
}

#[test]
fn a_large_message_waits_for_its_envelope_and_goes_out_in_chunks() {
    let mut peer = Peer::ready(SMTP, BOTH);
    peer.client.begin(small(200_000), to(2));
    assert!(peer.says().ends_with("RCPT TO:<user1@b.test>\r\n"));
    peer.client
        .feed(Bytes::from_static(b"250 ok\r\n550 no\r\n250 ok\r\n"));
    let mut said = Vec::new();
    let line = Bytes::from(b"a line\r\n".repeat(8192));
    let mut left = 3;
    loop {
        match peer.client.step() {
            Step::Body if left > 0 => {
                left -= 1;
                peer.client.body(line.clone());
            }
            Step::Body => peer.client.end_body(),
            Step::Send(octets) => said.extend_from_slice(&octets),
            step => {
                assert_eq!(step, Step::Read);
                break;
            }
        }
    }
    let said = String::from_utf8(said).unwrap();
    let commands: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("BDAT"))
        .collect();
    assert_eq!(commands, ["BDAT 65536", "BDAT 65536", "BDAT 65536 LAST"]);
    assert_eq!(said.matches("a line\r\n").count(), 3 * 8192);
    peer.hear("250 some\r\n250 more\r\n");
    assert_eq!(peer.client.stage(), Stage::End);
    peer.hear("250 2.0.0 taken\r\n");
    assert_eq!(peer.stages(), [Stage::Rcpt, Stage::End]);
}

#[test]
fn nothing_more_is_sent_behind_a_refused_chunk_and_both_never_wait_for_each_other() {
    let mut peer = Peer::ready(SMTP, BOTH);
    peer.client.begin(small(1 << 30), to(1));
    peer.says();
    peer.client
        .feed(Bytes::from_static(b"250 ok\r\n250 ok\r\n"));
    let line = Bytes::from(b"a line\r\n".repeat(8192));
    let mut pieces = 0;
    let mut until_read = |client: &mut Client| loop {
        match client.step() {
            Step::Body => {
                pieces += 1;
                assert!(pieces < 100, "it reads now and then");
                client.body(line.clone());
            }
            Step::Send(_) => {}
            step => break step,
        }
    };
    assert_eq!(until_read(&mut peer.client), Step::Read);
    peer.client.feed("250 ok\r\n".repeat(10).into());
    assert_eq!(until_read(&mut peer.client), Step::Read);
    peer.client
        .feed(Bytes::from_static(b"552 5.3.4 too big\r\n"));
    assert_eq!(
        until_read(&mut peer.client),
        Step::Read,
        "the others are answered, too"
    );
    peer.hear(&"503 5.5.1 x\r\n".repeat(15));
    let fail = Outcome::Fail(Reply::new(552, Enhanced(5, 3, 4), "too big"));
    assert_eq!(peer.report(), [(Stage::Body, fail)]);
    assert!(peer.idle);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_a_peer_with_chunks_says_everybody_is_settled_once(
        lines in prop::collection::vec("(220|250|250|354|421|450|502|550|999)[ -]?[a-z.0-9]{0,6}\r\n", 0..20),
        eager: bool,
    ) {
        let mut peer = Peer::ready(SMTP, BOTH);
        let mut begun = 0;
        for line in lines {
            if peer.closed.is_none() && peer.idle {
                begun += 1;
                peer.body = vec![b'x'; if eager { 9 } else { 100_000 }];
                peer.client.begin(small(peer.body.len() as u64), to(2));
                peer.go_on();
            }
            peer.hear(&line);
        }
        peer.client.lost(Reply::new(451, None, "lost"));
        peer.go_on();
        prop_assert!(peer.closed.is_some());
        prop_assert_eq!(peer.reports.len(), begun);
        prop_assert!(peer.reports.iter().all(|report| report.recipients.len() == 2));
    }
}
