//! The hosts that offer chunks and cannot do them, remembered for a while.

use std::{collections::HashMap, fmt, net::SocketAddr, sync::Arc, time::Duration};

use smtp::client::Unchunked;
use tokio::sync::watch;
use world::Clock;

use super::metrics::UNCHUNKED;

/// Who offers CHUNKING (RFC 3030), and has refused BDAT as a command that it does not know or has
/// closed over it. Clones are the same book; all deliveries read and write it.
///
/// It is in memory only: to forget a host costs one connection more. Which hosts are in it, the log
/// says as they come in.
#[derive(Clone)]
pub struct UnchunkedHosts {
    clock: Arc<dyn Clock>,
    /// Until when each of them gets no chunks, by the clock that never goes back.
    until: Arc<watch::Sender<HashMap<SocketAddr, Duration>>>,
}

impl UnchunkedHosts {
    /// Nobody, by that clock.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let until = Arc::new(watch::Sender::new(HashMap::new()));
        Self { clock, until }
    }

    /// Whether it gets no chunks.
    pub(super) fn has(&self, address: SocketAddr) -> bool {
        let until = self.until.borrow().get(&address).copied();
        until.is_some_and(|until| until > self.clock.monotonic())
    }

    /// This one, which is called `name`, gets none for an hour.
    pub(super) fn note(&self, address: SocketAddr, name: &str, why: Unchunked) {
        let (label, why) = match why {
            Unchunked::Lost => ("lost", "its connection ended over a chunk"),
            Unchunked::Refused => (
                "refused",
                "it does not know BDAT, though it offers CHUNKING",
            ),
        };
        UNCHUNKED.count(&[label]);
        tracing::warn!(host = name, why, "gets its mail after DATA for an hour");
        let now = self.clock.monotonic();
        self.until.send_modify(|hosts| {
            if hosts.len() >= HOSTS_MAX && !hosts.contains_key(&address) {
                hosts.retain(|_, until| *until > now);
            }
            if hosts.len() >= HOSTS_MAX && !hosts.contains_key(&address) {
                let first = hosts.iter().min_by_key(|(_, until)| **until);
                if let Some(first) = first.map(|(&address, _)| address) {
                    hosts.remove(&first);
                }
            }
            hosts.insert(address, now + REMEMBERED);
        });
    }
}

impl fmt::Debug for UnchunkedHosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UnchunkedHosts({})", self.until.borrow().len())
    }
}

/// It may be mended meanwhile.
const REMEMBERED: Duration = Duration::from_secs(60 * 60);

/// Some 100 KiB.
const HOSTS_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use mail::Time;
    use world::ManualClock;

    use super::*;

    fn hosts() -> (UnchunkedHosts, ManualClock) {
        let clock = ManualClock::new(Time::from_seconds(1_800_000_000));
        (UnchunkedHosts::new(Arc::new(clock.clone())), clock)
    }

    fn address(port: usize) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], u16::try_from(port).unwrap()))
    }

    #[test]
    fn a_host_that_cannot_do_chunks_is_remembered_for_an_hour() {
        let (hosts, clock) = hosts();
        hosts.note(address(25), "a.test", Unchunked::Refused);
        assert!(hosts.clone().has(address(25)) && !hosts.has(address(26)));
        clock.advance(REMEMBERED / 2);
        hosts.note(address(26), "b.test", Unchunked::Lost);
        clock.advance(REMEMBERED / 2);
        assert!(!hosts.has(address(25)) && hosts.has(address(26)));
    }

    #[test]
    fn of_many_hosts_those_are_remembered_that_came_last() {
        let (hosts, clock) = hosts();
        for port in 0..=HOSTS_MAX {
            hosts.note(address(port), "a.test", Unchunked::Refused);
            clock.advance(Duration::from_secs(1));
        }
        hosts.note(address(HOSTS_MAX), "a.test", Unchunked::Refused);
        assert_eq!(hosts.until.borrow().len(), HOSTS_MAX);
        assert!(!hosts.has(address(0)) && hosts.has(address(1)));
        clock.advance(REMEMBERED);
        hosts.note(address(0), "a.test", Unchunked::Refused);
        assert_eq!(hosts.until.borrow().len(), 1, "what is over makes room");
    }
}
