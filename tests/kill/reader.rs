//! A client that works in mailboxes of its own until its server is killed, and knows what it was
//! answered.
//!
//! Nobody else writes there, so all that is there follows from what was answered; only the command
//! that was never answered may have been carried out or not. It is then for each message as if it
//! was, or as if it was not, and nothing in between.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::SocketAddr,
};

use testkit::{Answer, ImapClient, PASSWORD};

use crate::{
    letter::{Chance, letter, name_of},
    rounds::Round,
};

/// A client and what it knows, from round to round.
#[derive(Debug)]
pub(crate) struct Reader {
    user: String,
    chance: Chance,
    boxes: [Known; 2],
    /// Of the command that was never answered.
    doubt: Doubt,
    named: u64,
}

/// A mailbox as its only writer knows it.
#[derive(Debug, Default)]
struct Known {
    validity: Option<String>,
    uid_next: u32,
    messages: BTreeMap<u32, Message>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Message {
    name: String,
    flags: BTreeSet<String>,
}

/// What else may be so.
#[derive(Debug, Default)]
struct Doubt {
    /// Messages that may have come, by mailbox.
    came: Vec<(usize, Message)>,
    /// Messages that may be no more.
    gone: BTreeSet<(usize, u32)>,
    /// Flags that messages may have instead.
    flags: BTreeMap<(usize, u32), BTreeSet<String>>,
}

/// The server is no more.
type Killed = io::Error;

impl Reader {
    pub(crate) fn new(number: u64) -> Self {
        Self {
            user: format!("user{number}"),
            chance: Chance::new(number),
            boxes: Default::default(),
            doubt: Doubt::default(),
            named: 0,
        }
    }

    /// Makes its mailboxes; nobody is killed meanwhile.
    pub(crate) fn move_in(&self, door: SocketAddr) {
        let mut client = self.log_in(door);
        for name in BOXES {
            client.command(format!("CREATE {name}")).ok();
        }
    }

    /// Works until the server is gone.
    pub(crate) fn work(&mut self, door: SocketAddr, round: &Round) {
        let mut client = self.log_in(door);
        client.command(format!("SELECT {}", BOXES[0])).ok();
        round.is_in();
        while self.turn(&mut client).is_ok() {
            round.answered();
        }
    }

    /// Sees whether all is as it was answered, and takes it for that from now on. Yields how many
    /// messages it looked at.
    pub(crate) fn check(&mut self, door: SocketAddr) -> usize {
        let mut client = self.log_in(door);
        let doubt = std::mem::take(&mut self.doubt);
        let mut count = 0;
        for (number, name) in BOXES.iter().enumerate() {
            let found = look(&mut client, name);
            let who = format!("{name} of {}", self.user);
            let known = &mut self.boxes[number];
            let validity = known
                .validity
                .get_or_insert_with(|| found.validity.clone().unwrap());
            assert_eq!(Some(&*validity), found.validity.as_ref(), "{who}");
            assert!(found.uid_next >= known.uid_next, "{who}: numbers go back");
            let mut may_come: Vec<&Message> = Vec::new();
            may_come.extend(
                doubt
                    .came
                    .iter()
                    .filter(|one| one.0 == number)
                    .map(|one| &one.1),
            );
            for (uid, message) in &found.messages {
                let Some(before) = known.messages.get(uid) else {
                    let at = may_come.iter().position(|one| *one == message);
                    let at = at.unwrap_or_else(|| panic!("{who}: nobody sent {message:?}"));
                    may_come.remove(at);
                    continue;
                };
                let other = doubt.flags.get(&(number, *uid));
                assert_eq!(message.name, before.name, "{who}: {uid}");
                let flags = &message.flags;
                assert!(
                    *flags == before.flags || other == Some(flags),
                    "{who}: {uid} has {flags:?}, was answered {:?} and perhaps {other:?}",
                    before.flags
                );
            }
            for uid in known.messages.keys() {
                let may_be_gone = doubt.gone.contains(&(number, *uid));
                assert!(
                    found.messages.contains_key(uid) || may_be_gone,
                    "{who}: {uid} is lost"
                );
            }
            count += found.messages.len();
            *known = found;
        }
        count
    }

