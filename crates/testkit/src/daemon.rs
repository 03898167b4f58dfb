//! The daemon as a child process, on ports and in a folder of its own.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;

use tempfile::TempDir;

use crate::door::{Door, PortBase};
use crate::http::http_get;
use crate::imap::ImapClient;
use crate::memory::pss_octets;
use crate::output::Output;
use crate::patience::{LONG, until_some};
use crate::pop3::Pop3Client;
use crate::process::{Finished, Guard, finish};
use crate::smtp::SmtpClient;

/// How a daemon is started, so that it can be started again the same way.
#[derive(Clone)]
pub struct Recipe {
    binary: PathBuf,
    arguments: Vec<OsString>,
    folder: Arc<Folder>,
    ip: IpAddr,
    base: Base,
    before: Vec<OsString>,
    input: Option<Arc<TcpListener>>,
}

#[derive(Debug)]
enum Folder {
    Given(PathBuf),
    Own(TempDir),
}

#[derive(Clone)]
enum Base {
    Given(u16),
    Own(Arc<PortBase>),
}

/// A daemon that did not come up: how it ended, and what it said.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// What it printed.
    pub said: String,
}

/// A daemon that is up. Dropping it kills it.
pub struct Daemon {
    guard: Guard,
    recipe: Recipe,
}

impl Recipe {
    /// `heronry demo`, with a data folder and a port base of its own.
    pub fn demo(binary: impl Into<PathBuf>) -> Self {
        Self::new(binary, "demo", Base::Own(Arc::new(PortBase::take())))
    }

    /// `heronry serve`, whose configuration puts its doors on `ip` at `base` plus the standard ports.
    pub fn serve(binary: impl Into<PathBuf>, config: &Path, ip: IpAddr, base: u16) -> Self {
        let recipe = Self::new(binary, "serve", Base::Given(base));
        Self { ip, ..recipe }.argument("--config").argument(config)
    }

    fn new(binary: impl Into<PathBuf>, command: &str, base: Base) -> Self {
        let folder = tempfile::Builder::new().prefix("heronry-").tempdir();
        Self {
            binary: binary.into(),
            arguments: vec![command.into()],
            folder: Arc::new(Folder::Own(folder.expect("a temporary folder can be made"))),
            ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
            base,
            before: Vec::new(),
            input: None,
        }
    }

    /// Keeps the data in this folder, which the caller owns.
    pub fn data(mut self, folder: &Path) -> Self {
        self.folder = Arc::new(Folder::Given(folder.to_owned()));
        self
    }

    /// Adds an argument, or an option's name; its value is another argument.
    pub fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Starts the daemon through another program: `prlimit --nofile=64`.
    pub fn through(mut self, program: &[&str]) -> Self {
        self.before = program.iter().map(OsString::from).collect();
        self
    }

    /// Hands the daemon this socket as its standard input: [`Recipe::through`] makes of it what the
    /// test needs.
    pub fn input(mut self, socket: TcpListener) -> Self {
        self.input = Some(Arc::new(socket));
        self
    }

    /// Uses the ports of another daemon.
    pub fn on_the_ports_of(mut self, other: &Daemon) -> Self {
        self.base = other.recipe.base.clone();
        self
    }

    /// Where the data is.
    pub fn folder(&self) -> &Path {
        match &*self.folder {
            Folder::Given(path) => path,
            Folder::Own(folder) => folder.path(),
        }
    }

    /// Where a door of the daemon will be.
    pub fn address(&self, door: Door) -> SocketAddr {
        door.at(self.ip, self.base.get())
    }

    /// Starts the daemon and waits until it is ready.
    ///
    /// # Panics
    /// When it ends or is not ready in time; with what it said.
    #[track_caller]
    pub fn start(self) -> Daemon {
        self.try_start()
            .unwrap_or_else(|ended| panic!("{}: {}", ended.status, ended.said))
    }

