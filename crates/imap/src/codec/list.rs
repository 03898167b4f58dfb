//! What LIST and LSUB can be asked for (RFC 3501 §6.3.8, RFC 5258 §3, RFC 5819 §2).

use super::{Cursor, MailboxName, StatusItem, Stop, parse, utf7};
use crate::respond;

/// Which mailboxes to list, and what to say of them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ListCommand {
    /// What their names are like, reference name included. Empty: only the separator is asked for.
    pub patterns: Vec<ListPattern>,
    /// Which of them.
    pub select: ListSelect,
    /// What to say of them besides.
    pub tell: ListReturn,
}

/// Selection options (RFC 5258 §3.1, RFC 6154 §2).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ListSelect {
    /// Those subscribed to, whether they exist or not.
    pub subscribed: bool,
    /// Also those with something selected below them.
    pub recursive: bool,
    /// Those with a role.
    pub special_use: bool,
}

/// Return options (RFC 5258 §3.2, RFC 5819 §2).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ListReturn {
    /// Which are subscribed to.
    pub subscribed: bool,
    /// How they stand; empty: that is not asked for.
    pub status: Vec<StatusItem>,
}

/// A name with wildcards: `*` for anything, `%` for anything without a separator.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListPattern(Box<str>);

impl ListCommand {
    /// Everything after `LIST `.
    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Stop> {
        let mut list = Self::default();
        let mut extended = false;
        if cursor.eat(b'(') {
            extended = true;
            list.select = ListSelect::parse(cursor)?;
            cursor.space()?;
        }
        let reference = cursor.astring()?;
        cursor.space()?;
        if cursor.eat(b'(') {
            extended = true;
            loop {
                if list.patterns.len() == PATTERNS_MAX {
                    return Err(Stop::bad("too many patterns"));
                }
                list.add(&reference, &cursor.list_mailbox()?);
                if cursor.eat(b')') {
                    break;
                }
                cursor.space()?;
            }
        } else {
            let pattern = cursor.list_mailbox()?;
            extended |= cursor.peek() == Some(b' ');
            if extended || !pattern.is_empty() {
                list.add(&reference, &pattern);
            }
        }
        if extended && cursor.eat_word(" RETURN (") {
            list.tell = ListReturn::parse(cursor)?;
        }
        cursor.end()?;
        Ok(list)
    }

    /// Everything after `LSUB `.
    pub(crate) fn parse_lsub(cursor: &mut Cursor<'_>) -> Result<Self, Stop> {
        let mut list = Self::default();
        let reference = cursor.astring()?;
        cursor.space()?;
        let pattern = cursor.list_mailbox()?;
        cursor.end()?;
        if !pattern.is_empty() {
            list.add(&reference, &pattern);
        }
        Ok(list)
    }

    fn add(&mut self, reference: &[u8], pattern: &[u8]) {
        let whole = [reference, pattern].concat();
        // What is no modified UTF-7 is no mailbox's name: it is well-formed and matches nothing.
        let pattern = utf7::decode(&whole).filter(|text| text.len() <= MailboxName::OCTETS_MAX);
        self.patterns
            .push(pattern.map_or(ListPattern(NOTHING.into()), |text| ListPattern::new(&text)));
    }

    /// Appends everything after `LIST `, or after `LSUB ` without options.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        let ListSelect {
            subscribed,
            recursive,
            special_use,
        } = self.select;
        let options = [
            (subscribed, "SUBSCRIBED"),
            (recursive, "RECURSIVEMATCH"),
            (special_use, "SPECIAL-USE"),
        ];
        if options.iter().any(|(on, _)| *on) {
            let on = options.iter().filter(|(on, _)| *on);
            let names: Vec<&str> = on.map(|(_, name)| *name).collect();
            out.extend_from_slice(format!("({}) ", names.join(" ")).as_bytes());
        }
        out.extend_from_slice(b"\"\" ");
        match self.patterns.as_slice() {
            [] => out.extend_from_slice(b"\"\""),
            [one] => one.write_to(out),
            several => {
                for (n, pattern) in several.iter().enumerate() {
                    out.push(if n == 0 { b'(' } else { b' ' });
                    pattern.write_to(out);
                }
                out.push(b')');
            }
        }
        if self.tell != ListReturn::default() {
            out.extend_from_slice(b" RETURN (");
            if self.tell.subscribed {
                out.extend_from_slice(b"SUBSCRIBED");
            }
            if !self.tell.status.is_empty() {
                let space = if self.tell.subscribed { " " } else { "" };
                let names: Vec<&str> = self.tell.status.iter().map(|item| item.name()).collect();
                out.extend_from_slice(format!("{space}STATUS ({})", names.join(" ")).as_bytes());
            }
            out.push(b')');
        }
    }
}

