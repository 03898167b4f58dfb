//! A real Dovecot with a configuration, mail and ports of its own.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use testkit::{
    Door, Guard, ImapClient, PASSWORD, PortBase, SHORT, find_program, finish, is_root, needs, until,
};

use crate::common::run;

/// A running Dovecot that knows the user `ann`; dropping it ends it.
pub(crate) struct Dovecot {
    guard: Guard,
    folder: TempDir,
    base: PortBase,
}

impl Dovecot {
    /// Starts one, or none where the machine lacks it.
    pub(crate) fn start() -> Option<Self> {
        if !needs("dovecot") || !needs("openssl") {
            return None;
        }
        let folder = tempfile::Builder::new()
            .prefix("heronry-dovecot-")
            .tempdir();
        let (folder, base) = (folder.unwrap(), PortBase::take());
        settle(folder.path(), base.get());
        let mut command = Command::new(find_program("dovecot").unwrap());
        command
            .arg("-F")
            .arg("-c")
            .arg(folder.path().join("dovecot.conf"));
        let guard = Guard::start(command.env("TZ", "UTC"));
        let mut dovecot = Self {
            guard,
            folder,
            base,
        };
        until("Dovecot listens", SHORT, || {
            if let Some(status) = dovecot.guard.ended() {
                let said = dovecot.guard.output().so_far();
                panic!("Dovecot ended, {status}: {said}{}", dovecot.log());
            }
            TcpStream::connect(dovecot.address(Door::Imap)).is_ok()
        });
        Some(dovecot)
    }

    /// Where one of its doors for IMAP is.
    pub(crate) fn address(&self, door: Door) -> SocketAddr {
        door.at(Ipv4Addr::LOCALHOST.into(), self.base.get())
    }

    /// A certificate that makes its own to be trusted.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }

    /// A session of `ann`.
    pub(crate) fn imap(&self) -> ImapClient {
        let mut client = ImapClient::connect(self.address(Door::Imap));
        client.login("ann", PASSWORD);
        client
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        // Its children end with it, if it is asked to end.
        self.guard.signal(testkit::Signal::TERM);
        if !std::thread::panicking() {
            self.guard.wait(SHORT);
        }
    }
}

/// Writes everything that this Dovecot needs.
fn settle(folder: &Path, base: u16) {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(folder.join("home")).unwrap();
    let (owner, group) = if is_root() {
        chown(folder.join("home"), Some(NOBODY), Some(NOBODY)).unwrap();
        (NOBODY, NOBODY)
    } else {
        let found = fs::metadata(folder).unwrap();
        (found.uid(), found.gid())
    };
    fs::write(folder.join("users"), format!("ann:{{PLAIN}}{PASSWORD}\n")).unwrap();
    certificate(folder);
    let here = folder.display();
    let ports = [Door::Imap, Door::Imaps].map(|door| base + door as u16);
    // Without root everything runs as who runs the test, outside of any chroot.
    let login = match is_root() {
        true => String::new(),
        false => {
            let me = run("id -un").ok();
            let me = me.trim();
            format!(
                "default_internal_user = {me}\ndefault_login_user = {me}\n\
                 default_internal_group = {me}\nservice anvil {{\n chroot =\n}}\n"
            )
        }
    };
    let chroot = if is_root() { "login" } else { "" };
    let text = format!(
        "base_dir = {here}/run\nstate_dir = {here}/state\nlog_path = {here}/log\n\
         protocols = imap\nlisten = 127.0.0.1\n\
         ssl = yes\nssl_cert = <{here}/cert.pem\nssl_key = <{here}/key.pem\n\
         disable_plaintext_auth = no\nauth_mechanisms = plain login\n\
         first_valid_uid = 1\nfirst_valid_gid = 1\nmail_location = maildir:~/mail\n\
         mail_fsync = never\n{login}\
         passdb {{\n driver = passwd-file\n args = {here}/users\n}}\n\
         userdb {{\n driver = static\n args = uid={owner} gid={group} home={here}/home/%u\n}}\n\
         namespace inbox {{\n inbox = yes\n separator = .\n\
         mailbox Sent {{\n  special_use = \\Sent\n  auto = create\n }}\n}}\n\
         service imap-login {{\n chroot = {chroot}\n\
         inet_listener imap {{\n  port = {}\n }}\n\
         inet_listener imaps {{\n  port = {}\n  ssl = yes\n }}\n}}\n",
        ports[0], ports[1],
    );
    fs::write(folder.join("dovecot.conf"), text).unwrap();
}

fn certificate(folder: &Path) {
    let mut make = Command::new("openssl");
    make.args(["req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"])
        .args(["-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(folder.join("key.pem"))
        .arg("-out")
        .arg(folder.join("cert.pem"));
    finish(&mut make, b"").ok();
}

/// Debian's `nobody` and `nogroup`.
const NOBODY: u32 = 65534;
