//! The doors' sockets, bound before anything is started.

use std::{net::TcpListener, sync::Arc};

use world::listen::{DoorError, bind};

use crate::config::{self, Config, Protocol};

/// A bound socket and what is spoken there.
#[derive(Clone, Debug)]
pub struct Bound {
    pub(crate) listener: config::Listener,
    pub(crate) socket: Arc<TcpListener>,
}

impl Bound {
    /// What the door is called in the tree: `smtp 127.0.0.1:2025`.
    pub(crate) fn name(&self) -> String {
        let config::Listener { address, protocol } = self.listener;
        format!("{} {address}", protocol.name())
    }
}

/// Binds every listener of the configuration: a port that is taken must be known before anything
/// is started.
///
/// # Errors
/// [`DoorError`], with the address and what would be right.
pub(crate) fn bind_all(config: &Config) -> Result<Vec<Bound>, DoorError> {
    let listeners = config.listener.iter();
    let bound = listeners.map(|listener| {
        let socket = Arc::new(bind(listener.address, BACKLOG)?);
        Ok(Bound {
            listener: *listener,
            socket,
        })
    });
    bound.collect()
}

/// Binds the listeners of a demo whose ports nobody has chosen: it does without those that are
/// taken, but not without a door to bring mail and one to read it.
///
/// # Errors
/// As [`bind_all`].
pub(crate) fn bind_free(config: &Config) -> Result<Vec<Bound>, DoorError> {
    let is_needed = |protocol| matches!(protocol, Protocol::Imap | Protocol::Smtp);
    let mut bound = Vec::new();
    for listener in &config.listener {
        match bind(listener.address, BACKLOG) {
            Ok(socket) => bound.push(Bound {
                listener: *listener,
                socket: Arc::new(socket),
            }),
            Err(error @ DoorError::InUse { .. }) if !is_needed(listener.protocol) => {
                tracing::warn!(protocol = listener.protocol.name(), %error, "this door stays closed");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(bound)
}

/// Connections that wait in the kernel.
const BACKLOG: u16 = 4096;

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use super::*;

    fn config(doors: &[(Protocol, SocketAddr)]) -> Config {
        let listener = |&(protocol, address)| config::Listener { protocol, address };
        Config {
            listener: doors.iter().map(listener).collect(),
            ..Config::default()
        }
    }

    #[test]
    fn a_demo_does_without_a_door_that_is_taken_unless_no_mail_could_come_or_be_read() {
        let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let taken = other.local_addr().unwrap();
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let wanted = config(&[
            (Protocol::Smtp, free),
            (Protocol::Imap, free),
            (Protocol::Lmtp, taken),
        ]);
        let open = bind_free(&wanted).unwrap();
        assert_eq!(
            open.iter().map(|b| b.listener.protocol).collect::<Vec<_>>(),
            [Protocol::Smtp, Protocol::Imap]
        );
        assert!(matches!(bind_all(&wanted), Err(DoorError::InUse { .. })));
        let needed = config(&[(Protocol::Smtp, taken), (Protocol::Imap, free)]);
        assert!(matches!(bind_free(&needed), Err(DoorError::InUse { .. })));
    }
}
