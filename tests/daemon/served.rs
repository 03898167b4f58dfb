//! `heronry serve` on ports of its own, with one account and a configuration that may change.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::Command,
};

use tempfile::TempDir;
use testkit::{Daemon, Door, Finished, PortBase, Recipe, finish};

use crate::common::binary;

/// A daemon with its configuration.
pub(crate) struct Served {
    pub(crate) daemon: Daemon,
    pub(crate) file: PathBuf,
    base: PortBase,
    _folder: TempDir,
}

impl Served {
    /// With every door, and `more` in its configuration.
    pub(crate) fn open(more: &str) -> Self {
        Self::started(more, &Door::ALL, |recipe, _| recipe)
    }

    /// With these doors, started as `how` says; `how` is told where a door will be.
    pub(crate) fn started(
        more: &str,
        doors: &[Door],
        how: impl FnOnce(Recipe, &PortBase) -> Recipe,
    ) -> Self {
        let (base, folder) = (PortBase::take(), tempfile::tempdir().unwrap());
        let file = folder.path().join("heronry.toml");
        fs::write(&file, text(&base, more, doors)).unwrap();
        let recipe = Recipe::serve(binary(), &file, LOCAL, base.get());
        let recipe = recipe.data(&folder.path().join("data"));
        let daemon = how(recipe, &base).start();
        let words = ["account", "add", "user0@example.test"];
        daemon.command(&words, b"secret\n").ok();
        Self {
            daemon,
            file,
            base,
            _folder: folder,
        }
    }

    /// Writes another configuration into its file.
    pub(crate) fn write(&self, more: &str, doors: &[Door]) {
        fs::write(&self.file, text(&self.base, more, doors)).unwrap();
    }

    /// `heronry check --diff` with what is in the file now.
    pub(crate) fn diff(&self) -> Finished {
        let mut check = Command::new(binary());
        check.args(["check", "--diff", "--config"]).arg(&self.file);
        finish(&mut check, b"")
    }

    /// `heronry reload`.
    pub(crate) fn reload(&self) -> Finished {
        self.daemon.command(&["reload"], b"")
    }
}

/// Where a door of a daemon on that base is.
pub(crate) fn at(door: Door, base: &PortBase) -> SocketAddr {
    door.at(LOCAL, base.get())
}

fn text(base: &PortBase, more: &str, doors: &[Door]) -> String {
    let mut text = format!(
        "hostname = \"mx.example.test\"\ndata = \"data\"\n{}{more}\n",
        if more.contains("domains") {
            ""
        } else {
            "domains = [\"example.test\"]\n"
        }
    );
    if !more.contains("[tls]") {
        text.push_str("[tls]\nself_signed = true\n");
    }
    for door in doors {
        let protocol = format!("{door:?}").to_ascii_lowercase();
        let address = at(*door, base);
        let listener = format!("protocol = \"{protocol}\"\naddress = \"{address}\"\n");
        text.push_str(&format!("\n[[listener]]\n{listener}"));
    }
    text
}

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
