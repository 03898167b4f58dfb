//! What the client promises: who is settled how, at which command, and what goes over the wire.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use heronry_smtp::{
    Family,
    client::{Client, Config, Settled, Stage, Step, Tls},
    server,
};
use mail::{Credentials, Enhanced, Outcome, Reply};
use proptest::prelude::*;

use peer::{Peer, SMTP, from, to};

mod peer;

#[test]
fn one_transaction_goes_out_in_one_group_and_is_settled_for_each() {
    let mut peer = Peer::ready(SMTP, "PIPELINING\r\n250-SIZE 1000\r\n250 8BITMIME");
    let mut mail = from("ann@a.test");
    mail.size = Some(4);
    mail.body = mail::BodyType::EightBitMime;
    peer.client.begin(mail, to(3));
    assert_eq!(
        peer.says(),
        "MAIL FROM:<ann@a.test> SIZE=4 BODY=8BITMIME\r\nRCPT TO:<user0@b.test>\r\n\
         RCPT TO:<user1@b.test>\r\nRCPT TO:<user2@b.test>\r\nDATA\r\n"
    );
    peer.body = b".hi\r\n".to_vec();
    peer.hear("250 2.1.0 ok\r\n250 2.1.5 ok\r\n550 5.1.1 no\r\n451 4.2.0 wait\r\n354 go\r\n");
    assert_eq!(peer.says(), "..hi\r\n.\r\n");
    assert_eq!(peer.client.stage(), Stage::End);
    peer.hear("250 2.0.0 taken\r\n");
    let expected = [
        (
            Stage::End,
            Outcome::Deliver(Reply::new(250, Enhanced(2, 0, 0), "taken")),
        ),
        (
            Stage::Rcpt,
            Outcome::Fail(Reply::new(550, Enhanced(5, 1, 1), "no")),
        ),
        (
            Stage::Rcpt,
            Outcome::Defer(Reply::new(451, Enhanced(4, 2, 0), "wait")),
        ),
    ];
    assert_eq!(peer.report(), expected.to_vec());
    peer.client.quit();
    assert_eq!(peer.says(), "QUIT\r\n");
    peer.hear("221 bye\r\n");
    assert_eq!(peer.closed, Some(None));
}

#[test]
fn without_pipelining_each_command_waits_for_its_answer() {
    let mut peer = Peer::ready(SMTP, "HELP");
    peer.client.begin(from("ann@a.test"), to(2));
    assert_eq!(peer.says(), "MAIL FROM:<ann@a.test>\r\n");
    peer.hear("250 ok\r\n");
    assert_eq!(peer.says(), "RCPT TO:<user0@b.test>\r\n");
    peer.hear("550 no\r\n");
    assert_eq!(peer.says(), "RCPT TO:<user1@b.test>\r\n");
    peer.hear("550 no\r\n");
    // Nobody is left: DATA is not sent, and the next transaction begins with RSET.
    assert_eq!(peer.says(), "");
    assert_eq!(peer.stages(), [Stage::Rcpt, Stage::Rcpt]);
    peer.client.begin(from("bob@a.test"), to(1));
    assert_eq!(peer.says(), "RSET\r\n");
    peer.hear("250 ok\r\n");
    assert_eq!(peer.says(), "MAIL FROM:<bob@a.test>\r\n");
}

#[test]
fn a_refused_sender_settles_everybody() {
    let mut peer = Peer::ready(SMTP, "PIPELINING");
    peer.client.begin(from("ann@a.test"), to(2));
    peer.says();
    peer.hear("550 5.7.1 not you\r\n503 5.5.1 x\r\n503 5.5.1 x\r\n503 5.5.1 x\r\n");
    let fail = Outcome::Fail(Reply::new(550, Enhanced(5, 7, 1), "not you"));
    assert_eq!(peer.report(), vec![(Stage::Mail, fail); 2]);
    assert!(peer.idle);
}

