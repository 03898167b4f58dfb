//! Under a service manager: what it is told, and sockets that it hands over.

use std::{
    net::TcpListener,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
};

use tempfile::TempDir;
use testkit::{Door, LONG, Recipe, SHORT, Signal, SmtpClient, until};

use crate::{
    common::demo,
    served::{Served, at},
};

/// The manager's socket, and what came there.
pub(crate) struct Manager {
    socket: UnixDatagram,
    pub(crate) path: PathBuf,
    heard: Vec<String>,
    _folder: TempDir,
}

impl Manager {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self {
            socket,
            path,
            heard: Vec::new(),
            _folder: folder,
        }
    }

    /// Waits until a line that begins so has come after what was waited for before.
    #[track_caller]
    pub(crate) fn hears(&mut self, line: &str) {
        until(format!("the manager hears {line}"), LONG, || {
            self.listen();
            let found = self.heard.iter().position(|heard| heard.starts_with(line));
            if let Some(at) = found {
                self.heard.drain(..=at);
            }
            found.is_some()
        });
    }

    /// Forgets what has come so far.
    pub(crate) fn forget(&mut self) {
        self.listen();
        self.heard.clear();
    }

    /// Takes what has come.
    pub(crate) fn listen(&mut self) {
        let mut octets = [0; 4096];
        while let Ok(length) = self.socket.recv(&mut octets) {
            let said = String::from_utf8_lossy(&octets[..length]).into_owned();
            self.heard.extend(said.lines().map(str::to_owned));
        }
    }
}

pub(crate) fn under(recipe: Recipe, path: &Path, more: &[&str]) -> Recipe {
    let socket = format!("NOTIFY_SOCKET={}", path.display());
    recipe.through(&[&["env", &socket], more].concat())
}

#[test]
fn the_manager_is_told_that_it_is_ready_reloads_and_stops() {
    let mut manager = Manager::new();
    let path = manager.path.clone();
    let mut house = Served::started("", &Door::ALL, |recipe, _| under(recipe, &path, &[]));
    manager.hears("READY=1");
    house.daemon.process().signal(Signal::HUP);
    manager.hears("RELOADING=1");
    manager.hears("READY=1");
    house.daemon.process().signal(Signal::TERM);
    manager.hears("STOPPING=1");
    assert!(house.daemon.process().wait(SHORT).success());
}

#[test]
fn the_watchdog_is_fed_again_and_again_if_there_is_one() {
    let mut manager = Manager::new();
    let more = ["WATCHDOG_USEC=400000"];
    let fed = under(demo(), &manager.path.clone(), &more).start();
    for _ in 0..3 {
        manager.hears("WATCHDOG=1");
    }
    drop(fed);
    let mut manager = Manager::new();
    let mut unfed = under(demo(), &manager.path.clone(), &[]).start();
    manager.hears("READY=1");
    unfed.process().signal(Signal::TERM);
    manager.hears("STOPPING=1");
    assert!(!manager.heard.iter().any(|heard| heard == "WATCHDOG=1"));
}

#[test]
fn a_socket_that_was_handed_over_is_used_and_survives_the_daemon() {
    let mut held = None;
    let mut waiting = None;
    let mut house = Served::started("", &Door::ALL, |recipe, base| {
        let socket = TcpListener::bind(at(Door::Smtp, base)).unwrap();
        held = Some(socket.try_clone().unwrap());
        // Somebody knocks before anybody is at home.
        waiting = Some(std::net::TcpStream::connect(at(Door::Smtp, base)).unwrap());
        let hand_over = "exec 3<&0 0</dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\"";
        recipe.input(socket).through(&["sh", "-c", hand_over, "sh"])
    });
    let mut early = std::io::BufReader::new(waiting.unwrap());
    let mut greeting = String::new();
    std::io::BufRead::read_line(&mut early, &mut greeting).unwrap();
    assert!(greeting.starts_with("220 "), "{greeting}");
    SmtpClient::connect(house.daemon.address(Door::Smtp)).ehlo();
    let address = house.daemon.address(Door::Smtp);
    house.daemon.process().signal(Signal::TERM);
    assert!(house.daemon.process().wait(SHORT).success());
    std::net::TcpStream::connect(address).expect("clients wait for the next start");
    drop(held);
}

#[test]
fn the_unit_is_one_that_systemd_understands() {
    if !testkit::needs("systemd-analyze") {
        return;
    }
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd");
    let place = tempfile::tempdir().unwrap();
    for name in ["heronry.service", "heronry.socket"] {
        let text = std::fs::read_to_string(units.join(name)).unwrap();
        // The program need not be installed where the tests run.
        let text = text.replace("/usr/bin/heronry", "/bin/true");
        std::fs::write(place.path().join(name), text).unwrap();
    }
    let mut verify = std::process::Command::new("systemd-analyze");
    verify
        .arg("verify")
        .arg(place.path().join("heronry.socket"));
    let run = testkit::finish(verify.arg(place.path().join("heronry.service")), b"");
    let said = run.text.clone();
    run.ok();
    let own: Vec<_> = said
        .lines()
        .filter(|line| line.contains("heronry"))
        .collect();
    assert!(own.is_empty(), "{said}");
}
