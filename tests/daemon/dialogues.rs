//! The golden transcripts, spoken to the daemon over sockets.

use std::path::Path;

use testkit::{Door, Wire, dialogues, play};

use crate::common::demo;

#[test]
fn the_daemon_speaks_every_smtp_transcript() {
    speak("smtp", Door::Smtp, ends_smtp);
}

#[test]
fn the_daemon_speaks_every_submission_transcript() {
    speak("submission", Door::Submission, ends_smtp);
}

#[test]
fn the_daemon_speaks_every_lmtp_transcript() {
    speak("lmtp", Door::Lmtp, ends_smtp);
}

#[test]
fn the_daemon_speaks_every_pop3_transcript() {
    speak("pop3", Door::Pop3, |line| line == ".");
}

#[test]
fn the_daemon_speaks_every_imap_transcript() {
    speak("imap", Door::Imap, |line| !line.starts_with('*'));
}

fn speak(protocol: &str, door: Door, is_last: fn(&str) -> bool) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/dialogues")
        .join(protocol);
    let transcripts = dialogues(&folder);
    assert!(
        !transcripts.is_empty(),
        "{} holds transcripts",
        folder.display()
    );
    let daemon = demo().start();
    for transcript in transcripts {
        let mut wire = Wire::connect(daemon.address(door)).unwrap();
        play(&mut wire, &transcript, is_last);
    }
}

fn ends_smtp(line: &str) -> bool {
    line.as_bytes().get(3) != Some(&b'-')
}
