//! Many children by key: started by the first message, passivated when idle, restarted alone.
//!
//! ```text
//!             first message            up                    idle, or it asks
//!   (nobody) ──────────────▶ Coming ───────▶ Live ──────────────────────────▶ Leaving
//!       ▲                      ▲  messages wait │ messages go straight to it      │ messages wait
//!       │                      │                │ crash                           │
//!       │                      └────────────────┘                                 │
//!       │                      ▲    at once, or after a pause                     │
//!       │   nothing waits      └── something waits ───────────────────────────────┤
//!       └─────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! A message sent while a member is passivating is delivered exactly once, to the next
//! incarnation: the member is marked first, under the lock that every sender takes, and drained
//! after that.

mod clock;
mod context;
mod handle;
mod house;
mod refused;
mod shard;
mod slot;
mod spec;
mod waiting;

pub use self::{
    context::Context,
    handle::{Family, Member, Vacancy},
    refused::{Reason, Refused},
    spec::{Birth, FamilySpec, Idle, Key, Revive},
};