    fn log_in(&self, door: SocketAddr) -> ImapClient {
        let mut client = ImapClient::connect(door);
        client.login(&self.user, PASSWORD);
        client
    }

    /// One command; an error when the server is gone before it has answered it.
    fn turn(&mut self, client: &mut ImapClient) -> Result<(), Killed> {
        let many = self.boxes[0].messages.len();
        match self.chance.below(10) {
            0..4 => self.append(client),
            _ if many < 4 => self.append(client),
            4..7 => self.store(client),
            7..9 => self.copy(client),
            _ => self.expunge(client),
        }
    }

    fn append(&mut self, client: &mut ImapClient) -> Result<(), Killed> {
        self.named += 1;
        let name = format!("{}a{}", self.user, self.named);
        let text = letter(&name);
        let flags = BTreeSet::from([FLAGS[self.chance.below(4) as usize].to_owned()]);
        let list = flags.iter().next().unwrap();
        let command = format!("APPEND {} ({list}) {{{}}}", BOXES[0], text.len());
        let message = Message { name, flags };
        self.doubt.came = vec![(0, message.clone())];
        let tag = client.start(command.as_bytes())?;
        while !client.try_response()?.raw.starts_with(b"+") {}
        client.wire().send(&[&text, &b"\r\n"[..]].concat())?;
        let answer = client.finish(&tag)?.ok();
        self.doubt.came.clear();
        let uid = numbers(&answer, "APPENDUID")[0][0];
        self.boxes[0].add(uid, message);
        Ok(())
    }

    /// Some messages get a flag, or lose it.
    fn store(&mut self, client: &mut ImapClient) -> Result<(), Killed> {
        let uids = self.some();
        let flag = FLAGS[self.chance.below(4) as usize];
        let is_set = self.chance.below(2) == 0;
        for uid in &uids {
            let mut flags = self.boxes[0].messages[uid].flags.clone();
            match is_set {
                true => drop(flags.insert(flag.to_owned())),
                false => drop(flags.remove(flag)),
            }
            self.doubt.flags.insert((0, *uid), flags);
        }
        let sign = if is_set { '+' } else { '-' };
        let command = format!("UID STORE {} {sign}FLAGS.SILENT ({flag})", set(&uids));
        client.try_command(command)?.ok();
        for ((_, uid), flags) in std::mem::take(&mut self.doubt.flags) {
            self.boxes[0].messages.get_mut(&uid).unwrap().flags = flags;
        }
        Ok(())
    }

    fn copy(&mut self, client: &mut ImapClient) -> Result<(), Killed> {
        let uids = self.some();
        let copies: Vec<_> = uids
            .iter()
            .map(|uid| self.boxes[0].messages[uid].clone())
            .collect();
        let doubt = copies.iter().cloned().map(|message| (1, message));
        self.doubt.came = doubt.collect();
        let command = format!("UID COPY {} {}", set(&uids), BOXES[1]);
        let answer = client.try_command(command)?.ok();
        self.doubt.came.clear();
        let to = copied(&answer, &uids);
        for (uid, message) in to.iter().zip(copies) {
            self.boxes[1].add(*uid, message);
        }
        Ok(())
    }

    fn expunge(&mut self, client: &mut ImapClient) -> Result<(), Killed> {
        let uids = self.some();
        for uid in &uids {
            let mut flags = self.boxes[0].messages[uid].flags.clone();
            flags.insert(r"\Deleted".to_owned());
            self.doubt.flags.insert((0, *uid), flags);
        }
        let command = format!(r"UID STORE {} +FLAGS.SILENT (\Deleted)", set(&uids));
        client.try_command(command)?.ok();
        for ((_, uid), flags) in std::mem::take(&mut self.doubt.flags) {
            self.boxes[0].messages.get_mut(&uid).unwrap().flags = flags;
        }
        self.doubt.gone = uids.iter().map(|uid| (0, *uid)).collect();
        client
            .try_command(format!("UID EXPUNGE {}", set(&uids)))?
            .ok();
        self.doubt.gone.clear();
        for uid in uids {
            self.boxes[0].messages.remove(&uid);
        }
        Ok(())
    }

