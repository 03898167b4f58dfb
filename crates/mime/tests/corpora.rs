//! Messages that others collected: each is read, and its structure is what others see in it.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may stop, and says what it left out"
)]

use std::{
    env, fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use heronry_mime::{Message, Needle, OutlineKind, PartId, PartKind, Scope, Section};

/// The folder of the corpora: not part of the project.
fn corpora() -> Option<PathBuf> {
    let suites = env::var_os("HERONRY_SUITES").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/suites"),
        PathBuf::from,
    );
    let found = [suites.join("data/corpora"), suites.join("corpora")];
    let found = found.into_iter().find(|folder| folder.is_dir());
    if found.is_none() {
        println!(
            "left out: no corpora below {}; set HERONRY_SUITES",
            suites.display()
        );
    }
    found
}

/// Every file of the corpora, as it is and with CRLF line ends.
fn files() -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for folder in corpora().into_iter().flat_map(|c| fs::read_dir(c).unwrap()) {
        for file in fs::read_dir(folder.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let raw = fs::read(&path).unwrap();
            files.push((path.clone(), with_crlf(&raw)));
            files.push((path, raw));
        }
    }
    files
}

fn with_crlf(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    for (at, &octet) in raw.iter().enumerate() {
        if octet == b'\n' && (at == 0 || raw[at - 1] != b'\r') {
            out.push(b'\r');
        }
        out.push(octet);
    }
    out
}

#[test]
fn every_file_is_read_and_its_sections_lie_within_it() {
    for (path, raw) in files() {
        let message = Message::read(&raw);
        let outline = message.outline();
        check_numbers(&message, PartId::ROOT, &mut Vec::new(), &path);
        let octets = outline.octets as usize;
        assert_eq!(
            octets,
            message.body(PartId::ROOT).len(),
            "{}",
            path.display()
        );
        let _ = message.texts(Scope::Whole, |_| ControlFlow::<()>::Continue(()));
        assert!(Needle::new("").is_in_message(&message, Scope::Whole) || raw.is_empty());
    }
}

/// BODYSTRUCTURE's numbers lead to the parts.
fn check_numbers(message: &Message<'_>, root: PartId, path: &mut Vec<u32>, file: &Path) {
    let at = |path: &[u32], part: PartId| {
        let range = message.section(path, Section::Whole);
        assert_eq!(
            range,
            Some(message.part(part).body.clone()),
            "{} {path:?}",
            file.display()
        );
    };
    match message.part(root).kind {
        PartKind::Multipart => {
            for (part, number) in message.children(root).zip(1..) {
                path.push(number);
                at(path, part);
                if message.part(part).kind == PartKind::Multipart {
                    check_numbers(message, part, path, file);
                } else if let Some(inner) = message.children(part).next() {
                    check_numbers(message, inner, path, file);
                }
                path.pop();
            }
        }
        PartKind::Leaf | PartKind::Message => {
            path.push(1);
            at(path, root);
            if let Some(inner) = message.children(root).next() {
                check_numbers(message, inner, path, file);
            }
            path.pop();
        }
    }
}

#[test]
fn structures_are_what_mime4j_expects() {
    let mut compared = 0;
    for (path, raw) in files() {
        let Ok(expected) = fs::read_to_string(path.with_extension("xml")) else {
            continue;
        };
        let name = path.file_stem().unwrap().to_str().unwrap();
        if path.extension().is_none_or(|e| e != "msg") || OTHERWISE.iter().any(|(n, _)| *n == name)
        {
            continue;
        }
        compared += 1;
        let message = Message::read(&raw);
        let seen = shape(&message, PartId::ROOT);
        assert_eq!(seen, expected_shape(&expected), "{}", path.display());
        assert!(matches!(
            (message.part(PartId::ROOT).kind, message.outline().kind),
            (PartKind::Multipart, OutlineKind::Multipart(_))
                | (PartKind::Message, OutlineKind::Message { .. })
                | (
                    PartKind::Leaf,
                    OutlineKind::Text { .. } | OutlineKind::Basic
                )
        ));
    }
    println!("{compared} structures compared");
}

/// A letter for a body, round brackets around parts, angle ones around a message.
fn shape(message: &Message<'_>, id: PartId) -> String {
    let inner: String = message
        .children(id)
        .map(|child| shape(message, child))
        .collect();
    match message.part(id).kind {
        PartKind::Leaf => "b".to_owned(),
        PartKind::Message => format!("<{inner}>"),
        PartKind::Multipart => format!("({inner})"),
    }
}

fn expected_shape(xml: &str) -> String {
    let mut shape = String::new();
    let mut depth = 0;
    for tag in xml.split('<').skip(1) {
        match tag.split('>').next().unwrap() {
            "message" => {
                depth += 1;
                if depth > 1 {
                    shape.push('<');
                }
            }
            "/message" => {
                depth -= 1;
                if depth > 0 {
                    shape.push('>');
                }
            }
            "multipart" => shape.push('('),
            "/multipart" => shape.push(')'),
            "body" => shape.push('b'),
            _ => {}
        }
    }
    shape
}

/// Where we see something else on purpose, and why.
const OTHERWISE: &[(&str, &str)] = &[
    ("bad-newlines-multiple-parts-base64", ENCODED),
    ("base64encoded-rfc822message-nested", ENCODED),
    ("multi-2gifs-base64", ENCODED),
];
const ENCODED: &str = "a message within must not be encoded (RFC 2046 §5.2.1): IMAP's ranges are \
    octets of the message, and there is no tree in base64";
