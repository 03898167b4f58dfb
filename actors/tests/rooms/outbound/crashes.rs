//! Queues and deliveries that crash or hang with a message on its way, and how often it comes.

use std::{iter, time::Duration};

use mail::MessageId;
use store::port::State;
use supervision::Harm;
use tokio::sync::mpsc::UnboundedReceiver;

use super::{house::House, peer::Heard};

/// A house that knows the domain `d.test` with one host, which takes everything, after a moment: until then
/// the queue has not been told, and a test can harm it first.
async fn house() -> (House, UnboundedReceiver<Heard>) {
    let house = House::new().await;
    house.dns.mx("d.test", &[(10, "a.test")]);
    house.dns.addresses("a.test", &["192.0.2.1"]);
    let peer = house.slow_peer("192.0.2.1", Duration::from_secs(1));
    (house, peer)
}

/// Waits until the peer hears that.
async fn hears(peer: &mut UnboundedReceiver<Heard>, command: &str) {
    while peer.recv().await.unwrap().1 != command {}
}

/// How many whole messages the peer hears yet, once all of them have come to their end.
async fn carried(house: &House, peer: &mut UnboundedReceiver<Heard>, id: MessageId) -> usize {
    assert_eq!(house.ends(id).await, [] as [State; 0]);
    tokio::time::sleep(Duration::from_secs(600)).await;
    let all = iter::from_fn(|| peer.try_recv().ok());
    all.filter(|(_, line)| line == ".").count()
}

#[tokio::test(start_paused = true)]
async fn what_a_queue_was_told_while_it_hung_until_it_was_killed_is_told_to_the_next_one() {
    let (house, mut peer) = house().await;
    let id = house.send(100, &["one@d.test"]).await;
    hears(&mut peer, "DATA").await;
    let _trial = house.harm("queues", Harm::Stuck);
    assert_eq!(carried(&house, &mut peer, id).await, 1);
}

#[tokio::test(start_paused = true)]
async fn what_a_queue_was_told_and_crashed_over_is_told_to_the_next_one() {
    for harm in [Harm::Error, Harm::Panic, Harm::Kill] {
        let (house, mut peer) = house().await;
        let id = house.send(100, &["one@d.test"]).await;
        hears(&mut peer, "DATA").await;
        let _trial = house.harm("queues", harm);
        assert_eq!(carried(&house, &mut peer, id).await, 1, "{harm:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_peer_has_taken_is_recorded_when_all_end_and_the_queue_hangs() {
    let (house, mut peer) = house().await;
    let id = house.send(100, &["one@d.test"]).await;
    hears(&mut peer, ".").await;
    let _trial = house.harm("queues", Harm::Stuck);
    house.look("d.test"); // what strikes it: what it is told of the end waits behind this
    assert!(house.is_open(id));
    house.stop().await;
    assert!(!house.is_open(id), "it would be sent once more");
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_is_given_up_for_a_while_is_told_by_its_deliveries_later() {
    let (house, mut peer) = house().await;
    let id = house.send(100, &["one@d.test"]).await;
    hears(&mut peer, "DATA").await;
    for _ in 0..4 {
        let _trial = house.harm("queues", Harm::Kill);
        for _ in 0..100 {
            tokio::task::yield_now().await; // until the next one is there
        }
    }
    assert_eq!(carried(&house, &mut peer, id).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_hangs_is_killed_and_what_it_carried_is_tried_again() {
    let (house, mut peer) = house().await;
    let id = house.send(100, &["one@d.test"]).await;
    hears(&mut peer, "MAIL FROM:<ann@house.test>").await;
    let _trial = house.harm("deliveries", Harm::Stuck);
    assert_eq!(carried(&house, &mut peer, id).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_delivery_whose_peer_takes_his_time_does_not_hang() {
    let house = House::new().await;
    house.dns.mx("d.test", &[(10, "a.test")]);
    house.dns.addresses("a.test", &["192.0.2.1"]);
    let mut peer = house.slow_peer("192.0.2.1", Duration::from_secs(60));
    let id = house.send(100, &["one@d.test"]).await;
    assert_eq!(carried(&house, &mut peer, id).await, 1);
}
