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
//! In a family whose members sleep ([`FamilySpec::sleeping`]), a member that was passivated stays in
//! the books: it counts, is told of a broadcast, and keeps the memory of its crashes. Nothing of its
//! actor is there, until a message wakes the next incarnation. In every family so does one that leaves
//! something for the next incarnation ([`Context::passivate_leaving`]).
//!
//! The decisions about a member are a pure machine in `core.rs`, and its invariants are listed in
//! `core/tests.rs`. The handle, the shards and the members tell it what happens and carry out what it
//! says.
//!
//! A message sent while a member is passivating is delivered exactly once, to the next
//! incarnation: the member is marked first, under the lock that every sender takes, and drained
//! after that. One that crashes while it is being passivated may have lost what was in its inbox:
//! like any other that crashes, it is started again and sees for itself.

mod clock;
mod context;
mod core;
mod handle;
mod house;
mod refused;
mod shard;
mod slot;
mod spec;
mod turns;
mod waiting;
mod wheel;

pub use self::{
    context::{Address, Context},
    handle::{Family, Member, Vacancy},
    refused::{Reason, Refused},
    spec::{Birth, FamilySpec, Idle, Key, Revive},
};
