//! fetchmail, by POP3 and by IMAP.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use testkit::{Daemon, Door, Finished, needs};

use crate::common::{demo, inbox_with, letter, run};

#[test]
fn fetchmail_takes_everything_by_pop3_and_nothing_the_second_time() {
    takes_everything_once("POP3", Door::Pop3, "--uidl");
}

#[test]
fn fetchmail_takes_everything_by_imap_and_nothing_the_second_time() {
    takes_everything_once("IMAP", Door::Imap, "");
}

#[test]
fn fetchmail_speaks_tls_and_leaves_nothing_when_it_is_told_to_keep_nothing() {
    if !needs("fetchmail") {
        return;
    }
    for (protocol, door) in [("POP3", Door::Pop3), ("IMAP", Door::Imap)] {
        let (daemon, place) = (filled(), tempfile::tempdir().unwrap());
        let options = "sslproto 'auto' nokeep";
        configure(&daemon, place.path(), protocol, door, options);
        fetch(place.path(), "--nosslcertck").ok();
        has_everything(place.path());
        assert_eq!(daemon.pop3("user0").count(), 0);
    }
}

fn takes_everything_once(protocol: &str, door: Door, option: &str) {
    if !needs("fetchmail") {
        return;
    }
    let (daemon, place) = (filled(), tempfile::tempdir().unwrap());
    configure(&daemon, place.path(), protocol, door, "sslproto '' keep");
    fetch(place.path(), option).ok();
    let before = has_everything(place.path());
    let again = fetch(place.path(), option);
    assert_eq!(
        again.status.code(),
        Some(1),
        "there was no mail: {}",
        again.text
    );
    assert_eq!(
        fs::read_to_string(place.path().join("mailbox")).unwrap(),
        before
    );
}

/// A demo with 25 messages.
fn filled() -> Daemon {
    let daemon = demo().start();
    for number in 0..25 {
        let message = letter(
            "a@b.test",
            "user0@example.test",
            &format!("fetch {number} end"),
        );
        daemon.accept(&["user0@example.test"], &message);
    }
    inbox_with(&daemon, "user0", "fetch 24 end");
    daemon
}

fn configure(daemon: &Daemon, place: &Path, protocol: &str, door: Door, options: &str) {
    let config = place.join("fetchmailrc");
    let (port, mailbox) = (daemon.address(door).port(), place.join("mailbox"));
    let text = format!(
        "poll 127.0.0.1 protocol {protocol} service {port} auth password\n\
         user user0 password secret {options} mda \"cat >> {}\"\n",
        mailbox.display()
    );
    fs::write(&config, text).unwrap();
    fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
}

fn fetch(place: &Path, option: &str) -> Finished {
    let place = place.display();
    run(&format!(
        "fetchmail --fetchmailrc {place}/fetchmailrc --idfile {place}/ids --pidfile {place}/pid \
         --nosyslog {option}"
    ))
}

fn has_everything(place: &Path) -> String {
    let text = fs::read_to_string(place.join("mailbox")).unwrap();
    for number in 0..25 {
        assert!(
            text.contains(&format!("Subject: fetch {number} end")),
            "{number} is missing"
        );
    }
    text
}
