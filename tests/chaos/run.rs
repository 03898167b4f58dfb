//! The run itself, and what must be so after it.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    process::Command,
    thread::{self, JoinHandle},
};

use serde_json::Value;
use testkit::{Daemon, Door, LONG, Neighbour, Recipe, finish, until, until_some};

use crate::{
    ledger::{Ledger, letter, name_if_whole, name_of},
    load::Load,
    pollers,
    readers::Reader,
    senders,
    view::View,
};

#[test]
fn whoever_is_harmed_nothing_acknowledged_is_lost_and_nobody_is_cut_off_without_a_word() {
    let neighbour = Neighbour::open(name_if_whole);
    let daemon = house(&neighbour).start();
    let loads = Loads::of([u64::MAX; 3]);
    let clients = Clients::begin(&daemon, &loads);
    let everybody = [&KINDS[..], &AT_LAST].concat();
    let first = harm(&daemon, "--rate 15/s --for 45s", &KINDS);
    let again = neighbour.again();
    let reports = [
        first,
        harm(&daemon, "--rate 15/s --for 10s", &everybody),
        harm(&daemon, "--rate 2/s --for 5s --harms kill", &AT_LAST),
    ];
    loads.end();
    let (mut ledger, readers) = clients.leave();
    let report = Report::of(&reports);
    eprintln!("{report:#?}");
    eprintln!(
        "{} acknowledged, {} doubtful",
        ledger.count(),
        ledger.doubtful.len()
    );
    eprintln!("turns of senders, readers, pollers: {:?}", loads.taken());
    eprintln!("{:#?}", ledger.answers);
    report.everybody_was_harmed();
    no_queue_is_left(&daemon);
    ledger.add(views_agree_with_the_store(&daemon, readers));
    everything_is_there(&daemon, &ledger);
    nothing_is_accused(&daemon);
    everything_came_to_the_neighbour(&neighbour, &ledger);
    twice_only_over_crashes(again, &Report::of(&reports[..1]));
    twice_only_over_crashes(neighbour.again(), &report);
    closed_with_a_word(&ledger, &report);
    assert!(ledger.wrong.is_empty(), "{}", ledger.wrong.join("\n"));
    let harmed = settled(&daemon, "harm");
    let calm = calm(loads.taken());
    assert!(harmed.live < calm.live + calm.live / 8, "something leaks");
    assert!(
        harmed.pss < calm.pss + calm.pss / 2,
        "memory is left behind"
    );
    the_store_is_whole(daemon);
}

/// A demo with an account for every two readers, whose other mail goes to the neighbour.
fn house(neighbour: &Neighbour) -> Recipe {
    Recipe::demo(binary())
        .argument("--accounts")
        .argument(ACCOUNTS.to_string())
        .argument("--trust")
        .argument("127.0.0.0/8")
        .argument("--relay")
        .argument(neighbour.address().to_string())
}

/// Another one is tried by naming it.
fn binary() -> String {
    let other = env::var("HERONRY_BINARY");
    other.unwrap_or_else(|_| env!("CARGO_BIN_EXE_heronry").to_owned())
}

/// How long senders, readers and pollers work.
struct Loads([Load; 3]);

impl Loads {
    fn of(turns: [u64; 3]) -> Self {
        Self(turns.map(Load::of))
    }

    fn end(&self) {
        self.0.iter().for_each(Load::end);
    }

    fn taken(&self) -> [u64; 3] {
        self.0.each_ref().map(Load::taken)
    }
}

/// The clients at work.
struct Clients {
    /// Senders and pollers.
    others: Vec<JoinHandle<Ledger>>,
    readers: Vec<JoinHandle<Reader>>,
}

