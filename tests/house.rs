//! The rules of the house, with file and line for whoever breaks them.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot read its files has failed"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

/// Each crate with its floor; a crate uses only what stands on a lower one.
const FLOORS: [(&str, u8); 13] = [
    ("mail", 1),
    ("telemetry", 1),
    ("imap", 2),
    ("mime", 2),
    ("policy", 2),
    ("pop3", 2),
    ("smtp", 2),
    ("store", 2),
    ("supervision", 2),
    ("world", 2),
    ("actors", 3),
    ("testkit", 4),
    ("heronry", 4),
];

/// Crates that know neither sockets nor clocks nor actors.
const PURE: [&str; 6] = ["imap", "mail", "mime", "policy", "pop3", "smtp"];

/// What pure crates do without, in production.
const IMPURE: [&str; 5] = ["hickory-resolver", "ractor", "rustls", "sled", "tokio"];

const LINES_MAX: usize = 600;

const ACTOR_SECTIONS: [&str; 6] = [
    "Owns",
    "Hears",
    "Says",
    "Supervised by",
    "When it crashes",
    "Metrics",
];

#[test]
fn a_crate_uses_only_what_stands_below_it() {
    let floors: BTreeMap<_, _> = FLOORS.into_iter().collect();
    let mut wrong = Wrong::default();
    for (name, manifest) in manifests() {
        let Some(floor) = floors.get(name.as_str()) else {
            wrong.say(
                &manifest,
                1,
                format!("{name} stands on no floor: give it one in the table"),
            );
            continue;
        };
        for (line, used) in dependencies(&manifest) {
            if name != "testkit" && used == "testkit" {
                wrong.say(&manifest, line, "the testkit is for tests".to_owned());
            } else if floors
                .get(used.as_str())
                .is_some_and(|below| below >= floor)
            {
                wrong.say(
                    &manifest,
                    line,
                    format!("{name} does not stand above {used}"),
                );
            }
            if PURE.contains(&name.as_str()) && IMPURE.contains(&used.as_str()) {
                wrong.say(
                    &manifest,
                    line,
                    format!("{name} is pure and does without {used}"),
                );
            }
        }
    }
    wrong.none();
}

#[test]
fn actors_know_contracts_but_not_each_other() {
    let rooms = root().join("actors/src");
    let names: BTreeSet<_> = fs::read_dir(&rooms)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    let mut wrong = Wrong::default();
    for file in sources(&rooms) {
        let own = file
            .strip_prefix(&rooms)
            .unwrap()
            .components()
            .next()
            .unwrap();
        let own = own.as_os_str().to_str().unwrap();
        if ["lib.rs", "metrics.rs"].contains(&own) {
            continue; // the hall and the census: they name every room
        }
        for (number, line) in lines(&file) {
            for after in line.split("crate::").skip(1) {
                let named: Vec<&str> = match after.strip_prefix('{') {
                    Some(list) => list.split(',').collect(),
                    None => vec![after],
                };
                for named in named {
                    let room = word(named.trim());
                    let allowed = room == own || room == "contract";
                    if names.contains(room) && (own == "contract" || !allowed) && room != own {
                        wrong.say(&file, number, format!("{own} looks into {room}"));
                    }
                }
            }
        }
    }
    wrong.none();
}

#[test]
fn halls_name_their_rooms_and_define_nothing() {
    let mut wrong = Wrong::default();
    for file in every_source() {
        let is_hall = ["lib.rs", "mod.rs"].iter().any(|name| file.ends_with(name));
        let is_test = file.components().any(|part| part.as_os_str() == "tests");
        if !is_hall || is_test {
            continue;
        }
        for (number, line) in lines(&file) {
            let what = line.strip_prefix("pub").map_or(line.as_str(), |rest| {
                rest.split_once(") ")
                    .filter(|_| rest.starts_with('('))
                    .map_or(rest, |(_, rest)| rest)
            });
            let first = word(what.trim_start());
            let definitions = [
                "const",
                "enum",
                "fn",
                "impl",
                "macro_rules",
                "static",
                "struct",
                "trait", // a type alias is a name for what is defined elsewhere
            ];
            if definitions.contains(&first) && !line.starts_with(' ') {
                wrong.say(
                    &file,
                    number,
                    format!("a hall defines nothing, but here is a {first}"),
                );
            }
        }
    }
    wrong.none();
}

#[test]
fn every_file_begins_by_saying_what_it_is() {
    let mut wrong = Wrong::default();
    for file in every_source() {
        let text = fs::read_to_string(&file).unwrap();
        let first = text.lines().next().unwrap_or_default();
        if !first.starts_with("//! ") || !first.ends_with(['.', ':', ',', ';']) && !continues(&text)
        {
            wrong.say(
                &file,
                1,
                "the first line is `//! ` and a sentence".to_owned(),
            );
        }
    }
    wrong.none();
}

