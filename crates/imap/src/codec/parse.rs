//! Reads a command whose octets are all there (RFC 3501 §9, `command`).

use mail::Flags;

use super::{
    Append, Command, Cursor, Fetch, FetchItem, FlagList, ListCommand, Literal, Search, SearchKey,
    SequenceSet, StatusItem, Stop, Store, StoreHow, Tag, Transfer, date,
};

/// A command with those that the machine answers by itself.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Request {
    Append(Append, Literal),
    Authenticate {
        mechanism: String,
        initial: Option<Vec<u8>>,
    },
    Capability,
    Enable,
    Id,
    Idle,
    Login {
        user: String,
        password: String,
    },
    Logout,
    Namespace,
    StartTls,
    Store(Command),
}

/// A command's name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verb {
    Append,
    Authenticate,
    Capability,
    Check,
    Close,
    Copy,
    Create,
    Delete,
    Enable,
    Examine,
    Expunge,
    Fetch,
    GetQuota,
    GetQuotaRoot,
    Id,
    Idle,
    List,
    Login,
    Logout,
    Lsub,
    Move,
    Namespace,
    Noop,
    Rename,
    Search,
    Select,
    StartTls,
    Status,
    Store,
    Subscribe,
    Uid,
    Unselect,
    Unsubscribe,
}

/// When a command is allowed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Allowed {
    Always,
    Before,
    LoggedIn,
    Selected,
}

/// A tag and a command's name, with the place behind them.
pub(crate) fn head<'a>(line: &'a [u8]) -> Result<(Tag, Verb, Cursor<'a>), (Option<Tag>, Stop)> {
    let mut cursor = Cursor::new(line);
    let tag = cursor.ascii(Tag::is_part);
    if tag.is_empty() {
        return Err((None, Stop::bad("a command begins with a tag")));
    }
    let tag = Tag(tag.into());
    if !cursor.eat(b' ') {
        return Err((Some(tag), Stop::bad("a command is expected behind the tag")));
    }
    let word = cursor.ascii(|octet| octet.is_ascii_alphabetic());
    match Verb::named(word) {
        Some(verb) => Ok((tag, verb, cursor)),
        None => Err((Some(tag), Stop::bad("the command is unknown"))),
    }
}

impl Verb {
    pub(crate) fn named(word: &str) -> Option<Self> {
        VERBS
            .iter()
            .find_map(|&(name, verb, _)| name.eq_ignore_ascii_case(word).then_some(verb))
    }

    pub(crate) fn allowed(self) -> Allowed {
        VERBS
            .iter()
            .find_map(|&(_, verb, allowed)| (verb == self).then_some(allowed))
            .unwrap_or(Allowed::Always)
    }

    /// What stands behind the name.
    pub(crate) fn arguments(self, mut cursor: Cursor<'_>) -> Result<Request, Stop> {
        let cursor = &mut cursor;
        let plain = |cursor: &Cursor<'_>, request: Request| cursor.end().map(|()| request);
        let store = |cursor: &Cursor<'_>, c: Command| cursor.end().map(|()| Request::Store(c));
        match self {
            Self::Capability => return plain(cursor, Request::Capability),
            Self::Check => return store(cursor, Command::Check),
            Self::Close => return store(cursor, Command::Close),
            Self::Expunge => return store(cursor, Command::Expunge(None)),
            Self::Idle => return plain(cursor, Request::Idle),
            Self::Logout => return plain(cursor, Request::Logout),
            Self::Namespace => return plain(cursor, Request::Namespace),
            Self::Noop => return store(cursor, Command::Noop),
            Self::StartTls => return plain(cursor, Request::StartTls),
            Self::Unselect => return store(cursor, Command::Unselect),
            _ => cursor.space()?,
        }
        let command = match self {
            Self::Append => return append(cursor),
            Self::Authenticate => return authenticate(cursor),
            Self::Enable => return enable(cursor),
            Self::Id => return id(cursor),
            Self::Login => {
                let user = cursor.text()?;
                cursor.space()?;
                let password = cursor.text()?;
                return plain(cursor, Request::Login { user, password });
            }
            Self::Copy => Command::Copy(transfer(cursor, false)?),
            Self::Create => Command::Create(cursor.mailbox()?.without_final_separator()),
            Self::Delete => Command::Delete(cursor.mailbox()?),
            Self::Examine => Command::Examine(cursor.mailbox()?),
            Self::Fetch => Command::Fetch(fetch(cursor, false)?),
            Self::GetQuota => Command::GetQuota(cursor.text()?),
            Self::GetQuotaRoot => Command::GetQuotaRoot(cursor.mailbox()?),
            Self::List => Command::List(ListCommand::parse(cursor)?),
            Self::Lsub => Command::Lsub(ListCommand::parse_lsub(cursor)?),
            Self::Move => Command::Move(transfer(cursor, false)?),
            Self::Rename => {
                let from = cursor.mailbox()?;
                cursor.space()?;
                let to = cursor.mailbox()?.without_final_separator();
                Command::Rename { from, to }
            }
            Self::Search => Command::Search(search(cursor, false)?),
            Self::Select => Command::Select(cursor.mailbox()?),
            Self::Status => {
                let mailbox = cursor.mailbox()?;
                cursor.space()?;
                Command::Status(mailbox, status_items(cursor)?)
            }
            Self::Store => Command::Store(change(cursor, false)?),
            Self::Subscribe => Command::Subscribe(cursor.mailbox()?.without_final_separator()),
            Self::Uid => by_uid(cursor)?,
            _ => Command::Unsubscribe(cursor.mailbox()?.without_final_separator()),
        };
        store(cursor, command)
    }
}

