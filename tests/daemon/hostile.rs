//! Bad manners: clients that never read, that leave in the middle, that send nothing.

use testkit::{Door, SHORT, SmtpClient, Wire, peak_growth_octets, until};

use crate::common::{demo, inbox, letter, messages, user};

#[test]
fn a_client_that_never_reads_its_mail_costs_a_bounded_amount_of_memory() {
    let daemon = demo().start();
    let mut large = b"Subject: large\r\n\r\n".to_vec();
    large.extend([&[b'x'; 998][..], b"\r\n"].concat().repeat(4000));
    daemon.accept(&[&user(0)], &large);
    let mut deaf = inbox(&daemon, "user0", 1);
    let grown = peak_growth_octets(daemon.pid(), || {
        let tag = deaf.start(b"FETCH 1 BODY.PEEK[]").unwrap();
        deaf.finish(&tag).unwrap().ok(); // one, heard: the server is past its first effort
        for number in 0..200 {
            let fetch = format!("f{number} FETCH 1 BODY.PEEK[]\r\n");
            if deaf.wire().send(fetch.as_bytes()).is_err() {
                break;
            }
        }
        // Meanwhile everybody else is served.
        for _ in 0..20 {
            daemon.accept(&[&user(1)], &letter("meanwhile"));
        }
        inbox(&daemon, "user1", 20);
    });
    assert!(
        grown < 96 * MEBI,
        "800 MB that nobody reads took {grown} octets"
    );
}

#[test]
fn a_client_that_pipelines_and_never_reads_the_replies_is_held_back() {
    let daemon = demo().start();
    let grown = peak_growth_octets(daemon.pid(), || {
        let mut deaf = daemon.smtp();
        deaf.wire()
            .tcp()
            .set_write_timeout(Some(std::time::Duration::from_secs(2)))
            .unwrap();
        let commands = b"HELP\r\n".repeat(10_000);
        for _ in 0..500 {
            if deaf.wire().send(&commands).is_err() {
                break; // the server reads no further: that is the back-pressure
            }
        }
        daemon
            .smtp()
            .send("a@b.test", &[&user(2)], &letter("others go on"))
            .expect(250);
    });
    assert!(
        grown < 32 * MEBI,
        "replies that nobody reads took {grown} octets"
    );
}

#[test]
fn a_client_that_leaves_in_the_middle_of_data_leaves_no_message_and_no_memory() {
    let daemon = demo().start();
    let chunk = [&[b'x'; 998][..], b"\r\n"].concat().repeat(1000);
    let grown = peak_growth_octets(daemon.pid(), || {
        for round in 0..30 {
            let mut smtp = daemon.smtp();
            smtp.command("MAIL FROM:<a@b.test>").expect(250);
            smtp.command("RCPT TO:<user3@example.test>").expect(250);
            smtp.command("DATA").expect(354);
            for _ in 0..round % 5 {
                smtp.wire().send(&chunk).unwrap();
            }
            smtp.wire().send(b"half a li").unwrap();
        }
    });
    daemon.accept(&[&user(3)], &letter("whole"));
    inbox(&daemon, "user3", 1);
    assert_eq!(messages(&mut daemon.imap("user3")), 1);
    assert!(
        grown < 48 * MEBI,
        "messages that nobody ended took {grown} octets"
    );
}

#[test]
fn a_client_that_hangs_up_its_half_after_the_dot_has_still_sent_its_message() {
    let daemon = demo().start();
    let mut smtp = daemon.smtp();
    let all = "MAIL FROM:<a@b.test>\r\nRCPT TO:<user4@example.test>\r\nDATA\r\n";
    smtp.wire().send(all.as_bytes()).unwrap();
    for code in [250, 250, 354] {
        smtp.reply().expect(code);
    }
    smtp.wire()
        .send(b"Subject: last\r\n\r\nx\r\n.\r\n")
        .unwrap();
    smtp.wire().hang_up().unwrap();
    smtp.reply().expect(250);
    inbox(&daemon, "user4", 1);
}

#[test]
fn a_thousand_silent_connections_cost_little_and_block_nobody() {
    let daemon = demo().start();
    let doors = [
        Door::Smtp,
        Door::Lmtp,
        Door::Submission,
        Door::Imap,
        Door::Imaps,
        Door::Pop3,
    ];
    let silent: Vec<Wire> = doors
        .into_iter()
        .flat_map(|door| (0..170).map(move |_| door)) // below what one network may have
        .filter_map(|door| Wire::connect(daemon.address(door)).ok())
        .collect();
    assert!(silent.len() > 900, "{}", silent.len());
    let grown = peak_growth_octets(daemon.pid(), || {
        let reply = daemon
            .smtp()
            .send("a@b.test", &[&user(5)], &letter("through the crowd"));
        reply.expect(250);
        inbox(&daemon, "user5", 1);
    });
    assert!(grown < 32 * MEBI, "{grown}");
    let each = daemon.pss_octets() / silent.len() as u64;
    assert!(
        each < 256 * 1024,
        "{each} octets for each silent connection"
    );
    drop(silent);
    until("the doors are free again", SHORT, || {
        SmtpClient::connect(daemon.address(Door::Smtp))
            .try_command("NOOP")
            .is_ok()
    });
}

#[test]
fn a_reset_in_every_state_ends_no_daemon() {
    let daemon = demo().start();
    let steps: [&[u8]; 6] = [
        b"EHLO c.test\r\n",
        b"MAIL FROM:<a@b.test>\r\n",
        b"RCPT TO:<user6@example.test>\r\n",
        b"DATA\r\n",
        b"Subject: x\r\n\r\nx\r\n",
        b".\r\n",
    ];
    for last in 0..=steps.len() {
        let mut wire = Wire::connect(daemon.address(Door::Smtp)).unwrap();
        for step in &steps[..last] {
            wire.send(step).unwrap();
        }
        // Unread replies make the kernel send a reset when the socket is dropped.
    }
    daemon
        .smtp()
        .send("a@b.test", &[&user(6)], &letter("alive"))
        .expect(250);
    inbox(&daemon, "user6", 1);
}

const MEBI: u64 = 1024 * 1024;