    /// Up to five messages of the first mailbox.
    fn some(&mut self) -> Vec<u32> {
        let uids: Vec<u32> = self.boxes[0].messages.keys().copied().collect();
        let from = self.chance.below(uids.len() as u64) as usize;
        let count = 1 + self.chance.below(5) as usize;
        uids[from..].iter().copied().take(count).collect()
    }
}

impl Known {
    fn add(&mut self, uid: u32, message: Message) {
        assert!(uid >= self.uid_next, "the number {uid} is given out again");
        self.uid_next = uid + 1;
        self.messages.insert(uid, message);
    }
}

/// All that IMAP shows of a mailbox.
fn look(client: &mut ImapClient, name: &str) -> Known {
    let selected = client.command(format!("EXAMINE {name}")).ok();
    let code = |word: &str| {
        let text = selected.find(word).unwrap();
        let (_, rest) = text.split_once(&format!("[{word} ")).unwrap();
        rest.split(']').next().unwrap().to_owned()
    };
    let mut known = Known {
        validity: Some(code("UIDVALIDITY")),
        uid_next: code("UIDNEXT").parse().unwrap(),
        messages: BTreeMap::new(),
    };
    for response in client
        .command("UID FETCH 1:* (FLAGS BODY.PEEK[])")
        .ok()
        .untagged
    {
        let text = response.text();
        let Some(literal) = response.literals.first() else {
            continue;
        };
        let after = |word: &str| text.split_once(word).unwrap().1;
        let uid = after("UID ").split([' ', ')']).next().unwrap();
        let flags = after("FLAGS (").split(')').next().unwrap().split(' ');
        let flags = flags.filter(|flag| !flag.is_empty() && *flag != r"\Recent");
        let message = Message {
            name: name_of(literal),
            flags: flags.map(str::to_owned).collect(),
        };
        known.messages.insert(uid.parse().unwrap(), message);
    }
    known
}

fn set(uids: &[u32]) -> String {
    let words: Vec<String> = uids.iter().map(u32::to_string).collect();
    words.join(",")
}

/// The numbers of the copies of these messages.
#[track_caller]
fn copied(answer: &Answer, uids: &[u32]) -> Vec<u32> {
    let [_, from, to] = &numbers(answer, "COPYUID")[..] else {
        panic!("{}", answer.tagged);
    };
    assert_eq!(from, uids);
    to.clone()
}

/// The sets of numbers of a response code (RFC 4315 §3).
fn numbers(answer: &Answer, word: &str) -> Vec<Vec<u32>> {
    let untagged = answer.untagged.iter().map(testkit::Response::text);
    let mut texts = untagged.chain([answer.tagged.clone()]);
    let text = texts.find(|text| text.contains(word)).unwrap();
    let (_, rest) = text.split_once(word).unwrap();
    let sets = rest.split(']').next().unwrap().trim().split(' ');
    let sets = sets.map(|set| set.split(',').flat_map(range).collect());
    let mut sets: Vec<Vec<u32>> = sets.collect();
    if word == "APPENDUID" {
        sets.remove(0);
    }
    sets
}

fn range(part: &str) -> std::ops::RangeInclusive<u32> {
    let (first, last) = part.split_once(':').unwrap_or((part, part));
    first.parse().unwrap()..=last.parse().unwrap()
}

/// The first one is worked in, the second one is copied to.
const BOXES: [&str; 2] = ["Work", "Copies"];

const FLAGS: [&str; 4] = [r"\Answered", r"\Flagged", r"\Seen", "$Todo"];
