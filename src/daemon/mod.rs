//! The house comes up, stands, and goes down again.
//!
//! ```text
//! Plan ─► logging, limits ─► data folder ─► store ─► TLS ─► tree ─► serving ─► stop
//!         (a failure up to here says what, where, and      │         SIGINT, SIGTERM
//!          what would be right, and nothing was begun) ────┘         or the tree gave up
//! ```
//!
//! [`Parts`] is all that the tree is given: what it does with them stands in [`tree`](crate::tree).

mod banner;
mod error;
mod folder;
mod furnish;
mod parts;
mod plan;
mod run;
mod signals;

pub use error::StartError;
pub use parts::Parts;
pub use plan::{DEMO_DOMAIN, DEMO_HOSTNAME, DEMO_PASSWORD, Plan, demo_account};
pub use run::run;
