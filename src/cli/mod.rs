//! The command line: one file per subcommand.
//!
//! Exit codes: 0 done; 1 not done, the reason is on standard error; 2 the command line or the
//! configuration is wrong; 3 no daemon answers; 4 the store is damaged. What a command answers
//! goes to standard output, as text or with `--json` as JSON; everything else to standard error.

mod account;
mod actor;
mod alias;
mod args;
mod backup;
mod chaos;
mod check;
mod client;
mod demo;
mod domain;
mod exit;
mod export;
mod import;
mod interrupt;
mod letters;
mod mail_import;
mod meter;
mod output;
mod password;
mod poison;
mod progress;
mod queue;
mod reload;
mod restore;
mod run;
mod serve;
mod store;
mod tree;

pub use args::Cli;
pub use exit::Failure;
pub use run::run;