    /// Starts the daemon and waits until it is ready, or has ended.
    ///
    /// # Errors
    /// It ended.
    ///
    /// # Panics
    /// When it does neither in time.
    pub fn try_start(self) -> Result<Daemon, Ended> {
        let input = self.input.as_ref().map_or_else(Stdio::null, |socket| {
            let socket = socket.try_clone().expect("a socket can be shared");
            Stdio::from(OwnedFd::from(socket))
        });
        let mut guard = Guard::start_with(&mut self.command(), input);
        let health = self.address(Door::Http);
        let ready = until_some("the daemon is ready", LONG, || {
            if let Some(status) = guard.ended() {
                return Some(Err(status));
            }
            matches!(http_get(health, "/health/ready"), Ok((200, _))).then_some(Ok(()))
        });
        match ready {
            Ok(()) => Ok(Daemon {
                guard,
                recipe: self,
            }),
            Err(status) => Err(Ended {
                status,
                said: guard.output().rest(),
            }),
        }
    }

    fn command(&self) -> Command {
        let words = self
            .before
            .iter()
            .cloned()
            .chain([self.binary.clone().into()]);
        let mut words = words.chain(self.arguments.iter().cloned());
        let mut command = Command::new(words.next().expect("there is at least the binary"));
        command.args(words).env_remove("RUST_LOG");
        if self.arguments[0] == "demo" {
            command.arg("--data").arg(self.folder());
            command.arg("--port-base").arg(self.base.get().to_string());
        }
        command
    }
}

impl Base {
    fn get(&self) -> u16 {
        match self {
            Self::Given(base) => *base,
            Self::Own(base) => base.get(),
        }
    }
}

impl Daemon {
    /// Where a door is.
    pub fn address(&self, door: Door) -> SocketAddr {
        self.recipe.address(door)
    }

    /// The data folder.
    pub fn folder(&self) -> &Path {
        self.recipe.folder()
    }

    /// The port base.
    pub fn base(&self) -> u16 {
        self.recipe.base.get()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.guard.pid()
    }

    /// What it has printed.
    pub fn output(&mut self) -> &mut Output {
        self.guard.output()
    }

    /// The process.
    pub fn process(&mut self) -> &mut Guard {
        &mut self.guard
    }

    /// The memory that it takes, in octets.
    #[track_caller]
    pub fn pss_octets(&self) -> u64 {
        pss_octets(self.pid())
    }

    /// An SMTP session that has said EHLO.
    #[track_caller]
    pub fn smtp(&self) -> SmtpClient {
        let mut client = SmtpClient::connect(self.address(Door::Smtp));
        client.ehlo();
        client
    }

    /// Sends a message to local users by SMTP.
    ///
    /// # Panics
    /// When the message is not accepted.
    #[track_caller]
    pub fn accept(&self, to: &[&str], message: &[u8]) {
        self.smtp()
            .send("someone@elsewhere.test", to, message)
            .expect(250);
    }

    /// An IMAP session of a demo account, logged in.
    #[track_caller]
    pub fn imap(&self, user: &str) -> ImapClient {
        let mut client = ImapClient::connect(self.address(Door::Imap));
        client.login(user, PASSWORD);
        client
    }

    /// A POP3 session of a demo account, logged in.
    #[track_caller]
    pub fn pop3(&self, user: &str) -> Pop3Client {
        let mut client = Pop3Client::connect(self.address(Door::Pop3));
        client.login(user, PASSWORD);
        client
    }

    /// The metrics as they are served.
    ///
    /// # Panics
    /// When they are not.
    #[track_caller]
    pub fn metrics(&self) -> String {
        let (status, body) =
            http_get(self.address(Door::Http), "/metrics").expect("the daemon speaks HTTP");
        assert_eq!(status, 200, "{body}");
        body
    }

    /// Runs another command of the binary, against this daemon's data folder.
    #[track_caller]
    pub fn command(&self, words: &[&str], input: &[u8]) -> Finished {
        let mut command = Command::new(&self.recipe.binary);
        command.args(words).arg("--data").arg(self.folder());
        finish(&mut command, input)
    }

    /// Ends the daemon in the orderly way.
    #[track_caller]
    pub fn terminate(mut self) -> (ExitStatus, Recipe) {
        (self.guard.terminate(), self.recipe.clone())
    }

    /// Ends the daemon as a crash would.
    #[track_caller]
    pub fn kill9(mut self) -> Recipe {
        self.guard.kill9();
        self.recipe.clone()
    }
}

/// The password of every account of the demo.
pub const PASSWORD: &str = "secret";
