//! What a message costs through the frame, beside what it costs with ractor alone.
//!
//!     cargo bench --manifest-path benches/frame/Cargo.toml --bench dispatch
//!
//! One thread, and an actor that adds numbers. `cast`: a thousand messages are sent, and the last
//! one is waited for. `call`: each is waited for before the next. The same actor stands behind an
//! `ActorRef`, a [`Seat`], and the key of a [`Family`] that has a thousand members.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a bench that cannot run has failed; criterion's macros document nothing"
)]

use std::{hint::black_box, time::Duration};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use supervision::{
    ChildSpec, Context, Family, FamilySpec, Root, Seat, Strategy, Supervisor, Told, actor,
};
use tokio::runtime::{Builder, Runtime};

enum Sum {
    Add(u64),
    Total(RpcReplyPort<u64>),
}

impl Told for Sum {}

struct Adder;

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
            Sum::Add(number) => *sum = sum.wrapping_add(number),
            Sum::Total(reply) => drop(reply.send(*sum)),
        }
        Ok(())
    }
}

/// The same actor at three addresses.
struct House {
    runtime: Runtime,
    bare: ActorRef<Sum>,
    seat: Seat<Sum>,
    family: Family<u64, Sum>,
    _root: Root,
}

impl House {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        let seat = Seat::new("adder");
        let spec = FamilySpec::transient("adders").passivate_after(LONG);
        let family = Family::new(spec, |_: &u64, _: Context<u64>| (Adder, ()));
        let (bare, root) = runtime.block_on(async {
            let root = Supervisor::new("house", Strategy::OneForOne)
                .child(ChildSpec::permanent("adder", actor(|| Adder, || (), &seat)))
                .child(family.child());
            let root = root.start().await.unwrap();
            for key in 0..MEMBERS {
                family.call(&key, Sum::Total, LONG).await.unwrap();
            }
            let (bare, _) = Actor::spawn(None, Adder, ()).await.unwrap();
            (bare, root)
        });
        Self {
            runtime,
            bare,
            seat,
            family,
            _root: root,
        }
    }
}

fn casts(criterion: &mut Criterion) {
    let house = House::new();
    let House {
        runtime,
        bare,
        seat,
        family,
        ..
    } = &house;
    let mut group = criterion.benchmark_group("cast");
    group.throughput(Throughput::Elements(MESSAGES + 1));
    group.bench_function("bare", |bencher| {
        bencher.iter(|| {
            runtime.block_on(async {
                (0..MESSAGES).for_each(|number| bare.cast(Sum::Add(number)).unwrap());
                black_box(bare.call(Sum::Total, Some(LONG)).await.unwrap().unwrap());
            });
        });
    });
    group.bench_function("seat", |bencher| {
        bencher.iter(|| {
            runtime.block_on(async {
                (0..MESSAGES).for_each(|number| seat.cast(Sum::Add(number)).unwrap());
                black_box(seat.call(Sum::Total, LONG).await.unwrap());
            });
        });
    });
    group.bench_function("family", |bencher| {
        bencher.iter(|| {
            runtime.block_on(async {
                (0..MESSAGES).for_each(|number| family.cast(&KEY, Sum::Add(number)).unwrap());
                black_box(family.call(&KEY, Sum::Total, LONG).await.unwrap());
            });
        });
    });
    group.finish();
}

fn calls(criterion: &mut Criterion) {
    let house = House::new();
    let House {
        runtime,
        bare,
        seat,
        family,
        ..
    } = &house;
    let mut group = criterion.benchmark_group("call");
    group.throughput(Throughput::Elements(MESSAGES));
    group.bench_function("bare", |bencher| {
        bencher.iter(|| {
            runtime.block_on(async {
                for _ in 0..MESSAGES {
                    black_box(bare.call(Sum::Total, Some(LONG)).await.unwrap().unwrap());
                }
            });
        });
    });
    group.bench_function("seat", |bencher| {
        bencher.iter(|| {
            runtime.block_on(async {
                for _ in 0..MESSAGES {
                    black_box(seat.call(Sum::Total, LONG).await.unwrap());
                }
            });
        });
    });
    group.bench_function("family", |bencher| {
        bencher.iter(|| {
            runtime.block_on(async {
                for _ in 0..MESSAGES {
                    black_box(family.call(&KEY, Sum::Total, LONG).await.unwrap());
                }
            });
        });
    });
    group.finish();
}

criterion_group!(dispatch, casts, calls);
criterion_main!(dispatch);

const MESSAGES: u64 = 1_000;

const MEMBERS: u64 = 1_000;

const KEY: u64 = 500;

const LONG: Duration = Duration::from_secs(3_600);
