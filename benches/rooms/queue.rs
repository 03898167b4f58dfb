//! What the core of the queues costs: a thousand domains, each with a message that comes and goes.
//!
//!     cargo bench --manifest-path benches/rooms/Cargo.toml --bench queue
//!
//! `come and go`: each domain is told of a message, starts a delivery with it, hears that it was taken
//! and recorded, and lets the delivery go. `push`: each domain is told of a message while its window
//! holds a hundred more. No actor, no disk, no clock.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a bench that cannot run has failed; criterion's macros document nothing"
)]

use std::hint::black_box;

use actors::queue::{DomainQueue, Effect, Limits};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use mail::{Enhanced, MessageId, Outcome, Reply, Time};
use policy::retry::Schedule;
use store::port::DueRow;

const DOMAINS: usize = 1000;
const NOW: Time = Time::from_seconds(1_800_000_000);

/// A queue that knows that the spool has nothing for it.
fn queue() -> DomainQueue {
    let limits = Limits {
        deliveries_max: 10,
        recipients_max: 100,
        window: 1000,
    };
    let mut queue = DomainQueue::new(limits, Schedule::default(), 0);
    queue.refill(Vec::new(), limits.window, NOW, &mut Vec::new());
    queue
}

fn row(id: MessageId, due: Time) -> DueRow {
    DueRow {
        due,
        id,
        recipient: 0,
        attempts: 0,
        arrived: NOW,
    }
}

/// A message comes, is carried away, and the delivery goes.
fn come_and_go(queue: &mut DomainQueue, id: MessageId, effects: &mut Vec<Effect>) {
    queue.enqueue(row(id, NOW));
    queue.wake(NOW, effects);
    let [Effect::Attempt { attempt, .. }] = effects[..] else {
        panic!("{effects:?}");
    };
    let taken = Outcome::Deliver(Reply::new(250, Enhanced(2, 0, 0), "taken"));
    effects.clear();
    queue.settle(attempt, id, vec![(0, taken)], NOW, 0.5, effects);
    queue.recorded(id, &[0], true, NOW, effects);
    queue.more(attempt, false, NOW, effects);
    queue.gone(attempt, None, NOW, effects);
    effects.clear();
}

fn core(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("queue");
    group.throughput(Throughput::Elements(DOMAINS as u64));
    let mut queues: Vec<DomainQueue> = (0..DOMAINS).map(|_| queue()).collect();
    let (mut ids, mut effects) = (0_u128, Vec::new());
    group.bench_function("come and go", |bencher| {
        bencher.iter(|| {
            for queue in &mut queues {
                ids += 1;
                come_and_go(queue, MessageId(ids), &mut effects);
            }
        });
    });
    assert!(queues.iter().all(DomainQueue::is_empty), "all are gone");
    let full = || -> Vec<DomainQueue> {
        let filled = (0..DOMAINS).map(|_| {
            let mut queue = queue();
            for number in 0..100 {
                queue.enqueue(row(MessageId(number), later(number)));
            }
            queue
        });
        filled.collect()
    };
    group.bench_function("push", |bencher| {
        let push = |mut queues: Vec<DomainQueue>| {
            for queue in &mut queues {
                queue.enqueue(row(MessageId(1000), later(50)));
            }
            black_box(queues)
        };
        bencher.iter_batched(full, push, BatchSize::PerIteration);
    });
    group.finish();
}

fn later(number: u128) -> Time {
    Time(NOW.0 + 1 + number as u64)
}

criterion_group!(benches, core);
criterion_main!(benches);
