//! A real name server (Knot DNS) for one zone, on an address of its own.

use std::fs;
use std::net::{IpAddr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use testkit::{Guard, SHORT, until};

/// A running name server; dropping it ends it.
pub(crate) struct Knot {
    guard: Guard,
}

impl Knot {
    /// Serves the zone `test.` with these records, at `address` and port 53.
    pub(crate) fn start(folder: &Path, address: IpAddr, records: &str) -> Self {
        fs::create_dir_all(folder).unwrap();
        let here = folder.display();
        let soa = "$ORIGIN test.\n$TTL 2\n@ SOA ns.test. host.test. 1 60 60 60 2\n@ NS ns.test.\n";
        let zone = format!("{soa}ns A {address}\n{records}");
        fs::write(folder.join("test.zone"), zone).unwrap();
        let config = format!(
            "server:\n  rundir: {here}\n  listen: {address}@53\n\
             database:\n  storage: {here}\n\
             log:\n  - target: stderr\n    any: info\n\
             zone:\n  - domain: test.\n    file: {here}/test.zone\n    journal-content: none\n"
        );
        let file = folder.join("knot.conf");
        fs::write(&file, config).unwrap();
        let program = testkit::find_program("knotd").unwrap();
        let mut knot = Self {
            guard: Guard::start(Command::new(program).arg("-c").arg(file)),
        };
        until("the name server answers", SHORT, || {
            if let Some(status) = knot.guard.ended() {
                panic!("the name server ended: {status}");
            }
            answers(address)
        });
        knot
    }
}

/// Asks for the start of authority of `test.`, as plainly as can be (RFC 1035 §4).
fn answers(address: IpAddr) -> bool {
    let header = [0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    let question = b"\x04test\x00\x00\x06\x00\x01";
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    let asked = socket.send_to(&[&header[..], question].concat(), (address, 53));
    let mut answer = [0; 512];
    asked.is_ok() && socket.recv(&mut answer).is_ok_and(|octets| octets > 12)
}
