//! The house comes up, stands, and goes down again.
//!
//! ```text
//! Plan ─► logging, limits ─► data folder ─► store ─► TLS ─► tree ─► serving ─► stop
//!         (a failure up to here says what, where, and      │         SIGINT, SIGTERM
//!          what would be right, and nothing was begun) ────┘         or the tree gave up
//! ```
//!
//! While it serves, SIGHUP and operators have the configuration read again (`reload.rs`), and the
//! service manager hears how it is (`manager.rs`). When it has nothing to do, its threads give back what memory they
//! keep by (`quiet.rs`).
//!
//! [`Parts`] is all that the tree is given: what it does with them stands in [`tree`](crate::tree).

mod banner;
mod error;
mod folder;
mod furnish;
mod manager;
mod parts;
mod plan;
mod quiet;
mod reload;
mod run;
mod signals;
mod stop;

pub use error::StartError;
pub use parts::Parts;
pub use plan::{DEMO_DOMAIN, DEMO_HOSTNAME, DEMO_PASSWORD, Plan, demo_account};
pub use run::run;
