//! Connections that wait for the next message, and when they do not.

use heronry_actors::delivery::Config;
use store::port::State;
use tokio::{sync::mpsc::UnboundedReceiver, time::Instant};

use super::{house::House, peer::Heard};

/// A house that knows the domain `d.test` with one host.
async fn house(config: Config) -> House {
    let house = House::with(config).await;
    house.dns.mx("d.test", &[(10, "a.test")]);
    house.dns.addresses("a.test", &["192.0.2.1"]);
    house
}

/// Sends a message and waits until it is delivered.
async fn deliver(house: &House) {
    let id = house.send(100, &["one@d.test"]).await;
    assert_eq!(
        house.ends(id).await,
        [] as [State; 0],
        "at the first attempt"
    );
}

/// On which connections whole messages have been heard so far.
fn messages(heard: &mut UnboundedReceiver<Heard>) -> Vec<usize> {
    let all = std::iter::from_fn(|| heard.try_recv().ok());
    all.filter(|(_, line)| line == ".")
        .map(|(connection, _)| connection)
        .collect()
}

/// Waits for a command; yields the connection on which it is heard.
async fn hears(heard: &mut UnboundedReceiver<Heard>, command: &str) -> usize {
    loop {
        let (connection, line) = heard.recv().await.unwrap();
        if line == command {
            return connection;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn messages_that_come_one_after_another_share_a_connection() {
    let house = house(Config::default()).await;
    let mut peer = house.peer("192.0.2.1", |_, _| "");
    for _ in 0..5 {
        deliver(&house).await;
    }
    assert_eq!(messages(&mut peer), [0; 5]);
    assert_eq!(hears(&mut peer, "QUIT").await, 0, "it leaves in the end");
}

#[tokio::test(start_paused = true)]
async fn a_house_that_does_not_linger_closes_at_once() {
    let config = Config {
        linger_seconds: 0,
        ..Config::default()
    };
    let house = house(config).await;
    let mut peer = house.peer("192.0.2.1", |_, _| "");
    for connection in 0..2 {
        deliver(&house).await;
        assert_eq!(hears(&mut peer, "QUIT").await, connection);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_ends_a_waiting_connection_gets_the_next_message_over_another_one() {
    for end in [
        "-250 2.0.0 fine, and goodbye",
        "-250 2.0.0 fine\r\n421 4.4.2 bye",
    ] {
        let house = house(Config::default()).await;
        let mut peer = house.peer("192.0.2.1", move |line, _| match line {
            "." => end,
            _ => "",
        });
        for _ in 0..3 {
            deliver(&house).await;
        }
        assert_eq!(messages(&mut peer), [0, 1, 2], "{end}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_carries_no_more_messages_than_it_may() {
    let config = Config {
        messages_per_connection_max: 2,
        ..Config::default()
    };
    let house = house(config).await;
    let mut peer = house.peer("192.0.2.1", |_, _| "");
    for _ in 0..5 {
        deliver(&house).await;
    }
    assert_eq!(messages(&mut peer), [0, 0, 1, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn while_the_house_closes_a_waiting_connection_leaves_at_once() {
    let config = Config {
        linger_seconds: 3600,
        ..Config::default()
    };
    let house = house(config).await;
    let mut peer = house.peer("192.0.2.1", |_, _| "");
    deliver(&house).await;
    let began = Instant::now();
    house.departures.set_limits(0, 0);
    assert_eq!(hears(&mut peer, "QUIT").await, 0);
    assert!(began.elapsed().as_secs() < 60, "in the time of this house");
}

#[tokio::test(start_paused = true)]
async fn under_other_settings_a_waiting_connection_carries_nothing_more() {
    let house = house(Config::default()).await;
    let mut peer = house.peer("192.0.2.1", |_, _| "");
    deliver(&house).await;
    house.settings_change();
    deliver(&house).await;
    assert_eq!(messages(&mut peer), [0, 1]);
}
