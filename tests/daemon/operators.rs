//! The operator socket: who may use it, and what is left in the log.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use testkit::{Finished, SHORT, finish, needs, root_or_again};

use crate::common::demo;

#[test]
fn each_act_is_in_the_log_with_who_did_it() {
    let mut daemon = demo().start();
    let words = ["account", "password", "user0@example.test"];
    daemon.command(&words, b"another\n").ok();
    let line = daemon.output().line_with("account_password", SHORT);
    let uid = rustix::process::geteuid().as_raw();
    assert!(line.contains(&format!("\"uid\":{uid}")), "{line}");
    assert!(line.contains("\"pid\":"), "{line}");
    assert!(line.contains("user0@example.test"), "{line}");
    assert!(!line.contains("argon2"), "{line}");
    daemon.command(&["domain", "remove", "nowhere.test"], b"");
    let line = daemon.output().line_with("domain_remove", SHORT);
    assert!(line.contains("refusal"), "{line}");
}

#[test]
fn nobody_else_reaches_the_operator_socket() {
    if !root_or_again() || !needs("setpriv") || !needs("perl") {
        return;
    }
    let mut daemon = demo().start();
    let socket = daemon.folder().join("operator.sock");
    let mode = fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let asked = ask_as_nobody(&socket);
    assert!(
        asked.text.contains("refused: Permission denied"),
        "{}",
        asked.text
    );
    // Even where the files let him, the kernel says who he is.
    let mut path = Some(socket.as_path());
    while let Some(open) = path.filter(|path| *path != Path::new("/tmp") && path.exists()) {
        fs::set_permissions(open, fs::Permissions::from_mode(0o777)).unwrap();
        path = open
            .parent()
            .filter(|folder| folder.parent() != Some(Path::new("/")));
    }
    let asked = ask_as_nobody(&socket);
    assert!(!asked.text.contains("done"), "{}", asked.text);
    assert!(!asked.text.contains("refused"), "{}", asked.text);
    daemon.output().line_with("a stranger", SHORT);
    daemon.command(&["tree"], b"").ok();
}

fn ask_as_nobody(socket: &Path) -> Finished {
    let script = "use IO::Socket::UNIX;\n\
        my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die \"refused: $!\";\n\
        print $s qq({\"want\": \"hello\"}\\n);\n\
        $s->flush;\n\
        print readline($s) // \"nothing\";\n";
    let mut ask = Command::new("setpriv");
    ask.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
    ask.args(["perl", "-e", script]).arg(socket);
    finish(&mut ask, b"")
}
