//! `heronry export`: the mail of an account as files that other programs read.

use std::path::PathBuf;

use clap::Args;
use mail::Address;

use super::{
    Failure,
    client::Client,
    letters::{AccountSource, Folder, MaildirSink, MboxSink, Sink, carry},
    meter::Meter,
    output::Output,
    restore::place,
};

/// Write the mail of an account to a Maildir or to mbox files, with folders, flags, keywords and
/// dates. Nothing is changed in the account.
///
/// In a Maildir, what is there already is not written again. An mbox file is written anew as a
/// whole, and has its name only when it is.
#[derive(Args, Debug)]
#[group(skip)]
pub(super) struct Export {
    /// The account.
    account: Address,
    /// A Maildir, with a folder in it for each folder (Maildir++).
    #[arg(
        long,
        value_name = "DIR",
        required_unless_present = "mbox",
        conflicts_with = "mbox"
    )]
    maildir: Option<PathBuf>,
    /// A folder, with an mbox file for each folder (mboxrd).
    #[arg(long, value_name = "DIR")]
    mbox: Option<PathBuf>,
    /// Only this folder.
    #[arg(long, value_name = "NAME")]
    folder: Option<String>,
}

impl Export {
    pub(super) fn run(self, client: &mut Client, output: &Output) -> Result<(), Failure> {
        let mut sink: Box<dyn Sink> = match (self.maildir, self.mbox) {
            (Some(folder), _) => Box::new(MaildirSink::new(folder)),
            (None, Some(folder)) => Box::new(MboxSink::new(folder)),
            (None, None) => return Err(Failure::usage("say --maildir DIR or --mbox DIR")),
        };
        let mut source = AccountSource {
            client,
            address: self.account,
        };
        let only = self.folder.as_deref();
        let place = |folder: &Folder| place(&folder.name, only, None);
        let mut meter = Meter::new(output);
        let carried = carry(&mut source, &mut *sink, &place, &mut meter)?;
        drop(meter);
        if let Some(folder) = only
            && carried.folders == 0
        {
            return Err(Failure::new(format!("there is no folder {folder}")));
        }
        output.answer(&carried, |carried| format!("{carried}\n"))
    }
}
