//! `heronry account import`: many accounts from a CSV file.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    thread,
};

use clap::Args;
use mail::{Address, Secret};
use serde::{Deserialize, Serialize};
use world::SystemRandom;

use super::{
    Failure,
    client::Client,
    output::{Output, counted},
};
use crate::admin::protocol::{AccountNew, PAGE_MAX, QuotaView, Request};

/// Adds many accounts from a CSV file.
///
/// The first line names the columns, in any order:
///
///   address         required; also the login name
///   hash            the password's hash in PHC form ($argon2id$…), taken as it is
///   password        the password in clear; hashed here, some 50 a second and core
///   quota_octets    how many octets it may hold; empty: without limit
///   quota_messages  how many messages it may hold; empty: without limit
///
/// A row with neither hash nor password makes an account that nobody can log in to. The domains
/// must be there. The whole file is read before the first account is made; a row that is wrong is
/// named by its line, and then nothing is done.
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(super) struct Import {
    /// The file; - is standard input.
    file: PathBuf,
    /// Give accounts that are there the password and limits of their row.
    #[arg(long)]
    update: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    address: String,
    #[serde(default)]
    hash: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    quota_octets: Option<u64>,
    #[serde(default)]
    quota_messages: Option<u64>,
}

#[derive(Serialize)]
struct Imported {
    accounts: usize,
}

/// An account whose password may still have to be hashed.
struct Wanted {
    account: AccountNew,
    clear: Option<Secret>,
}

impl Import {
    pub(super) fn run(self, client: &mut Client, output: &Output) -> Result<(), Failure> {
        let wanted = if self.file == Path::new("-") {
            read("standard input", io::stdin().lock())
        } else {
            let name = self.file.display().to_string();
            let file = File::open(&self.file)
                .map_err(|error| Failure::usage(format!("cannot read {name}: {error}")))?;
            read(&name, file)
        }?;
        let accounts = hashed(wanted);
        let number = accounts.len();
        let mut rest = accounts;
        let mut done = 0;
        while !rest.is_empty() {
            let later = rest.split_off(rest.len().min(PAGE_MAX));
            let accounts = std::mem::replace(&mut rest, later);
            let count = accounts.len();
            let request = Request::AccountAdd {
                accounts,
                update: self.update,
            };
            client.ask::<()>(&request).map_err(|failure| Failure {
                message: format!(
                    "{}; {done} of {number} accounts were made before; with --update the file can be imported again",
                    failure.message
                ),
                ..failure
            })?;
            done += count;
        }
        let imported = Imported { accounts: number };
        output.answer(&imported, |_| {
            format!("{} imported\n", counted(number, "account"))
        })
    }
}

fn read(name: &str, input: impl Read) -> Result<Vec<Wanted>, Failure> {
    let wrong = |line: u64, what: &str| Failure::usage(format!("{name}:{line}: {what}"));
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::Headers)
        .from_reader(input);
    let columns = reader
        .headers()
        .map_err(|error| wrong(1, &error.to_string()))?
        .clone();
    if let Some(other) = columns.iter().find(|column| !COLUMNS.contains(column)) {
        return Err(wrong(
            1,
            &format!("column {other:?} is not known; {}", COLUMNS.join(", ")),
        ));
    }
    if !columns.iter().any(|column| column == "address") {
        return Err(wrong(
            1,
            "the first line names the columns, and one of them is address",
        ));
    }
    let mut wanted = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| {
            let line = error.position().map_or(0, csv::Position::line);
            wrong(line, &error.to_string())
        })?;
        let line = record.position().map_or(0, csv::Position::line);
        let row: Row = record
            .deserialize(Some(&columns))
            .map_err(|error| wrong(line, &error.to_string()))?;
        wanted.push(row.wanted().map_err(|what| wrong(line, &what))?);
    }
    Ok(wanted)
}

impl Row {
    fn wanted(self) -> Result<Wanted, String> {
        let address: Address = self
            .address
            .parse()
            .map_err(|error| format!("address {:?}: {error}", self.address))?;
        if !self.hash.is_empty() && !self.password.is_empty() {
            return Err(format!(
                "{address} has both a hash and a password; one is expected"
            ));
        }
        if !self.hash.is_empty() {
            actors::login::password::check(&self.hash)
                .map_err(|error| format!("hash of {address}: {error}"))?;
        }
        let account = AccountNew {
            address,
            password: (!self.hash.is_empty()).then_some(self.hash),
            quota: QuotaView {
                octets: self.quota_octets,
                messages: self.quota_messages,
            },
        };
        let clear = (!self.password.is_empty()).then(|| Secret::new(self.password));
        Ok(Wanted { account, clear })
    }
}

/// Hashes what is in clear, on every core; the order stays.
fn hashed(mut wanted: Vec<Wanted>) -> Vec<AccountNew> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let share = wanted.len().div_ceil(cores).max(1);
    thread::scope(|scope| {
        for part in wanted.chunks_mut(share) {
            scope.spawn(|| {
                for one in part {
                    if let Some(clear) = one.clear.take() {
                        one.account.password =
                            Some(actors::login::password::hash(&clear, &SystemRandom));
                    }
                }
            });
        }
    });
    wanted.into_iter().map(|one| one.account).collect()
}

const COLUMNS: [&str; 5] = [
    "address",
    "hash",
    "password",
    "quota_octets",
    "quota_messages",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        match read("people.csv", text.as_bytes()) {
            Ok(_) => panic!("{text:?} was taken"),
            Err(failure) => failure.message,
        }
    }

    #[test]
    fn columns_come_in_any_order_and_empty_cells_are_none() {
        let text = "quota_octets, password ,address\n1000,secret,ann@a.test\n,,bob@a.test\n";
        let accounts = hashed(read("people.csv", text.as_bytes()).unwrap_or_default());
        assert_eq!(accounts.len(), 2);
        assert_eq!(accounts[0].quota.octets, Some(1000));
        let hash = accounts[0].password.as_deref().unwrap();
        assert!(actors::login::password::matches(
            hash,
            &Secret::new("secret")
        ));
        assert_eq!(
            (accounts[1].password.as_ref(), accounts[1].quota.octets),
            (None, None)
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        assert!(refused("name\nann\n").starts_with("people.csv:1: column \"name\" is not known"));
        assert!(refused("hash\n").starts_with("people.csv:1: the first line names the columns"));
        assert!(refused("address\nann@a.test\nbob\n").starts_with("people.csv:3: address \"bob\""));
        assert!(
            refused("address,hash\nann@a.test,md5\n")
                .starts_with("people.csv:2: hash of ann@a.test")
        );
        assert!(refused("address,quota_octets\nann@a.test,much\n").starts_with("people.csv:2:"));
        assert!(refused("address,hash\nann@a.test\n").starts_with("people.csv:2:"));
    }
}
