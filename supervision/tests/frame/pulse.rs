//! Who is stuck and who only takes his time, and how much waits for whom.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use ractor::{Actor, ActorProcessingErr, ActorRef};
use supervision::{
    Alarm, ChildSpec, Context, Family, FamilySpec, Heartbeat, Intensity, Root, Seat, Strategy,
    Supervisor, Told, actor, alarm, proceeds, waits,
};
use tokio::time::sleep;

/// What a worker is to do.
enum Task {
    /// Nothing: that it was heard is noted.
    Note,
    /// To be told so later; by an alarm that is kept.
    NoteLater(Duration),
    Panic,
    /// Long work with a sign of progress after each piece.
    Plod(u32, Duration),
    /// Long work without one.
    Toil(Duration),
    /// To wait for somebody who takes his time.
    Wait(Duration),
}

impl Told for Task {}

#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn add(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

struct Worker;

impl Actor for Worker {
    type Msg = Task;
    type State = (Notes, Option<Alarm>);
    type Arguments = Notes;

    async fn pre_start(
        &self,
        _: ActorRef<Task>,
        notes: Notes,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok((notes, None))
    }

    async fn handle(
        &self,
        myself: ActorRef<Task>,
        task: Task,
        (notes, later): &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match task {
            Task::Note => notes.add("heard"),
            Task::NoteLater(after) => *later = Some(alarm(after, &myself, Task::Note)),
            Task::Panic => panic!("on purpose"),
            Task::Plod(pieces, each) => {
                for _ in 0..pieces {
                    sleep(each).await;
                    proceeds();
                }
                notes.add("plodded");
            }
            Task::Toil(time) => {
                sleep(time).await;
                notes.add("toiled");
            }
            Task::Wait(time) => {
                waits(sleep(time)).await;
                notes.add("waited");
            }
        }
        Ok(())
    }
}

const MINUTE: Duration = Duration::from_secs(60);

const PULSE: Heartbeat = Heartbeat {
    limit: MINUTE,
    kill: true,
};

/// A worker in a seat, workers in a family, and what they and the crash hook have noted.
async fn house() -> (Root, Seat<Task>, Family<u32, Task>, Notes) {
    let notes = Notes::default();
    let (of_the_seat, of_the_family, of_the_hook) = (notes.clone(), notes.clone(), notes.clone());
    let seat = Seat::new("worker");
    let worker = actor(|| Worker, move || of_the_seat.clone(), &seat);
    let spec = FamilySpec::transient("workers").with_heartbeat(PULSE);
    let family = Family::new(spec, move |_: &u32, _: Context<u32>| {
        (Worker, of_the_family.clone())
    });
    let root = Supervisor::new("house", Strategy::OneForOne)
        .intensity(Intensity::default())
        .on_crash(move |crash| of_the_hook.add(format!("{} {}", crash.path, crash.kind)))
        .child(ChildSpec::permanent("worker", worker).with_heartbeat(PULSE))
        .child(family.child())
        .start()
        .await
        .unwrap();
    (root, seat, family, notes)
}

#[tokio::test(start_paused = true)]
async fn who_waits_or_makes_progress_is_not_stuck_and_who_does_neither_is() {
    let (root, seat, family, notes) = house().await;
    seat.cast(Task::Wait(60 * MINUTE)).unwrap();
    family.cast(&1, Task::Wait(60 * MINUTE)).unwrap();
    family
        .cast(&2, Task::Plod(60, MINUTE - Duration::from_secs(1)))
        .unwrap();
    sleep(10 * MINUTE).await;
    for (path, is_waiting) in [
        ("house/worker", true),
        ("house/workers[1]", true),
        ("house/workers[2]", false),
    ] {
        let sight = root.place(path).unwrap().look(MINUTE).await.unwrap();
        assert_eq!(sight.is_waiting, is_waiting, "{path}");
        assert!(sight.busy_seconds.is_some(), "{path}");
    }
    sleep(60 * MINUTE).await;
    let mut done = notes.take();
    done.sort();
    assert_eq!(done, ["plodded", "waited", "waited"]);

    seat.cast(Task::Toil(60 * MINUTE)).unwrap();
    family.cast(&1, Task::Toil(60 * MINUTE)).unwrap();
    sleep(2 * MINUTE).await;
    let mut stuck = notes.take();
    stuck.sort();
    assert_eq!(stuck, ["house/worker stuck", "house/workers[1] stuck"]);
    seat.cast(Task::Note).unwrap();
    family.cast(&1, Task::Note).unwrap();
    sleep(MINUTE).await;
    assert_eq!(
        notes.take(),
        ["heard", "heard"],
        "their successors are well"
    );
    root.stop().await;
}

#[tokio::test(start_paused = true)]
async fn who_has_waited_is_stuck_if_nothing_follows() {
    let (root, _, family, notes) = house().await;
    family.cast(&1, Task::Wait(10 * MINUTE)).unwrap();
    sleep(10 * MINUTE + Duration::from_secs(1)).await;
    assert_eq!(notes.take(), ["waited"]);
    family.cast(&1, Task::Toil(60 * MINUTE)).unwrap();
    sleep(2 * MINUTE).await;
    assert_eq!(notes.take(), ["house/workers[1] stuck"]);
    root.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_counted_for_an_actor_for_a_member_and_for_all_of_a_family() {
    let (root, seat, family, notes) = house().await;
    seat.cast(Task::Toil(MINUTE / 2)).unwrap();
    for key in [1, 2] {
        family.cast(&key, Task::Toil(MINUTE / 2)).unwrap();
    }
    sleep(Duration::from_secs(1)).await;
    for _ in 0..5 {
        seat.cast(Task::Note).unwrap();
        family.cast(&1, Task::Note).unwrap();
    }
    assert_eq!(family.broadcast(|_| Task::Note), 2);
    let depth = |child: &str| root.tree().find(&[child]).unwrap().inbox_depth;
    assert_eq!((depth("worker"), depth("workers")), (5, 7));
    for (path, expected) in [
        ("house/worker", 5),
        ("house/workers[1]", 6),
        ("house/workers[2]", 1),
    ] {
        let sight = root.place(path).unwrap().look(MINUTE).await.unwrap();
        assert_eq!(sight.inbox_depth, expected, "{path}");
    }
    assert!(
        root.tree()
            .to_text()
            .contains("workers up 1.0 s, 2 members, inbox depth 7")
    );
    sleep(MINUTE).await;
    assert_eq!(notes.take().len(), 3 + 5 + 7);
    assert_eq!((depth("worker"), depth("workers")), (0, 0));
    // What dies with an incarnation does not wait for the next one.
    family.cast(&1, Task::Panic).unwrap();
    family.cast(&1, Task::Note).unwrap();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(depth("workers"), 0);
    root.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_alarm_of_a_dead_incarnation_does_not_ring_in_the_next_one() {
    let (root, seat, _, notes) = house().await;
    seat.cast(Task::NoteLater(MINUTE)).unwrap();
    sleep(Duration::from_secs(1)).await;
    seat.cast(Task::Panic).unwrap();
    sleep(10 * MINUTE).await;
    assert_eq!(notes.take(), ["house/worker panic"]);
    seat.cast(Task::NoteLater(MINUTE)).unwrap();
    sleep(2 * MINUTE).await;
    assert_eq!(notes.take(), ["heard"], "one that is not dead does ring");
    root.stop().await;
}
