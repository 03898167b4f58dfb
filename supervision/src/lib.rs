//! Supervision trees on ractor: specs, strategies, families, seats, gates. Knows no mail.
//!
//! ractor gives actors; this gives them what OTP's `supervisor` gives Erlang's processes: children
//! as data, restarts that are counted, an end that is in order, and addresses that outlive a crash.
//!
//! ```
//! use std::time::Duration;
//!
//! use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
//! use supervision::{
//!     ChildSpec, Context, Family, FamilySpec, Intensity, Seat, Shutdown, Strategy, Supervisor,
//!     actor,
//! };
//!
//! struct Adder;
//!
//! enum Sum {
//!     Add(u64),
//!     Total(RpcReplyPort<u64>),
//! }
//!
//! // What a message says of itself when somebody looks; the defaults will do.
//! impl supervision::Told for Sum {}
//!
//! impl Actor for Adder {
//!     type Msg = Sum;
//!     type State = u64;
//!     type Arguments = u64;
//!
//!     async fn pre_start(&self, _: ActorRef<Sum>, from: u64) -> Result<u64, ActorProcessingErr> {
//!         Ok(from)
//!     }
//!
//!     async fn handle(
//!         &self,
//!         _: ActorRef<Sum>,
//!         message: Sum,
//!         sum: &mut u64,
//!     ) -> Result<(), ActorProcessingErr> {
//!         match message {
//!             Sum::Add(number) => *sum += number,
//!             Sum::Total(reply) => drop(reply.send(*sum)),
//!         }
//!         Ok(())
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! // Addresses first: they outlive whoever sits behind them.
//! let till = Seat::new("till");
//! let spec = FamilySpec::transient("tabs").passivate_after(Duration::from_secs(60));
//! let tabs = Family::new(spec, |_: &String, _: Context<String>| (Adder, 0));
//!
//! // Then the tree, as data: order is meaning.
//! let root = Supervisor::new("bar", Strategy::RestForOne)
//!     .intensity(Intensity { restarts_max: 3, window: Duration::from_secs(60) })
//!     .child(
//!         ChildSpec::permanent("till", actor(|| Adder, || 100, &till))
//!             .with_shutdown(Shutdown::Drain(Duration::from_secs(5))),
//!     )
//!     .child(tabs.child())
//!     .start()
//!     .await
//!     .unwrap();
//!
//! till.cast(Sum::Add(1)).unwrap();
//! tabs.cast(&"ann".to_owned(), Sum::Add(2)).unwrap(); // starts her tab
//! let second = Duration::from_secs(1);
//! assert_eq!(till.call(Sum::Total, second).await, Ok(101));
//! assert_eq!(tabs.call(&"ann".to_owned(), Sum::Total, second).await, Ok(2));
//! println!("{}", root.tree().to_text());
//! root.stop().await; // last first; afterwards nothing of it is left
//! # }
//! ```
//!
//! # What is where
//!
//! - [`Supervisor`], [`ChildSpec`], [`Root`]: the tree. The decisions are a pure machine in
//!   `core.rs`; the actor around it only carries them out, and never waits for a child.
//! - [`Seat`]: the address of one supervised actor; [`Family`]: the addresses of many, by key.
//! - [`Gate`], [`KeyedGate`], [`Budget`], [`Credits`]: ractor's inboxes have no bounds, so the
//!   bounds stand at the edges and travel with the messages.
//! - [`Tree`]: who is alive. [`ExitCause`]: why somebody is not. [`Trial`]: harm on purpose.
//! - [`alarm`], [`blocking`]: the two reasons to start a task that are left to an actor. [`on_each_thread`]: for
//!   whoever keeps house.
//!
//! # What the frame makes of ractor
//!
//! Each actor runs in a wrapping that catches its panics with place and backtrace, keeps the typed
//! error of its end, and tells that end exactly once, when nothing of the actor is left: its state
//! has been dropped, and so have its descendants with theirs. A successor finds every lock free. A
//! kill counts as a crash. What ractor itself does is held fast by `tests/ractor_contract.rs`.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the frame is one of the two places that start tasks and share memory, so that \
              nobody else has to"
)]

mod alarm;
mod blocking;
mod budget;
mod call;
mod cause;
mod chance;
mod core;
mod crash;
mod credits;
mod family;
mod flight;
mod gate;
mod inbox;
mod live;
mod metrics;
mod name;
mod nest;
mod panic_hook;
mod place;
mod presence;
mod ration;
mod seat;
mod spec;
mod stack;
mod start;
mod supervisor;
mod threads;
mod told;
mod tree;
mod trial;

pub use self::{
    alarm::{Alarm, alarm},
    blocking::blocking,
    budget::{Budget, Permit},
    call::CallError,
    cause::{ExitCause, PanicReport},
    crash::Crash,
    credits::{Credit, Credits},
    family::{
        Address, Birth, Context, Family, FamilySpec, Idle, Key, Member, Reason, Refused, Revive,
        Vacancy,
    },
    flight::{InHand, Recent, in_hand, proceeds, waits},
    gate::{Gate, KeyedGate, KeyedPass, Pass},
    live::Live,
    metrics::{METRICS, MetricKind, MetricRow},
    name::Name,
    panic_hook::install_panic_hook,
    place::{Past, Place, Sight},
    seat::{Seat, Vacant},
    spec::{AutoShutdown, Backoff, ChildSpec, Heartbeat, Intensity, Restart, Shutdown, Strategy},
    stack::Stack,
    start::{Start, actor},
    supervisor::{NotStarted, Root, Supervisor},
    threads::on_each_thread,
    told::{Inquiry, Told},
    tree::{Kind, Status, Tree},
    trial::{Fate, Harm, Trial},
};
