//! The scrubber: it reads within its budget, names what it finds, and forgets what is whole again.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use heronry_actors::{
    contract::{ScrubberMsg, ScrubberReport},
    scrubber::{Scrubber, ScrubberArgs},
};
use ractor::{Actor, ActorRef};
use store::{Scrub, Scrubbed, StoreError};

type Steps = Arc<Mutex<Vec<Result<Scrubbed, StoreError>>>>;

/// A scrubber whose steps find these things, one after the other, and then nothing.
async fn scrubber(
    octets_per_second: u64,
    found: Vec<Result<Scrubbed, StoreError>>,
) -> (ActorRef<ScrubberMsg>, Steps) {
    let left: Steps = Arc::new(Mutex::new(found));
    let steps = left.clone();
    let step = move |_: &mut Scrub, _: u64| {
        let mut steps = steps.lock().unwrap();
        if steps.is_empty() {
            return Ok(Scrubbed::default());
        }
        steps.remove(0)
    };
    let args = ScrubberArgs {
        octets_per_second,
        step: Arc::new(step),
    };
    let (actor, _) = Actor::spawn(None, Scrubber, args).await.unwrap();
    (actor, left)
}

fn found(octets: u64, damage: &[&str], ended: bool) -> Result<Scrubbed, StoreError> {
    Ok(Scrubbed {
        octets,
        damage: damage.iter().map(|&what| what.to_owned()).collect(),
        ended,
    })
}

async fn report(actor: &ActorRef<ScrubberMsg>) -> ScrubberReport {
    actor
        .call(ScrubberMsg::Inspect, None)
        .await
        .unwrap()
        .unwrap()
}

/// Lets so much time go by, and everything happen in it.
async fn wait(seconds: u64) {
    for _ in 0..seconds {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn damage_is_named_as_long_as_a_round_finds_it() {
    let (actor, left) = scrubber(
        1_000_000,
        vec![
            found(10, &["a", "b"], false),
            Err(StoreError::Lost),
            found(10, &["a"], true),
            found(10, &["b"], false),
            found(10, &[], true),
            found(10, &[], true),
        ],
    )
    .await;
    while left.lock().unwrap().len() > 3 {
        wait(1).await;
    }
    wait(1).await;
    let now = report(&actor).await;
    assert_eq!((now.rounds, now.octets), (1, 20));
    assert_eq!(now.damage, ["a", "b"]);
    while left.lock().unwrap().len() > 1 {
        wait(60).await;
    }
    wait(1).await;
    assert_eq!(report(&actor).await.damage, ["b"]);
    while !left.lock().unwrap().is_empty() {
        wait(60).await;
    }
    wait(1).await;
    assert_eq!(report(&actor).await.damage, [""; 0]);
    actor.stop(None);
}

#[tokio::test(start_paused = true)]
async fn it_reads_no_faster_than_it_may_and_not_at_all_if_it_may_not() {
    let steps = || (0..1000).map(|_| found(1_000_000, &[], false)).collect();
    let (actor, left) = scrubber(100_000, steps()).await;
    wait(60 + 100).await;
    let read = 1000 - left.lock().unwrap().len();
    assert!(
        (9..=12).contains(&read),
        "{read} steps of ten seconds in a hundred"
    );
    actor.stop(None);
    let (actor, left) = scrubber(0, steps()).await;
    wait(1000).await;
    assert_eq!(left.lock().unwrap().len(), 1000);
    actor.stop(None);
}