impl Clients {
    fn begin(daemon: &Daemon, loads: &Loads) -> Self {
        let [sending, reading, polling] = &loads.0;
        let (smtp, imap) = (daemon.address(Door::Smtp), daemon.address(Door::Imap));
        let pop3 = daemon.address(Door::Pop3);
        let sender = |number| {
            let load = sending.clone();
            thread::spawn(move || senders::send(smtp, number, ACCOUNTS, &load))
        };
        let reader = |number| {
            let load = reading.clone();
            let user = format!("user{}", number % ACCOUNTS);
            thread::spawn(move || Reader::new(imap, number, user).read(&load))
        };
        let poller = |number| {
            let (load, user) = (polling.clone(), format!("user{number}"));
            thread::spawn(move || pollers::poll(pop3, &user, &load))
        };
        let senders = (0..SENDERS).map(sender);
        Self {
            others: senders.chain((0..POLLERS).map(poller)).collect(),
            readers: (0..READERS).map(reader).collect(),
        }
    }

    fn leave(self) -> (Ledger, Vec<Reader>) {
        let mut ledger = Ledger::default();
        for other in self.others {
            ledger.add(other.join().unwrap());
        }
        let readers = self
            .readers
            .into_iter()
            .map(|reader| reader.join().unwrap());
        (ledger, readers.collect())
    }
}

/// Harms actors of these kinds; what `heronry chaos` tells of it.
fn harm(daemon: &Daemon, how: &str, kinds: &[&str]) -> Value {
    let kinds = kinds.join(",");
    let words = ["chaos", "--json", "--kinds", &kinds].into_iter();
    let words: Vec<&str> = words.chain(how.split(' ')).collect();
    let told = daemon.command(&words, b"").ok();
    let report: Value = serde_json::from_str(told.trim()).unwrap();
    let is_whole = report["whole_after_seconds"].is_number();
    assert!(is_whole, "not everybody is there again: {report:#}");
    report
}

/// What became of actors in all runs together.
#[derive(Debug)]
struct Report {
    /// By kind and harm.
    harmed: BTreeMap<String, BTreeMap<String, u64>>,
    /// Members of families, by family.
    given_up: BTreeMap<String, u64>,
}

impl Report {
    fn of(reports: &[Value]) -> Self {
        let (mut harmed, mut given_up) = (BTreeMap::new(), BTreeMap::new());
        for report in reports {
            for (kind, harms) in report["harmed"].as_object().unwrap() {
                add(harmed.entry(kind.clone()).or_default(), harms);
            }
            add(&mut given_up, &report["given_up"]);
        }
        Self { harmed, given_up }
    }

    fn everybody_was_harmed(&self) {
        for kind in KINDS.into_iter().chain(AT_LAST) {
            assert!(self.harmed.contains_key(kind), "{kind} was not harmed");
        }
        for harm in ["error", "kill", "panic", "stuck"] {
            let is_there = self.harmed.values().any(|harms| harms.contains_key(harm));
            assert!(is_there, "nobody suffered: {harm}");
        }
    }

    fn harmed(&self, kind: &str) -> u64 {
        let harms = self.harmed.get(kind);
        harms.map_or(0, |harms| harms.values().sum())
    }

    /// Sessions at the doors of a protocol that were given up.
    fn given_up(&self, protocol: &str) -> u64 {
        let families = self.given_up.iter();
        let of_it = families.filter(|(family, _)| family.starts_with(protocol));
        of_it.map(|(_, count)| count).sum()
    }
}

fn add(sums: &mut BTreeMap<String, u64>, more: &Value) {
    for (name, count) in more.as_object().unwrap() {
        *sums.entry(name.clone()).or_default() += count.as_u64().unwrap();
    }
}

/// What a crash left to be tried later is tried now; in the end nothing waits.
fn no_queue_is_left(daemon: &Daemon) {
    until("nothing waits", LONG, || {
        daemon.command(&["queue", "flush"], b"").ok();
        let waiting = daemon.command(&["queue", "list", "--json"], b"").ok();
        waiting.trim() == "[]"
    });
}