/// What stands behind `UID `.
fn by_uid(cursor: &mut Cursor<'_>) -> Result<Command, Stop> {
    let verb = Verb::named(cursor.word());
    cursor.space()?;
    match verb {
        Some(Verb::Copy) => transfer(cursor, true).map(Command::Copy),
        Some(Verb::Expunge) => Ok(Command::Expunge(Some(SequenceSet::parse(cursor)?))),
        Some(Verb::Fetch) => fetch(cursor, true).map(Command::Fetch),
        Some(Verb::Move) => transfer(cursor, true).map(Command::Move),
        Some(Verb::Search) => search(cursor, true).map(Command::Search),
        Some(Verb::Store) => change(cursor, true).map(Command::Store),
        _ => Err(Stop::bad(
            "UID is followed by COPY, EXPUNGE, FETCH, MOVE, SEARCH or STORE",
        )),
    }
}

fn append(cursor: &mut Cursor<'_>) -> Result<Request, Stop> {
    let mailbox = cursor.mailbox()?;
    cursor.space()?;
    let mut flags = FlagList::default();
    let mut date = None;
    if cursor.peek() == Some(b'(') {
        flags = FlagList::parse(cursor)?;
        cursor.space()?;
    }
    if cursor.peek() == Some(b'"') {
        date = Some(date::parse_date_time(cursor)?);
        cursor.space()?;
    }
    let literal = cursor.literal_head()?;
    cursor.end()?;
    let octets = literal.octets;
    Ok(Request::Append(
        Append {
            mailbox,
            flags,
            date,
            octets,
        },
        literal,
    ))
}