#[test]
fn a_354_after_all_were_refused_is_answered_with_an_empty_message() {
    let mut peer = Peer::ready(SMTP, "PIPELINING");
    peer.client.begin(from("ann@a.test"), to(1));
    peer.says();
    peer.hear("250 ok\r\n550 no\r\n354 go\r\n");
    assert_eq!(peer.says(), ".\r\n");
    assert_eq!(peer.stages(), [Stage::Rcpt]);
    peer.hear("554 nobody\r\n");
    peer.client.begin(from("ann@a.test"), to(1));
    assert!(peer.says().starts_with("MAIL"));
}

#[test]
fn refusals_of_data_and_of_the_message_are_told_apart() {
    let mut peer = Peer::ready(SMTP, "PIPELINING");
    peer.client.begin(from("ann@a.test"), to(1));
    peer.says();
    peer.hear("250 ok\r\n250 ok\r\n452 4.3.1 full\r\n");
    assert_eq!(peer.stages(), [Stage::Data]);
    peer.client.begin(from("ann@a.test"), to(1));
    assert!(peer.says().starts_with("RSET\r\nMAIL"));
    peer.hear("250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n");
    peer.says();
    peer.hear("554 5.6.0 bad\r\n");
    let fail = Outcome::Fail(Reply::new(554, Enhanced(5, 6, 0), "bad"));
    assert_eq!(peer.report(), [(Stage::End, fail)]);
}

#[test]
fn a_421_defers_whoever_is_not_settled_and_ends_the_session() {
    let mut peer = Peer::ready(SMTP, "PIPELINING");
    peer.client.begin(from("ann@a.test"), to(3));
    peer.says();
    peer.hear("250 ok\r\n550 5.1.1 no\r\n421 4.3.2 closing\r\n");
    let defer = Outcome::Defer(Reply::new(421, Enhanced(4, 3, 2), "closing"));
    let fail = Outcome::Fail(Reply::new(550, Enhanced(5, 1, 1), "no"));
    let expected = [
        (Stage::Rcpt, fail),
        (Stage::Rcpt, defer.clone()),
        (Stage::Rcpt, defer.clone()),
    ];
    assert_eq!(peer.report(), expected);
    assert_eq!(
        peer.closed,
        Some(Some(Settled {
            outcome: defer,
            stage: Stage::Rcpt
        }))
    );
}

#[test]
fn too_many_recipients_is_for_now_whichever_code_says_it() {
    let mut peer = Peer::ready(SMTP, "PIPELINING");
    peer.client.begin(from("ann@a.test"), to(2));
    peer.says();
    peer.hear("250 ok\r\n250 ok\r\n552 5.5.3 too many\r\n354 go\r\n");
    peer.says();
    peer.hear("250 ok\r\n");
    let report = peer.report();
    assert!(matches!(report[1], (Stage::Rcpt, Outcome::Defer(_))));
}

#[test]
fn a_connection_that_breaks_defers_with_the_place_where_it_broke() {
    let mut peer = Peer::ready(SMTP, "PIPELINING");
    peer.client.begin(from("ann@a.test"), to(1));
    peer.says();
    peer.hear("250 ok\r\n250 ok\r\n354 go\r\n");
    peer.says();
    let lost = Reply::new(451, Enhanced(4, 4, 2), "lost");
    peer.client.lost(lost.clone());
    peer.go_on();
    assert_eq!(peer.report(), [(Stage::End, Outcome::Defer(lost))]);
    assert!(matches!(peer.closed, Some(Some(_))));
}

#[test]
fn a_refusal_in_the_middle_of_the_message_counts_when_the_connection_breaks() {
    let mut peer = Peer::ready(SMTP, "PIPELINING");
    peer.client.begin(from("ann@a.test"), to(1));
    peer.says();
    peer.client
        .feed(Bytes::from_static(b"250 ok\r\n250 ok\r\n354 go\r\n"));
    while !matches!(peer.client.step(), Step::Body) {}
    peer.client
        .feed(Bytes::from_static(b"552 5.3.4 too big\r\n"));
    peer.client.lost(Reply::new(451, Enhanced(4, 4, 2), "lost"));
    peer.go_on();
    let fail = Outcome::Fail(Reply::new(552, Enhanced(5, 3, 4), "too big"));
    assert_eq!(
        peer.report(),
        [(Stage::End, fail)].map(|(_, outcome)| (Stage::Body, outcome))
    );
    // For the others it is only a lost connection.
    assert!(matches!(
        &peer.closed,
        Some(Some(Settled {
            outcome: Outcome::Defer(_),
            ..
        }))
    ));
}

