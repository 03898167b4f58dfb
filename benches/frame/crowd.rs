//! What a family of 100,000 members costs while nobody says anything.
//!
//!     cargo bench --manifest-path benches/frame/Cargo.toml --bench crowd
//!
//! `idle`: an idle time passes (the clock is paused, and jumps), in which each member that is awake
//! is asked once whether it wants to go. `asleep`: the same, when all but one sleep. `measure`: a
//! scrape asks how many messages wait.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a bench that cannot run has failed; criterion's macros document nothing"
)]

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use supervision::{Context, Family, FamilySpec, Root, Strategy, Supervisor, Told};
use tokio::{
    runtime::{Builder, Runtime},
    time::sleep,
};

enum Word {
    Idle,
    Sleep,
}

impl Told for Word {}

struct Member;

impl Actor for Member {
    type Msg = Word;
    type State = Context<u64>;
    type Arguments = Context<u64>;

    async fn pre_start(
        &self,
        _: ActorRef<Word>,
        context: Context<u64>,
    ) -> Result<Context<u64>, ActorProcessingErr> {
        Ok(context)
    }

    async fn handle(
        &self,
        _: ActorRef<Word>,
        word: Word,
        context: &mut Context<u64>,
    ) -> Result<(), ActorProcessingErr> {
        match word {
            Word::Idle => {}
            Word::Sleep => context.passivate(),
        }
        Ok(())
    }
}

fn crowd() -> (Runtime, Family<u64, Word>, Root) {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let spec = FamilySpec::transient("crowd")
        .sleeping()
        .ask_after(IDLE, |_| Word::Idle);
    let family = Family::new(spec, |_: &u64, context: Context<u64>| (Member, context));
    let root = runtime.block_on(async {
        let root = Supervisor::new("house", Strategy::OneForOne).child(family.child());
        let root = root.start().await.unwrap();
        for key in 0..MEMBERS {
            family.start(&key).unwrap();
        }
        sleep(Duration::from_millis(1)).await;
        root
    });
    (runtime, family, root)
}

fn costs(criterion: &mut Criterion) {
    let (runtime, family, root) = crowd();
    let mut group = criterion.benchmark_group("crowd");
    group.sample_size(10);
    let passes = || runtime.block_on(async { sleep(IDLE).await });
    group.bench_function("idle", |bencher| bencher.iter(passes));
    group.bench_function("measure", |bencher| bencher.iter(|| root.measure()));
    runtime.block_on(async {
        for key in 1..MEMBERS {
            family.cast(&key, Word::Sleep).unwrap();
        }
        sleep(Duration::from_millis(1)).await;
    });
    group.bench_function("asleep", |bencher| bencher.iter(passes));
    group.finish();
}

criterion_group!(benches, costs);
criterion_main!(benches);

const MEMBERS: u64 = 100_000;

const IDLE: Duration = Duration::from_secs(80);
