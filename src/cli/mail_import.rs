//! `heronry import`: mail from elsewhere into an account of the running system.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use mail::Address;

use super::{
    Failure,
    client::Client,
    letters::{AccountSink, Folder, ImapSource, MaildirSource, MboxSource, Server, Source, carry},
    meter::Meter,
    output::Output,
    password,
    restore::place,
};

/// Flags, keywords and dates come along, and folders are made as they are needed. What is there
/// already, by the digest of its octets, is not brought again: a run that was interrupted is run
/// again.
#[derive(Debug, Subcommand)]
pub(super) enum Import {
    /// From a Maildir and the folders in it (Maildir++, as Dovecot and Courier have them).
    Maildir {
        #[command(flatten)]
        to: To,
        /// The Maildir.
        #[arg(value_name = "DIR")]
        path: PathBuf,
    },
    /// From an mbox file, into INBOX; or from all in a folder, each into the folder of its name.
    Mbox {
        #[command(flatten)]
        to: To,
        /// The file or the folder.
        #[arg(value_name = "PATH")]
        path: PathBuf,
    },
    /// From an account on another IMAP server. Its password is asked for, or read from standard
    /// input. Nothing is changed there.
    Imap {
        #[command(flatten)]
        to: To,
        #[command(flatten)]
        from: From,
    },
}

/// Where it goes.
#[derive(Args, Debug)]
#[group(skip)]
pub(super) struct To {
    /// The account.
    account: Address,
    /// Only this folder.
    #[arg(long, value_name = "NAME")]
    folder: Option<String>,
    /// Everything below this folder; with --folder, into it.
    #[arg(long, value_name = "NAME")]
    into: Option<String>,
}

/// An account on another server.
#[derive(Args, Debug)]
#[group(skip)]
pub(super) struct From {
    /// The server; its certificate must bear this name.
    #[arg(long, value_name = "NAME")]
    host: String,
    /// Its port [default: 993, or 143 with --starttls]
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    /// Begin in the clear and change to TLS before anything is said.
    #[arg(long)]
    starttls: bool,
    /// Do without TLS: the password and all mail can be read on the way.
    #[arg(long, conflicts_with = "starttls")]
    without_tls: bool,
    /// Trust these certificates, besides those of this machine.
    #[arg(long, value_name = "PEM")]
    trust: Vec<PathBuf>,
    /// The name to log in with.
    #[arg(long, value_name = "NAME")]
    user: String,
    /// A file whose first line is the password.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Write down in this file how far the run has come, and begin where an earlier one ended:
    /// what was brought is not fetched again to be compared.
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
}

impl Import {
    pub(super) fn run(self, client: &mut Client, output: &Output) -> Result<(), Failure> {
        match self {
            Self::Maildir { to, path } => {
                to.bring(&mut MaildirSource { folder: path }, client, output)
            }
            Self::Mbox { to, path } => to.bring(&mut MboxSource { path }, client, output),
            Self::Imap { to, from } => to.bring(&mut from.connect()?, client, output),
        }
    }
}

impl To {
    fn bring(
        self,
        source: &mut dyn Source,
        client: &mut Client,
        output: &Output,
    ) -> Result<(), Failure> {
        let mut sink = AccountSink::new(client, self.account);
        let mut meter = Meter::new(output);
        let (only, into) = (self.folder.as_deref(), self.into.as_deref());
        let place = |folder: &Folder| place(&folder.name, only, into);
        let carried = carry(source, &mut sink, &place, &mut meter)?;
        drop(meter);
        if let Some(folder) = only
            && carried.folders == 0
        {
            return Err(Failure::usage(format!("there is no folder {folder}")));
        }
        output.answer(&carried, |carried| format!("{carried}\n"))
    }
}

impl From {
    fn connect(self) -> Result<ImapSource, Failure> {
        let password = password::of_another(self.password_file.as_deref())?;
        let usual = if self.starttls || self.without_tls {
            143
        } else {
            993
        };
        ImapSource::connect(&Server {
            host: self.host,
            port: self.port.unwrap_or(usual),
            starttls: self.starttls,
            plain: self.without_tls,
            roots: self.trust,
            user: self.user,
            password,
            resume: self.resume,
        })
    }
}
