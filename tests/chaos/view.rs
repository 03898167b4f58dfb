//! A mailbox as one IMAP client sees it, by nothing but what it was told (RFC 3501 §7.3, §7.4).

use std::collections::BTreeSet;

use testkit::Response;

/// A selected mailbox, message by message, in the order of sequence numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    pub(crate) messages: Vec<Seen>,
}

/// What is known of a message.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Seen {
    pub(crate) uid: Option<u32>,
    /// Without `\Recent`, which belongs to a session.
    pub(crate) flags: Option<BTreeSet<String>>,
    pub(crate) name: Option<String>,
}

impl View {
    /// Takes a response in. What no server may say is told in words.
    pub(crate) fn hear(&mut self, response: &Response) -> Result<(), String> {
        let text = response.text();
        let mut words = text.splitn(4, ' ').skip(1);
        let Some(number) = words.next().and_then(|word| word.parse::<usize>().ok()) else {
            return Ok(());
        };
        let count = self.messages.len();
        match (words.next().unwrap_or_default(), words.next()) {
            ("EXISTS", _) if number > count => {
                self.messages.resize(number, Seen::default());
                Ok(())
            }
            ("EXISTS", _) if number == 0 && count == 0 => Ok(()), // selected, and empty
            ("EXISTS", _) => Err(format!("{number} EXISTS after {count}")),
            ("EXPUNGE" | "FETCH", _) if number == 0 || number > count => {
                Err(format!("{count} messages are known: {text}"))
            }
            ("EXPUNGE", _) => {
                self.messages.remove(number - 1);
                Ok(())
            }
            ("FETCH", Some(items)) => self.messages[number - 1].hear(items, response),
            _ => Ok(()),
        }
    }

    /// The sequence number of the first message that satisfies this.
    pub(crate) fn find(&self, is: impl Fn(&Seen) -> bool) -> Option<usize> {
        self.messages.iter().position(is).map(|at| at + 1)
    }
}

impl Seen {
    fn hear(&mut self, items: &str, response: &Response) -> Result<(), String> {
        if let Some(uid) = after(items, "UID ").and_then(|rest| number(rest).parse().ok())
            && self.uid.replace(uid).is_some_and(|known| known != uid)
        {
            return Err(format!("another UID for the same message: {items}"));
        }
        if let Some((flags, _)) = after(items, "FLAGS (").and_then(|rest| rest.split_once(')')) {
            let own = flags
                .split(' ')
                .filter(|flag| *flag != r"\Recent" && !flag.is_empty());
            self.flags = Some(own.map(str::to_owned).collect());
        }
        if let Some(header) = response.literals.first() {
            let name = crate::ledger::name_of(header);
            if self.name.is_some() && self.name != name {
                return Err(format!("another content for the same message: {items}"));
            }
            self.name = name;
        }
        Ok(())
    }
}

fn after<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let at = text.find(word)?;
    Some(&text[at + word.len()..])
}

fn number(text: &str) -> &str {
    text.split(|letter: char| !letter.is_ascii_digit())
        .next()
        .unwrap_or_default()
}
