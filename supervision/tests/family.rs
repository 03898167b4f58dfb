//! Families: started by a message, passivated, restarted alone, given up.

mod common;

use std::{sync::Arc, time::Duration};

use common::{Diary, Do, LONG, Puppet, Strings};
use supervision::{Context, Family, FamilySpec, Root, Strategy, Supervisor};

fn puppets(spec: FamilySpec<u64, Do>, diary: &Diary) -> Family<u64, Do> {
    let diary = diary.clone();
    Family::new(spec, move |key: &u64, context: Context<u64>| {
        let mut strings = Strings::new(&key.to_string(), &diary);
        strings.passivate = Some(Arc::new(move || context.passivate()));
        (Puppet, strings)
    })
}

async fn house(family: &Family<u64, Do>) -> Root {
    let root = Supervisor::new("house", Strategy::OneForOne).child(family.child());
    root.start().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_first_message_starts_a_member_and_reaches_it() {
    let diary = Diary::default();
    let family = puppets(FamilySpec::transient("puppets"), &diary);
    assert!(
        family.cast(&7, Do::Note(0)).is_err(),
        "nobody runs the family yet"
    );
    let root = house(&family).await;
    family.cast(&7, Do::Note(1)).unwrap();
    assert_eq!(
        family.call(&7, |reply| Do::Echo(5, reply), LONG).await,
        Ok(5)
    );
    assert_eq!(diary.take(), ["+7", "7:1"]);
    assert_eq!(family.len(), 1);
    root.stop().await;
    assert_eq!(diary.take(), ["-7"]);
    assert_eq!(family.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_idle_member_is_passivated_and_comes_back_with_the_next_message() {
    let diary = Diary::default();
    let spec = FamilySpec::transient("puppets").passivate_after(Duration::from_secs(60));
    let family = puppets(spec, &diary);
    let root = house(&family).await;
    family.cast(&7, Do::Note(1)).unwrap();
    tokio::time::sleep(Duration::from_secs(50)).await;
    family.cast(&7, Do::Note(2)).unwrap();
    tokio::time::sleep(Duration::from_secs(50)).await;
    assert_eq!(diary.take(), ["+7", "7:1", "7:2"]);
    tokio::time::sleep(Duration::from_secs(50)).await;
    assert_eq!(diary.take(), ["-7"]);
    assert!(family.is_empty());
    family.cast(&7, Do::Note(3)).unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(diary.take(), ["+7", "7:3"]);
    root.stop().await;
}
