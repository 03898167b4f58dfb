//! FETCH: the fast path.

use std::ops::Range;

use bytes::Bytes;
use imap::{Code, Fetch, FetchItem, Ranges, Reply, Section, SectionText, respond::FetchResponse};
use mail::{Flags, Uid};
use mime::{Letterhead, Message};
use store::port::{FlagChange, FlagsHow, MessageRow};
use supervision::proceeds;

use super::{
    actor::ImapSessionState,
    failure::Failure,
    letter::{self, Letter, Place},
    metrics::FETCHED,
    opened::{Opened, marks_seen},
    outlet::{Outlet, PIECE_OCTETS},
};

impl ImapSessionState {
    pub(super) async fn fetch(&mut self, fetch: &Fetch) -> Result<Reply, Failure> {
        let mail = self.args.mail.clone();
        let Some(opened) = &self.opened else {
            return Ok(closed());
        };
        let which = opened.resolve(fetch.uid, &fetch.set)?;
        if let Some(with_uid) = only_flags(&fetch.items) {
            let told = self.tell_flags(&which, with_uid).await?;
            FETCHED.add(told, &[]);
            return Ok(told_of(told, &which));
        }
        let marks = marks_seen(&fetch.items) && !opened.read_only;
        let mut unseen = Vec::new();
        let (mut told, mut damaged) = (0_u64, false);
        let mut rows = opened.rows(&which);
        loop {
            let batch = rows.next(&*mail, opened)?;
            if batch.is_empty() {
                break;
            }
            for row in &batch {
                let Some(sequence) = opened.view.sequence(row.uid) else {
                    continue;
                };
                let (begun, sent) = (self.out.buffer.len(), self.out.sent());
                let mut one = One {
                    opened,
                    row,
                    letter: Letter::new(&*mail, row.body),
                    place: &mut self.place,
                };
                match one.tell(sequence, fetch, &mut self.out).await {
                    Ok(()) => told += 1,
                    Err(Failure::Gone) => return Err(Failure::Gone),
                    // The others are served, if nothing of this one has left.
                    Err(Failure::Refused(_)) if self.out.sent() == sent => {
                        self.out.buffer.truncate(begun);
                        told += 1;
                        damaged = true;
                    }
                    Err(Failure::Refused(_)) => return Err(Failure::Gone),
                }
                if told.is_multiple_of(PROGRESS_EACH) {
                    proceeds(); // to read many takes its time
                }
                if marks && !row.flags.contains(Flags::SEEN) {
                    unseen.push(row.uid);
                }
                self.out.relieve().await?;
            }
        }
        FETCHED.add(told, &[]);
        if !unseen.is_empty() {
            self.mark_seen(unseen).await;
        }
        Ok(match damaged {
            true => Reply::no("some of it is damaged").with(Code::Corruption),
            false => told_of(told, &which),
        })
    }

    /// The client has read them, and is told with the news that they are marked so. Where that
    /// cannot be kept, they have been read all the same.
    async fn mark_seen(&mut self, uids: Vec<Uid>) {
        let change = FlagChange {
            how: FlagsHow::Add,
            flags: Flags::SEEN,
            keywords: Vec::new(),
        };
        let _ = self.flag(uids, change).await;
    }
}

/// One message that is being told of.
struct One<'a> {
    opened: &'a Opened,
    row: &'a MessageRow,
    letter: Letter<'a>,
    place: &'a mut Place,
}

