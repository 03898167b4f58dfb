//! The store ends under everybody's hands: nobody is disconnected, and everybody goes on after it.

use std::{fs, path::PathBuf};

use testkit::{
    Daemon, Door, ImapClient, LONG, Pop3Client, SHORT, SmtpClient, http_get, root_or_again, until,
};

use crate::{
    common::{demo, inbox, letter, maildrop, messages, user},
    disk::{MANY, SmallDisk, break_the_directory, large_mailbox},
    service::{Manager, under},
};

#[test]
fn nobody_is_disconnected_while_the_store_is_opened_anew_and_everybody_goes_on() {
    if !root_or_again() {
        return;
    }
    let Some(disk) = SmallDisk::mount("512m") else {
        testkit::say_left_out("no file system may be mounted here");
        return;
    };
    let mut manager = Manager::new();
    let recipe = demo().data(&disk.path().join("data"));
    let watched = ["WATCHDOG_USEC=400000"];
    let mut daemon = under(recipe, &manager.path.clone(), &watched).start();
    for number in [0, 2, 3] {
        daemon.accept(&[&user(number)], &letter("before"));
    }
    inbox(&daemon, "user0", 1);
    let mut large = large_mailbox(&daemon, "user1");
    let mut clients = Clients::of(&daemon);
    let ballast = disk.fill();
    break_the_directory(&mut large, &disk);
    let obstacle = Obstacle::to(&daemon);
    fs::remove_file(ballast).unwrap();

    let http = daemon.address(Door::Http);
    let ready = || http_get(http, "/health/ready").unwrap();
    until("the store cannot be opened", LONG, || {
        let (code, why) = ready();
        code == 503 && why.contains("store is") && why.contains("cannot")
    });
    assert_eq!(http_get(http, "/health/live").unwrap().0, 200);
    assert_eq!(http_get(http, "/metrics").unwrap().0, 200);
    let tree = daemon.command(&["tree"], b"").ok();
    assert!(tree.contains("lease starting"), "{tree}");
    clients.are_told_to_try_again(&daemon);
    manager.forget();
    for _ in 0..2 {
        manager.hears("WATCHDOG=1"); // another process would find the same disk
    }

    obstacle.remove();
    until("the store is opened anew", LONG, || {
        manager.listen(); // its socket holds ten words: the eleventh would be lost
        ready().0 == 200
    });
    manager.hears("STATUS=up, ");
    clients.go_on(&daemon);
    large.command("NOOP").ok();
    assert_eq!(messages(&mut daemon.imap("user1")), MANY);
    assert!(daemon.process().ended().is_none());
    let daemon = daemon.kill9().start();
    assert_eq!(messages(&mut daemon.imap("user1")), MANY);
    inbox(&daemon, "user0", 2);
    inbox(&daemon, "user4", 1);
}

#[test]
fn a_keeper_that_falls_while_the_store_is_well_is_noticed_by_nobody() {
    let mut daemon = demo().start();
    daemon.accept(&[&user(0)], &letter("before"));
    let mut reader = inbox(&daemon, "user0", 1);
    daemon
        .command(&["actor", "heronry/store", "restart"], b"")
        .ok();
    until("the keeper is back", SHORT, || {
        restarts(&daemon, "heronry/store") == 1
    });
    daemon.accept(&[&user(0)], &letter("after"));
    reader.command("NOOP").ok();
    inbox(&daemon, "user0", 2);
    for path in ["heronry/trunk", "heronry/advisers", "heronry/doors"] {
        assert_eq!(restarts(&daemon, path), 0, "{path}");
    }
    assert!(!daemon.output().so_far().contains("opened anew"));
}

#[test]
fn everybody_who_may_write_starts_again_with_the_lease_and_clients_do_not_notice() {
    let daemon = demo().start();
    daemon.accept(&[&user(0)], &letter("before"));
    let mut idle = inbox(&daemon, "user0", 1);
    idle.idle();
    let mut sender = daemon.smtp();
    let mut drop = maildrop(&daemon, "user0", 1);
    daemon
        .command(&["actor", "heronry/trunk/lease", "restart"], b"")
        .ok();
    until("the trunk is back", SHORT, || {
        restarts(&daemon, "heronry/trunk") == 1
    });
    sender
        .send("a@elsewhere.test", &[&user(0)], &letter("after"))
        .expect(250);
    let told = idle.response();
    assert!(told.text().contains("2 EXISTS"), "{}", told.text());
    until("the maildrop is this session's again", SHORT, || {
        drop.command("STAT").starts_with("+OK 1 ")
    });
    drop.ok("QUIT");
    assert_eq!(restarts(&daemon, "heronry/doors"), 0);
}

/// How often this place was taken anew.
fn restarts(daemon: &Daemon, path: &str) -> u64 {
    let shown = daemon.command(&["actor", path, "--json"], b"").ok();
    let sight: serde_json::Value = serde_json::from_str(&shown).unwrap();
    sight["restarts"].as_u64().unwrap()
}

