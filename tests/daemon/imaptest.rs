//! The scripted sessions of Dovecot's imaptest, as far as their capabilities are ours.

use std::io::{self, Write};

use testkit::{Door, PASSWORD, Script, ScriptServer, suites};

use crate::common::demo;

#[test]
fn every_script_whose_capabilities_are_ours_goes_as_it_says() {
    let Some(suites) = suites() else {
        testkit::say_left_out("the scripts are not here (HERONRY_SUITES names their folder)");
        return;
    };
    let scripts = Script::all(&suites.join("scripts/imaptest"));
    let daemon = demo()
        .argument("--accounts")
        .argument(scripts.len().to_string())
        .start();
    let offered = daemon
        .imap("user0")
        .command("CAPABILITY")
        .ok()
        .find("CAPABILITY")
        .unwrap();
    let offered: Vec<String> = offered.split(' ').map(str::to_ascii_uppercase).collect();
    let (mut played, mut wrong) = (0, Vec::new());
    for (number, script) in scripts.iter().enumerate() {
        if !script
            .capabilities
            .iter()
            .all(|capability| offered.contains(capability))
        {
            continue;
        }
        let server = ScriptServer {
            address: daemon.address(Door::Imap),
            user: format!("user{number}"),
            domain: "example.test".to_owned(),
            password: PASSWORD.to_owned(),
        };
        played += 1;
        wrong.extend(script.play(&server).err());
    }
    let _ = writeln!(
        io::stderr(),
        "{played} of {} scripts were played",
        scripts.len()
    );
    assert!(
        wrong.is_empty(),
        "{} went wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