#[test]
fn no_file_holds_two_rooms() {
    let mut wrong = Wrong::default();
    for file in every_source() {
        let count = lines(&file).len();
        if count > LINES_MAX {
            wrong.say(
                &file,
                LINES_MAX,
                format!("{count} lines: look for the wall"),
            );
        }
    }
    wrong.none();
}

#[test]
fn every_actor_says_what_happens_when_it_crashes() {
    let mut wrong = Wrong::default();
    for file in sources(&root().join("actors/src"))
        .into_iter()
        .chain(sources(&root().join("src")))
    {
        let text = fs::read_to_string(&file).unwrap();
        if !text.lines().any(|line| line.starts_with("impl Actor for ")) {
            continue;
        }
        let found: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("//! # "))
            .collect();
        if found != ACTOR_SECTIONS {
            let what = format!("its sections are {found:?}, expected are {ACTOR_SECTIONS:?}");
            wrong.say(&file, 1, what);
        }
    }
    wrong.none();
}

#[test]
fn every_rfc_that_is_cited_has_a_row() {
    let table = fs::read_to_string(root().join("docs/rfc.md")).unwrap();
    let rows: BTreeSet<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| "))
        .map(word)
        .filter(|number| number.bytes().all(|digit| digit.is_ascii_digit()))
        .collect();
    let mut wrong = Wrong::default();
    for file in every_source() {
        if file.ends_with("tests/house.rs") {
            continue;
        }
        for (number, line) in lines(&file) {
            for after in line.split("RFC ").skip(1) {
                let rfc = word(after);
                let is_number = !rfc.is_empty() && rfc.bytes().all(|digit| digit.is_ascii_digit());
                if is_number && !rows.contains(rfc) {
                    wrong.say(
                        &file,
                        number,
                        format!("RFC {rfc} has no row in docs/rfc.md"),
                    );
                }
            }
        }
    }
    wrong.none();
}

#[test]
fn what_the_table_of_rfcs_points_at_is_there() {
    let path = root().join("docs/rfc.md");
    let mut wrong = Wrong::default();
    for (number, line) in lines(&path) {
        let Some(shown) = line
            .strip_suffix('|')
            .and_then(|line| line.rsplit('|').next())
        else {
            continue;
        };
        if !line.starts_with('|') || !line[2..].starts_with(|c: char| c.is_ascii_digit()) {
            continue;
        }
        for place in shown
            .split(',')
            .map(str::trim)
            .filter(|place| !place.is_empty())
        {
            let is_there = ["", "tests/"].iter().any(|base| {
                let path = root().join(format!("{base}{place}"));
                path.exists() || path.with_extension("rs").exists()
            });
            if !is_there {
                wrong.say(&path, number, format!("{place} is not there"));
            }
        }
    }
    wrong.none();
}

#[test]
fn decisions_are_numbered_in_turn_and_those_that_are_cited_are_there() {
    let folder = root().join("docs/adr");
    let mut names: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    names.sort();
    let mut wrong = Wrong::default();
    for (path, expected) in names.iter().zip(1..) {
        let expected = format!("{expected:04}");
        let name = path.file_name().unwrap().to_string_lossy();
        let text = fs::read_to_string(path).unwrap();
        if !name.starts_with(&format!("{expected}-"))
            || !text.starts_with(&format!("# {expected} "))
        {
            wrong.say(path, 1, format!("this would be decision {expected}"));
        }
    }
    for file in every_source() {
        for (number, line) in lines(&file) {
            for cited in line.split("ADR ").skip(1).map(word) {
                let is_one = cited.len() == 4 && cited.bytes().all(|digit| digit.is_ascii_digit());
                if is_one && cited.parse::<usize>().unwrap() > names.len() {
                    wrong.say(&file, number, format!("there is no ADR {cited}"));
                }
            }
        }
    }
    wrong.none();
}

#[test]
fn metrics_documents_and_dashboard_agree() {
    let mut declared = BTreeMap::new();
    for file in every_source() {
        if file
            .components()
            .any(|part| part.as_os_str() == "tests" || part.as_os_str() == "examples")
        {
            continue;
        }
        for (number, line) in lines(&file) {
            let line = line.trim_start();
            let is_declared =
                line.starts_with("name: \"heronry_") || line.contains(": &str = \"heronry_");
            if let Some(name) = quoted(line).filter(|_| is_declared) {
                declared.insert(name.to_owned(), (file.clone(), number));
            }
        }
    }
    declared.retain(|name, _| !name.starts_with("heronry_test_"));
    assert!(declared.len() > 20, "the metrics are found: {declared:?}");
    let mut wrong = Wrong::default();
    for name in [
        "docs/metrics.md",
        "grafana/dashboards/heronry.json",
        "grafana/alerts.yml",
    ] {
        let path = root().join(name);
        let mut found = BTreeSet::new();
        for (number, line) in lines(&path) {
            for metric in named(&line) {
                if !declared.contains_key(metric) {
                    wrong.say(&path, number, format!("{metric} is declared nowhere"));
                }
                found.insert(metric.to_owned());
            }
        }
        if name.ends_with(".yml") {
            continue;
        }
        for (metric, (file, number)) in &declared {
            if !found.contains(metric) {
                let what = format!("{metric} is not in {name}: cargo run --example dashboard");
                wrong.say(file, *number, what);
            }
        }
    }
    wrong.none();
}