#[test]
fn a_message_longer_than_the_peer_takes_is_not_sent() {
    let mut peer = Peer::ready(SMTP, "SIZE 1000");
    let mut mail = from("ann@a.test");
    mail.size = Some(1001);
    peer.client.begin(mail, to(1));
    assert_eq!(peer.says(), "");
    let report = peer.report();
    let (Stage::Mail, Outcome::Fail(reply)) = &report[0] else {
        panic!("{report:?}");
    };
    assert_eq!(
        (reply.code(), reply.enhanced()),
        (552, Some(Enhanced(5, 3, 4)))
    );
    assert!(peer.idle);
}

#[test]
fn a_peer_that_knows_no_ehlo_gets_helo_and_no_extensions() {
    let mut peer = Peer::new(SMTP);
    peer.hear("220 old\r\n");
    assert_eq!(peer.says(), "EHLO we.test\r\n");
    peer.hear("502 what\r\n");
    assert_eq!(peer.says(), "HELO we.test\r\n");
    peer.hear("250 old\r\n");
    assert!(peer.idle);
    let mut mail = from("ann@a.test");
    mail.size = Some(9);
    peer.client.begin(mail, to(1));
    assert_eq!(peer.says(), "MAIL FROM:<ann@a.test>\r\n");
}

#[test]
fn a_refusing_greeting_or_hello_ends_the_session() {
    for (family, said, stage, permanent) in [
        (SMTP, "554 no mail here\r\n", Stage::Banner, true),
        (SMTP, "421 busy\r\n", Stage::Banner, false),
        (SMTP, "HTTP/1.1 400 Bad Request\r\n", Stage::Banner, false),
        (SMTP, "220 a\r\n450 wait\r\n", Stage::Hello, false),
        (SMTP, "220 a\r\n500 a\r\n550 never\r\n", Stage::Hello, true),
        (Family::Lmtp, "220 a\r\n500 what\r\n", Stage::Hello, true),
    ] {
        let mut peer = Peer::new(family);
        peer.hear(said);
        let Some(Some(settled)) = peer.closed else {
            panic!("{said:?}: {:?}", peer.closed);
        };
        assert_eq!(settled.stage, stage, "{said:?}");
        assert_eq!(
            matches!(settled.outcome, Outcome::Fail(_)),
            permanent,
            "{said:?}"
        );
    }
}

#[test]
fn starttls_is_used_where_it_is_offered_and_everything_is_asked_anew() {
    let mut peer = Peer::new(SMTP);
    peer.hear("220 a\r\n");
    peer.says();
    peer.hear("250-a\r\n250-PIPELINING\r\n250 STARTTLS\r\n");
    assert_eq!(peer.says(), "STARTTLS\r\n");
    peer.hear("220 go\r\n");
    assert!(peer.handshake);
    peer.handshake = false;
    peer.client.tls_started();
    assert_eq!(peer.says(), "EHLO we.test\r\n");
    peer.hear("250 a\r\n");
    assert!(peer.client.tls_active());
    peer.client.begin(from("ann@a.test"), to(1));
    assert_eq!(peer.says(), "MAIL FROM:<ann@a.test>\r\n"); // no PIPELINING any more
}

#[test]
fn tls_is_opportunistic_or_required() {
    for (tls, offer, answer, goes_on) in [
        (Tls::Opportunistic, "HELP", None, true),
        (Tls::Opportunistic, "STARTTLS", Some("454 no\r\n"), true),
        (Tls::Required, "HELP", None, false),
        (Tls::Required, "STARTTLS", Some("454 no\r\n"), false),
        (
            Tls::Opportunistic,
            "STARTTLS",
            Some("220 go\r\n250 injected\r\n"),
            false,
        ),
    ] {
        let mut config = Config::new("we.test".parse().unwrap(), SMTP);
        config.tls = tls;
        let mut peer = Peer::with(config);
        peer.hear("220 a\r\n");
        peer.hear(&format!("250-a\r\n250 {offer}\r\n"));
        if let Some(answer) = answer {
            peer.hear(answer);
        }
        assert_eq!(peer.idle, goes_on, "{tls:?} {offer} {answer:?}");
        assert!(!peer.handshake);
        if !goes_on {
            let Some(Some(settled)) = peer.closed else {
                panic!("{tls:?} {offer}");
            };
            assert_eq!(settled.stage, Stage::StartTls);
            assert!(matches!(settled.outcome, Outcome::Defer(_)));
        }
    }
}

