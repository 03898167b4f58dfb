//! `heronry restore`: a whole system from a backup, on this machine or on another one, or mail of
//! one account.

use std::{path::PathBuf, sync::Arc};

use clap::Args;
use imap::MailboxName;
use mail::Address;
use serde::Serialize;
use store::{DiskStore, port::AccountRow};
use world::{Clock, SystemClock};

use super::{
    Failure,
    args::Reach,
    client::Client,
    letters::{AccountSink, BackupSource, Choice, Folder, carry, survey},
    meter::Meter,
    output::{Output, counted},
    progress,
};
use crate::{
    admin::protocol::{AccountNew, AccountView, QuotaView, Request},
    backup::{self, BackupError, OpenState, Paced, Shelf},
};

/// Bring a whole system back from a backup, into a data folder that is new or empty; or, with
/// --account, mail of one account into the system that runs.
///
/// A whole system: every file is compared with its digest while it is copied; then the store is
/// opened, its directory is made anew, and everything is read once more.
///
/// One account: what is there already, by the digest of its octets, is not brought again. An account
/// that is not there any more is made with the password and the limits that it had. When there is no
/// room for all that is lacking, nothing is brought (--what-fits).
///
/// A run that was interrupted is run again and goes on where it was.
#[derive(Args, Debug)]
#[group(skip)]
pub(super) struct Restore {
    /// The backup's folder.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The state, or the beginning of its name; without it the newest.
    #[arg(long, value_name = "WHEN")]
    state: Option<String>,
    /// Bring back mail of this account only, into the system that runs.
    #[arg(long, value_name = "ADDRESS")]
    account: Option<Address>,
    /// Only this folder of it.
    #[arg(long = "folder", value_name = "NAME", requires = "account")]
    only: Option<String>,
    /// Only the message with this UID.
    #[arg(
        long,
        value_name = "N",
        requires = "only",
        conflicts_with = "message_id"
    )]
    uid: Option<u32>,
    /// Only messages with this Message-ID.
    #[arg(long, value_name = "ID", requires = "account")]
    message_id: Option<String>,
    /// Into this folder instead of the one where it was; whole accounts, below it.
    #[arg(long, value_name = "NAME", requires = "account")]
    into: Option<String>,
    /// If the account may not hold all of it, bring what there is room for, the oldest first.
    #[arg(long, requires = "account")]
    what_fits: bool,
    /// Where the backup's directory is made for the time of the run, some hundred octets for each
    /// message [default: where this system has its temporary files]
    #[arg(long, value_name = "DIR", requires = "account")]
    scratch: Option<PathBuf>,
    /// Copy no more than so many octets in a second; 0: as fast as it goes.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        conflicts_with = "account"
    )]
    octets_per_second: u64,
}

#[derive(Serialize)]
struct Report {
    state: String,
    data: PathBuf,
    files: usize,
    octets: u64,
    domains: u64,
    accounts: u64,
    mailboxes: u64,
    messages: u64,
    queued: u64,
    bodies: u64,
    settings: Vec<Setting>,
    damage: Vec<String>,
}

#[derive(Serialize)]
struct Setting {
    file: PathBuf,
    was: Option<PathBuf>,
}

impl Restore {
    pub(super) fn run(self, reach: &Reach, output: &Output) -> Result<(), Failure> {
        rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
        match &self.account {
            Some(account) => self.account(account, reach, output),
            None => self.whole(reach, output),
        }
    }

    /// Mail of one account, into the system that runs.
    fn account(&self, address: &Address, reach: &Reach, output: &Output) -> Result<(), Failure> {
        let mut client = Client::of(reach)?;
        let shelf = Shelf::open(&self.folder)?;
        let state = shelf.state(self.state.as_deref())?;
        let open = OpenState::open(&state, self.scratch.as_deref())?;
        let choice = match (self.uid, &self.message_id) {
            (Some(uid), _) => Choice::Uid(uid),
            (None, Some(id)) => Choice::MessageId(id.trim_matches(['<', '>']).to_owned()),
            (None, None) => Choice::All,
        };
        let mut source = BackupSource::new(&open.store, address, choice)?;
        let (only, into) = (self.only.as_deref(), self.into.as_deref());
        let place = |folder: &Folder| place(&folder.name, only, into);
        if !self.what_fits {
            let first = quota_of(&source.account);
            survey(&mut source, (&mut client, address), first, &place)?;
        }
        let made = make_account(&mut client, address, &source.account)?;
        let mut sink = AccountSink::new(&mut client, address.clone());
        let mut meter = Meter::new(output);
        let carried = carry(&mut source, &mut sink, &place, &mut meter)?;
        drop(meter);
        if let Some(folder) = only
            && carried.folders == 0
        {
            let what = format!("{address} had no folder {folder} in {}", state.name);
            return Err(Failure::new(what));
        }
        output.answer(&carried, |carried| {
            let made = if made {
                "the account was made anew; "
            } else {
                ""
            };
            format!("{made}{carried}\n")
        })
    }