#[test]
fn every_alert_has_a_runbook_line() {
    let path = root().join("grafana/alerts.yml");
    let text = fs::read_to_string(&path).unwrap();
    let mut wrong = Wrong::default();
    let alerts: Vec<&str> = text.split("- alert: ").skip(1).collect();
    assert!(!alerts.is_empty());
    for alert in alerts {
        if !alert.contains("runbook: \"") || !alert.contains("summary: \"") {
            wrong.say(
                &path,
                1,
                format!("{} has no summary or no runbook line", word(alert)),
            );
        }
    }
    wrong.none();
}

#[test]
fn nothing_names_a_place_on_somebodys_machine() {
    let homes = ["home", "root", "Users", "work", "farm"].map(|home| format!("/{home}/"));
    let mut wrong = Wrong::default();
    let documents = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|name| root().join(name));
    let folders = ["docs", "grafana", "tests"].map(|name| root().join(name));
    let texts = folders
        .iter()
        .flat_map(|folder| files(folder, &["md", "toml", "yml", "txt", "json", "py"]));
    for file in every_source().into_iter().chain(documents).chain(texts) {
        let Ok(text) = fs::read_to_string(&file) else {
            continue; // mail is not always text
        };
        for (number, line) in (1..).zip(text.lines()) {
            for home in &homes {
                let begins = |at: usize| {
                    !line[..at].ends_with(|c: char| {
                        c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '}')
                    })
                };
                if line.match_indices(home.as_str()).any(|(at, _)| begins(at)) {
                    wrong.say(&file, number, format!("a path below {home}"));
                }
            }
        }
    }
    wrong.none();
}

/// What is wrong, gathered so that one run names it all.
#[derive(Default)]
struct Wrong(String);

impl Wrong {
    fn say(&mut self, file: &Path, line: usize, what: String) {
        let file = file.strip_prefix(root()).unwrap_or(file);
        writeln!(self.0, "{}:{line}: {what}", file.display()).unwrap();
    }

    #[track_caller]
    fn none(self) {
        assert!(self.0.is_empty(), "\n{}", self.0);
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every source file of ours, tests and examples included.
fn every_source() -> Vec<PathBuf> {
    let folders = [
        "actors",
        "benches",
        "crates",
        "examples",
        "fuzz",
        "src",
        "supervision",
        "tests",
    ];
    folders
        .iter()
        .flat_map(|folder| sources(&root().join(folder)))
        .collect()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    files(folder, &["rs"])
}

fn files(folder: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() && !path.ends_with("target") {
            found.extend(files(&path, extensions));
        } else if path
            .extension()
            .is_some_and(|own| extensions.iter().any(|name| own == *name))
        {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn lines(file: &Path) -> Vec<(usize, String)> {
    let text = fs::read_to_string(file).unwrap();
    (1..).zip(text.lines().map(str::to_owned)).collect()
}

/// The name and the manifest of each crate.
fn manifests() -> Vec<(String, PathBuf)> {
    let mut folders = vec![root().join("actors"), root().join("supervision")];
    folders.extend(
        fs::read_dir(root().join("crates"))
            .unwrap()
            .map(|entry| entry.unwrap().path()),
    );
    let mut manifests = vec![("heronry".to_owned(), root().join("Cargo.toml"))];
    for folder in folders {
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        manifests.push((name, folder.join("Cargo.toml")));
    }
    manifests
}

/// What a crate uses in production, with the line.
fn dependencies(manifest: &Path) -> Vec<(usize, String)> {
    let mut section = String::new();
    let mut found = Vec::new();
    for (number, line) in lines(manifest) {
        if line.starts_with('[') {
            section = line;
        } else if section == "[dependencies]" && !line.starts_with('#') && line.contains('=') {
            let name = line.split(['.', ' ', '=']).next().unwrap().to_owned();
            found.push((number, name));
        }
    }
    found
}

/// The letters, digits and underscores at the beginning.
fn word(text: &str) -> &str {
    let end = text
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    &text[..end]
}

/// What stands in the first pair of quotes.
fn quoted(line: &str) -> Option<&str> {
    line.split('"').nth(1)
}

/// The metrics that a line names, without what Prometheus appends to histograms.
fn named(line: &str) -> Vec<&str> {
    line.match_indices("heronry_")
        .map(|(at, _)| word(&line[at..]))
        .map(|name| name.strip_suffix("_bucket").unwrap_or(name))
        .collect()
}

/// Whether the sentence of the first line goes on in the second.
fn continues(text: &str) -> bool {
    text.lines()
        .nth(1)
        .is_some_and(|line| line.starts_with("//! "))
}
