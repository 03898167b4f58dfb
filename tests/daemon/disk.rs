//! A full disk: nothing acknowledged is lost, the peer is told to come back, and service returns.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use testkit::{Daemon, Door, ImapClient, LONG, finish, http_get, root_or_again, until};

use crate::common::{demo, inbox, letter, user};

#[test]
fn a_full_disk_is_told_to_the_peer_and_service_returns_by_itself() {
    if !root_or_again() {
        return;
    }
    let Some(disk) = SmallDisk::mount("512m") else {
        testkit::say_left_out("no file system may be mounted here");
        return;
    };
    let daemon = demo().data(&disk.path().join("data")).start();
    let ballast = disk.fill();
    let acknowledged = send_until_refused(&daemon);
    refused_in_the_words_of_each_protocol(&daemon);
    inbox(&daemon, "user0", 0);
    fs::remove_file(ballast).unwrap();
    until("service returns", LONG, || {
        daemon
            .smtp()
            .send("a@b.test", &[&user(1)], &letter("space again"))
            .code
            == 250
    });
    inbox(&daemon, "user0", acknowledged);
    inbox(&daemon, "user1", 1);
    let daemon = daemon.kill9().start();
    inbox(&daemon, "user0", acknowledged);
}

#[test]
fn a_directory_that_a_full_disk_has_broken_is_made_anew_when_there_is_room() {
    if !root_or_again() {
        return;
    }
    let Some(disk) = SmallDisk::mount("512m") else {
        testkit::say_left_out("no file system may be mounted here");
        return;
    };
    let daemon = demo().data(&disk.path().join("data")).start();
    daemon.accept(&[&user(0)], &letter("before"));
    inbox(&daemon, "user0", 1);
    let mut imap = large_mailbox(&daemon, "user1");
    let ballast = disk.fill();
    break_the_directory(&mut imap, &disk);
    fs::remove_file(ballast).unwrap();
    let http = daemon.address(Door::Http);
    let told = |path| http_get(http, path).unwrap_or_default();
    until("the store is opened anew", LONG, || {
        let (_, metrics) = told("/metrics");
        metrics
            .lines()
            .any(|line| line.starts_with(RESTARTS) && line.contains("\"store\""))
            && told("/health/ready").0 == 200
    });
    daemon.accept(&[&user(0)], &letter("after"));
    inbox(&daemon, "user0", 2);
    inbox(&daemon, "user1", MANY);
    let daemon = daemon.kill9().start();
    inbox(&daemon, "user0", 2);
    inbox(&daemon, "user1", MANY);
}

/// How the frame counts that the store's place in the tree was taken anew.
const RESTARTS: &str = "heronry_supervision_restarts_total{";

/// Messages whose rows together are more than sled keeps in memory.
pub(crate) const MANY: u32 = 4096;

/// A mailbox of [`MANY`] messages, selected.
pub(crate) fn large_mailbox(daemon: &Daemon, user: &str) -> ImapClient {
    let mut imap = daemon.imap(user);
    imap.append("INBOX", "", &letter("one of many")).ok();
    imap.command("SELECT INBOX").ok();
    for _ in 0..MANY.ilog2() {
        imap.command("COPY 1:* INBOX").ok();
    }
    imap
}

/// Copies a large mailbox on a full disk until that is refused: the journal has room in its segment,
/// what the directory writes has none, because whatever is given back meanwhile is taken at once.
pub(crate) fn break_the_directory(imap: &mut ImapClient, disk: &SmallDisk) {
    imap.command("CREATE Copies").ok();
    let copy = format!("COPY 1:{MANY} Copies");
    let mut copies = std::iter::repeat_n(&copy, 1000);
    let refused = copies.any(|copy| {
        disk.fill();
        !imap.try_command(copy).is_ok_and(|answer| answer.is_ok())
    });
    assert!(refused, "the directory needs no room");
}

/// Sends until the daemon says that there is no room, and returns how many it took.
fn send_until_refused(daemon: &Daemon) -> u32 {
    let body = [&[b'x'; 998][..], b"\r\n"].concat().repeat(1000);
    let large = [&b"Subject: large\r\n\r\n"[..], &body].concat();
    let mut smtp = daemon.smtp();
    for count in 0..600 {
        let reply = smtp.send("a@b.test", &[&user(0)], &large);
        match reply.code {
            250 => {}
            452 => {
                assert!(reply.lines[0].starts_with("4.3.1 "), "{reply}");
                smtp.command("NOOP").expect(250);
                return count;
            }
            _ => panic!("after {count} messages: {reply}"),
        }
    }
    panic!("600 MB fit on a disk of 512 MiB");
}

fn refused_in_the_words_of_each_protocol(daemon: &Daemon) {
    let mut imap = daemon.imap("user2");
    let large = vec![b'x'; 8 * 1024 * 1024];
    let answer = imap.append("INBOX", "", &large);
    assert!(answer.tagged.starts_with("NO "), "{}", answer.tagged);
    imap.command("NOOP").ok();
}

/// A file system of its own, unmounted when it is dropped.
pub(crate) struct SmallDisk(TempDir);

impl SmallDisk {
    pub(crate) fn mount(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(folder.path());
        finish(&mut mount, b"")
            .status
            .success()
            .then(|| Self(folder))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes all the space that is left, and returns the file that took it; it grows when there is
    /// more again.
    pub(crate) fn fill(&self) -> PathBuf {
        let ballast = self.path().join("ballast");
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(&ballast)
            .unwrap();
        let chunk = vec![0; 64 * 1024];
        while file.write_all(&chunk).is_ok() {}
        ballast
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a daemon that a failing test leaves may end a moment later.
        finish(Command::new("umount").arg("-l").arg(self.path()), b"");
    }
}
