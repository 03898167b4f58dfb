//! fetchmail: fetches by POP3 and IMAP, and hands over by LMTP or to a file.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use testkit::{Daemon, Door, needs};

use crate::common::{demo, inbox_with, letter, run};

#[test]
fn fetchmail_takes_everything_by_pop3_and_by_imap_and_nothing_the_second_time() {
    if !needs("fetchmail") {
        return;
    }
    for (protocol, door) in [("POP3", Door::Pop3), ("IMAP", Door::Imap)] {
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
        let place = tempfile::tempdir().unwrap();
        let mailbox = place.path().join("mailbox");
        let config = place.path().join("fetchmailrc");
        let (port, mailbox_name) = (daemon.address(door).port(), mailbox.display());
        let text = format!(
            "poll 127.0.0.1 protocol {protocol} service {port} auth password sslproto ''\n\
             user user0 password secret keep mda \"cat >> {mailbox_name}\" idfile\n"
        );
        let text = text.replace(" idfile\n", "\n");
        fs::write(&config, text).unwrap();
        fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
        let fetch = |daemon: &Daemon| {
            let _ = daemon;
            let ids = place.path().join("ids");
            let pid = place.path().join("pid");
            run(&format!(
                "fetchmail --fetchmailrc {} --idfile {} --pidfile {} --nosyslog --uidl",
                config.display(),
                ids.display(),
                pid.display()
            )
            .replace(" --uidl", if protocol == "POP3" { " --uidl" } else { "" }))
        };
        fetch(&daemon).ok();
        let text = fs::read_to_string(&mailbox).unwrap();
        for number in 0..25 {
            assert!(
                text.contains(&format!("Subject: fetch {number} end")),
                "{number} is missing"
            );
        }
        // Exit code 1: there was no mail.
        let again = fetch(&daemon);
        assert_eq!(again.status.code(), Some(1), "{}", again.text);
        assert_eq!(fs::read_to_string(&mailbox).unwrap(), text);
    }
}
