//! Says which neighbour a machine lacks, and which test was left out for it.

use std::env;
use std::io::{self, Write};
use std::path::PathBuf;
use std::thread;

/// Whether this program is installed; if not, the test that asks is left out and says so.
///
/// # Panics
/// When it is missing although `HERONRY_NEIGHBOURS=1` asks for every neighbour.
#[must_use = "a test that lacks its neighbour has to return"]
pub fn needs(program: &str) -> bool {
    let found = find_program(program).is_some();
    if !found {
        leave_out(&format!("{program} is not installed"));
    }
    found
}

/// Says on standard error that the test at hand is left out, and why.
///
/// # Panics
/// When `HERONRY_NEIGHBOURS=1` says that nothing may be left out.
pub fn leave_out(why: &str) {
    assert!(
        !everything_is_asked_for(),
        "{why}, and HERONRY_NEIGHBOURS=1 lets nothing be left out; tests/run installs what it needs"
    );
    say_left_out(why);
}

/// Says it, whoever asks for everything: for what no package can bring.
pub fn say_left_out(why: &str) {
    let test = thread::current().name().unwrap_or("a test").to_owned();
    // Not eprintln!, which the test harness keeps to itself when the test passes.
    let _ = writeln!(io::stderr(), "left out: {test}: {why}");
}

/// Where a program lies: in `PATH`, or where Debian puts servers.
pub fn find_program(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let servers = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    let candidates = env::split_paths(&path)
        .chain(servers)
        .map(|folder| folder.join(program));
    candidates.into_iter().find(|candidate| candidate.is_file())
}

pub(crate) fn everything_is_asked_for() -> bool {
    env::var_os("HERONRY_NEIGHBOURS").is_some_and(|value| value == "1")
}

#[test]
fn a_program_of_every_machine_is_found_and_another_one_is_not() {
    assert!(find_program("sh").is_some());
    assert!(find_program("a-program-that-nobody-has").is_none());
}
