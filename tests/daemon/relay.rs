//! Never an open relay: what a stranger may not have sent on.

use testkit::{Door, PASSWORD, SmtpClient};

use crate::common::{demo, letter};

/// Ways to write a recipient elsewhere, as the relay probes of the world try them.
const ELSEWHERE: &[&str] = &[
    "a@remote.test",
    "<a@remote.test>",
    "a%remote.test@example.test",
    "@example.test:a@remote.test",
    "\"a@remote.test\"@example.test",
    "\"a%remote.test\"@example.test",
    "a@remote.test@example.test",
    "remote.test!a@example.test",
    "remote.test!a",
    "a@remote.test@",
    "a@[127.0.0.1]",
    "a@[IPv6:::1]",
    "\"a@remote.test\"",
    "a%remote.test",
    "a",
    "a@localhost",
    "a@mx.example.test",
    "a@example.test.remote.test",
    "a@remote.test\0@example.test",
];

#[test]
fn a_stranger_cannot_send_elsewhere_however_the_address_is_written() {
    let daemon = demo().start();
    for from in [
        "",
        "user0@example.test",
        "spam@remote.test",
        "postmaster@example.test",
    ] {
        for to in ELSEWHERE {
            for door in [Door::Smtp, Door::Lmtp] {
                let mut client = SmtpClient::connect(daemon.address(door));
                let hello = if door == Door::Lmtp { "LHLO" } else { "EHLO" };
                client.command(format!("{hello} client.test")).expect(250);
                client.command(format!("MAIL FROM:<{from}>")).expect(250);
                let reply = client.command(format!("RCPT TO:<{to}>"));
                assert_eq!(
                    reply.code / 100,
                    5,
                    "from <{from}> to <{to}> at {door:?}: {reply}"
                );
            }
        }
    }
}

#[test]
fn whoever_has_logged_in_may_send_elsewhere() {
    let daemon = demo().start();
    let mut client = SmtpClient::connect(daemon.address(Door::Submission));
    client.ehlo();
    client.auth_plain("user0", PASSWORD).expect(235);
    client
        .send("user0@example.test", &["a@remote.test"], &letter("out"))
        .expect(250);
}

#[test]
fn a_trusted_network_may_send_elsewhere_and_without_it_the_same_client_may_not() {
    for (trust, code) in [("127.0.0.0/8", 250), ("10.0.0.0/8", 550)] {
        let daemon = demo().argument("--trust").argument(trust).start();
        let reply = daemon
            .smtp()
            .send("a@b.test", &["a@remote.test"], &letter("out"));
        assert_eq!(reply.code, code, "{trust}: {reply}");
    }
}

#[test]
fn remote_mail_of_a_demo_without_a_way_out_waits_and_says_so() {
    let daemon = demo().argument("--trust").argument("127.0.0.0/8").start();
    daemon
        .smtp()
        .send("user0@example.test", &["a@remote.test"], &letter("out"))
        .expect(250);
    testkit::until("the queue names the message", testkit::SHORT, || {
        daemon
            .command(&["queue", "list"], b"")
            .ok()
            .contains("remote.test")
    });
}
