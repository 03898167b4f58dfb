//! A connection from a client: one small task owns the socket, whoever serves it comes and goes.
//!
//! ```text
//!            orders: write, read_on, start_tls, close_after …
//! session ────────────────────────────────────────────────────▶ Connection ─┐
//!    ▲                                                                      ├─ socket, TLS, queue
//!    └───────────────────────── ear(event) ◀───────────────────── pump ─────┘
//!            events: Octets, Secured, TimedOut, Room, Closed
//! ```
//!
//! The pump knows octets, TLS and time limits, and no mail. It never panics over what a peer sends,
//! and it outlives the session: a session that crashed is started again and given the same
//! [`Connection`].
//!
//! **Crashes.** Events are hints, and those that a dead session had in its inbox are lost. The
//! facts are here: octets stay until the session has them in a checkpoint ([`Connection::hear`],
//! [`Connection::keep`]), and [`Connection::tls`], [`Connection::overdue`] and
//! [`Connection::is_open`] say what the other events said. A successor begins with
//! [`Connection::take_over`] and loses nothing. A connection that waits holds no octets for that.
//!
//! **Back-pressure.** After each [`Event::Octets`] nothing is read until
//! [`Connection::read_on`], so the peer's window closes while a session is busy. What a session
//! writes waits in a bounded queue.
//!
//! **Speed.** An order to write goes to the kernel at once, on the session's own thread; the pump
//! is woken only for what the kernel does not take. Reading goes through a buffer of the thread,
//! so a connection that waits holds none.

mod cipher;
mod event;
mod handle;
mod line;
mod options;
mod pump;
mod socket;
mod wire;

pub use event::{Event, Gone, Limit, Refused, Why};
pub use handle::Connection;
pub use options::Options;
pub use socket::Socket;
