//! The commands that are refused before they are run, because they have brought sessions down.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use mail::{Spoken, Time};
use tokio::sync::watch;

use crate::contract::{CommandId, CommandMark, RefusedCommand, Speaker};

/// The book of refused commands. Clones are the same book; the poison actor writes it, and it
/// outlives the poison actor.
///
/// It is in memory only: another process may be one without the fault, and what stands on the disk
/// would have to be known again by a key that does.
#[derive(Clone, Debug)]
pub struct RefusedCommands(Arc<Book>);

#[derive(Debug)]
struct Book {
    /// Of the digests. Whoever sees a number cannot try passwords against it.
    key: [u8; 32],
    /// Whether there is anything in it: all that a session looks at on a good day.
    is_open: AtomicBool,
    commands: watch::Sender<HashMap<CommandId, Entry>>,
}

#[derive(Debug)]
struct Entry {
    command: RefusedCommand,
    /// An operator wants it to be run once.
    is_on_trial: AtomicBool,
    refusals: AtomicU64,
}

/// What becomes of a command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Admission {
    /// It stands in the book: it is not run.
    Refuse,
    /// It does not stand in the book.
    Run,
    /// It stands in the book, and is run this once. If all goes well:
    /// [`RefusedCommands::acquit`].
    Try(CommandId),
}

impl RefusedCommands {
    /// An empty book. `key` is for its digests: octets that nobody can guess.
    #[must_use]
    pub fn new(key: [u8; 32]) -> Self {
        Self(Arc::new(Book {
            key,
            is_open: AtomicBool::new(false),
            commands: watch::Sender::new(HashMap::new()),
        }))
    }

    /// Whether anything stands in it. Costs a relaxed load.
    #[must_use]
    pub fn is_open(&self) -> bool {
        // Nothing else hangs on this flag, and a command that comes a moment too early is run:
        // that is a third crash, and no harm.
        self.0.is_open.load(Ordering::Relaxed)
    }

    /// What becomes of that command, said by that client.
    #[must_use]
    pub fn admission(
        &self,
        protocol: &'static str,
        speaker: &Speaker,
        spoken: &Spoken<'_>,
    ) -> Admission {
        let id = self.id(protocol, speaker, spoken);
        match self.0.commands.borrow().get(&id) {
            None => Admission::Run,
            Some(entry) if entry.is_on_trial.swap(false, Ordering::Relaxed) => Admission::Try(id),
            Some(entry) => {
                entry.refusals.fetch_add(1, Ordering::Relaxed);
                Admission::Refuse
            }
        }
    }

    /// A command that was tried has gone well: it is refused no longer.
    pub fn acquit(&self, id: CommandId) {
        if self.remove(id) {
            tracing::info!(%id, "a command that was refused has gone well");
        }
    }

    /// What may be said of a command: whose it is, its number, and of its words what is no secret.
    #[must_use]
    pub fn mark(
        &self,
        protocol: &'static str,
        speaker: &Speaker,
        spoken: &Spoken<'_>,
    ) -> CommandMark {
        CommandMark {
            id: self.id(protocol, speaker, spoken),
            protocol,
            speaker: *speaker,
            words: words(spoken),
        }
    }

