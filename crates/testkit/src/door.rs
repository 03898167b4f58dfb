//! Addresses: the doors of a daemon, and a port base that nobody else uses.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

/// A listener of the daemon, by its standard port.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u16)]
pub enum Door {
    /// LMTP (RFC 2033): port 24.
    Lmtp = 24,
    /// SMTP between servers: port 25.
    Smtp = 25,
    /// Health and metrics: port 80.
    Http = 80,
    /// POP3, TLS by STLS: port 110.
    Pop3 = 110,
    /// IMAP, TLS by STARTTLS: port 143.
    Imap = 143,
    /// Submission under TLS from the first octet (RFC 8314): port 465.
    Submissions = 465,
    /// Submission (RFC 6409): port 587.
    Submission = 587,
    /// IMAP under TLS from the first octet: port 993.
    Imaps = 993,
    /// POP3 under TLS from the first octet: port 995.
    Pop3s = 995,
}

impl Door {
    /// Every door, so that a base can be tried for all of them.
    pub const ALL: [Self; 9] = [
        Self::Lmtp,
        Self::Smtp,
        Self::Http,
        Self::Pop3,
        Self::Imap,
        Self::Submissions,
        Self::Submission,
        Self::Imaps,
        Self::Pop3s,
    ];

    /// Where this door is, for a daemon on `ip` whose ports are `base` plus the standard ones.
    pub fn at(self, ip: IpAddr, base: u16) -> SocketAddr {
        SocketAddr::new(ip, base + self as u16)
    }
}

/// A port base that no other test uses while this value lives.
#[derive(Debug)]
pub struct PortBase {
    base: u16,
    _lock: TcpListener,
}

impl PortBase {
    /// Takes a free base.
    ///
    /// The listener on `base + 1` is a lock between test processes: the bases are multiples of 200,
    /// and no two standard ports (nor 1) are equal modulo 200, so two bases never share a port.
    ///
    /// # Panics
    /// When every base is in use.
    pub fn take() -> Self {
        let first = process::id().wrapping_mul(37);
        for _ in 0..BASES {
            let turn = NEXT.fetch_add(1, Ordering::Relaxed);
            let slot = (first.wrapping_add(turn) % BASES) as u16;
            let base = FIRST + slot * STEP;
            if let Some(lock) = lock(base) {
                return Self { base, _lock: lock };
            }
        }
        panic!("all {BASES} port bases are in use");
    }

    /// The base: a door's port is this plus its standard port.
    pub fn get(&self) -> u16 {
        self.base
    }
}

fn lock(base: u16) -> Option<TcpListener> {
    let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let lock = TcpListener::bind((local, base + 1)).ok()?;
    let free = |door: &Door| TcpListener::bind(door.at(local, base)).is_ok();
    Door::ALL.iter().all(free).then_some(lock)
}

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Above the ports that people use, and below the ones that the kernel hands out (32768).
const FIRST: u16 = 4000;
const STEP: u16 = 200;
const BASES: u32 = 138;

#[test]
fn two_port_bases_share_no_port() {
    let mut rests: Vec<u16> = Door::ALL.iter().map(|door| *door as u16 % STEP).collect();
    rests.push(1);
    rests.sort_unstable();
    rests.dedup();
    assert_eq!(rests.len(), Door::ALL.len() + 1);
}

#[test]
fn a_port_base_is_given_to_one_owner_at_a_time() {
    let (one, other) = (PortBase::take(), PortBase::take());
    assert_ne!(one.get(), other.get());
}
