//! From the words typed to the command that does it.

use std::{ffi::OsString, io::Write, process::ExitCode};

use clap::Parser;

use super::{Cli, Failure, args::Command, client::Client, output::Output, reload};
use crate::allocator::keep_by;

/// Does what `words` say; the first one is the program's name.
pub fn run(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    keep_by();
    // Prints help and usage errors itself, and ends with 0 or 2.
    let cli = Cli::parse_from(words);
    match carry_out(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Whether standard error can be written is nobody's concern any more.
            let _ = writeln!(std::io::stderr(), "heronry: {failure}");
            failure.exit_code()
        }
    }
}

fn carry_out(cli: Cli) -> Result<(), Failure> {
    match cli.command.unwrap_or(Command::Demo(cli.demo)) {
        Command::Demo(demo) => demo.run(),
        Command::Serve(serve) => serve.run(),
        Command::Check(check) => check.run(),
        Command::Reload { reach } => reload::run(&mut Client::of(&reach)?, &reach.output()),
        Command::Domain { reach, command } => {
            command.run(&mut Client::of(&reach)?, &reach.output())
        }
        Command::Account { reach, command } => {
            command.run(&mut Client::of(&reach)?, &reach.output())
        }
        Command::Alias { reach, command } => command.run(&mut Client::of(&reach)?, &reach.output()),
        Command::Queue { reach, command } => command.run(&mut Client::of(&reach)?, &reach.output()),
        Command::Poison { reach, command } => {
            command.run(&mut Client::of(&reach)?, &reach.output())
        }
        Command::Tree { reach, tree } => tree.run(&mut Client::of(&reach)?, &reach.output()),
        Command::Actor { reach, actor } => actor.run(&mut Client::of(&reach)?, &reach.output()),
        Command::Chaos { reach, chaos } => chaos.run(&reach.folder()?, &reach.output()),
        Command::Backup { reach, backup } => backup.run(&reach, &reach.output()),
        Command::Import { reach, command } => {
            command.run(&mut Client::of(&reach)?, &reach.output())
        }
        Command::Export { reach, export } => export.run(&mut Client::of(&reach)?, &reach.output()),
        Command::Restore { reach, restore } => restore.run(&reach, &reach.output()),
        Command::Store { reach, command } => command.run(reach.store()?, &reach.output()),
    }
}

impl super::args::Reach {
    fn output(&self) -> Output {
        Output { json: self.json }
    }
}