    /// All of it, the oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<RefusedCommand> {
        let known = self.0.commands.borrow();
        let mut commands: Vec<_> = known.values().map(Entry::show).collect();
        drop(known);
        commands.sort_by_key(|command| (command.since, command.mark.id));
        commands
    }

    /// What is known of a command.
    #[must_use]
    pub fn get(&self, id: CommandId) -> Option<RefusedCommand> {
        self.0.commands.borrow().get(&id).map(Entry::show)
    }

    /// How many commands are refused.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.commands.borrow().len()
    }

    /// Whether no command is refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Refuses a command from now on. When the book is full, the oldest goes out.
    pub(crate) fn add(&self, command: RefusedCommand) {
        self.change(|commands| {
            let id = command.mark.id;
            let before = commands.remove(&id);
            let refusals = before.map_or(0, |entry| entry.refusals.into_inner());
            let entry = Entry {
                command,
                is_on_trial: AtomicBool::new(false),
                refusals: AtomicU64::new(refusals),
            };
            commands.insert(id, entry);
            while commands.len() > COMMANDS_MAX {
                let known = commands.values().map(|entry| &entry.command);
                let Some((_, id)) = known.map(|known| (known.since, known.mark.id)).min() else {
                    break;
                };
                commands.remove(&id);
            }
        });
    }

    /// Lets a command be run once, when it is said the next time; says whether it is refused.
    pub(crate) fn try_once(&self, id: CommandId) -> bool {
        let commands = self.0.commands.borrow();
        let entry = commands.get(&id);
        entry.is_some_and(|entry| {
            entry.is_on_trial.store(true, Ordering::Relaxed);
            true
        })
    }

    /// Lets a command be run again; says whether it was refused.
    pub(crate) fn remove(&self, id: CommandId) -> bool {
        self.change(|commands| commands.remove(&id).is_some())
    }

    /// Forgets what has been refused for a day since its last crash: perhaps what was odd is gone,
    /// and if not, it costs two sessions a day.
    pub(crate) fn expire(&self, now: Time) {
        let is_fresh = |entry: &Entry| now.since(entry.command.since) <= REFUSED_FOR;
        if !self.0.commands.borrow().values().all(is_fresh) {
            self.change(|commands| commands.retain(|_, entry| is_fresh(entry)));
        }
    }

    fn change<R>(&self, change: impl FnOnce(&mut HashMap<CommandId, Entry>) -> R) -> R {
        let mut result = None;
        self.0.commands.send_modify(|commands| {
            result = Some(change(commands));
            self.0
                .is_open
                .store(!commands.is_empty(), Ordering::Relaxed);
        });
        result.expect("send_modify calls its argument once")
    }

    fn id(&self, protocol: &'static str, speaker: &Speaker, spoken: &Spoken<'_>) -> CommandId {
        let speaker = speaker.to_string();
        let mut hash = blake3::Hasher::new_keyed(&self.0.key);
        for part in [
            protocol.as_bytes(),
            speaker.as_bytes(),
            spoken.about.as_bytes(),
        ] {
            hash.update(&(part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.update(spoken.octets);
        let mut number = [0; 8];
        hash.finalize_xof().fill(&mut number);
        CommandId(u64::from_be_bytes(number))
    }
}

impl Entry {
    fn show(&self) -> RefusedCommand {
        RefusedCommand {
            refusals: self.refusals.load(Ordering::Relaxed),
            is_on_trial: self.is_on_trial.load(Ordering::Relaxed),
            ..self.command.clone()
        }
    }
}

/// A command in words that may be kept and shown: no secrets, no control characters, not too long.
fn words(spoken: &Spoken<'_>) -> String {
    let head = &spoken.shown[..spoken.shown.len().min(WORDS_OCTETS_MAX)];
    let mut words = harmless(&String::from_utf8_lossy(head));
    let hidden = spoken.octets.len() - head.len();
    if hidden > 0 {
        let space = if words.is_empty() { "" } else { " " };
        words.push_str(&format!("{space}({hidden} octets not shown)"));
    }
    if !spoken.about.is_empty() {
        let end = spoken.about.floor_char_boundary(WORDS_OCTETS_MAX);
        words.push_str(&format!(", about {}", harmless(&spoken.about[..end])));
    }
    words
}

/// What a terminal would obey is replaced.
fn harmless(text: &str) -> String {
    let letters = text.chars();
    letters
        .map(|letter| if letter.is_control() { '.' } else { letter })
        .collect()
}

/// Who has found so many commands that crash us sends them faster than an operator reads.
const COMMANDS_MAX: usize = 1000;

/// Longer commands are not shown whole.
const WORDS_OCTETS_MAX: usize = 200;

/// As long as crashes are held to have to do with each other.
const REFUSED_FOR: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use mail::AccountId;

    use super::*;

    const ANN: Speaker = Speaker::Account(AccountId(1));
    const BOB: Speaker = Speaker::Account(AccountId(2));

    fn spoken<'a>(octets: &'a [u8], about: &'a str) -> Spoken<'a> {
        Spoken {
            octets,
            shown: octets,
            about: Cow::Borrowed(about),
        }
    }

    fn refused(book: &RefusedCommands, octets: &[u8], since: u64) -> RefusedCommand {
        RefusedCommand {
            mark: book.mark("imap", &ANN, &spoken(octets, "INBOX")),
            since: Time(since),
            crashes: 2,
            refusals: 0,
            is_on_trial: false,
            report: "it crashed".to_owned(),
        }
    }

    #[test]
    fn only_the_same_words_of_the_same_account_about_the_same_mailbox_are_refused() {
        let book = RefusedCommands::new([7; 32]);
        assert!(!book.is_open());
        let command = refused(&book, b"FETCH 1:* FLAGS", 1);
        let id = command.mark.id;
        book.add(command);
        assert!(book.clone().is_open());
        let admission = |protocol, speaker, octets: &[u8], about| {
            book.admission(protocol, speaker, &spoken(octets, about))
        };
        let fetch = b"FETCH 1:* FLAGS";
        assert_eq!(admission("imap", &ANN, fetch, "INBOX"), Admission::Refuse);
        assert_eq!(admission("imap", &BOB, fetch, "INBOX"), Admission::Run);
        assert_eq!(admission("imap", &ANN, fetch, "Sent"), Admission::Run);
        assert_eq!(
            admission("imap", &ANN, b"FETCH 1 FLAGS", "INBOX"),
            Admission::Run
        );
        assert_eq!(admission("pop3", &ANN, fetch, "INBOX"), Admission::Run);
        let listed = book.list();
        assert_eq!((listed.len(), listed[0].refusals), (1, 1));
        assert!(book.remove(id));
        assert!(!book.remove(id));
        assert!(!book.is_open());
    }

    #[test]
    fn a_retry_is_good_for_one_run_and_a_good_run_for_all() {
        let book = RefusedCommands::new([7; 32]);
        let command = refused(&book, b"NOOP", 1);
        let id = command.mark.id;
        book.add(command.clone());
        let admission = || book.admission("imap", &ANN, &spoken(b"NOOP", "INBOX"));
        assert!(book.try_once(id));
        assert!(book.get(id).unwrap().is_on_trial);
        assert_eq!(admission(), Admission::Try(id));
        assert_eq!(admission(), Admission::Refuse, "it may have crashed again");
        book.add(command);
        assert_eq!(book.get(id).unwrap().refusals, 1, "they are counted on");
        assert!(book.try_once(id));
        assert_eq!(admission(), Admission::Try(id));
        book.acquit(id);
        assert_eq!(admission(), Admission::Run);
        assert!(!book.try_once(id));
    }

    #[test]
    fn a_command_is_forgotten_a_day_after_its_last_crash() {
        let book = RefusedCommands::new([7; 32]);
        let day = REFUSED_FOR.as_millis() as u64;
        book.add(refused(&book, b"one", 0));
        book.add(refused(&book, b"two", 1));
        book.expire(Time(day));
        assert_eq!(book.len(), 2);
        book.expire(Time(day + 1));
        assert_eq!(book.list().len(), 1);
        book.expire(Time(day + 2));
        assert!(!book.is_open());
    }

    #[test]
    fn a_full_book_loses_its_oldest_entry() {
        let book = RefusedCommands::new([7; 32]);
        for number in 0..=COMMANDS_MAX as u64 {
            book.add(refused(&book, &number.to_be_bytes(), 1_000 + number));
        }
        assert_eq!(book.list().len(), COMMANDS_MAX);
        let admission =
            |number: u64| book.admission("imap", &ANN, &spoken(&number.to_be_bytes(), "INBOX"));
        assert_eq!(admission(0), Admission::Run);
        assert_eq!(admission(1), Admission::Refuse);
    }

    #[test]
    fn the_words_of_a_command_are_short_and_harmless_and_its_number_tells_nothing() {
        let (one, other) = (RefusedCommands::new([1; 32]), RefusedCommands::new([2; 32]));
        let login = Spoken {
            octets: b"LOGIN ann secret",
            shown: b"LOGIN",
            about: Cow::Borrowed(""),
        };
        let mark = one.mark("imap", &ANN, &login);
        assert_eq!(mark.words, "LOGIN (11 octets not shown)");
        assert_ne!(mark.id, other.mark("imap", &ANN, &login).id);
        let odd = "\u{e4}\u{1b}[2J\r\n".repeat(100);
        let mark = one.mark("imap", &ANN, &spoken(odd.as_bytes(), &odd));
        assert!(mark.words.len() < 4 * WORDS_OCTETS_MAX, "{}", mark.words);
        assert!(!mark.words.contains(char::is_control));
    }
}
