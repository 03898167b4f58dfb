//! The golden transcripts, spoken to the daemon over sockets.

use std::path::Path;

use testkit::{Door, Wire, dialogues, play};

use crate::common::demo;

#[test]
fn the_daemon_speaks_every_smtp_transcript() {
    speak("smtp", Door::Smtp);
}

fn speak(protocol: &str, door: Door) {
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
        play(&mut wire, &transcript, &[]);
    }
}