/// Every reader has been told everything, and nothing twice: it sees what is there.
fn views_agree_with_the_store(daemon: &Daemon, readers: Vec<Reader>) -> Ledger {
    let mut ledger = Ledger::default();
    for mut reader in readers {
        while reader.look_for_the_last_time().is_err() {}
        let view = reader.view.take().unwrap_or_default();
        let user = reader.user.clone();
        ledger.add(reader.ledger);
        let mut fresh = daemon.imap(&user);
        fresh.command("EXAMINE INBOX").ok();
        let mut truth = View::default();
        truth
            .messages
            .resize(view.messages.len(), Default::default());
        let all = "FETCH 1:* (UID FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])";
        for response in fresh.command(all).ok().untagged {
            if let Err(wrong) = truth.hear(&response) {
                ledger.wrong.push(format!("{user}: {wrong}"));
            }
        }
        for (at, (seen, is)) in view.messages.iter().zip(&truth.messages).enumerate() {
            if seen != is {
                let number = at + 1;
                ledger
                    .wrong
                    .push(format!("{user}: {number} is {is:?}, was told {seen:?}"));
            }
        }
    }
    ledger
}

/// Everything that was acknowledged is where it belongs, once and whole; and nothing else is.
fn everything_is_there(daemon: &Daemon, ledger: &Ledger) {
    for user in (0..ACCOUNTS).map(|number| format!("user{number}")) {
        let empty = BTreeSet::new();
        let acknowledged = ledger.acknowledged.get(&user).unwrap_or(&empty);
        let found = until_some(format!("all mail of {user}"), LONG, || {
            let found = contents(daemon, &user);
            let is_there =
                |name: &&String| found.contains_key(*name) || ledger.removed.contains(*name);
            acknowledged
                .iter()
                .all(|name| is_there(&name))
                .then_some(found)
        });
        for (name, bodies) in found {
            assert_eq!(bodies.len(), 1, "{name} came twice to {user}");
            assert!(bodies[0].ends_with(&letter(&name)), "{name} is torn");
            let is_known = acknowledged.contains(&name) || ledger.doubtful.contains(&name);
            assert!(is_known, "{name} of {user} was sent by nobody");
        }
    }
}

/// Harm on purpose is no message's fault.
fn nothing_is_accused(daemon: &Daemon) {
    let found = daemon.command(&["poison", "list", "--json"], b"").ok();
    assert_eq!(found.trim(), "[]");
}

/// The messages in the INBOX of an account, by name.
fn contents(daemon: &Daemon, user: &str) -> BTreeMap<String, Vec<Vec<u8>>> {
    let mut imap = daemon.imap(user);
    imap.command("EXAMINE INBOX").ok();
    let mut found: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
    for response in imap.command("FETCH 1:* (BODY.PEEK[])").ok().untagged {
        for literal in response.literals {
            let name = name_of(&literal).expect("every message has a name");
            found.entry(name).or_default().push(literal);
        }
    }
    found
}

/// Another system has everything that was meant for it, and nothing else.
fn everything_came_to_the_neighbour(neighbour: &Neighbour, ledger: &Ledger) {
    let came = neighbour.came();
    let empty = BTreeSet::new();
    let sent = ledger.acknowledged.get("neighbour").unwrap_or(&empty);
    let is_missing = |name: &&String| !came.contains_key(*name);
    let lost: Vec<_> = sent.iter().filter(is_missing).collect();
    assert!(lost.is_empty(), "lost on the way: {lost:?}");
    for name in came.keys() {
        let is_known = sent.contains(name) || ledger.doubtful.contains(name);
        assert!(is_known, "{name} was sent by nobody");
    }
}

/// The crash of a delivery repeats the message that it was carrying (RFC 5321 §6.1), and nothing else
/// repeats any: what a queue had not recorded when it crashed, or hung until it was killed, its
/// deliveries tell its successor. When the trunk ends they record it themselves, and the next trunk
/// reads the spool when all of it is on the disk.
fn twice_only_over_crashes(again: u64, report: &Report) {
    let deliveries = report.harmed("deliveries");
    let (queues, ends) = (report.harmed("queues"), report.harmed("lease"));
    eprintln!("{again} again: crashes of {deliveries} deliveries, {queues} queues, {ends} of all");
    assert!(again <= deliveries, "more than crashes explain");
}

