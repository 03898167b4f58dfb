//! Chaos: actors of a running system are harmed on purpose, and it is seen what users notice.
//!
//! The decisions are pure: [`Plan`] says who is harmed, how, and when; [`Guard`] says when it is
//! enough; [`Numbers`] are the daemon's own, before and after; [`Report`] is what is told in the
//! end. [`Probe`] is the one part that touches the world: a client that says NOOP again and again.

mod guard;
mod measure;
mod numbers;
mod places;
mod plan;
mod probe;
mod report;

pub use guard::{Guard, percentile};
pub use measure::{Bound, Pace, Span};
pub use numbers::{Histogram, Numbers};
pub use places::{Place, Seen, places};
pub use plan::{Blow, Harm, Plan};
pub use probe::{Heard, Probe, Said, Speech};
pub use report::{Ending, Probed, Report};
