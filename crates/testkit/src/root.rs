//! Tests that need the machine's administrator: port 25, a file system of their own.

use std::env;
use std::io::{self, Write};
use std::process::Command;
use std::thread;

use crate::needs::{everything_is_asked_for, leave_out};
use crate::process::finish;

/// Whether this process is root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether the test at hand may go on, as root.
///
/// If this process is not root, the same test is run again under `sudo -n`, provided that
/// `HERONRY_NEIGHBOURS=1` asks for everything (sudo is never called unasked), and the caller returns.
///
/// # Panics
/// When the second run fails.
#[must_use = "a test that is not root has to return"]
pub fn root_or_again() -> bool {
    if is_root() {
        return true;
    }
    if !everything_is_asked_for() {
        leave_out("it needs root");
        return false;
    }
    let test = thread::current()
        .name()
        .expect("the harness names its threads")
        .to_owned();
    let program = env::current_exe().expect("the kernel knows the running program");
    let kept = env::vars_os().filter(|(name, _)| {
        let name = name.to_string_lossy();
        name == "PATH" || name.starts_with("HERONRY_")
    });
    let mut again = Command::new("sudo");
    again.args(["-n", "env"]);
    for (name, value) in kept {
        let mut pair = name;
        pair.push("=");
        pair.push(value);
        again.arg(pair);
    }
    let run = finish(
        again.arg(program).args(["--exact", &test, "--nocapture"]),
        b"",
    );
    let _ = writeln!(io::stderr(), "again as root: {test}");
    run.ok();
    false
}
