//! `heronry serve` and `heronry check`: a configuration is obeyed, or refused with a word.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::Command;

use testkit::{Door, Finished, ImapClient, PortBase, SmtpClient, Wire, finish};

use crate::{
    common::{binary, letter},
    served::Served,
};

#[test]
fn the_example_of_the_documents_is_understood_and_printed_with_its_sources() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/heronry.example.toml");
    let text = check(&example).ok();
    assert!(
        text.contains("mx.example.test") && text.contains("retry_first_seconds"),
        "{text}"
    );
}

#[test]
fn what_is_wrong_is_named_with_its_file_its_line_and_what_would_be_right() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("heronry.toml");
    for (text, line, hint) in [
        (
            "hostname = \"mx.a.test\"\n\n[queue]\nretry_frist_seconds = 7\n",
            4,
            "retry_first_seconds",
        ),
        ("hostname = \"mx.a.test\"\nhostname =\n", 2, ""),
        ("trusted = [\"10.0.0.0/99\"]\n", 1, ""),
        ("[limits]\nmessage_octets_max = \"much\"\n", 2, ""),
    ] {
        fs::write(&file, text).unwrap();
        let run = check(&file);
        assert_eq!(run.status.code(), Some(2), "{text}: {}", run.text);
        let place = format!("heronry.toml:{line}");
        assert!(
            run.text.contains(&place) && run.text.contains(hint),
            "{text}: {}",
            run.text
        );
        assert!(!run.text.contains("panicked"), "{}", run.text);
    }
    let run = check(&place.path().join("nowhere.toml"));
    assert!(
        !run.status.success() && run.text.contains("nowhere.toml"),
        "{}",
        run.text
    );
}

#[test]
fn a_certificate_that_is_not_there_is_named_with_the_reason() {
    let (base, place) = (PortBase::take(), tempfile::tempdir().unwrap());
    let file = place.path().join("heronry.toml");
    let address = Door::Smtp.at(IpAddr::V4(Ipv4Addr::LOCALHOST), base.get());
    let text = format!(
        "data = \"data\"\n[tls]\ncertificate = \"none.pem\"\nkey = \"none.key\"\n\
         [[listener]]\nprotocol = \"smtp\"\naddress = \"{address}\"\n"
    );
    fs::write(&file, text).unwrap();
    let mut serve = Command::new(binary());
    let run = finish(serve.args(["serve", "--config"]).arg(&file), b"");
    assert_eq!(run.status.code(), Some(1), "{}", run.text);
    let named = run.text.lines().last().unwrap_or_default();
    assert!(
        named.contains("none.pem") && named.contains("No such file"),
        "{}",
        run.text
    );
    // What was opened was closed in order.
    assert!(place.path().join("data/clean").exists(), "{}", run.text);
}

#[test]
fn the_real_daemon_lets_nobody_log_in_without_tls_unless_it_is_told_to() {
    let house = Served::open("");
    let mut imap = ImapClient::connect(house.daemon.address(Door::Imap));
    let capabilities = imap.command("CAPABILITY").ok().find("CAPABILITY").unwrap();
    assert!(capabilities.contains("LOGINDISABLED"), "{capabilities}");
    assert!(!imap.command("LOGIN user0@example.test secret").is_ok());
    imap.starttls();
    imap.command("LOGIN user0@example.test secret").ok();

    let mut smtp = SmtpClient::connect(house.daemon.address(Door::Submission));
    assert!(!smtp.ehlo().offers("AUTH"));
    assert_eq!(
        smtp.auth_plain("user0@example.test", "secret").code / 100,
        5
    );
    smtp.starttls();
    assert!(smtp.ehlo().offers("AUTH"));
    smtp.auth_plain("user0@example.test", "secret").expect(235);

    let mut pop3 = testkit::Pop3Client::connect(house.daemon.address(Door::Pop3));
    assert!(pop3.command("USER user0@example.test").starts_with("-ERR"));
}

#[test]
fn a_client_that_says_nothing_is_told_and_sent_away_and_the_others_are_served() {
    let more = "[limits.silence]\nimap_seconds = 1\npop3_seconds = 1\nsmtp_seconds = 1\n";
    let house = Served::open(more);
    let mut silent: Vec<(Door, Wire)> = [Door::Smtp, Door::Imap, Door::Pop3]
        .map(|door| (door, Wire::connect(house.daemon.address(door)).unwrap()))
        .into();
    let mut in_data = SmtpClient::connect(house.daemon.address(Door::Smtp));
    in_data.ehlo();
    in_data.command("MAIL FROM:<a@b.test>").expect(250);
    in_data.command("RCPT TO:<user0@example.test>").expect(250);
    in_data.command("DATA").expect(354);
    in_data.wire().send(b"Subject: and then\r\n").unwrap();
    let mut active = SmtpClient::connect(house.daemon.address(Door::Smtp));
    active.ehlo();
    for (door, wire) in &mut silent {
        let said = String::from_utf8_lossy(&wire.until_closed().unwrap()).into_owned();
        let farewell = match door {
            Door::Smtp => "\r\n421 4.4.2 ",
            Door::Imap => "\r\n* BYE ",
            _ => "",
        };
        assert!(said.contains(farewell), "{door:?}: {said}");
    }
    in_data.reply().expect(421);
    assert_eq!(in_data.wire().until_closed().unwrap(), b"");
    let mut fresh = SmtpClient::connect(house.daemon.address(Door::Smtp));
    fresh.ehlo();
    fresh
        .send("a@b.test", &["user0@example.test"], &letter("a word"))
        .expect(250);
}

#[test]
fn a_network_that_takes_too_many_connections_is_told_and_the_rest_stay() {
    let more = "[limits.connections]\nconnections_per_network_max = 5\n";
    let house = Served::open(more);
    let mut five: Vec<SmtpClient> = (0..5)
        .map(|_| SmtpClient::connect(house.daemon.address(Door::Smtp)))
        .collect();
    let mut sixth = Wire::connect(house.daemon.address(Door::Smtp)).unwrap();
    let said = String::from_utf8_lossy(&sixth.until_closed().unwrap()).into_owned();
    assert!(said.starts_with("421 4."), "{said:?}");
    for client in &mut five {
        client.ehlo();
    }
    five.pop();
    testkit::until("there is a place again", testkit::SHORT, || {
        let mut wire = Wire::connect(house.daemon.address(Door::Smtp)).unwrap();
        wire.line().is_ok_and(|line| line.starts_with(b"220 "))
    });
}

fn check(file: &Path) -> Finished {
    finish(
        Command::new(binary()).args(["check", "--config"]).arg(file),
        b"",
    )
}
