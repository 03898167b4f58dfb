//! Child processes that end with their test.

use std::io::{self, ErrorKind, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::output::Output;
use crate::patience::{LONG, SHORT, until, until_some};

/// A child process with its output; dropping it ends it, by its pid.
pub struct Guard {
    child: Child,
    name: String,
    output: Output,
}

impl Guard {
    /// Starts a process whose output is gathered.
    ///
    /// # Panics
    /// When it cannot be started.
    #[track_caller]
    pub fn start(command: &mut Command) -> Self {
        Self::start_with(command, Stdio::null())
    }

    /// Starts a process whose output is gathered, with this as its standard input.
    ///
    /// # Panics
    /// When it cannot be started.
    #[track_caller]
    pub fn start_with(command: &mut Command, input: Stdio) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        command
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let output = Output::new();
        output.gather(child.stdout.take().expect("standard output is piped"));
        output.gather(child.stderr.take().expect("standard error is piped"));
        Self {
            child,
            name,
            output,
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed.
    pub fn output(&mut self) -> &mut Output {
        &mut self.output
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the child is ours")
    }

    /// Sends a signal.
    pub fn signal(&mut self, signal: Signal) {
        if self.ended().is_none() {
            let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
            let _ = kill_process(pid.expect("a child has a pid"), signal); // it may just have ended
        }
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not end in time; with what it printed.
    #[track_caller]
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let name = format!("{} ends", self.name);
        until_some(name, limit, || self.ended())
    }

    /// Asks it to end (SIGTERM) and waits.
    ///
    /// # Panics
    /// When it does not end in time.
    #[track_caller]
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait(SHORT)
    }

    /// Ends it as a crash would (SIGKILL) and waits.
    ///
    /// # Panics
    /// When the kernel does not end it in time.
    #[track_caller]
    pub fn kill9(&mut self) {
        self.signal(Signal::KILL);
        self.wait(SHORT);
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.child.wait();
        if thread::panicking() {
            let said = self.output.so_far();
            let lines: Vec<&str> = said.lines().collect();
            let last = lines[lines.len().saturating_sub(40)..].join("\n");
            let _ = writeln!(io::stderr(), "--- {} said at last:\n{last}\n---", self.name);
        }
    }
}

/// How a process ended, and what it printed.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Its exit status.
    pub status: ExitStatus,
    /// What it printed, standard output before standard error.
    pub text: String,
}

impl Finished {
    /// The text, if the process succeeded.
    ///
    /// # Panics
    /// When it failed; with what it printed.
    #[track_caller]
    pub fn ok(self) -> String {
        assert!(self.status.success(), "{}: {}", self.status, self.text);
        self.text
    }
}

/// Runs a process to its end, with `input` on its standard input, for two minutes at most.
///
/// # Panics
/// When it cannot be started or does not end.
#[track_caller]
pub fn finish(command: &mut Command, input: &[u8]) -> Finished {
    let name = command.get_program().to_string_lossy().into_owned();
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    let (mut out, mut err) = (Output::new(), Output::new());
    out.gather(child.stdout.take().expect("standard output is piped"));
    err.gather(child.stderr.take().expect("standard error is piped"));
    let mut stdin = child.stdin.take().expect("standard input is piped");
    let input = input.to_vec();
    let feeder = thread::spawn(move || stdin.write_all(&input));
    let mut guard = Guard {
        child,
        name: name.clone(),
        output: Output::new(),
    };
    until(format!("{name} ends"), LONG, || guard.ended().is_some());
    let status = guard.wait(SHORT);
    match feeder.join().expect("the feeder does not panic") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => panic!("{name}: {error}"),
        _ => {} // a process may leave its input unread
    }
    let text = [out.rest(), err.rest()].join("\n");
    Finished { status, text }
}

#[test]
fn a_process_gets_its_input_and_its_output_is_kept() {
    let text = finish(&mut Command::new("cat"), b"one\ntwo\n").ok();
    assert_eq!(text.trim_end(), "one\ntwo");
}

#[test]
fn a_guard_ends_its_process() {
    let mut guard = Guard::start(Command::new("sleep").arg("600"));
    assert!(guard.ended().is_none());
    assert!(!guard.terminate().success());
}
