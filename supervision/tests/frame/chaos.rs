//! What must hold when everything goes wrong at once: real threads, real time, no waiting for it.

use std::{
    collections::HashMap,
    hash::{Hash, Hasher},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use supervision::{
    ChildSpec, Context, Family, FamilySpec, Intensity, Root, Shutdown, Strategy, Supervisor,
};

use tokio::time::{sleep, timeout};

use super::common::{At, Diary, Do, LONG, Puppet, Strings, puppet};

const ENDLESS: Intensity = Intensity {
    restarts_max: u32::MAX,
    window: Duration::from_secs(3_600),
};

async fn house(child: ChildSpec) -> Root {
    Supervisor::new("house", Strategy::OneForOne)
        .child(child)
        .start()
        .await
        .unwrap()
}

/// Waits until `is` is so; gives others time and asks again. What is not so after minutes never will be.
async fn until(mut is: impl FnMut() -> bool) {
    let asked = async {
        while !is() {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(300), asked).await.unwrap();
}

#[derive(Debug)]
enum Count {
    Add(u64, u64),
    Passivate,
    Total(RpcReplyPort<()>),
}

/// Remembers, outside of itself, every message that it handled: (sender, number).
#[derive(Clone, Default)]
struct Book(Arc<Mutex<HashMap<u64, Vec<u64>>>>);

struct Counter;

impl supervision::Told for Count {}

impl Actor for Counter {
    type Msg = Count;
    type State = (Context<u64>, Book);
    type Arguments = (Context<u64>, Book);

    async fn pre_start(
        &self,
        _: ActorRef<Count>,
        args: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        tokio::task::yield_now().await;
        Ok(args)
    }

    async fn handle(
        &self,
        _: ActorRef<Count>,
        message: Count,
        (context, book): &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Count::Add(from, number) => {
                book.0.lock().unwrap().entry(from).or_default().push(number);
            }
            Count::Passivate => context.passivate(),
            Count::Total(reply) => drop(reply.send(())),
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_message_is_lost_doubled_or_overtaken_while_members_passivate_all_the_time() {
    const SENDERS: u64 = 4;
    const MESSAGES: u64 = 2_000;
    const KEYS: u64 = 3;
    let book = Book::default();
    let in_book = book.clone();
    let mut spec = FamilySpec::transient("counters");
    spec.buffer_max = usize::MAX;
    spec.shards = 2;
    let family = Family::new(spec, move |_: &u64, context| {
        (Counter, (context, in_book.clone()))
    });
    let root = house(family.child()).await;
    let mut senders = Vec::new();
    for sender in 0..SENDERS {
        let family = family.clone();
        senders.push(tokio::spawn(async move {
            for number in 0..MESSAGES {
                let key = number % KEYS;
                family
                    .cast(&key, Count::Add(sender * KEYS + key, number))
                    .unwrap();
                if number % 7 == sender {
                    family.cast(&key, Count::Passivate).unwrap();
                }
                if number % 50 == 0 {
                    tokio::task::yield_now().await;
                }
            }
        }));
    }
    for sender in senders {
        sender.await.unwrap();
    }
    for key in 0..KEYS {
        family.call(&key, Count::Total, LONG).await.unwrap();
    }
    let book = book.0.lock().unwrap().clone();
    for sender in 0..SENDERS {
        for key in 0..KEYS {
            let sent: Vec<_> = (0..MESSAGES)
                .filter(|number| number % KEYS == key)
                .collect();
            assert_eq!(book[&(sender * KEYS + key)], sent);
        }
    }
    root.stop().await;
    assert!(family.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_thousand_members_that_fail_at_once_are_all_restarted() {
    const MEMBERS: u64 = 10_000;
    let diary = Diary::default();
    let in_family = diary.clone();
    let spec = FamilySpec::transient("puppets").with_intensity(ENDLESS);
    let family = Family::new(spec, move |_: &u64, _: Context<u64>| {
        (Puppet, Strings::new("member", &in_family))
    });
    let root = house(family.child()).await;
    for key in 0..MEMBERS {
        family.cast(&key, Do::Note(0)).unwrap();
    }
    until(|| diary.count("member:0") == MEMBERS as usize).await;
    assert_eq!(family.broadcast(|_| Do::Panic), MEMBERS as usize);
    until(|| diary.count("+member") == 2 * MEMBERS as usize).await;
    assert_eq!(family.len(), MEMBERS as usize);
    root.stop().await;
    let told = diary.take();
    assert_eq!(
        told.iter().filter(|line| *line == "-member").count(),
        2 * MEMBERS as usize
    );
}

#[tokio::test(start_paused = true)]
async fn of_a_crowd_that_falls_a_few_are_back_at_once_and_the_others_one_after_the_other() {
    const MEMBERS: usize = 1_000;
    let diary = Diary::default();
    let in_family = diary.clone();
    let spec = FamilySpec::transient("puppets").with_intensity(ENDLESS);
    let family = Family::new(spec, move |_: &usize, _: Context<usize>| {
        (Puppet, Strings::new("member", &in_family))
    });
    let root = house(family.child()).await;
    for key in 0..MEMBERS {
        family.cast(&key, Do::Note(0)).unwrap();
    }
    until(|| diary.count("member:0") == MEMBERS).await;
    family.broadcast(|_| Do::Panic);
    sleep(Duration::from_millis(2)).await;
    let soon = diary.count("+member") - MEMBERS;
    assert!((50..150).contains(&soon), "{soon}");
    sleep(Duration::from_secs(1)).await;
    assert_eq!(diary.count("+member"), 2 * MEMBERS);
    // Who falls when that is over does not wait.
    family.cast(&0, Do::Panic).unwrap();
    until(|| diary.count("+member") == 2 * MEMBERS + 1).await;
    root.stop().await;
}

/// One thread, one shard: whoever is served in the middle of it has not had another way.
#[tokio::test]
async fn a_storm_in_a_shard_holds_up_no_messages_of_members_that_are_well() {
    const MEMBERS: u64 = 5_000;
    let diary = Diary::default();
    let in_family = diary.clone();
    let mut spec = FamilySpec::transient("puppets").with_intensity(ENDLESS);
    spec.shards = 1;
    let family = Family::new(spec, move |key: &u64, _: Context<u64>| {
        let name = if *key < MEMBERS { "member" } else { "new" };
        (Puppet, Strings::new(name, &in_family))
    });
    let root = house(family.child()).await;
    for key in 0..MEMBERS {
        family.cast(&key, Do::Note(0)).unwrap();
    }
    until(|| diary.count("member:0") == MEMBERS as usize).await;
    family.broadcast(|key| if *key == 0 { Do::Note(1) } else { Do::Panic });
    let all = 2 * MEMBERS as usize - 1;
    let (mut known, mut new) = (0, 0);
    while diary.count("+member") < all {
        let answer = family.call(&0, |reply| Do::Echo(1, reply), LONG).await;
        assert_eq!(answer, Ok(1));
        known += 1;
        if known % 10 == 0 {
            new += 1; // so does whoever is started meanwhile
            let key = MEMBERS + new;
            let answer = family.call(&key, |reply| Do::Echo(1, reply), LONG).await;
            assert_eq!(answer, Ok(1));
        }
    }
    assert!(known >= 10, "{known} answers before all were there again");
    root.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_two_incarnations_of_a_child_overlap_however_they_end() {
    let diary = Diary::default();
    let (spec, seat, strings) = puppet("a", &diary);
    let spec = spec.with_shutdown(Shutdown::Kill);
    let root = Supervisor::new("house", Strategy::OneForOne)
        .intensity(ENDLESS)
        .child(spec);
    let root = root.start().await.unwrap();
    for (turn, at) in [
        At::Nothing,
        At::PanicInPreStart,
        At::FailInPreStart,
        At::PanicInPostStart,
        At::PanicInPostStop,
    ]
    .into_iter()
    .cycle()
    .take(200)
    .enumerate()
    {
        strings.set(at);
        // What is in the inbox of a dying actor is lost: it is told until it hears.
        let (mut told, ends) = (0, diary.count("-a"));
        while diary.count("-a") == ends {
            let message = match turn % 3 {
                0 => Do::Panic,
                1 => Do::Fail,
                _ => Do::Stop,
            };
            told += usize::from(seat.cast(message).is_ok());
            tokio::task::yield_now().await;
            if told == 0 {
                strings.set(At::Nothing); // it could not come up
            }
        }
        for _ in 0..turn % 10 {
            tokio::task::yield_now().await;
        }
        strings.set(At::Nothing);
    }
    root.stop().await;
    let told = diary.take();
    assert!(told.len() >= 300, "{} lines", told.len());
    for (line, told) in told.iter().enumerate() {
        assert_eq!(told, if line % 2 == 0 { "+a" } else { "-a" });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn members_that_end_in_every_way_at_once_never_overlap_and_all_leave_in_the_end() {
    const KEYS: u64 = 20;
    let diary = Diary::default();
    let in_family = diary.clone();
    let spec = FamilySpec::transient("puppets").with_intensity(ENDLESS);
    let family = Family::new(spec, move |key: &u64, context: Context<u64>| {
        let mut strings = Strings::new(&key.to_string(), &in_family);
        strings.passivate = Some(Arc::new(move || context.passivate()));
        (Puppet, strings)
    });
    let root = house(family.child()).await;
    let mut senders = Vec::new();
    for sender in 0..4_u64 {
        let family = family.clone();
        senders.push(tokio::spawn(async move {
            for turn in 0..500 {
                let key = (turn * 7 + sender) % KEYS;
                let _ = family.cast(
                    &key,
                    match (turn + sender) % 6 {
                        0 => Do::Panic,
                        1 => Do::Fail,
                        2 => Do::Stop,
                        _ => Do::Note(turn),
                    },
                );
                match turn % 20 {
                    0 => drop(family.stop_entity(&key).await),
                    1 => family.for_each(|_, actor| {
                        if actor.get_id().pid() % 5 == sender {
                            actor.kill();
                        }
                    }),
                    _ => tokio::task::yield_now().await,
                }
            }
        }));
    }
    for sender in senders {
        sender.await.unwrap();
    }
    root.stop().await;
    assert_eq!(family.len(), 0);
    let mut alive: HashMap<String, bool> = HashMap::new();
    for line in diary.take() {
        if let Some(key) = line.strip_prefix('+') {
            assert_ne!(
                alive.insert(key.to_owned(), true),
                Some(true),
                "{key} twice"
            );
        } else if let Some(key) = line.strip_prefix('-') {
            assert_eq!(
                alive.insert(key.to_owned(), false),
                Some(true),
                "{key} left twice"
            );
        }
    }
    assert!(alive.values().all(|alive| !alive));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_come_while_a_member_crashes_end_and_never_hang() {
    let diary = Diary::default();
    let spec = FamilySpec::transient("puppets").with_intensity(ENDLESS);
    let family = Family::new(spec, move |_: &u64, _: Context<u64>| {
        (Puppet, Strings::new("member", &diary))
    });
    let root = house(family.child()).await;
    let mut answered = 0;
    for turn in 0..300 {
        let _ = family.cast(
            &1,
            if turn % 2 == 0 {
                Do::Panic
            } else {
                Do::Note(0)
            },
        );
        answered += usize::from(
            family
                .call(&1, |reply| Do::Echo(1, reply), LONG)
                .await
                .is_ok(),
        );
    }
    assert!(answered >= 150);
    root.stop().await;
}

/// A key whose clone can be made to panic once: a shard clones a key as it starts a member.
#[derive(Debug)]
struct Touchy(u64, Arc<AtomicBool>);

impl Clone for Touchy {
    fn clone(&self) -> Self {
        assert!(!self.1.swap(false, Ordering::SeqCst), "touched");
        Self(self.0, Arc::clone(&self.1))
    }
}

impl PartialEq for Touchy {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Touchy {}

impl Hash for Touchy {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

#[tokio::test]
async fn a_shard_that_crashes_comes_back_with_its_members() {
    let (diary, touchy) = (Diary::default(), Arc::new(AtomicBool::new(false)));
    let in_family = diary.clone();
    let mut spec = FamilySpec::transient("puppets");
    spec.shards = 1;
    let family = Family::new(spec, move |key: &Touchy, _: Context<Touchy>| {
        (Puppet, Strings::new(&key.0.to_string(), &in_family))
    });
    let root = house(family.child()).await;
    let key = |number| Touchy(number, Arc::clone(&touchy));
    family
        .call(&key(1), |reply| Do::Echo(1, reply), LONG)
        .await
        .unwrap();
    family
        .call(&key(2), |reply| Do::Echo(1, reply), LONG)
        .await
        .unwrap();
    family
        .call(&key(3), |reply| Do::Echo(1, reply), LONG)
        .await
        .unwrap();
    family.cast(&key(3), Do::Hang).unwrap();
    touchy.store(true, Ordering::SeqCst);
    family.cast(&key(1), Do::Panic).unwrap();
    until(|| (1..4).all(|number| diary.count(&format!("+{number}")) == 2)).await;
    assert_eq!(family.len(), 3);
    for number in ["1", "2", "3"] {
        let mut life = diary.read();
        life.retain(|line| line[1..] == *number);
        let lived = format!("+{number} -{number} +{number}");
        assert_eq!(life.join(" "), lived, "it is gone before it comes back");
    }
    assert_eq!(
        root.tree().children[0].children[0].restarts,
        1,
        "a shard that fell is shown"
    );
    root.stop().await;
    assert_eq!(family.len(), 0);
}
