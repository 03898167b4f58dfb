//! The rounds: load, a kill, a start, and a look at everything.

use std::{
    collections::BTreeSet,
    process::Command,
    sync::{
        Arc, Barrier,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Instant,
};

use testkit::{Daemon, Door, LONG, Neighbour, Recipe, finish, until};

use crate::{
    inboxes::Inbox,
    letter::{Chance, name_of},
    reader::Reader,
    sender::{self, Sent},
};

#[test]
fn whenever_it_is_killed_what_it_has_answered_holds() {
    let rounds = number("HERONRY_ROUNDS", ROUNDS);
    let seed = number("HERONRY_SEED", 1);
    eprintln!("HERONRY_ROUNDS={rounds} HERONRY_SEED={seed}");
    let mut story = Story::begin(seed);
    let mut recipe = story.recipe();
    for round in 0..rounds {
        // In every other round nothing can be carried away, and waits.
        story.neighbour.set_full(round % 2 == 0);
        recipe = story.load_and_kill(recipe, round);
        if round % CHECK_EVERY == CHECK_EVERY - 1 || round + 1 == rounds {
            is_whole(&recipe);
        }
        let daemon = story.start(recipe);
        story.check(&daemon);
        recipe = daemon.kill9();
    }
    let daemon = story.start(recipe);
    story.check_to_the_end(&daemon);
    let (status, recipe) = daemon.terminate();
    assert!(status.success(), "{status}");
    is_whole(&recipe);
    story.tell(rounds);
}

/// What all clients of a round have in common.
#[derive(Debug)]
pub(crate) struct Round {
    all_in: Barrier,
    answers: AtomicU64,
}

impl Round {
    /// A client has come in; it goes on when all have.
    pub(crate) fn is_in(&self) {
        self.all_in.wait();
    }

    /// A client was told that something is done.
    pub(crate) fn answered(&self) {
        self.answers.fetch_add(1, Ordering::Relaxed);
    }
}

/// All that was answered, from round to round.
struct Story {
    chance: Chance,
    neighbour: Neighbour,
    inboxes: Vec<Inbox>,
    readers: Vec<Reader>,
    /// What another system must get.
    elsewhere: BTreeSet<String>,
    doubtful: BTreeSet<String>,
    acknowledged: u64,
    checked: usize,
    starts: Vec<f64>,
}

impl Story {
    fn begin(seed: u64) -> Self {
        let readers = (0..ACCOUNTS as u64).map(Reader::new);
        Self {
            chance: Chance::new(seed),
            neighbour: Neighbour::open(name_of),
            inboxes: (0..ACCOUNTS).map(|_| Inbox::default()).collect(),
            readers: readers.collect(),
            elsewhere: BTreeSet::new(),
            doubtful: BTreeSet::new(),
            acknowledged: 0,
            checked: 0,
            starts: Vec::new(),
        }
    }

    fn recipe(&self) -> Recipe {
        let recipe = Recipe::demo(env!("CARGO_BIN_EXE_heronry"))
            .argument("--accounts")
            .argument(ACCOUNTS.to_string())
            .argument("--trust")
            .argument("127.0.0.0/8")
            .argument("--relay")
            .argument(self.neighbour.address().to_string());
        let daemon = recipe.start();
        for reader in &self.readers {
            reader.move_in(daemon.address(Door::Imap));
        }
        daemon.kill9()
    }

    fn start(&mut self, recipe: Recipe) -> Daemon {
        let begun = Instant::now();
        let daemon = recipe.start();
        self.starts.push(begun.elapsed().as_secs_f64());
        daemon
    }

    /// Starts it, has everybody work, and kills it in the middle.
    fn load_and_kill(&mut self, recipe: Recipe, round: u64) -> Recipe {
        let daemon = self.start(recipe);
        let (smtp, imap) = (daemon.address(Door::Smtp), daemon.address(Door::Imap));
        let common = Arc::new(Round {
            all_in: Barrier::new(SENDERS + ACCOUNTS),
            answers: AtomicU64::new(0),
        });
        let senders: Vec<JoinHandle<Sent>> = (0..SENDERS)
            .map(|number| {
                let common = common.clone();
                let who = format!("r{round}s{number}");
                thread::spawn(move || sender::send(smtp, &who, ACCOUNTS, &common))
            })
            .collect();
        let readers: Vec<JoinHandle<Reader>> = self
            .readers
            .drain(..)
            .map(|mut reader| {
                let common = common.clone();
                thread::spawn(move || {
                    reader.work(imap, &common);
                    reader
                })
            })
            .collect();
        let enough = 50 + self.chance.below(1000);
        until("there is load", LONG, || {
            common.answers.load(Ordering::Relaxed) >= enough
        });
        let recipe = daemon.kill9();
        for sender in senders {
            self.hear(sender.join().unwrap());
        }
        self.readers
            .extend(readers.into_iter().map(|reader| reader.join().unwrap()));
        self.acknowledged += common.answers.load(Ordering::Relaxed);
        recipe
    }

    fn hear(&mut self, sent: Sent) {
        for (account, name) in sent.here {
            self.inboxes[account].acknowledge(name);
        }
        self.elsewhere.extend(sent.elsewhere);
        if let Some(name) = sent.doubtful {
            for inbox in &mut self.inboxes {
                inbox.doubt(name.clone());
            }
            self.doubtful.insert(name);
        }
    }

    fn check(&mut self, daemon: &Daemon) {
        let queue = daemon.command(&["queue", "list"], b"").ok();
        let addresses = queue
            .split_whitespace()
            .filter_map(|word| word.split_once('@'));
        let waiting: BTreeSet<&str> = addresses.map(|(name, _)| name).collect();
        for name in &self.elsewhere {
            // What is carried away after the first look is gone before the second.
            let is_open = waiting.contains(&name[..]);
            assert!(is_open || self.neighbour.has(name), "{name} is lost");
        }
        if !self.neighbour.is_full() {
            daemon.command(&["queue", "flush"], b"").ok();
        }
        for (number, inbox) in self.inboxes.iter_mut().enumerate() {
            inbox.check(daemon, &format!("user{number}"));
        }
        for reader in &mut self.readers {
            self.checked += reader.check(daemon.address(Door::Imap));
        }
    }

    fn check_to_the_end(&mut self, daemon: &Daemon) {
        self.check(daemon);
        self.neighbour.set_full(false);
        until("all is carried away", LONG, || {
            daemon.command(&["queue", "flush"], b"").ok();
            self.elsewhere.iter().all(|name| self.neighbour.has(name))
        });
        for name in self.neighbour.came().into_keys() {
            let is_known = self.elsewhere.contains(&name) || self.doubtful.contains(&name);
            assert!(is_known, "{name} was sent by nobody");
        }
        until("nothing waits", LONG, || {
            daemon.command(&["queue", "flush"], b"").ok();
            let waiting = daemon.command(&["queue", "list", "--json"], b"").ok();
            waiting.trim() == "[]"
        });
        for (number, inbox) in self.inboxes.iter_mut().enumerate() {
            inbox.check_all(daemon, &format!("user{number}"));
        }
    }

    fn tell(mut self, rounds: u64) {
        let (here, here_again) = self
            .inboxes
            .iter()
            .map(Inbox::counts)
            .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        let (elsewhere, again) = (self.neighbour.came().len(), self.neighbour.again());
        self.starts.sort_by(f64::total_cmp);
        let middle = self.starts[self.starts.len() / 2];
        let longest = self.starts.last().unwrap();
        eprintln!(
            "{rounds} kills under load and as many at rest: {} answers, none lost; {here} messages \
             in inboxes, {here_again} once more; {elsewhere} carried away, {again} once more; {} \
             looks at messages of readers; a start takes {middle:.2} s, the longest {longest:.2} s",
            self.acknowledged, self.checked
        );
        // Nothing here is repeated by a kill: the message and its end are one write. What is being
        // carried to another system may be: one message for each connection (RFC 5321 §6.1).
        assert_eq!(here_again, 0);
        assert!(again <= 2 * rounds * CONNECTIONS_MAX, "{again} came twice");
    }
}

/// What a killed process left is whole.
fn is_whole(recipe: &Recipe) {
    let mut check = Command::new(env!("CARGO_BIN_EXE_heronry"));
    check
        .args(["store", "check", "--data"])
        .arg(recipe.folder());
    finish(&mut check, b"").ok();
}

fn number(name: &str, otherwise: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.map_or(otherwise, |text| text.parse().expect("it is a number"))
}

const ROUNDS: u64 = 4;
const CHECK_EVERY: u64 = 10;
const ACCOUNTS: usize = 8;
const SENDERS: usize = 8;

/// To three domains, twenty to each; the default.
const CONNECTIONS_MAX: u64 = 60;
