//! What was said before TLS must not count after it (the injection of 2011 and 2021).

use testkit::{Door, ImapClient, Pop3Client, SmtpClient, Wire};

use crate::common::demo;

#[test]
fn smtp_commands_pipelined_behind_starttls_are_never_answered_under_tls() {
    let daemon = demo().start();
    for door in [Door::Smtp, Door::Submission] {
        let mut client = SmtpClient::connect(daemon.address(door));
        client.ehlo();
        let wire = client.wire();
        wire.send(b"STARTTLS\r\nEHLO injected.test\r\nMAIL FROM:<injected@b.test>\r\n")
            .unwrap();
        nothing_is_injected(wire, b"220 ", b"NOOP\r\n");
    }
}

#[test]
fn lmtp_commands_pipelined_behind_starttls_are_never_answered_under_tls() {
    let daemon = demo().start();
    let mut client = SmtpClient::connect(daemon.address(Door::Lmtp));
    if client.command("LHLO client.test").offers("STARTTLS") {
        let wire = client.wire();
        wire.send(b"STARTTLS\r\nLHLO injected.test\r\n").unwrap();
        nothing_is_injected(wire, b"220 ", b"NOOP\r\n");
    }
}

#[test]
fn imap_commands_pipelined_behind_starttls_are_never_answered_under_tls() {
    let daemon = demo().start();
    let mut client = ImapClient::connect(daemon.address(Door::Imap));
    let wire = client.wire();
    wire.send(b"s STARTTLS\r\ni1 LOGIN user0 secret\r\ni2 CAPABILITY\r\n")
        .unwrap();
    nothing_is_injected(wire, b"s OK", b"z NOOP\r\n");
}

#[test]
fn pop3_commands_pipelined_behind_stls_are_never_answered_under_tls() {
    let daemon = demo().start();
    let mut client = Pop3Client::connect(daemon.address(Door::Pop3));
    let wire = client.wire();
    wire.send(b"STLS\r\nUSER user0\r\nPASS secret\r\n").unwrap();
    nothing_is_injected(wire, b"+OK", b"NOOP\r\n");
}

/// Either the server refuses or closes, or it speaks TLS and has heard nothing but `probe`.
fn nothing_is_injected(wire: &mut Wire, agreed: &[u8], probe: &[u8]) {
    let Ok(line) = wire.line() else {
        return; // closed without a word
    };
    if !line.starts_with(agreed) || wire.secure().is_err() {
        return;
    }
    if wire.send(probe).is_err() {
        return;
    }
    match wire.line() {
        Err(_) => {}
        Ok(first) => {
            let first = String::from_utf8_lossy(&first).into_owned();
            let injected = first.starts_with("250 2.1.0") || first.contains("injected");
            let tagged = first.starts_with("i1 ") || first.starts_with("i2 ");
            assert!(
                !injected && !tagged,
                "an injected command was answered: {first}"
            );
            // Nothing else may follow: one command, one answer.
            wire.patience(std::time::Duration::from_millis(200))
                .unwrap();
            assert!(wire.line().is_err(), "more than one answer to one command");
        }
    }
}
