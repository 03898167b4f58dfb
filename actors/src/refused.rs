//! The commands that are refused before they are run, because they have brought sessions down.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::watch;

use crate::contract::{CommandId, CommandMark, RefusedCommand};

/// The book of refused commands. Clones are the same book; the poison actor alone writes it.
///
/// It is in memory only: another process may be one without the fault.
#[derive(Clone, Debug)]
pub struct RefusedCommands(Arc<Book>);

#[derive(Debug)]
struct Book {
    /// Of the digests. Whoever sees a number cannot try passwords against it.
    key: [u8; 32],
    /// Whether there is anything in it: all that a session looks at on a good day.
    is_open: AtomicBool,
    commands: watch::Sender<HashMap<CommandId, RefusedCommand>>,
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

    /// Whether a command with these octets is refused. Costs one relaxed load while none is.
    #[must_use]
    pub fn refuses(&self, protocol: &'static str, octets: &[u8]) -> bool {
        // Nothing else hangs on this flag, and a command that comes a moment too early is run:
        // that is a third crash, and no harm.
        self.0.is_open.load(Ordering::Relaxed)
            && self
                .0
                .commands
                .borrow()
                .contains_key(&self.id(protocol, octets))
    }

    /// What may be said of a command: its number and its first word, never what follows.
    #[must_use]
    pub fn mark(&self, protocol: &'static str, verb: &[u8], octets: &[u8]) -> CommandMark {
        CommandMark {
            id: self.id(protocol, octets),
            protocol,
            verb: word(verb),
        }
    }

    /// All of it, the oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<RefusedCommand> {
        let mut commands: Vec<_> = self.0.commands.borrow().values().cloned().collect();
        commands.sort_by_key(|command| (command.since, command.mark.id));
        commands
    }

    /// What is known of a command.
    #[must_use]
    pub fn get(&self, id: CommandId) -> Option<RefusedCommand> {
        self.0.commands.borrow().get(&id).cloned()
    }

    /// Refuses a command from now on. When the book is full, the oldest goes out.
    pub(crate) fn add(&self, command: RefusedCommand) {
        let mut commands = self.0.commands.borrow().clone();
        commands.insert(command.mark.id, command);
        while commands.len() > COMMANDS_MAX {
            let oldest = commands.values().map(|known| (known.since, known.mark.id));
            let Some((_, id)) = oldest.min() else { break };
            commands.remove(&id);
        }
        self.set(commands);
    }

    /// Lets a command be run again; says whether it was refused.
    pub(crate) fn remove(&self, id: CommandId) -> bool {
        let mut commands = self.0.commands.borrow().clone();
        let was_there = commands.remove(&id).is_some();
        self.set(commands);
        was_there
    }

    fn set(&self, commands: HashMap<CommandId, RefusedCommand>) {
        let is_open = !commands.is_empty();
        self.0.commands.send_replace(commands);
        self.0.is_open.store(is_open, Ordering::Relaxed);
    }

    fn id(&self, protocol: &'static str, octets: &[u8]) -> CommandId {
        let mut hash = blake3::Hasher::new_keyed(&self.0.key);
        hash.update(protocol.as_bytes());
        hash.update(&[0]);
        hash.update(octets);
        let mut number = [0; 8];
        hash.finalize_xof().fill(&mut number);
        CommandId(u64::from_be_bytes(number))
    }
}

/// A word as it may be shown: a few letters, and nothing that a client could hide in it.
fn word(verb: &[u8]) -> String {
    let is_one = (1..=VERB_OCTETS_MAX).contains(&verb.len())
        && verb.iter().all(|octet| octet.is_ascii_alphabetic());
    if is_one {
        verb.iter()
            .map(|octet| octet.to_ascii_uppercase() as char)
            .collect()
    } else {
        "?".to_owned()
    }
}

/// Who has found so many commands that crash us sends them faster than an operator reads.
const COMMANDS_MAX: usize = 1000;

/// `AUTHENTICATE` has twelve letters, and no command has more.
const VERB_OCTETS_MAX: usize = 12;

#[cfg(test)]
mod tests {
    use mail::Time;

    use super::*;

    fn refused(book: &RefusedCommands, octets: &[u8], since: u64) -> RefusedCommand {
        RefusedCommand {
            mark: book.mark("smtp", b"mail", octets),
            since: Time(since),
            report: "it crashed".to_owned(),
        }
    }

    #[test]
    fn only_the_same_octets_in_the_same_protocol_are_refused_and_only_until_they_are_removed() {
        let book = RefusedCommands::new([7; 32]);
        assert!(!book.refuses("smtp", b"MAIL FROM:<>\r\n"));
        let command = refused(&book, b"MAIL FROM:<>\r\n", 1);
        let id = command.mark.id;
        book.add(command.clone());
        assert!(book.clone().refuses("smtp", b"MAIL FROM:<>\r\n"));
        assert!(!book.refuses("smtp", b"MAIL FROM:<> \r\n"));
        assert!(!book.refuses("pop3", b"MAIL FROM:<>\r\n"));
        assert_eq!(book.list(), std::slice::from_ref(&command));
        assert_eq!(book.get(id), Some(command));
        assert!(book.remove(id));
        assert!(!book.remove(id));
        assert!(!book.refuses("smtp", b"MAIL FROM:<>\r\n"));
    }

    #[test]
    fn a_full_book_loses_its_oldest_entry() {
        let book = RefusedCommands::new([7; 32]);
        for number in 0..=COMMANDS_MAX as u64 {
            book.add(refused(&book, &number.to_be_bytes(), 1_000 + number));
        }
        assert_eq!(book.list().len(), COMMANDS_MAX);
        assert!(!book.refuses("smtp", &0_u64.to_be_bytes()));
        assert!(book.refuses("smtp", &1_u64.to_be_bytes()));
    }

    #[test]
    fn a_mark_tells_the_first_word_and_nothing_else() {
        let (one, other) = (RefusedCommands::new([1; 32]), RefusedCommands::new([2; 32]));
        let octets = b"a1 LOGIN ann secret\r\n";
        let mark = one.mark("imap", b"login", octets);
        assert_eq!((mark.protocol, mark.verb.as_str()), ("imap", "LOGIN"));
        assert_ne!(mark.id, other.mark("imap", b"login", octets).id);
        for hidden in [&b"secret-word"[..], b"", b"averyveryverylongword"] {
            assert_eq!(one.mark("imap", hidden, octets).verb, "?");
        }
    }
}