fn authenticate(cursor: &mut Cursor<'_>) -> Result<Request, Stop> {
    let mechanism =
        cursor.ascii(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'));
    if mechanism.is_empty() {
        return Err(Stop::bad("a mechanism is expected"));
    }
    let initial = if cursor.eat(b' ') {
        Some(cursor.rest().to_vec())
    } else {
        None
    };
    cursor.end()?;
    Ok(Request::Authenticate {
        mechanism: mechanism.to_ascii_uppercase(),
        initial,
    })
}

fn enable(cursor: &mut Cursor<'_>) -> Result<Request, Stop> {
    loop {
        cursor.atom()?;
        if !cursor.eat(b' ') {
            return cursor.end().map(|()| Request::Enable);
        }
    }
}

/// The limits are those of RFC 2971 §3.3.
fn id(cursor: &mut Cursor<'_>) -> Result<Request, Stop> {
    if cursor.eat_word("NIL") {
        return cursor.end().map(|()| Request::Id);
    }
    cursor.expect(b'(', "parameters stand in parentheses")?;
    let mut pairs = 0;
    while !cursor.eat(b')') {
        if pairs > 0 {
            cursor.space()?;
        }
        let name = cursor.string()?;
        cursor.space()?;
        let value = if cursor.eat_word("NIL") {
            Vec::new()
        } else {
            cursor.string()?.into_owned()
        };
        pairs += 1;
        if name.len() > 30 || value.len() > 1024 || pairs > 30 {
            return Err(Stop::bad(
                "at most 30 parameters of 30 and 1024 octets are taken",
            ));
        }
    }
    cursor.end().map(|()| Request::Id)
}

fn fetch(cursor: &mut Cursor<'_>, uid: bool) -> Result<Fetch, Stop> {
    let set = SequenceSet::parse(cursor)?;
    cursor.space()?;
    let mut items = FetchItem::parse_all(cursor)?;
    if uid && !items.contains(&FetchItem::Uid) {
        items.insert(0, FetchItem::Uid);
    }
    Ok(Fetch { uid, set, items })
}

fn search(cursor: &mut Cursor<'_>, uid: bool) -> Result<Search, Stop> {
    let key = SearchKey::parse_program(cursor)?;
    Ok(Search { uid, key })
}

fn transfer(cursor: &mut Cursor<'_>, uid: bool) -> Result<Transfer, Stop> {
    let set = SequenceSet::parse(cursor)?;
    cursor.space()?;
    let to = cursor.mailbox()?;
    Ok(Transfer { uid, set, to })
}

fn change(cursor: &mut Cursor<'_>, uid: bool) -> Result<Store, Stop> {
    let set = SequenceSet::parse(cursor)?;
    cursor.space()?;
    let how = match () {
        () if cursor.eat(b'+') => StoreHow::Add,
        () if cursor.eat(b'-') => StoreHow::Remove,
        () => StoreHow::Replace,
    };
    let word = cursor.word();
    let silent = word.eq_ignore_ascii_case("FLAGS.SILENT");
    if !silent && !word.eq_ignore_ascii_case("FLAGS") {
        return Err(Stop::bad("FLAGS is expected"));
    }
    cursor.space()?;
    let flags = FlagList::parse(cursor)?;
    Ok(Store {
        uid,
        set,
        how,
        silent,
        flags,
    })
}

impl FlagList {
    /// With parentheses or, as STORE allows it, without.
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Stop> {
        let mut list = Self::default();
        let enclosed = cursor.eat(b'(');
        if enclosed && cursor.eat(b')') {
            return Ok(list);
        }
        loop {
            list.parse_one(cursor)?;
            if enclosed && cursor.eat(b')') || !enclosed && cursor.is_at_end() {
                return Ok(list);
            }
            cursor.space()?;
        }
    }

    fn parse_one(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Stop> {
        if cursor.eat(b'\\') {
            let name = cursor.atom()?;
            let flag = Flags::NAMES
                .iter()
                .find(|(_, known)| known[1..].eq_ignore_ascii_case(name));
            match flag {
                Some(&(flag, _)) => self.flags = self.flags | flag,
                None if name.eq_ignore_ascii_case("Recent") => {}
                None => return Err(Stop::bad("that system flag is unknown")),
            }
            return Ok(());
        }
        let keyword = cursor.atom()?.parse();
        let keyword = keyword.map_err(|_| Stop::bad("a keyword has at most 64 octets"))?;
        if !self.keywords.contains(&keyword) {
            if self.keywords.len() == KEYWORDS_MAX {
                return Err(Stop::bad("too many keywords"));
            }
            self.keywords.push(keyword);
        }
        Ok(())
    }
}

pub(crate) fn status_items(cursor: &mut Cursor<'_>) -> Result<Vec<StatusItem>, Stop> {
    cursor.expect(b'(', "items stand in parentheses")?;
    let mut items = Vec::new();
    loop {
        let word = cursor.word();
        let item = StatusItem::NAMES
            .iter()
            .find_map(|&(item, name)| name.eq_ignore_ascii_case(word).then_some(item))
            .ok_or_else(|| Stop::bad("an item is unknown"))?;
        if !items.contains(&item) {
            items.push(item);
        }
        if cursor.eat(b')') {
            return Ok(items);
        }
        cursor.space()?;
    }
}

/// Each command with its name and when it is allowed; the frequent ones first.
const VERBS: [(&str, Verb, Allowed); 33] = [
    ("FETCH", Verb::Fetch, Allowed::Selected),
    ("UID", Verb::Uid, Allowed::Selected),
    ("NOOP", Verb::Noop, Allowed::Always),
    ("IDLE", Verb::Idle, Allowed::LoggedIn),
    ("STORE", Verb::Store, Allowed::Selected),
    ("SEARCH", Verb::Search, Allowed::Selected),
    ("APPEND", Verb::Append, Allowed::LoggedIn),
    ("STATUS", Verb::Status, Allowed::LoggedIn),
    ("SELECT", Verb::Select, Allowed::LoggedIn),
    ("EXAMINE", Verb::Examine, Allowed::LoggedIn),
    ("LOGIN", Verb::Login, Allowed::Before),
    ("AUTHENTICATE", Verb::Authenticate, Allowed::Before),
    ("CAPABILITY", Verb::Capability, Allowed::Always),
    ("CHECK", Verb::Check, Allowed::Selected),
    ("CLOSE", Verb::Close, Allowed::Selected),
    ("COPY", Verb::Copy, Allowed::Selected),
    ("CREATE", Verb::Create, Allowed::LoggedIn),
    ("DELETE", Verb::Delete, Allowed::LoggedIn),
    ("ENABLE", Verb::Enable, Allowed::LoggedIn),
    ("EXPUNGE", Verb::Expunge, Allowed::Selected),
    ("GETQUOTA", Verb::GetQuota, Allowed::LoggedIn),
    ("GETQUOTAROOT", Verb::GetQuotaRoot, Allowed::LoggedIn),
    ("ID", Verb::Id, Allowed::Always),
    ("LIST", Verb::List, Allowed::LoggedIn),
    ("LOGOUT", Verb::Logout, Allowed::Always),
    ("LSUB", Verb::Lsub, Allowed::LoggedIn),
    ("MOVE", Verb::Move, Allowed::Selected),
    ("NAMESPACE", Verb::Namespace, Allowed::LoggedIn),
    ("RENAME", Verb::Rename, Allowed::LoggedIn),
    ("STARTTLS", Verb::StartTls, Allowed::Before),
    ("SUBSCRIBE", Verb::Subscribe, Allowed::LoggedIn),
    ("UNSELECT", Verb::Unselect, Allowed::Selected),
    ("UNSUBSCRIBE", Verb::Unsubscribe, Allowed::LoggedIn),
];

/// More than a mailbox can hold.
const KEYWORDS_MAX: usize = 64;
