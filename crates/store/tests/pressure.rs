//! Whoever writes faster than the directory follows is held back, and not refused.
#![allow(clippy::unwrap_used, reason = "a test says by panicking")]

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use heronry_store::{
    Config, DiskStore,
    port::{Leases, NewMail, Shard, Spool},
};
use mail::{Address, Envelope, Recipient, Target, Time};

#[test]
fn a_sender_at_full_speed_is_slowed_down_and_never_refused() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config {
        // So little that the directory is behind all the time, and writes checkpoints meanwhile.
        overlay_octets: 128 * 1024,
        checkpoint_octets: 64 * 1024,
        reserve_octets: 0,
        ..Config::new(folder.path())
    };
    let most = 4 * config.overlay_octets;
    let ticks = AtomicU64::new(1_800_000_000_000);
    let clock = Arc::new(move || Time(ticks.fetch_add(1, Ordering::Relaxed)));
    let store = DiskStore::open(config, clock).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    for from in (0..MESSAGES).step_by(AT_ONCE) {
        let accepted: Vec<_> = (from..from + AT_ONCE)
            .map(|number| store.accept(store.fence(Shard::nth(0)).unwrap(), mail(&store, number)))
            .collect();
        assert!(store.stats().unwrap().overlay_octets <= most);
        for accepted in accepted {
            runtime.block_on(accepted).unwrap();
        }
    }
    let mut count = 0;
    let mut last = None;
    loop {
        let some = store.open(last, 1000).unwrap();
        count += some.len();
        last = some.last().copied();
        if last.is_none() {
            break;
        }
    }
    assert_eq!(count, MESSAGES);
    store.close().unwrap();
}

fn mail(store: &DiskStore, number: usize) -> NewMail {
    let mut writer = Spool::draft(store);
    let text = format!("Subject: {number}\r\n\r\nx\r\n");
    let _ = writer.write(Bytes::from(text)); // too little to be waited for
    let address: Address = format!("u{number}@d{}.test", number % 50).parse().unwrap();
    let target = Target::Remote(address.domain().clone());
    NewMail {
        envelope: Envelope {
            from: Some(address.clone()),
            recipients: vec![Recipient::new(address, target)],
            ..Envelope::default()
        },
        draft: writer.finish(),
        arrived: Time(1_800_000_000_000),
        answers: None,
        origin: "192.0.2.1 client.example.test ESMTP".to_owned(),
    }
}

const MESSAGES: usize = 20_000;
const AT_ONCE: usize = 100;
