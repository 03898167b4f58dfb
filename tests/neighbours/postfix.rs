//! A real Postfix with a configuration, a queue and an address of its own.

use std::fs;
use std::net::{IpAddr, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use testkit::{Guard, LONG, SHORT, finish, until, until_some};

use crate::common::run;

/// A running Postfix; dropping it ends it.
///
/// Its SMTP client runs in a chroot, where the resolver finds a `resolv.conf` of its own: so it asks
/// the town's name server and not the machine's, without a name space or a change to the machine.
pub(crate) struct Postfix {
    guard: Guard,
    folder: PathBuf,
}

impl Postfix {
    /// Starts a Postfix called `hostname` at `address` that takes mail of anybody at `domains`, for
    /// the users `ann` and `bob`.
    pub(crate) fn start(
        folder: &Path,
        hostname: &str,
        address: IpAddr,
        domains: &[&str],
        name_server: IpAddr,
    ) -> Self {
        if !folder.exists() {
            settle(folder, hostname, address, domains, name_server);
        }
        let program = testkit::find_program("postfix").unwrap();
        let mut command = Command::new(program);
        let guard = Guard::start(command.arg("-c").arg(folder.join("conf")).arg("start-fg"));
        let mut postfix = Self {
            guard,
            folder: folder.to_owned(),
        };
        until("Postfix listens", SHORT, || {
            if let Some(status) = postfix.guard.ended() {
                panic!("Postfix ended, {status}: {}", postfix.log());
            }
            TcpStream::connect((address, 25)).is_ok()
        });
        postfix
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log/maillog")).unwrap_or_default()
    }

    /// Waits for a log line that holds each of these.
    #[track_caller]
    pub(crate) fn logs(&self, parts: &[&str]) -> String {
        until_some(format!("Postfix logs {parts:?}"), LONG, || {
            let log = self.log();
            log.lines()
                .find(|line| parts.iter().all(|part| line.contains(part)))
                .map(str::to_owned)
        })
    }

    /// The messages of a local user, as `user@domain`.
    pub(crate) fn mail(&self, user: &str) -> Vec<String> {
        let folder = self.folder.join("mail").join(user).join("new");
        let entries = fs::read_dir(folder)
            .into_iter()
            .flatten()
            .map_while(Result::ok);
        entries
            .filter_map(|entry| fs::read(entry.path()).ok())
            .map(|octets| String::from_utf8_lossy(&octets).into_owned())
            .collect()
    }

    /// Waits for a message of a local user that holds `part`.
    #[track_caller]
    pub(crate) fn mail_with(&self, user: &str, part: &str) -> String {
        until_some(format!("{part:?} for {user} at Postfix"), LONG, || {
            self.mail(user)
                .into_iter()
                .find(|message| message.contains(part))
        })
    }

    /// Asks the master to end, and yields its number.
    fn end(&mut self) -> Option<u32> {
        let file = fs::read_to_string(self.folder.join("queue/pid/master.pid")).ok()?;
        let master = file.trim().parse().ok()?;
        run(&format!("kill -TERM {master}"));
        Some(master)
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        let master = self.end();
        if !std::thread::panicking() {
            self.guard.wait(SHORT);
            // The master leaves before its processes do. A Postfix that starts while one of them
            // moves a message finds the queue broken, and one that keeps the socket has the port.
            if let Some(master) = master {
                until("its processes have left", SHORT, || !has_members(master));
            }
        }
    }
}

/// Whether somebody is alive in this process group: Postfix's master leads one, in which all its
/// processes are. Anybody may look, also where another user's folders and files are nobody's business.
fn has_members(group: u32) -> bool {
    let processes = fs::read_dir("/proc").into_iter().flatten();
    let mut states = processes
        .map_while(Result::ok)
        .filter_map(|process| fs::read_to_string(process.path().join("stat")).ok());
    states.any(|stat| {
        // "number (name) state parent group …", and a name may hold anything (proc(5)).
        let mut fields = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split(' ')
            .skip(1);
        let is_dead = matches!(fields.next(), Some("Z" | "X"));
        !is_dead && fields.nth(1) == Some(&group.to_string())
    })
}

/// Writes everything that this Postfix needs.
fn settle(folder: &Path, hostname: &str, address: IpAddr, domains: &[&str], name_server: IpAddr) {
    let shipped = Path::new("/etc/postfix");
    for part in [
        "conf/postfix-files.d",
        "conf/dynamicmaps.cf.d",
        "data",
        "log",
        "mail",
        "queue/etc",
    ] {
        fs::create_dir_all(folder.join(part)).unwrap();
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    let owner = number_of_user("postfix");
    chown(folder.join("data"), Some(owner), None).unwrap();
    chown(folder.join("log"), Some(owner), None).unwrap();
    chown(folder.join("mail"), Some(NOBODY), Some(NOBODY)).unwrap();
    for file in ["postfix-files", "dynamicmaps.cf"] {
        fs::copy(shipped.join(file), folder.join("conf").join(file)).unwrap();
    }
    let master = fs::read_to_string(shipped.join("master.cf.proto")).unwrap();
    fs::write(folder.join("conf/master.cf"), services(&master, address)).unwrap();
    fs::write(
        folder.join("conf/main.cf"),
        settings(folder, hostname, domains),
    )
    .unwrap();
    let users = domains
        .iter()
        .flat_map(|domain| ["ann", "bob"].map(|user| (user, *domain)));
    let users = users.map(|(user, domain)| format!("{user}@{domain} {user}@{domain}/\n"));
    fs::write(folder.join("conf/users"), users.collect::<String>()).unwrap();
    fs::write(
        folder.join("queue/etc/resolv.conf"),
        format!("nameserver {name_server}\n"),
    )
    .unwrap();
    certificate(folder, hostname);
}

/// The services as shipped, with other addresses, no chroot but for the client, and a log of its own.
fn services(shipped: &str, address: IpAddr) -> String {
    let mut text = String::new();
    for line in shipped
        .lines()
        .filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()))
    {
        let mut words: Vec<&str> = line.split_whitespace().collect();
        let client = words[..2] == ["smtp", "unix"];
        let door = format!(
            "{}:25",
            if address.is_ipv6() {
                format!("[{address}]")
            } else {
                address.to_string()
            }
        );
        words[4] = if client { "y" } else { "n" };
        if words[..2] == ["smtp", "inet"] {
            words[0] = &door;
        }
        if words[0] != "postlog" {
            text.push_str(&format!("{}\n", words.join(" ")));
        }
    }
    text + "postlog unix-dgram n - n - 1 postlogd\n"
}