/// A connection is closed only when its session crashes a fourth time, or in the middle of an
/// answer, and then with a word.
fn closed_with_a_word(ledger: &Ledger, report: &Report) {
    for (kind, word) in [("smtp", "421 "), ("imap", "* BYE "), ("pop3", "-ERR ")] {
        let closed = ledger.closed.iter().filter(|words| words.starts_with(kind));
        let (in_answer, others): (Vec<_>, Vec<_>) =
            closed.partition(|words| words.contains("in the middle of an answer"));
        eprintln!(
            "{kind}: {} in an answer, {} others, {} given up",
            in_answer.len(),
            others.len(),
            report.given_up(kind)
        );
        let silent: Vec<_> = others
            .iter()
            .filter(|words| !words.contains(word))
            .collect();
        assert!(silent.is_empty(), "closed without a word: {silent:#?}");
        assert!(
            others.len() as u64 <= report.given_up(kind),
            "closed for no reason: {others:#?}"
        );
    }
}

/// Octets.
struct Memory {
    /// What the allocator has given out and not got back.
    live: u64,
    /// What the system has given the daemon, pages of which a part is used among it.
    pss: u64,
}

/// What the daemon takes once nothing is done any more.
fn settled(daemon: &Daemon, after: &str) -> Memory {
    let mut least = u64::MAX;
    let mut same = 0;
    until("memory settles", LONG, || {
        let now = daemon.pss_octets();
        same = if now + (now >> 7) < least {
            0
        } else {
            same + 1
        };
        least = least.min(now);
        same > 150 // some fifteen seconds
    });
    let metrics = daemon.metrics();
    let heap = metrics
        .lines()
        .filter(|line| line.starts_with("heronry_process_heap"));
    let heap: Vec<&str> = heap.collect();
    eprintln!("{} KiB after {after}; {}", least >> 10, heap.join(", "));
    let live = heap
        .iter()
        .find_map(|line| line.strip_prefix(r#"heronry_process_heap_octets{what="allocated"} "#));
    Memory {
        live: live.unwrap().parse().unwrap(),
        pss: least,
    }
}

/// What a daemon takes that has done the same work, and nobody was harmed.
fn calm(turns: [u64; 3]) -> Memory {
    let neighbour = Neighbour::open(name_if_whole);
    let daemon = house(&neighbour).start();
    let (ledger, readers) = Clients::begin(&daemon, &Loads::of(turns)).leave();
    let mut all = views_agree_with_the_store(&daemon, readers);
    all.add(ledger);
    no_queue_is_left(&daemon);
    everything_is_there(&daemon, &all);
    assert!(all.wrong.is_empty(), "{}", all.wrong.join("\n"));
    assert!(all.closed.is_empty(), "{:#?}", all.closed);
    assert_eq!(neighbour.again(), 0, "nothing goes out twice");
    settled(&daemon, "calm")
}

fn the_store_is_whole(daemon: Daemon) {
    let (status, recipe) = daemon.terminate();
    assert!(status.success(), "{status}");
    let mut check = Command::new(binary());
    check
        .args(["store", "check", "--data"])
        .arg(recipe.folder());
    finish(&mut check, b"").ok();
}

const ACCOUNTS: usize = READERS / 2;
/// Each has a maildrop for itself.
const POLLERS: usize = 10;
const READERS: usize = 50;
const SENDERS: usize = 50;

/// With the operators goes whoever harms by their socket, and what was made to hang: they are left
/// alone for long enough that a heartbeat finds somebody stuck. With the lease goes the trunk.
const AT_LAST: [&str; 2] = ["lease", "operators"];

/// Every other kind of actor. A listener that nobody waits for hears no messages, so it is only killed.
const KINDS: [&str; 22] = [
    "bounce",
    "deliveries",
    "hasher",
    "http",
    "imap",
    "imap-sessions",
    "imaps",
    "lmtp",
    "login",
    "mailboxes",
    "poison",
    "pop3",
    "pop3-sessions",
    "pop3s",
    "queues",
    "resolver",
    "router",
    "smtp",
    "smtp-sessions",
    "store",
    "submission",
    "submissions",
];
