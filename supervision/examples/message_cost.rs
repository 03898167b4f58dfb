//! What the frame adds to a message: nanoseconds per message for an actor of ractor alone, and for
//! the same actor supervised. `cargo run --release -p heronry-supervision --example message_cost`
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement looks at the clock and says what it saw"
)]

use std::time::{Duration, Instant};

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use supervision::{ChildSpec, Seat, Strategy, Supervisor, Told, actor};

struct Adder;

enum Sum {
    Add(u64),
    Total(RpcReplyPort<u64>),
}

impl Told for Sum {
    fn kind(&self) -> &'static str {
        match self {
            Self::Add(_) => "Add",
            Self::Total(_) => "Total",
        }
    }
}

impl Actor for Adder {
    type Msg = Sum;
    type State = u64;
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Sum>, (): ()) -> Result<u64, ActorProcessingErr> {
        Ok(0)
    }

    async fn handle(
        &self,
        _: ActorRef<Sum>,
        message: Sum,
        sum: &mut u64,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Sum::Add(number) => *sum += number,
            Sum::Total(reply) => drop(reply.send(*sum)),
        }
        Ok(())
    }
}

const MESSAGES: u64 = 1_000_000;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let seat = Seat::new("adder");
    let child = ChildSpec::permanent("adder", actor(|| Adder, || (), &seat));
    let house = Supervisor::new("house", Strategy::OneForOne).child(child);
    let root = house.start().await.unwrap();
    let (bare, running) = Adder::spawn(None, Adder, ()).await.unwrap();
    for round in 1..=5 {
        let alone = measure(&bare).await;
        let before = Instant::now();
        for _ in 0..MESSAGES {
            seat.cast(Sum::Add(1)).unwrap();
        }
        seat.call(Sum::Total, Duration::from_secs(60))
            .await
            .unwrap();
        let supervised = before.elapsed();
        println!(
            "round {round}: alone {} ns, supervised {} ns per message",
            each(alone),
            each(supervised)
        );
    }
    bare.stop(None);
    running.await.unwrap();
    root.stop().await;
}

async fn measure(actor: &ActorRef<Sum>) -> Duration {
    let before = Instant::now();
    for _ in 0..MESSAGES {
        actor.send_message(Sum::Add(1)).ok().unwrap();
    }
    let (port, total) = tokio::sync::oneshot::channel();
    actor.send_message(Sum::Total(port.into())).ok().unwrap();
    total.await.unwrap();
    before.elapsed()
}

fn each(all: Duration) -> u128 {
    all.as_nanos() / u128::from(MESSAGES)
}