/// Somebody in every state that an end of the store could harm.
struct Clients {
    /// Between RCPT and DATA.
    in_transaction: SmtpClient,
    /// In a message of which a part is on disk.
    in_body: SmtpClient,
    /// Waits for mail in INBOX.
    idle: ImapClient,
    /// Has INBOX open.
    selected: ImapClient,
    /// In a literal of which a part is on disk, and how that command is called.
    appending: ImapClient,
    /// Has a maildrop of one message.
    maildrop: Pop3Client,
}

impl Clients {
    fn of(daemon: &Daemon) -> Self {
        let mut in_transaction = daemon.smtp();
        begin(&mut in_transaction, 4);
        let mut in_body = daemon.smtp();
        begin(&mut in_body, 5);
        in_body.command("DATA").expect(354);
        in_body.wire().send(&half()).unwrap();
        let mut idle = inbox(daemon, "user0", 1);
        idle.idle();
        let mut appending = daemon.imap("user6");
        let length = 2 * half().len();
        let command = format!("x APPEND INBOX {{{length}}}\r\n");
        appending.wire().send(command.as_bytes()).unwrap();
        assert!(appending.wire().line().unwrap().starts_with(b"+ "));
        appending.wire().send(&half()).unwrap();
        Self {
            in_transaction,
            in_body,
            idle,
            selected: inbox(daemon, "user2", 1),
            appending,
            maildrop: maildrop(daemon, "user3", 1),
        }
    }

    fn are_told_to_try_again(&mut self, daemon: &Daemon) {
        let later = |smtp: &mut SmtpClient, line: &str| {
            let reply = smtp.command(line).expect(451);
            assert!(reply.lines[0].starts_with("4.3.0 "), "{line}: {reply}");
        };
        later(&mut self.in_transaction, "RCPT TO:<user5@example.test>");
        let mut newcomer = daemon.smtp();
        newcomer.command("MAIL FROM:<>").expect(250);
        later(&mut newcomer, "RCPT TO:<user5@example.test>");
        self.in_body.wire().send(&half()).unwrap();
        later(&mut self.in_body, ".");
        self.in_body.command("NOOP").expect(250);
        self.appending.wire().send(&half()).unwrap();
        self.appending.wire().send(b"\r\n").unwrap();
        let said = self.appending.finish("x").unwrap().tagged;
        assert!(said.starts_with("NO ["), "{said}");
        self.selected.command("NOOP").ok();
        for command in ["FETCH 1 (FLAGS)", "STATUS INBOX (MESSAGES)", "EXPUNGE"] {
            let said = self.selected.command(command).tagged;
            assert!(said.starts_with("NO [UNAVAILABLE]"), "{command}: {said}");
        }
        let said = self.maildrop.command("RETR 1");
        assert!(said.starts_with("-ERR [SYS/TEMP]"), "{said}");
        self.maildrop.ok("NOOP");
    }

    fn go_on(&mut self, daemon: &Daemon) {
        self.in_transaction.command("DATA").expect(354);
        let mail = [&letter("in the middle")[..], b".\r\n"].concat();
        self.in_transaction.wire().send(&mail).unwrap();
        self.in_transaction.reply().expect(250);
        inbox(daemon, "user4", 1);
        self.in_body
            .send("a@elsewhere.test", &[&user(0)], &letter("after"))
            .expect(250);
        until("who idles hears of it", LONG, || {
            self.idle.response().text().contains("2 EXISTS")
        });
        self.idle.wire().send(b"DONE\r\n").unwrap();
        self.selected.command("FETCH 1 (FLAGS)").ok();
        until("the mailbox can be changed", LONG, || {
            self.selected
                .command("STORE 1 +FLAGS (\\Seen)")
                .tagged
                .starts_with("OK")
        });
        self.appending.append("INBOX", "", &letter("appended")).ok();
        assert_eq!(messages(&mut self.appending), 1);
        assert!(!self.maildrop.lines("RETR 1").is_empty());
        until("the maildrop can be emptied", LONG, || {
            self.maildrop.ok("DELE 1");
            self.maildrop.command("QUIT").starts_with("+OK")
        });
        assert_eq!(messages(&mut daemon.imap("user3")), 0);
    }
}

/// A transaction for this user.
fn begin(client: &mut SmtpClient, number: usize) {
    client.command("MAIL FROM:<a@elsewhere.test>").expect(250);
    let to = format!("RCPT TO:<{}>", user(number));
    client.command(to).expect(250);
}

/// So much of a message that it goes to disk before the rest has come.
fn half() -> Vec<u8> {
    b"X: nothing in particular\r\n".repeat(40_000)
}

/// What keeps a store from being opened, until it is removed.
struct Obstacle(PathBuf);

impl Obstacle {
    /// A file in the place of a folder.
    fn to(daemon: &Daemon) -> Self {
        let place = daemon.folder().join("aside");
        fs::remove_dir(&place).unwrap();
        fs::write(&place, "").unwrap();
        Self(place)
    }

    fn remove(self) {
        fs::remove_file(self.0).unwrap();
    }
}