impl ListSelect {
    /// The options, after the parenthesis that opens them.
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Stop> {
        let mut select = Self::default();
        while !cursor.eat(b')') {
            match cursor.word().to_ascii_uppercase().as_str() {
                "SUBSCRIBED" => select.subscribed = true,
                "RECURSIVEMATCH" => select.recursive = true,
                "SPECIAL-USE" => select.special_use = true,
                "REMOTE" => {} // there are no remote mailboxes
                _ => return Err(Stop::bad("a selection option is unknown")),
            }
            if cursor.peek() != Some(b')') {
                cursor.space()?;
            }
        }
        if select.recursive && !select.subscribed && !select.special_use {
            // RFC 5258 §3.1: it modifies other options.
            return Err(Stop::bad("RECURSIVEMATCH needs another selection option"));
        }
        Ok(select)
    }
}

impl ListReturn {
    /// The options, after the parenthesis that opens them.
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Stop> {
        let mut tell = Self::default();
        while !cursor.eat(b')') {
            match cursor.word().to_ascii_uppercase().as_str() {
                "SUBSCRIBED" => tell.subscribed = true,
                "CHILDREN" | "SPECIAL-USE" => {} // they are always told
                "STATUS" => {
                    cursor.space()?;
                    tell.status = parse::status_items(cursor)?;
                }
                _ => return Err(Stop::bad("a return option is unknown")),
            }
            if cursor.peek() != Some(b')') {
                cursor.space()?;
            }
        }
        Ok(tell)
    }
}

impl ListPattern {
    /// The pattern of that text, in UTF-8. Wildcards beside each other become one.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut pattern = String::with_capacity(text.len());
        for c in text.chars() {
            match (pattern.chars().next_back(), c) {
                (Some('*'), '*' | '%') | (Some('%'), '%') => {}
                (Some('%'), '*') => {
                    pattern.pop();
                    pattern.push('*');
                }
                _ => pattern.push(c),
            }
        }
        Self(pattern.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn write_to(&self, out: &mut Vec<u8>) {
        let mut wire = Vec::new();
        utf7::encode(&self.0, &mut wire);
        respond::argument(out, &wire);
    }
}

/// More than any client asks for; each is put to every name.
const PATTERNS_MAX: usize = 100;

/// A pattern that no name matches, for names hold no control characters.
const NOTHING: &str = "\0";

#[cfg(test)]
mod tests {
    use super::*;

    fn round(text: &str) -> Option<String> {
        let list = ListCommand::parse(&mut Cursor::new(text.as_bytes())).ok()?;
        let mut out = Vec::new();
        list.write_to(&mut out);
        String::from_utf8(out).ok()
    }

    #[test]
    fn lists_are_read_and_written() {
        for (text, written) in [
            ("\"\" \"\"", "\"\" \"\""),
            ("\"\" *", "\"\" \"*\""),
            ("a/ %**", "\"\" \"a/*\""),
            (
                "(subscribed recursivematch) \"\" (a b%)",
                "(SUBSCRIBED RECURSIVEMATCH) \"\" (a \"b%\")",
            ),
            (
                "\"\" % return (children subscribed status (messages unseen))",
                "\"\" \"%\" RETURN (SUBSCRIBED STATUS (MESSAGES UNSEEN))",
            ),
            ("() \"\" x return ()", "\"\" x"),
        ] {
            assert_eq!(round(text).as_deref(), Some(written));
        }
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for bad in [
            "",
            "\"\"",
            "(imaptest) \"\" \"\"",
            "(recursivematch remote) \"\" \"\"",
            "\"\" \"\" return (imaptest)",
            "\"\" (a",
            "\"\" ()",
            "\"\" a b",
        ] {
            assert_eq!(round(bad), None, "{bad}");
        }
    }

    #[test]
    fn patterns_are_few() {
        let list = |count: usize| format!("\"\" ({}*)", "a* ".repeat(count));
        assert!(round(&list(PATTERNS_MAX - 1)).is_some());
        assert_eq!(round(&list(PATTERNS_MAX)), None);
    }

    #[test]
    fn odd_octets_are_well_formed_and_match_nothing() {
        let odd = b"\"\" !#$&'+,-.0123456789:;<=>?@^_`|[}%*";
        let list = ListCommand::parse(&mut Cursor::new(odd)).unwrap();
        assert_eq!(list.patterns[0].as_str(), NOTHING);
    }
}
