//! mbsync: a full synchronisation both ways, twice, with nothing left the second time.

use std::fs;
use std::path::Path;

use testkit::{Daemon, Door, ImapClient, needs};

use crate::common::{demo, letter, run};

#[test]
fn a_full_sync_both_ways_leaves_nothing_to_do_the_second_time() {
    if !needs("mbsync") {
        return;
    }
    let daemon = demo().start();
    let place = tempfile::tempdir().unwrap();
    let mut imap = daemon.imap("user0");
    for mailbox in ["Archive", "Lists/rust", "Entw&APw-rfe"] {
        imap.command(format!("CREATE \"{mailbox}\"")).ok();
        imap.command(format!("SUBSCRIBE \"{mailbox}\"")).ok();
    }
    for number in 0..60 {
        let flags = [r"\Seen", r"\Flagged \Answered", "", r"\Draft"][number % 4];
        let mailbox = ["INBOX", "Archive", "\"Lists/rust\""][number % 3];
        let message = letter(
            "a@b.test",
            "user0@example.test",
            &format!("remote {number}"),
        );
        imap.append(mailbox, flags, &message).ok();
    }
    let local = place.path().join("mail");
    write_locally(&local.join("INBOX"), 20, "S");
    write_locally(&local.join("Local"), 10, "FS");
    let config = configure(&daemon, place.path(), &local);

    sync(&config);
    let subjects = |imap: &mut ImapClient, mailbox: &str| {
        let answer = imap.command(format!("SELECT {mailbox}")).ok();
        answer.number("EXISTS").unwrap()
    };
    assert_eq!(subjects(&mut imap, "INBOX"), 20 + 20);
    assert_eq!(subjects(&mut imap, "Local"), 10);
    assert_eq!(files(&local.join("INBOX")), 40);
    assert_eq!(files(&local.join("Archive")), 20);
    assert_eq!(files(&local.join("Lists/rust")), 20);
    let flagged = imap
        .command("SEARCH FLAGGED SEEN")
        .ok()
        .find("SEARCH")
        .unwrap();
    assert_eq!(
        flagged.split(' ').count(),
        2 + 10,
        "flags went up: {flagged}"
    );

    let before = everything(place.path(), &mut imap);
    sync(&config);
    assert_eq!(
        everything(place.path(), &mut imap),
        before,
        "nothing was left to do"
    );

    // Changes on both sides meet.
    imap.command("SELECT Archive").ok();
    imap.command(r"STORE 1:5 +FLAGS.SILENT (\Deleted)").ok();
    imap.command("EXPUNGE").ok();
    imap.command(r"STORE 1 +FLAGS.SILENT (\Flagged)").ok();
    let first = fs::read_dir(local.join("INBOX/cur"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    fs::remove_file(first).unwrap();
    sync(&config);
    assert_eq!(files(&local.join("Archive")), 15);
    assert_eq!(subjects(&mut imap, "INBOX"), 39);
    let before = everything(place.path(), &mut imap);
    sync(&config);
    assert_eq!(
        everything(place.path(), &mut imap),
        before,
        "nothing was left to do"
    );
}

fn configure(daemon: &Daemon, place: &Path, local: &Path) -> String {
    let port = daemon.address(Door::Imap).port();
    let file = place.join("mbsyncrc");
    let text = format!(
        "IMAPStore remote\nHost 127.0.0.1\nPort {port}\nUser user0\nPass secret\n\
         SSLType None\nAuthMechs LOGIN\n\n\
         MaildirStore local\nPath {local}/\nInbox {local}/INBOX\nSubFolders Verbatim\n\n\
         Channel all\nFar :remote:\nNear :local:\nPatterns *\nCreate Both\nExpunge Both\nSync All\n\
         SyncState {place}/state/\n",
        local = local.display(),
        place = place.display(),
    );
    fs::create_dir_all(place.join("state")).unwrap();
    fs::write(&file, text).unwrap();
    file.display().to_string()
}

fn sync(config: &str) -> String {
    run(&format!("mbsync --verbose --config {config} --all")).ok()
}

fn write_locally(mailbox: &Path, count: usize, flags: &str) {
    for part in ["cur", "new", "tmp"] {
        fs::create_dir_all(mailbox.join(part)).unwrap();
    }
    for number in 0..count {
        let name = format!("17000000{number:02}.local_{number}.host:2,{flags}");
        let message = format!("From: a@b.test\nSubject: local {number}\n\nHello.\n");
        fs::write(mailbox.join("cur").join(name), message).unwrap();
    }
}

fn files(mailbox: &Path) -> usize {
    let count = |part: &str| fs::read_dir(mailbox.join(part)).map_or(0, Iterator::count);
    count("cur") + count("new")
}

/// Both sides and what mbsync remembers of them, to be compared.
fn everything(place: &Path, imap: &mut ImapClient) -> Vec<String> {
    let text = run(&format!("find {} -type f -path */mail/*", place.display())).ok();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort_unstable();
    for mailbox in ["INBOX", "Local", "Archive", "Lists/rust"] {
        let file = place.join("state").join(mailbox.replace('/', "!"));
        lines.push(fs::read_to_string(file).unwrap_or_default());
        let status = imap
            .command(format!("STATUS {mailbox} (MESSAGES UIDNEXT UNSEEN)"))
            .ok();
        lines.push(status.find("STATUS").unwrap());
        imap.command(format!("EXAMINE {mailbox}")).ok();
        let flags = imap.command("UID FETCH 1:* FLAGS").ok().untagged;
        lines.extend(
            flags
                .iter()
                .map(|one| one.text().replace(r" \Recent", "").replace(r"\Recent", "")),
        );
    }
    lines
}
