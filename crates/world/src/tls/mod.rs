//! TLS: what we show to clients, and what we ask of servers.
//!
//! The only crypto provider is aws-lc-rs. TLS 1.2 and 1.3 are spoken (RFC 8997, RFC 9325 §3.1.1).

mod certificates;
mod client;
mod info;
mod server;
mod trouble;

pub use certificates::Certificates;
pub use client::{ClientTls, Trust};
pub use info::TlsInfo;
pub use server::ServerTls;
pub use trouble::TlsTrouble;
