//! SEARCH: put to one message after another, from the store, without asking the mailbox actor.

use std::ops::ControlFlow;

use imap::{AddressField, Cost, Date, Program, Ranges, Reply, Search, Subject, Test, respond};
use mail::{Flags, Keyword, Time};
use mime::{Header, Message, Scope, addresses, words};
use store::{
    StoreError,
    port::{MailStore, MessageRow},
};
use supervision::proceeds;

use super::{
    actor::ImapSessionState, failure::Failure, fetch::closed, letter::Letter, opened::Opened,
};

impl ImapSessionState {
    pub(super) async fn search(&mut self, search: &Search) -> Result<Reply, Failure> {
        let mail = self.args.mail.clone();
        let Some(opened) = &self.opened else {
            return Ok(closed());
        };
        let program = Program::new(&search.key, &opened.view);
        let mut found = Ranges::new();
        let mut rows = opened.rows(&program.candidates(&opened.view));
        let mut effort = 0;
        loop {
            let batch = rows.next(&*mail, opened)?;
            if batch.is_empty() {
                break;
            }
            for row in &batch {
                let Some(sequence) = opened.view.sequence(row.uid) else {
                    continue;
                };
                let mut candidate = Candidate {
                    mail: &*mail,
                    opened,
                    row,
                    sequence,
                    letter: None,
                };
                match program.matches(&mut candidate) {
                    Ok(true) => found.push(if search.uid { row.uid.get() } else { sequence }),
                    Ok(false) => {}
                    // A damaged message matches nothing; the store has reported it.
                    Err(StoreError::Damage { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
                // Whoever reads messages lets others have their turn more often.
                effort += match program.cost() {
                    Cost::Row => 0,
                    Cost::Header => HEADER_EFFORT,
                    Cost::Body => row.body.octets.max(HEADER_EFFORT),
                };
                if effort >= EFFORT_PER_TURN {
                    effort = 0;
                    tokio::task::yield_now().await;
                    proceeds();
                }
            }
            tokio::task::yield_now().await;
            proceeds();
            if !self.connection.is_open() {
                return Err(Failure::Gone);
            }
        }
        respond::search(&mut self.out.buffer, &found);
        Ok(Reply::ok("that is all that was found"))
    }
}

/// A message that may match.
struct Candidate<'a> {
    mail: &'a dyn MailStore,
    opened: &'a Opened,
    row: &'a MessageRow,
    sequence: u32,
    letter: Option<Letter<'a>>,
}

impl<'a> Candidate<'a> {
    fn letter(&mut self) -> &mut Letter<'a> {
        let (mail, body) = (self.mail, self.row.body);
        self.letter.get_or_insert_with(|| Letter::new(mail, body))
    }

    fn texts(&mut self, scope: Scope, test: &mut Test<'_>) -> Result<bool, StoreError> {
        let whole = self.letter().whole()?;
        let message = Message::read(&whole);
        let found = message.texts(scope, |text| match test(text) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        });
        Ok(found.is_break())
    }
}

impl Subject for Candidate<'_> {
    type Error = StoreError;

    fn sequence(&self) -> u32 {
        self.sequence
    }

    fn flags(&self) -> Flags {
        self.row.flags
    }

    fn has_keyword(&self, keyword: &Keyword) -> bool {
        let bit = self
            .opened
            .keywords
            .iter()
            .position(|known| known == keyword);
        bit.is_some_and(|bit| self.row.keywords >> bit & 1 == 1)
    }

    fn is_recent(&self) -> bool {
        self.opened.view.is_recent(self.row.uid)
    }

    fn received(&self) -> Time {
        self.row.internal_date
    }

    fn octets(&self) -> u64 {
        self.row.body.octets
    }

    fn sent(&mut self) -> Result<Option<Date>, StoreError> {
        let header = self.letter().header()?;
        let field = Header::new(&header).find("Date");
        let date = field.and_then(|field| mime::Date::from_rfc5322(&field.unfolded()));
        Ok(date.map(|date| Date::from_days(date.day())))
    }

    fn header(&mut self, name: &str, test: &mut Test<'_>) -> Result<bool, StoreError> {
        let header = self.letter().header()?;
        let mut fields = Header::new(&header).fields();
        Ok(fields.any(|field| field.is(name) && test(&field.text())))
    }

    fn addresses(&mut self, field: AddressField, test: &mut Test<'_>) -> Result<bool, StoreError> {
        let header = self.letter().header()?;
        let mut fields = Header::new(&header).fields();
        Ok(fields.any(|found| {
            found.is(field.name())
                && (test(&found.text())
                    || addresses::read(&found.unfolded())
                        .iter()
                        .any(|entry| test(&shown(entry))))
        }))
    }

    fn body(&mut self, test: &mut Test<'_>) -> Result<bool, StoreError> {
        self.texts(Scope::Body, test)
    }

    fn text(&mut self, test: &mut Test<'_>) -> Result<bool, StoreError> {
        self.texts(Scope::Whole, test)
    }
}

/// An address without comments and folds.
fn shown(entry: &addresses::Entry<'_>) -> String {
    let part = |part: &Option<std::borrow::Cow<'_, [u8]>>| {
        part.clone()
            .map(|octets| words::decode(octets).into_owned())
            .unwrap_or_default()
    };
    format!(
        "{} <{}@{}>",
        part(&entry.name),
        part(&entry.mailbox),
        part(&entry.domain)
    )
}

/// About a millisecond of reading, in octets.
const EFFORT_PER_TURN: u64 = 32 * HEADER_EFFORT;

/// What the reading of a header is counted as, in octets.
const HEADER_EFFORT: u64 = 8 * 1024;
