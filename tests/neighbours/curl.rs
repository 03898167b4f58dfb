//! curl, which speaks all three protocols.

use testkit::{Daemon, Door, needs};

use crate::common::{demo, inbox_with, run};

#[test]
fn curl_sends_by_smtp_and_reads_by_imap_and_pop3_with_tls_and_without() {
    if !needs("curl") {
        return;
    }
    let daemon = demo().start();
    let place = tempfile::tempdir().unwrap();
    let ways = [
        ("smtp", Door::Smtp, ""),
        ("smtp", Door::Smtp, "--ssl-reqd"),
        ("smtp", Door::Submission, "--ssl-reqd --user user1:secret"),
        ("smtps", Door::Submissions, "--user user1:secret"),
    ];
    for (number, (scheme, door, options)) in (0..).zip(ways) {
        let file = place.path().join("letter");
        let text = format!("From: user1@example.test\r\nSubject: curl {number}\r\n\r\nHello.\r\n");
        std::fs::write(&file, text).unwrap();
        let mail = "--mail-from user1@example.test --mail-rcpt user0@example.test --upload-file";
        curl(
            &daemon,
            scheme,
            door,
            "/client.test",
            &format!("{options} {mail} {}", file.display()),
        );
        inbox_with(&daemon, "user0", &format!("curl {number}"));
    }
    let login = "--user user0:secret";
    for (scheme, door, options) in [
        ("imap", Door::Imap, login.to_owned()),
        ("imap", Door::Imap, format!("{login} --ssl-reqd")),
        ("imaps", Door::Imaps, login.to_owned()),
    ] {
        let text = curl(&daemon, scheme, door, "/INBOX;UID=1", &options);
        assert!(text.contains("Subject: curl 0"), "{text}");
        let text = curl(&daemon, scheme, door, "/INBOX?SUBJECT%20curl", &options);
        assert!(text.contains("* SEARCH 1 2 3 4"), "{text}");
        let text = curl(&daemon, scheme, door, "/", &options);
        assert!(text.contains("INBOX"), "{text}");
    }
    for (scheme, door, options) in [
        ("pop3", Door::Pop3, login.to_owned()),
        ("pop3", Door::Pop3, format!("{login} --ssl-reqd")),
        ("pop3s", Door::Pop3s, login.to_owned()),
    ] {
        let text = curl(&daemon, scheme, door, "/2", &options);
        assert!(text.contains("Subject: curl 1"), "{text}");
        let text = curl(&daemon, scheme, door, "/", &options);
        assert!(text.lines().any(|line| line.starts_with("4 ")), "{text}");
    }
}

fn curl(daemon: &Daemon, scheme: &str, door: Door, path: &str, options: &str) -> String {
    let place = daemon.address(door);
    run(&format!(
        "curl --silent --show-error --insecure --max-time 60 {options} {scheme}://{place}{path}"
    ))
    .ok()
}
