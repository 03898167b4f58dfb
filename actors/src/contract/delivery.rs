//! What a delivery hears: an actor per outbound connection.

use std::{net::SocketAddr, sync::Arc};

use mail::{Domain, MessageId};
use ractor::RpcReplyPort;
use serde::Serialize;

/// Everything a delivery can be told.
#[derive(Debug)]
pub enum DeliveryMsg {
    /// From a domain queue: carry these. Said once, right after the start.
    Attempt(Arc<Attempt>),
    /// From an operator: how are you?
    Inspect(RpcReplyPort<DeliveryReport>),
    /// From itself: take the next step. Between two steps an operator is heard.
    Step,
}

/// What a delivery is to carry first; it asks its queue for more while its connection stands.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The attempt's number, unique in its domain.
    pub attempt: u64,
    /// The domain whose queue it works for.
    pub domain: Domain,
    /// The first message with its recipients' numbers.
    pub first: (MessageId, Vec<u32>),
}

/// How a delivery is.
#[derive(Clone, Debug, Serialize)]
pub struct DeliveryReport {
    /// The domain.
    pub domain: Option<Domain>,
    /// What it is doing, in a word.
    pub phase: String,
    /// The host it talks to.
    pub host: Option<Domain>,
    /// Its address.
    pub address: Option<SocketAddr>,
    /// Messages carried by this connection.
    pub carried: u64,
}
