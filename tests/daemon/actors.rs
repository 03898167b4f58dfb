//! Actors of a running daemon: shown and restarted by hand, and what clients notice of it.

use testkit::{Daemon, Door, SHORT, until};

use crate::common::{demo, inbox, letter, messages, user};

#[test]
fn clients_keep_their_connections_while_actors_are_restarted_one_by_one() {
    let mut daemon = demo().start();
    daemon.accept(&[&user(0)], &letter("before"));
    let mut reader = inbox(&daemon, "user0", 1);
    let mut sender = daemon.smtp();
    sender.ehlo().expect(250);
    let mut drop = daemon.pop3("user1");
    let listener = format!("heronry/doors/imap {}", daemon.address(Door::Imap));
    let mailbox = (0..100)
        .map(|id| format!("heronry/trunk/mailboxes[{id}]"))
        .find(|path| daemon.command(&["actor", path], b"").status.success())
        .expect("the mailbox of user0 is there");
    let (advisers, trunk) = (["resolver", "hasher-0", "login"], ["bounce", "router"]);
    let advisers = advisers.map(|name| format!("heronry/advisers/{name}"));
    let trunk = trunk.map(|name| format!("heronry/trunk/{name}"));
    let all: Vec<_> = advisers.iter().chain(&trunk).collect();
    for path in all.iter().copied().chain([&mailbox, &listener]) {
        daemon.command(&["actor", path, "restart"], b"").ok();
        let act = format!("\"actor_restart\",\"about\":\"{path}\"");
        let line = daemon.output().line_with(&act, SHORT);
        assert!(line.contains("\"uid\":"), "{line}");
        until(format!("{path} is up again"), SHORT, || {
            shown(&daemon, path, "status").as_deref() == Some("\"up\"")
        });
        reader.command("NOOP").ok();
        sender.command("NOOP").expect(250);
        drop.ok("NOOP");
    }
    for path in all {
        assert_eq!(
            shown(&daemon, path, "restarts").as_deref(),
            Some("1"),
            "{path}"
        );
    }
    let mail = letter("after");
    sender
        .send("someone@elsewhere.test", &[&user(0)], &mail)
        .expect(250);
    until("the mail after it all is there".to_owned(), SHORT, || {
        messages(&mut daemon.imap("user0")) == 2
    });
    reader.command("NOOP").ok();
}

#[test]
fn an_actor_is_shown_with_its_report_and_its_last_messages() {
    let daemon = demo().start();
    // Meant twice, it is nothing that goes into the mailbox at once.
    daemon.accept(&[&user(0), "user0+box@example.test"], &letter("one"));
    until("the router has routed it".to_owned(), SHORT, || {
        let text = daemon.command(&["actor", "heronry/trunk/router"], b"").ok();
        text.contains("routed       1") && text.contains("Accepted") && text.contains("TOOK")
    });
    let nobody = daemon.command(&["actor", "heronry/trunk/nobody"], b"");
    assert_eq!(nobody.status.code(), Some(1));
    assert!(
        nobody.text.contains("nobody is at heronry/trunk/nobody"),
        "{}",
        nobody.text
    );
    let root = daemon.command(&["actor", "heronry", "restart"], b"");
    assert_eq!(root.status.code(), Some(2), "{}", root.text);
}

/// What `heronry actor --json` says of an actor under this key.
fn shown(daemon: &Daemon, path: &str, key: &str) -> Option<String> {
    let shown = daemon.command(&["actor", path, "--json"], b"");
    let sight: serde_json::Value = serde_json::from_str(&shown.text).ok()?;
    Some(sight[key].to_string())
}