fn settings(folder: &Path, hostname: &str, domains: &[&str]) -> String {
    let here = folder.display();
    let domains = domains.join(", ");
    format!(
        "compatibility_level = 3.6\n\
         queue_directory = {here}/queue\n\
         data_directory = {here}/data\n\
         maillog_file = {here}/log/maillog\n\
         maillog_file_prefixes = {here}\n\
         myhostname = {hostname}\n\
         mydestination =\n\
         mynetworks = 127.0.0.0/8 [::1]/128\n\
         inet_interfaces = loopback-only\n\
         inet_protocols = all\n\
         smtpd_peername_lookup = no\n\
         alias_maps =\n\
         smtpd_tls_security_level = may\n\
         smtpd_tls_cert_file = {here}/cert.pem\n\
         smtpd_tls_key_file = {here}/key.pem\n\
         smtpd_tls_loglevel = 1\n\
         smtpd_tls_received_header = yes\n\
         smtp_tls_security_level = may\n\
         smtp_tls_loglevel = 1\n\
         queue_run_delay = 1s\n\
         minimal_backoff_time = 1s\n\
         maximal_backoff_time = 2s\n\
         virtual_mailbox_domains = {domains}\n\
         virtual_mailbox_maps = texthash:{here}/conf/users\n\
         virtual_mailbox_base = {here}/mail\n\
         virtual_uid_maps = static:{NOBODY}\n\
         virtual_gid_maps = static:{NOBODY}\n\
         virtual_minimum_uid = 1\n"
    )
}

fn certificate(folder: &Path, hostname: &str) {
    let mut make = Command::new("openssl");
    make.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
    ]);
    make.args([
        "-nodes",
        "-days",
        "2",
        "-subj",
        &format!("/CN={hostname}"),
        "-keyout",
    ]);
    make.arg(folder.join("key.pem"))
        .arg("-out")
        .arg(folder.join("cert.pem"));
    finish(&mut make, b"").ok();
}

fn number_of_user(name: &str) -> u32 {
    let text = run(&format!("id -u {name}")).ok();
    text.trim().parse().unwrap()
}

/// Debian's `nobody` and `nogroup`.
const NOBODY: u32 = 65534;
