//! A text that is looked for in others, without regard to case (RFC 3501 §6.4.4).

/// What is looked for. US-ASCII is found in the octets as they are; anything else in a folded
/// copy.
#[derive(Clone, Debug)]
pub(super) struct Needle {
    folded: String,
    /// The rarest octet of a needle in US-ASCII, its other case, and its place.
    rare: Option<(u8, u8, usize)>,
}

impl Needle {
    pub(super) fn new(text: &str) -> Self {
        let folded = fold(text);
        let octets = folded.as_bytes();
        let rare = octets
            .iter()
            .enumerate()
            .min_by_key(|&(_, &octet)| frequency(octet))
            .map(|(at, &octet)| (octet, octet.to_ascii_uppercase(), at))
            .filter(|_| folded.is_ascii());
        Self { folded, rare }
    }

    /// Whether it occurs; the empty text occurs in every text.
    pub(super) fn is_in(&self, text: &str) -> bool {
        match self.rare {
            _ if self.folded.is_empty() => true,
            Some(rare) => is_in_ascii(self.folded.as_bytes(), rare, text.as_bytes()),
            None => {
                let text = fold(text);
                memchr::memmem::find(text.as_bytes(), self.folded.as_bytes()).is_some()
            }
        }
    }
}

fn is_in_ascii(needle: &[u8], (lower, upper, at): (u8, u8, usize), text: &[u8]) -> bool {
    // The place of the rare octet in `text` can be from `at` up to here.
    let Some(end) = (text.len() + at + 1).checked_sub(needle.len()) else {
        return false;
    };
    if end <= at {
        return false;
    }
    memchr::memchr2_iter(lower, upper, &text[at..end])
        .any(|place| text[place..place + needle.len()].eq_ignore_ascii_case(needle))
}

/// Lower case, so that words that differ only in case are the same.
fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.chars().flat_map(char::to_lowercase).collect()
}

/// How common an octet is in mail, roughly: what is common makes many false starts.
fn frequency(octet: u8) -> usize {
    const COMMON: &[u8] = b" etaoinsrhldcumfpgwybvk\n.,-0123456789/:=<>\"@";
    COMMON
        .iter()
        .position(|&common| common == octet)
        .map_or(0, |place| COMMON.len() - place)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn case_does_not_count_in_any_script() {
        assert!(Needle::new("WORLD").is_in("hello World!"));
        assert!(Needle::new("ÄRGER").is_in("viel ärger"));
        assert!(Needle::new("москва").is_in("МОСКВА"));
        assert!(Needle::new("").is_in(""));
        assert!(!Needle::new("a").is_in(""));
        assert!(!Needle::new("worlds").is_in("world"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn it_finds_what_a_plain_search_in_folded_texts_finds(
            needle in "[a-cA-C \u{e4}\u{c4}]{0,4}",
            text in "[a-cA-C \u{e4}\u{c4}]{0,24}",
        ) {
            let plain = text.to_lowercase().contains(&needle.to_lowercase());
            prop_assert_eq!(Needle::new(&needle).is_in(&text), plain);
        }
    }
}
