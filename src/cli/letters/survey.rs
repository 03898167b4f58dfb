//! Whether an account has room for all that is to be brought into it, before anything is.

use mail::Address;

use super::{Folder, Letter, Sink, Source, account::list, seen::Seen};
use crate::{
    admin::protocol::{
        AccountView, DomainView, FolderView, Holdings, QuotaView, RefusalKind, Request,
    },
    cli::{Failure, client::Client, output::counted},
};

/// Says who has no room for all of it: the account, or all accounts of its domain together. `first`: the
/// limits of an account that is not there yet. Where nothing is limited, nothing is read.
pub(in crate::cli) fn survey(
    source: &mut dyn Source,
    (client, address): (&mut Client, &Address),
    first: QuotaView,
    place: &dyn Fn(&Folder) -> Option<String>,
) -> Result<(), Failure> {
    let rooms = rooms(client, address, first)?;
    if rooms.iter().all(Room::is_endless) {
        return Ok(());
    }
    let list = Request::FolderList {
        address: address.clone(),
    };
    let there: Option<Vec<FolderView>> = client.ask_unless(RefusalKind::Missing, &list, &[])?;
    let mut lacking = Lacking {
        client,
        address,
        there: there.unwrap_or_default(),
        seen: Seen::default(),
        letters: 0,
        octets: 0,
    };
    for folder in source.folders()? {
        if let Some(name) = place(&folder) {
            let to = Folder {
                name,
                ..folder.clone()
            };
            lacking.begin(&to)?;
            source.letters(&folder, &mut lacking)?;
        }
    }
    let (letters, octets) = (lacking.letters, lacking.octets);
    match rooms.iter().find(|room| !room.holds(letters, octets)) {
        Some(room) => Err(Failure::new(format!(
            "nothing was brought: {} with {octets} octets are to come, and {room}; give it more \
             (heronry account quota, heronry domain quota), or bring what there is room for with \
             --what-fits",
            counted(letters as usize, "message"),
        ))),
        None => Ok(()),
    }
}

/// What somebody may hold in addition.
#[derive(Debug, Eq, PartialEq)]
struct Room {
    whose: String,
    letters: Option<u64>,
    octets: Option<u64>,
}

/// The rooms that an account's mail has to keep to.
fn rooms(client: &mut Client, address: &Address, first: QuotaView) -> Result<[Room; 2], Failure> {
    let show = Request::AccountShow {
        address: address.clone(),
    };
    let account: Option<AccountView> = client.ask_unless(RefusalKind::Missing, &show, &[])?;
    let (quota, holds) = account.map_or((first, None), |view| (view.quota, view.holds));
    let own = Room::of(address.to_string(), quota, holds);
    let show = Request::DomainShow {
        domain: address.domain().clone(),
    };
    let domain: DomainView = client.ask(&show)?;
    let together = Room::of(domain.domain.to_string(), domain.quota, domain.holds);
    Ok([own, together])
}

impl Room {
    fn of(whose: String, quota: QuotaView, holds: Option<Holdings>) -> Self {
        let holds = holds.unwrap_or_default();
        let left = |most: Option<u64>, held: u64| most.map(|most| most.saturating_sub(held));
        Self {
            whose,
            letters: left(quota.messages, holds.messages),
            octets: left(quota.octets, holds.octets),
        }
    }

    const fn is_endless(&self) -> bool {
        self.letters.is_none() && self.octets.is_none()
    }

    /// Nothing finds room everywhere, also where there is more than there may be.
    fn holds(&self, letters: u64, octets: u64) -> bool {
        self.letters.is_none_or(|room| letters <= room)
            && self.octets.is_none_or(|room| octets <= room)
    }
}

impl std::fmt::Display for Room {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let letters = self.letters.map(|room| counted(room as usize, "message"));
        let octets = self.octets.map(|room| counted(room as usize, "octet"));
        let rooms: Vec<String> = letters.into_iter().chain(octets).collect();
        write!(f, "{} has room for {}", self.whose, rooms.join(" and "))
    }
}

/// Counts what an account lacks, and takes nothing.
struct Lacking<'a> {
    client: &'a mut Client,
    address: &'a Address,
    there: Vec<FolderView>,
    seen: Seen,
    letters: u64,
    octets: u64,
}

impl Sink for Lacking<'_> {
    fn begin(&mut self, folder: &Folder) -> Result<(), Failure> {
        self.seen = Seen::default();
        if self.there.iter().any(|there| there.name == folder.name) {
            for view in list(self.client, self.address, &folder.name, None)? {
                self.seen.add(&view.digest);
            }
        }
        Ok(())
    }

    fn wants(&mut self, digest: &[u8; 32], octets: u64) -> bool {
        if self.seen.lacks(digest) {
            self.letters += 1;
            self.octets += octets;
        }
        false
    }

    fn take(&mut self, _: Letter, _: [u8; 32]) -> Result<(), Failure> {
        Ok(())
    }

    fn end(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_what_may_be_held_without_what_is_held() {
        let quota = |octets, messages| QuotaView { octets, messages };
        let holds = Some(Holdings {
            mailboxes: 1,
            messages: 7,
            octets: 1000,
        });
        let room = |quota| Room::of("ann@example.test".to_owned(), quota, holds);
        assert!(room(quota(None, None)).is_endless());
        let both = room(quota(Some(1500), Some(8)));
        assert!(both.holds(1, 500) && !both.holds(2, 500) && !both.holds(1, 501));
        let text = both.to_string();
        assert_eq!(
            text,
            "ann@example.test has room for 1 message and 500 octets"
        );
        let full = room(quota(None, Some(5)));
        assert!(full.holds(0, 0) && !full.holds(1, 1));
        assert_eq!(full.to_string(), "ann@example.test has room for 0 messages");
    }
}
