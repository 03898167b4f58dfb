//! What the service manager is told (sd_notify(3)): datagrams to the socket that it named.

use std::{
    env,
    ffi::OsStr,
    fmt::Display,
    io,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
    process,
    time::Duration,
};

/// The service manager that started us, if one did.
pub(super) struct Manager {
    door: Option<(UnixDatagram, SocketAddr)>,
    /// Within what time it must hear from us again and again.
    watchdog: Option<Duration>,
}

impl Manager {
    /// Who started us, as the environment says.
    pub(super) fn from_environment() -> Self {
        let door = env::var_os("NOTIFY_SOCKET").and_then(|name| match open(&name) {
            Ok(door) => Some(door),
            Err(error) => {
                tracing::warn!(?name, %error, "the service manager cannot be told anything");
                None
            }
        });
        let watchdog = watchdog(
            env::var("WATCHDOG_USEC").ok().as_deref(),
            env::var("WATCHDOG_PID").ok().as_deref(),
            process::id(),
        );
        Self {
            watchdog: watchdog.filter(|_| door.is_some()),
            door,
        }
    }

    /// How often it is to be told that we are alive: four times in the time it waits.
    pub(super) fn pulse(&self) -> Option<Duration> {
        self.watchdog
            .map(|time| (time / 4).max(Duration::from_millis(1)))
    }

    /// Everything is up, again or for the first time.
    pub(super) fn ready(&self, status: impl Display) {
        self.tell(format!("READY=1\nSTATUS={status}\n"));
    }

    /// The configuration is being read again; `ready` follows.
    pub(super) fn reloading(&self) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let micros = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1000;
        self.tell(format!(
            "RELOADING=1\nMONOTONIC_USEC={micros}\nSTATUS=reading the configuration again\n"
        ));
    }

    /// The house closes.
    pub(super) fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=clients leave, the store is closed\n".to_owned());
    }

    /// The house lives.
    pub(super) fn alive(&self) {
        self.tell("WATCHDOG=1\n".to_owned());
    }

    /// How we are, for people.
    pub(super) fn status(&self, status: impl Display) {
        self.tell(format!("STATUS={status}\n"));
    }

    /// A manager that does not read must not hold up the mail: what does not fit is not said.
    fn tell(&self, what: String) {
        if let Some((socket, address)) = &self.door
            && let Err(error) = socket.send_to_addr(what.as_bytes(), address)
        {
            tracing::debug!(%error, "the service manager was not told");
        }
    }
}

fn open(name: &OsStr) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    Ok((socket, address))
}

/// The time that the watchdog waits, if it waits for us.
fn watchdog(micros: Option<&str>, pid: Option<&str>, own: u32) -> Option<Duration> {
    let is_ours = pid.is_none_or(|pid| pid.parse() == Ok(own));
    let micros: u64 = micros?.parse().ok()?;
    (is_ours && micros > 0).then(|| Duration::from_micros(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdog_is_fed_by_the_process_that_it_means() {
        let second = Some(Duration::from_secs(1));
        assert_eq!(watchdog(Some("1000000"), None, 7), second);
        assert_eq!(watchdog(Some("1000000"), Some("7"), 7), second);
        assert_eq!(watchdog(Some("1000000"), Some("8"), 7), None);
        assert_eq!(watchdog(Some("0"), None, 7), None);
        assert_eq!(watchdog(Some("often"), None, 7), None);
        assert_eq!(watchdog(None, Some("7"), 7), None);
    }
}