#[test]
fn a_login_happens_only_in_private() {
    let mut config = Config::new("we.test".parse().unwrap(), SMTP);
    config.credentials = Credentials::from_plain(b"\0ann\0secret");
    let mut open = Peer::with(config.clone());
    open.hear("220 a\r\n");
    open.hear("250-a\r\n250 AUTH PLAIN\r\n");
    assert!(!open.says().contains("AUTH"));
    assert!(matches!(
        &open.closed,
        Some(Some(Settled {
            stage: Stage::Auth,
            ..
        }))
    ));

    config.tls_active = true;
    let mut private = Peer::with(config);
    private.hear("220 a\r\n");
    private.says();
    private.hear("250-a\r\n250 AUTH PLAIN\r\n");
    assert_eq!(private.says(), "AUTH PLAIN AGFubgBzZWNyZXQ=\r\n");
    private.hear("235 welcome\r\n");
    assert!(private.idle);
}

#[test]
fn in_lmtp_each_recipient_is_settled_by_its_own_answer() {
    let mut peer = Peer::ready(Family::Lmtp, "PIPELINING");
    peer.client.begin(from("ann@a.test"), to(3));
    peer.says();
    peer.hear("250 ok\r\n250 ok\r\n550 no\r\n250 ok\r\n354 go\r\n");
    peer.says();
    peer.hear("250 first\r\n");
    peer.hear("452 4.2.2 full\r\n");
    let report = peer.report();
    assert!(matches!(report[0], (Stage::End, Outcome::Deliver(_))));
    assert!(matches!(report[1], (Stage::Rcpt, Outcome::Fail(_))));
    assert!(matches!(report[2], (Stage::End, Outcome::Defer(_))));
}

#[test]
fn dsn_goes_on_where_it_is_offered() {
    let mut mail = from("ann@a.test");
    mail.ret = Some(mail::Ret::Full);
    mail.envid = Some("a+b".to_owned());
    let mut rcpt = to(1);
    rcpt[0].notify = mail::Notify {
        delay: true,
        failure: true,
        success: true,
    };
    rcpt[0].original = Some(heronry_smtp::OriginalRecipient {
        kind: "rfc822".to_owned(),
        address: "x=y@b.test".to_owned(),
    });
    let mut peer = Peer::ready(SMTP, "PIPELINING\r\n250 DSN");
    assert!(peer.client.offers_dsn());
    peer.client.begin(mail, rcpt);
    assert_eq!(
        peer.says(),
        "MAIL FROM:<ann@a.test> RET=FULL ENVID=a+2Bb\r\n\
         RCPT TO:<user0@b.test> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;x+3Dy@b.test\r\nDATA\r\n"
    );
}

#[test]
fn many_recipients_go_out_in_groups_so_that_nobody_waits_for_both_to_read() {
    let mut peer = Peer::ready(SMTP, "PIPELINING");
    peer.client.begin(from("ann@a.test"), to(250));
    let mut groups = Vec::new();
    loop {
        let group = peer.says();
        let lines = group.lines().count();
        if lines == 0 {
            break;
        }
        groups.push(lines);
        let answers = group.lines().map(|line| match line {
            "DATA" => "354 go\r\n",
            _ => "250 ok\r\n",
        });
        peer.hear(&answers.collect::<String>());
        if group.ends_with("DATA\r\n") {
            break;
        }
    }
    assert_eq!(groups, [100, 100, 52]);
    assert_eq!(peer.says(), ".\r\n");
}