impl One<'_> {
    async fn tell(
        &mut self,
        sequence: u32,
        fetch: &Fetch,
        out: &mut Outlet,
    ) -> Result<(), Failure> {
        let mut response = FetchResponse::begin(&mut out.buffer, sequence);
        for item in &fetch.items {
            match item {
                FetchItem::Uid => response.uid(&mut out.buffer, self.row.uid),
                FetchItem::Flags => {
                    self.opened
                        .add_flags(&mut out.buffer, &mut response, &self.row.flags());
                }
                FetchItem::InternalDate => {
                    response.internal_date(&mut out.buffer, self.row.internal_date);
                }
                FetchItem::Rfc822Size => response.size(&mut out.buffer, self.row.body.octets),
                _ => self.read(item, &mut response, out).await?,
            }
        }
        response.end(&mut out.buffer);
        Ok(())
    }

    /// An item for which the message itself is read.
    async fn read(
        &mut self,
        item: &FetchItem,
        response: &mut FetchResponse,
        out: &mut Outlet,
    ) -> Result<(), Failure> {
        let letter = &mut self.letter;
        match item {
            FetchItem::Envelope => {
                let header = letter.header()?;
                let head = Letterhead::of(mime::Header::new(&header));
                response.envelope(&mut out.buffer, &letter::envelope(head));
            }
            FetchItem::Body | FetchItem::BodyStructure => {
                let whole = letter.whole()?;
                let outline = Message::read(&whole).outline();
                let extended = *item == FetchItem::BodyStructure;
                response.structure(&mut out.buffer, &letter::structure(outline), extended);
            }
            FetchItem::Rfc822Header => {
                response.literal(&mut out.buffer, "RFC822.HEADER", &letter.header()?);
            }
            FetchItem::Rfc822 => {
                response.literal_head(&mut out.buffer, "RFC822", letter.octets());
                stream(letter, 0..letter.octets(), out).await?;
            }
            FetchItem::Rfc822Text => {
                let range = letter.header()?.len() as u64..letter.octets();
                response.literal_head(&mut out.buffer, "RFC822.TEXT", range.end - range.start);
                stream(letter, range, out).await?;
            }
            FetchItem::Section(section) => self.section(section, response, out).await?,
            FetchItem::Flags | FetchItem::InternalDate | FetchItem::Rfc822Size | FetchItem::Uid => {
            }
        }
        Ok(())
    }

    async fn section(
        &mut self,
        section: &Section,
        response: &mut FetchResponse,
        out: &mut Outlet,
    ) -> Result<(), Failure> {
        let letter = &mut self.letter;
        let Some(place) = letter.place(&self.row.body, section, self.place)? else {
            response.no_section(&mut out.buffer, section);
            return Ok(());
        };
        let selects = matches!(
            section.what,
            SectionText::HeaderFields(_) | SectionText::HeaderFieldsNot(_)
        );
        if selects {
            let header = letter.piece(place)?;
            let fields = letter::fields(&header, &section.what).unwrap_or_default();
            response.section(&mut out.buffer, section, &fields);
            return Ok(());
        }
        let sent = response.section_head(&mut out.buffer, section, place.end - place.start);
        stream(
            letter,
            place.start + sent.start..place.start + sent.end,
            out,
        )
        .await
    }
}

/// Sends octets of a message in pieces.
async fn stream(
    letter: &mut Letter<'_>,
    range: Range<u64>,
    out: &mut Outlet,
) -> Result<(), Failure> {
    let mut at = range.start;
    while at < range.end {
        let until = range.end.min(at + PIECE_OCTETS as u64);
        let piece: Bytes = match letter.piece(at..until) {
            Ok(piece) if !piece.is_empty() => piece,
            // The length has been announced: only the end of the connection can take it back.
            _ if at > range.start => return Err(Failure::Gone),
            Ok(_) => return Err(damaged()),
            Err(error) => return Err(error.into()),
        };
        at += piece.len() as u64;
        out.send(piece).await?;
    }
    Ok(())
}

/// Whether nothing is asked for but flags, and if so, whether with the UID.
fn only_flags(items: &[FetchItem]) -> Option<bool> {
    let is_cheap = |item: &FetchItem| matches!(item, FetchItem::Flags | FetchItem::Uid);
    let only = items.contains(&FetchItem::Flags) && items.iter().all(is_cheap);
    only.then(|| items.contains(&FetchItem::Uid))
}

/// How a FETCH ends that has told of so many of these messages.
fn told_of(told: u64, which: &Ranges) -> Reply {
    if told < which.count() {
        return Reply::ok("some messages are there no longer").with(Code::ExpungeIssued);
    }
    Reply::ok("that was it")
}

fn damaged() -> Failure {
    Reply::no("some of it is damaged")
        .with(Code::Corruption)
        .into()
}

/// The machine lets no command through for which a mailbox must be open when none is.
pub(super) const fn closed() -> Reply {
    Reply::bad("select a mailbox first")
}

/// After so many messages it is said that there is progress: that costs a look at the clock.
const PROGRESS_EACH: u64 = 32;
