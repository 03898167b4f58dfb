//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::{
    account, actor, alias, backup, chaos, check, demo, domain, export, mail_import, poison, queue,
    restore, serve, store, tree,
};

/// A mail system made of actors.
#[derive(Debug, Parser)]
#[command(
    name = "heronry",
    version,
    args_conflicts_with_subcommands = true,
    after_help = "Without a command, the demo starts.\n\n\
        Exit codes: 0 done; 1 not done; 2 command line or configuration wrong;\n\
        3 no daemon answers; 4 the store is damaged."
)]
pub struct Cli {
    /// The subcommand; none is the demo.
    #[command(subcommand)]
    pub(super) command: Option<Command>,
    #[command(flatten)]
    pub(super) demo: demo::Demo,
}

/// Every subcommand, in the order of `--help`.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Start a complete private system without configuration, on loopback only.
    Demo(demo::Demo),
    /// Start the daemon.
    Serve(serve::Serve),
    /// Print the effective configuration with the source of each value, what is wrong with it, or
    /// what it would change.
    Check(check::Check),
    /// Have the running daemon read its configuration again; nobody is sent away for it.
    Reload {
        #[command(flatten)]
        reach: Reach,
    },
    /// Domains whose mail is ours.
    Domain {
        #[command(flatten)]
        reach: Reach,
        #[command(subcommand)]
        command: domain::Domain,
    },
    /// Accounts: who has mail here.
    Account {
        #[command(flatten)]
        reach: Reach,
        #[command(subcommand)]
        command: account::Account,
    },
    /// Aliases: other names, for one or for many.
    Alias {
        #[command(flatten)]
        reach: Reach,
        #[command(subcommand)]
        command: alias::Alias,
    },
    /// Mail that waits: who, since when, why, and when it is tried next.
    Queue {
        #[command(flatten)]
        reach: Reach,
        #[command(subcommand)]
        command: queue::Queue,
    },
    /// Messages and commands that have brought actors down twice, and are set aside or refused.
    Poison {
        #[command(flatten)]
        reach: Reach,
        #[command(subcommand)]
        command: poison::Poison,
    },
    /// The supervision tree of the running daemon.
    Tree {
        #[command(flatten)]
        reach: Reach,
        #[command(flatten)]
        tree: tree::Tree,
    },
    /// An actor of the running daemon: its report, its last messages, how it ended before.
    Actor {
        #[command(flatten)]
        reach: Reach,
        #[command(flatten)]
        actor: actor::Actor,
    },
    /// Harm random actors of the running daemon, and tell what users saw of it.
    Chaos {
        #[command(flatten)]
        reach: Reach,
        #[command(flatten)]
        chaos: chaos::Chaos,
    },
    /// Take a state of the whole system into a backup, while it runs; list and verify states.
    Backup {
        #[command(flatten)]
        reach: Reach,
        #[command(flatten)]
        backup: backup::Backup,
    },
    /// Bring mail into an account: from a Maildir, from mbox files, or from another IMAP server.
    Import {
        #[command(flatten)]
        reach: Reach,
        #[command(subcommand)]
        command: mail_import::Import,
    },
    /// Write the mail of an account to a Maildir or to mbox files.
    Export {
        #[command(flatten)]
        reach: Reach,
        #[command(flatten)]
        export: export::Export,
    },
    /// Bring a whole system back from a backup; or single accounts, folders and messages into a
    /// system that runs.
    Restore {
        #[command(flatten)]
        reach: Reach,
        #[command(flatten)]
        restore: restore::Restore,
    },
    /// The store on disk, while no daemon has it open.
    Store {
        #[command(flatten)]
        reach: Reach,
        #[command(subcommand)]
        command: store::Store,
    },
}

/// Which daemon, and how its answer is written.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub(super) struct Reach {
    /// The daemon's data folder; the operator socket lies in it.
    #[arg(long, global = true, value_name = "DIR", conflicts_with = "config")]
    pub(super) data: Option<PathBuf>,
    /// The daemon's configuration, which names its data folder.
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Answer in JSON.
    #[arg(long, global = true)]
    pub(super) json: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn every_subcommand_is_sound_in_itself() {
        Cli::command().debug_assert();
    }

    #[test]
    fn without_a_subcommand_the_words_are_the_demos() {
        let cli = Cli::try_parse_from(["heronry", "--port-base", "4000"]).unwrap();
        assert!(cli.command.is_none());
        let cli = Cli::try_parse_from(["heronry", "demo", "--trust", "127.0.0.0/8"]).unwrap();
        assert!(matches!(cli.command, Some(Command::Demo(_))));
        assert!(Cli::try_parse_from(["heronry", "frobnicate"]).is_err());
    }
}