#[test]
fn a_large_clean_piece_is_not_copied() {
    let mut peer = Peer::ready(SMTP, "PIPELINING");
    peer.client.begin(from("ann@a.test"), to(1));
    peer.says();
    peer.client
        .feed(Bytes::from_static(b"250 ok\r\n250 ok\r\n354 go\r\n"));
    assert_eq!(peer.client.step(), Step::Body);
    let piece = Bytes::from(b"a line\r\n".repeat(2000));
    peer.client.body(piece.clone());
    let Step::Send(sent) = peer.client.step() else {
        panic!("a piece is due");
    };
    assert_eq!((sent.len(), sent.as_ptr()), (piece.len(), piece.as_ptr()));
    assert_eq!(peer.client.step(), Step::Body);
    peer.client.end_body();
    assert_eq!(peer.client.step(), Step::Send(Bytes::from_static(b".\r\n")));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_the_client_sends_is_what_the_server_stores(
        lines in prop::collection::vec("[.a\u{e9}]{0,5}", 0..12),
        cuts in prop::collection::vec(1_usize..9, 0..20),
        lmtp: bool,
    ) {
        let message: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        let family = if lmtp { Family::Lmtp } else { SMTP };
        let mut config = server::Config::new("b.test".parse().unwrap(), family);
        config.dsn_offered = true;
        let mut server = server::Server::new(Arc::new(config));
        let mut client = Client::new(Config::new("we.test".parse().unwrap(), family));
        let mut rest: VecDeque<Bytes> = VecDeque::new();
        let mut whole = Bytes::from(message.clone());
        for cut in cuts {
            rest.push_back(whole.split_to(cut.min(whole.len())));
        }
        rest.push_back(whole);
        let (mut stored, mut reports, mut begun) = (Vec::new(), Vec::new(), false);
        for _ in 0..1000 {
            match client.step() {
                Step::Body => match rest.pop_front() {
                    Some(piece) => client.body(piece),
                    None => client.end_body(),
                },
                Step::Close(settled) => {
                    prop_assert_eq!(settled, None);
                    break;
                }
                Step::Read => loop {
                    match server.step() {
                        server::Step::Send(octets) => client.feed(octets),
                        server::Step::Store(piece) => stored.extend_from_slice(&piece),
                        server::Step::Judge(_) => server.yes(),
                        server::Step::Read | server::Step::Close => break,
                        step => prop_assert!(false, "{step:?}"),
                    }
                },
                Step::Ready if begun => client.quit(),
                Step::Ready => {
                    begun = true;
                    client.begin(from("ann@a.test"), to(2));
                }
                Step::Report(report) => reports.push(report),
                Step::Send(octets) => server.feed(octets),
                Step::StartTls => prop_assert!(false, "no TLS is offered"),
            }
        }
        prop_assert_eq!(stored, message.into_bytes());
        let ends = reports.iter().flat_map(|report| &report.recipients);
        let delivered = ends.filter(|end| matches!(end.outcome, Outcome::Deliver(_))).count();
        prop_assert_eq!((reports.len(), delivered), (1, 2));
    }

    #[test]
    fn no_octets_make_the_machine_panic_and_everybody_is_settled_once(
        lines in prop::collection::vec("(220|250|354|421|450|550|235|999)[ -]?[a-z.0-9]{0,6}\r\n", 0..12),
        noise: Vec<u8>,
    ) {
        let mut peer = Peer::new(SMTP);
        let mut all = lines.concat().into_bytes();
        all.extend_from_slice(&noise);
        let mut begun = 0;
        for slice in all.chunks(7) {
            peer.client.feed(Bytes::copy_from_slice(slice));
            peer.go_on();
            if peer.handshake {
                peer.handshake = false;
                peer.client.tls_started();
            }
            if peer.closed.is_none() && peer.idle {
                begun += 1;
                peer.client.begin(from("ann@a.test"), to(2));
                peer.go_on();
            }
        }
        peer.client.lost(Reply::new(451, None, "lost"));
        peer.go_on();
        prop_assert!(peer.closed.is_some());
        prop_assert_eq!(peer.reports.len(), begun);
        prop_assert!(peer.reports.iter().all(|report| report.recipients.len() == 2));
    }
}
