//! Which mailbox of an account a delivery goes to.

/// The mailbox for mail to `user+detail`: the one of that name, else the one that differs only in
/// case, else INBOX. Nobody outside can make a mailbox by writing to it.
pub fn of<'a>(detail: Option<&str>, mailboxes: impl IntoIterator<Item = &'a str>) -> &'a str {
    let Some(detail) = detail else { return INBOX };
    let mut similar = None;
    for name in mailboxes {
        if name == detail {
            return name;
        }
        if name.eq_ignore_ascii_case(detail) {
            similar.get_or_insert(name);
        }
    }
    similar.unwrap_or(INBOX)
}

/// The mailbox that every account has (RFC 3501 §5.1).
pub const INBOX: &str = "INBOX";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_detail_names_a_mailbox_that_exists_or_means_nothing() {
        let mailboxes = ["INBOX", "lists", "Lists", "Work/2026"];
        let cases = [
            (None, "INBOX"),
            (Some("Lists"), "Lists"),
            (Some("LISTS"), "lists"),
            (Some("inbox"), "INBOX"),
            (Some("work/2026"), "Work/2026"),
            (Some("none"), "INBOX"),
            (Some(""), "INBOX"),
        ];
        for (detail, expected) in cases {
            assert_eq!(of(detail, mailboxes), expected, "{detail:?}");
        }
    }
}
