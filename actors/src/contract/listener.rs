//! What a listener hears.

use std::net::SocketAddr;

use ractor::RpcReplyPort;
use serde::Serialize;

/// Everything a listener can be told.
#[derive(Debug)]
pub enum ListenerMsg {
    /// From the house, when it closes: let nobody in any more.
    Close,
    /// From its own door: as many guests are inside as the soft limit says.
    Crowded,
    /// From an operator: how are you?
    Inspect(RpcReplyPort<ListenerReport>),
    /// From the clock: is there room again?
    Look,
}

/// How a listener is.
#[derive(Clone, Debug, Serialize)]
pub struct ListenerReport {
    /// Where it listens.
    pub address: SocketAddr,
    /// Connections that are open.
    pub connections: usize,
    /// The number of connections at which the rest waits in the kernel.
    pub soft: usize,
    /// The number of connections at which the rest is turned away.
    pub hard: usize,
    /// Whether connections wait in the kernel at the moment.
    pub waiting: bool,
}
