//! A town: a name server, room for other mail systems, and ours, each on an address of its own.
//!
//! MX records carry no port, so that everybody listens on port 25, on loopback addresses.

use std::fmt::Write;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use tempfile::TempDir;
use testkit::{Daemon, Door, PASSWORD, Recipe, SmtpClient, needs, root_or_again};

use crate::common::binary;
use crate::knot::Knot;
use crate::postfix::Postfix;

/// The streets of a town, without anybody in it yet.
pub(crate) struct Town {
    number: u8,
    folder: TempDir,
    _lock: TcpListener,
}

/// A house of the town: the last number of its address.
pub(crate) const HERONRY: u8 = 1;
/// The neighbour, a Postfix.
pub(crate) const NEIGHBOUR: u8 = 2;
/// Another one, who comes late.
pub(crate) const LATE: u8 = 3;
/// Nobody ever lives here.
pub(crate) const EMPTY: u8 = 4;
const NAME_SERVER: u8 = 53;

impl Town {
    /// A town of its own for one test, or none where the machine lacks something.
    pub(crate) fn found() -> Option<Self> {
        let installed = ["knotd", "postfix", "openssl"]
            .iter()
            .all(|program| needs(program));
        if !installed || !root_or_again() {
            return None;
        }
        let folder = tempfile::Builder::new()
            .prefix("heronry-town-")
            .tempdir()
            .unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let free = |number: &u8| Some((*number, TcpListener::bind((ip(*number, 250), 1)).ok()?));
        let (number, lock) = (1..250)
            .find_map(|number| free(&number))
            .expect("a town is free");
        Some(Self {
            number,
            folder,
            _lock: lock,
        })
    }

    /// The address of a house.
    pub(crate) fn address(&self, house: u8) -> IpAddr {
        ip(self.number, house)
    }

    /// A folder for one house.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The name server, with every name that the tests ask for.
    pub(crate) fn name_server(&self) -> Knot {
        let mut records = String::new();
        let house = |house| self.address(house);
        for (name, number) in [
            ("mx.example", HERONRY),
            ("mx.neighbour", NEIGHBOUR),
            ("mx.late", LATE),
            ("mx.dead", EMPTY),
        ] {
            writeln!(records, "{name} A {}", house(number)).unwrap();
        }
        for domain in ["example", "neighbour", "late", "dead"] {
            writeln!(records, "{domain} MX 10 mx.{domain}.test.").unwrap();
        }
        writeln!(records, "null MX 0 .").unwrap();
        writeln!(records, "plain A {}", house(NEIGHBOUR)).unwrap();
        writeln!(records, "six MX 10 mx.six.test.\nmx.six AAAA ::1").unwrap();
        writeln!(
            records,
            "backup MX 10 mx.dead.test.\nbackup MX 20 mx.neighbour.test."
        )
        .unwrap();
        writeln!(records, "gone MX 10 mx.nowhere.test.").unwrap();
        writeln!(records, "mirror MX 10 mx.example.test.").unwrap();
        writeln!(records, "alias CNAME neighbour.test.").unwrap();
        Knot::start(&self.folder("knot"), self.address(NAME_SERVER), &records)
    }

    /// The neighbour, for every domain of its address.
    pub(crate) fn neighbour(&self) -> Postfix {
        let domains = ["neighbour.test", "plain.test", "backup.test", "alias.test"];
        self.postfix("neighbour", NEIGHBOUR, &domains)
    }

    /// The one who comes late, and may come again.
    pub(crate) fn late(&self) -> Postfix {
        self.postfix("late", LATE, &["late.test"])
    }

    fn postfix(&self, name: &str, house: u8, domains: &[&str]) -> Postfix {
        let hostname = format!("mx.{name}.test");
        let name_server = self.address(NAME_SERVER);
        Postfix::start(
            &self.folder(name),
            &hostname,
            self.address(house),
            domains,
            name_server,
        )
    }

    /// Ours: `heronry serve`, with the accounts `user0` to `user2`, and more configuration.
    pub(crate) fn heronry(&self, more: &str) -> Daemon {
        let ip = self.address(HERONRY);
        let data = self.folder("data");
        let mut config = format!(
            "hostname = \"mx.example.test\"\n\
             data = {data:?}\n\
             domains = [\"example.test\"]\n\
             login_without_tls = [\"127.0.0.0/8\"]\n\n\
             [dns]\nservers = [\"{}:53\"]\n\n\
             [tls]\nself_signed = true\n\n\
             [queue]\nretry_first_seconds = 1\nretry_factor = 1.0\nretry_longest_seconds = 1\n\
             retry_jitter = 0.0\n{more}\n",
            self.address(NAME_SERVER)
        );
        for door in Door::ALL {
            let protocol = format!("{door:?}").to_ascii_lowercase();
            let port = door as u16;
            let listener = format!("protocol = \"{protocol}\"\naddress = \"{ip}:{port}\"\n");
            write!(config, "\n[[listener]]\n{listener}").unwrap();
        }
        let file = self.folder("heronry.toml");
        fs::write(&file, config).unwrap();
        let daemon = Recipe::serve(binary(), &file, ip, 0).data(&data).start();
        for number in 0..3 {
            let words = ["account", "add", &format!("user{number}@example.test")];
            // After a restart they are there already.
            let _ = daemon.command(&words, format!("{PASSWORD}\n").as_bytes());
        }
        daemon
    }

    /// Submits a message of `user0@example.test`.
    #[track_caller]
    pub(crate) fn submit(&self, daemon: &Daemon, to: &[&str], message: &[u8]) {
        let mut client = SmtpClient::connect(daemon.address(Door::Submission));
        client.ehlo();
        client
            .auth_plain("user0@example.test", PASSWORD)
            .expect(235);
        client.send("user0@example.test", to, message).expect(250);
    }

    /// Gives a message to the neighbour, who sends it on.
    #[track_caller]
    pub(crate) fn give_to_neighbour(&self, from: &str, to: &[&str], message: &[u8]) {
        let mut client = SmtpClient::connect((self.address(NEIGHBOUR), 25));
        client.ehlo();
        client.send(from, to, message).expect(250);
    }
}

/// House `house` of town `number`.
fn ip(number: u8, house: u8) -> IpAddr {
    Ipv4Addr::new(127, 77, number, house).into()
}