    /// A whole system, into a new folder.
    fn whole(&self, reach: &Reach, output: &Output) -> Result<(), Failure> {
        if reach.data.is_none() && reach.config.is_none() {
            return Err(Failure::usage(
                "say with --data where the system is to be restored to: a folder that is new or \
                 empty",
            ));
        }
        let config = reach.store()?;
        let shelf = Shelf::open(&self.folder)?;
        let state = shelf.state(self.state.as_deref())?;
        let mut meter = Meter::new(output);
        let mut paced = Paced::new(&mut meter, self.octets_per_second);
        let put_back = backup::put_back(&state, &config.folder, &mut paced)?;
        let clock = SystemClock::new();
        let data = config.folder.clone();
        drop(meter);
        let (now, teller) = (Arc::new(move || clock.now()), progress::teller(output));
        let store = DiskStore::rebuild_telling(config, now, teller.clone());
        let store = store.map_err(BackupError::from)?;
        let mut found = store.check_telling(&teller).map_err(BackupError::from)?;
        found.add_opening(store.opened());
        store.close().map_err(BackupError::from)?;
        backup::settle(&data)?;
        let settings = put_back.settings.into_iter();
        let report = Report {
            state: state.name,
            data,
            files: put_back.files,
            octets: put_back.octets,
            domains: found.domains,
            accounts: found.accounts,
            mailboxes: found.mailboxes,
            messages: found.messages,
            queued: found.spooled,
            bodies: found.bodies,
            settings: settings.map(|(file, was)| Setting { file, was }).collect(),
            damage: found.damage,
        };
        output.answer(&report, text)?;
        match report.damage.len() {
            0 => Ok(()),
            number => Err(Failure::damaged(format!(
                "{} damaged; the rest is there",
                counted(number, "place")
            ))),
        }
    }
}

/// Makes an account as it was, if it is not there; whether it did.
fn make_account(client: &mut Client, address: &Address, was: &AccountRow) -> Result<bool, Failure> {
    let show = Request::AccountShow {
        address: address.clone(),
    };
    if client.ask::<AccountView>(&show).is_ok() {
        return Ok(false);
    }
    let account = AccountNew {
        address: address.clone(),
        password: was.password.clone(),
        quota: quota_of(was),
    };
    let add = Request::AccountAdd {
        accounts: vec![account],
        update: false,
    };
    client.ask::<()>(&add)?;
    Ok(true)
}

fn quota_of(account: &AccountRow) -> QuotaView {
    QuotaView {
        octets: account.quota.octets,
        messages: account.quota.messages,
    }
}

/// Under which name the letters of a folder go: only of the one that is named, if one is; below
/// `into`, or into it, if only one is meant.
pub(super) fn place(folder: &str, only: Option<&str>, into: Option<&str>) -> Option<String> {
    match (only, into) {
        (Some(only), _) if MailboxName::new(only).as_str() != folder => None,
        (_, None) => Some(folder.to_owned()),
        (Some(_), Some(into)) => Some(MailboxName::new(into).as_str().to_owned()),
        (None, Some(into)) => {
            let name = format!("{into}/{folder}");
            Some(MailboxName::new(&name).as_str().to_owned())
        }
    }
}

fn text(report: &Report) -> String {
    let mut text = format!(
        "{} is in {}: {} of {} octets, every digest is right\n",
        report.state,
        report.data.display(),
        counted(report.files, "file"),
        report.octets,
    );
    for (number, noun) in [
        (report.domains, "domain"),
        (report.accounts, "account"),
        (report.messages, "message"),
        (report.queued, "queued message"),
    ] {
        text.push_str(&format!("{}\n", counted(number as usize, noun)));
    }
    text.push_str(&format!(
        "mailboxes: {}; bodies, each with its digest: {}\n",
        report.mailboxes, report.bodies
    ));
    for setting in &report.settings {
        let was = setting.was.as_ref().map(|was| was.display().to_string());
        text.push_str(&format!(
            "{} was {}: put it where it belongs\n",
            setting.file.display(),
            was.unwrap_or_default()
        ));
    }
    for damage in &report.damage {
        text.push_str(&format!("damaged: {damage}\n"));
    }
    if report.damage.is_empty() {
        text.push_str("whole\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_folder_goes_into_another_and_a_whole_account_below_it() {
        let name = |folder, only, into| place(folder, only, into).unwrap_or_default();
        assert_eq!(name("a/b", None, None), "a/b");
        assert_eq!(name("INBOX", Some("inbox"), None), "INBOX");
        assert_eq!(name("a", Some("a"), Some("back")), "back");
        assert_eq!(name("a/b", None, Some("back")), "back/a/b");
        assert_eq!(place("b", Some("a"), None), None);
    }
}
