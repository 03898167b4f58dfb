//! Messages that tell who they are, and whether they are whole.

/// A message with that name: no two are alike, and some are as long as many blocks.
pub(crate) fn letter(name: &str) -> Vec<u8> {
    let sum: usize = name.bytes().map(usize::from).sum();
    let line = format!("{name} 0123456789abcdefghijklmnopqrstuvwxyz\r\n");
    let body = line.repeat(1 + sum * 7 % 150);
    format!("Subject: {name}\r\n\r\n{body}end of {name}\r\n").into_bytes()
}

/// The name of a message that came back.
///
/// # Panics
/// When it is not whole: a header may stand before what was sent, and nothing else.
#[track_caller]
pub(crate) fn name_of(message: &[u8]) -> String {
    let text = String::from_utf8_lossy(message);
    let subject = text.lines().find_map(|line| line.strip_prefix("Subject: "));
    let name = subject.expect("every message has a subject").to_owned();
    assert!(message.ends_with(&letter(&name)), "{name} is torn: {text}");
    name
}

/// Chance that is the same for the same seed.
#[derive(Clone, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `limit`.
    pub(crate) const fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}
