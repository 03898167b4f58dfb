//! NeoMutt in a terminal (tmux): a person reads, answers and files mail.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use testkit::{Daemon, Door, LONG, finish, needs, until};

use crate::common::{demo, inbox_with, letter, newest};

#[test]
fn a_person_reads_answers_flags_and_files_mail() {
    if !needs("neomutt") || !needs("tmux") {
        return;
    }
    let daemon = demo().start();
    for subject in ["first words", "second words"] {
        let message = letter("user1@example.test", "user0@example.test", subject);
        daemon.accept(&["user0@example.test"], &message);
    }
    inbox_with(&daemon, "user0", "second words");
    daemon.imap("user0").command("CREATE Filed").ok();
    let place = tempfile::tempdir().unwrap();
    let terminal = Terminal::open(place.path(), &configure(&daemon, place.path()));

    terminal.shows("first words");
    terminal.shows("second words");
    terminal.keys(&["1", "Enter", "Enter"]);
    terminal.shows("Message 1");
    terminal.shows("Hello.");
    terminal.keys(&["r"]);
    terminal.shows("y:Send");
    terminal.keys(&["y"]);
    let answer = newest(&mut inbox_with(&daemon, "user1", "first words"));
    assert!(
        answer.contains("Sent by a person") && answer.contains("> Hello."),
        "{answer}"
    );
    terminal.keys(&["i", "F", "$"]);
    until("the flag is there", LONG, || {
        let mut imap = inbox_with(&daemon, "user0", "first words");
        imap.command("SEARCH FLAGGED").ok().find("SEARCH").unwrap() != "* SEARCH"
    });
    terminal.keys(&["s"]);
    terminal.shows("Save to mailbox");
    terminal.keys(&["C-u", "=Filed", "Enter", "$"]);
    until("the mail is filed", LONG, || {
        let mut imap = daemon.imap("user0");
        imap.command("SELECT Filed").ok().number("EXISTS") == Some(1)
    });
    terminal.keys(&["q"]);
}

#[test]
fn new_mail_appears_on_the_screen_while_a_person_looks() {
    if !needs("neomutt") || !needs("tmux") {
        return;
    }
    let daemon = demo().start();
    let address = "user0@example.test";
    daemon.accept(
        &[address],
        &letter("user1@example.test", address, "old mail"),
    );
    inbox_with(&daemon, "user0", "old mail");
    let place = tempfile::tempdir().unwrap();
    let terminal = Terminal::open(place.path(), &configure(&daemon, place.path()));
    terminal.shows("old mail");
    daemon.accept(
        &[address],
        &letter("user1@example.test", address, "news of today"),
    );
    terminal.shows("news of today");
    terminal.keys(&["q"]);
}

fn configure(daemon: &Daemon, place: &Path) -> PathBuf {
    let (imap, smtp) = (daemon.address(Door::Imap), daemon.address(Door::Submission));
    let editor = place.join("editor");
    fs::write(&editor, "#!/bin/sh\necho 'Sent by a person' >> \"$1\"\n").unwrap();
    finish(Command::new("chmod").arg("+x").arg(&editor), b"").ok();
    let text = format!(
        "set folder=\"imap://user0@{imap}/\"\nset spoolfile=\"+INBOX\"\nset imap_pass=\"secret\"\n\
         set smtp_url=\"smtp://user0@{smtp}/\"\nset smtp_pass=\"secret\"\n\
         set smtp_authenticators=\"plain\"\nset ssl_starttls=no\nset ssl_force_tls=no\n\
         set imap_idle=yes\nset timeout=1\nset mail_check=1\nset imap_poll_timeout=10\n\
         set from=\"user0@example.test\"\nset realname=\"A Person\"\nset editor=\"{editor}\"\n\
         set record=\"\"\nset copy=no\nset confirmappend=no\nset fast_reply=yes\nset include=yes\n\
         set header_cache=\"\"\nset sort=date-received\nset wait_key=no\nset delete=yes\n\
         set postponed=\"+Drafts\"\nset fcc_clear=no\nset quit=yes\nset abort_unmodified=no\n\
         set status_format=\"-- %f\"\nset pager_format=\"Message %C\"\nset move=no\n",
        editor = editor.display()
    );
    let file = place.join("neomuttrc");
    fs::write(&file, text).unwrap();
    file
}

/// A terminal of its own in a tmux server of its own; dropping it ends both.
struct Terminal {
    socket: PathBuf,
}

impl Terminal {
    fn open(place: &Path, config: &Path) -> Self {
        let terminal = Self {
            socket: place.join("tmux"),
        };
        let program = format!("neomutt -n -F {}", config.display());
        let home = format!("HOME={}", place.display());
        let size = ["-x", "120", "-y", "40"];
        terminal.tmux(
            &[
                &["-f", "/dev/null", "new-session", "-d", "-e", &home],
                &size[..],
                &[&program],
            ]
            .concat(),
        );
        terminal
    }

    fn keys(&self, keys: &[&str]) {
        for key in keys {
            self.tmux(&["send-keys", key]);
        }
    }

    #[track_caller]
    fn shows(&self, text: &str) {
        let mut screen = String::new();
        until(format!("{text:?} on the screen"), LONG, || {
            screen = self.tmux(&["capture-pane", "-p"]);
            screen.contains(text)
        });
    }

    fn tmux(&self, words: &[&str]) -> String {
        let mut command = Command::new("tmux");
        finish(
            command
                .env_remove("TMUX")
                .arg("-S")
                .arg(&self.socket)
                .args(words),
            b"",
        )
        .ok()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let mut command = Command::new("tmux");
        finish(
            command
                .env_remove("TMUX")
                .arg("-S")
                .arg(&self.socket)
                .arg("kill-server"),
            b"",
        );
    }
}
