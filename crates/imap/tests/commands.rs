//! Commands survive being written by a client and read by the machine.

use std::sync::Arc;

use bytes::Bytes;
use imap::{
    AddressField, Append, Command, Config, Date, Fetch, FetchItem, FlagList, ListCommand,
    ListPattern, ListReturn, ListSelect, MailboxName, Number, Partial, Reply, Search, SearchKey,
    Section, SectionText, SequenceSet, Server, StatusItem, Step, Store, StoreHow, Tag, Transfer,
    When,
};
use mail::{Flags, Time};
use proptest::{collection::vec, option, prelude::*};

fn number() -> impl Strategy<Value = Number> {
    prop_oneof![
        (1..=u32::MAX).prop_filter_map("not zero", |n| n.try_into().ok().map(Number::Is)),
        Just(Number::Last),
    ]
}

fn set() -> impl Strategy<Value = SequenceSet> {
    vec((number(), number()), 1..4).prop_filter_map("not empty", SequenceSet::new)
}

fn text() -> impl Strategy<Value = String> {
    "[ -~]{0,12}|[a-z\u{e4}\r\n\"\\\\{}]{0,8}|NIL"
}

fn name() -> impl Strategy<Value = MailboxName> {
    "(inbox|[a-z&\u{e4} ]{1,6})(/[A-Z\"%*\u{65e5}]{1,4}){0,2}"
        .prop_map(|name| MailboxName::new(&name))
}

fn keywords() -> impl Strategy<Value = FlagList> {
    (0..32_u8, option::of("[$a-zA-Z][a-z0-9]{0,8}")).prop_map(|(flags, keyword)| FlagList {
        flags: Flags(flags),
        keywords: keyword
            .into_iter()
            .filter_map(|keyword| keyword.parse().ok())
            .collect(),
    })
}

fn item() -> impl Strategy<Value = FetchItem> {
    let fields = || vec("[A-Za-z-]{1,8}", 1..3);
    let what = prop_oneof![
        Just(SectionText::All),
        Just(SectionText::Header),
        Just(SectionText::Text),
        fields().prop_map(SectionText::HeaderFields),
        fields().prop_map(SectionText::HeaderFieldsNot),
    ];
    let partial = (any::<u32>(), 1..=u32::MAX).prop_map(|(from, count)| Partial { from, count });
    let section = (
        any::<bool>(),
        vec(1..9_u32, 0..3),
        what,
        option::of(partial),
    )
        .prop_map(|(peek, part, what, partial)| Section {
            peek,
            part,
            what,
            partial,
        });
    prop_oneof![
        Just(FetchItem::Body),
        Just(FetchItem::BodyStructure),
        Just(FetchItem::Envelope),
        Just(FetchItem::Flags),
        Just(FetchItem::InternalDate),
        Just(FetchItem::Rfc822),
        Just(FetchItem::Rfc822Header),
        Just(FetchItem::Rfc822Size),
        Just(FetchItem::Rfc822Text),
        section.prop_map(FetchItem::Section),
    ]
}

fn key() -> impl Strategy<Value = SearchKey> {
    let when = prop_oneof![Just(When::Before), Just(When::On), Just(When::Since)];
    let date = (1..3000_u16, 1..13_u8, 1..29_u8)
        .prop_filter_map("a day", |(year, month, day)| Date::new(year, month, day));
    let leaf = prop_oneof![
        Just(SearchKey::All),
        Just(SearchKey::new_messages()),
        text().prop_map(|text| SearchKey::Address(AddressField::Cc, text)),
        text().prop_map(SearchKey::Body),
        text().prop_map(SearchKey::Text),
        any::<bool>().prop_map(|on| SearchKey::Flag(Flags::DRAFT, on)),
        any::<bool>().prop_map(SearchKey::Recent),
        any::<u64>().prop_map(SearchKey::Larger),
        any::<u64>().prop_map(SearchKey::Smaller),
        ("[a-zA-Z-]{1,8}", text()).prop_map(|(name, text)| SearchKey::Header(name, text)),
        (when.clone(), date.clone()).prop_map(|(when, date)| SearchKey::Received(when, date)),
        (when, date).prop_map(|(when, date)| SearchKey::Sent(when, date)),
        set().prop_map(SearchKey::Sequence),
        set().prop_map(SearchKey::Uid),
    ];
    leaf.prop_recursive(4, 16, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|key| SearchKey::Not(Box::new(key))),
            vec(inner.clone(), 2..4).prop_map(SearchKey::And),
            vec(inner, 2..4)
                .prop_filter("reads as one list", |keys| {
                    !matches!(keys.last(), Some(SearchKey::Or(_)))
                })
                .prop_map(SearchKey::Or),
        ]
    })
}

fn list() -> impl Strategy<Value = ListCommand> {
    let pattern = "[a-z%*/\u{e4}&]{1,8}".prop_map(|text| ListPattern::new(&text));
    let select = (any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(subscribed, recursive, special_use)| ListSelect {
            subscribed,
            recursive: recursive && (subscribed || special_use),
            special_use,
        },
    );
    let status = prop_oneof![
        Just(vec![]),
        Just(vec![StatusItem::Unseen, StatusItem::UidNext])
    ];
    let tell =
        (any::<bool>(), status).prop_map(|(subscribed, status)| ListReturn { subscribed, status });
    (vec(pattern, 1..3), select, tell).prop_map(|(patterns, select, tell)| ListCommand {
        patterns,
        select,
        tell,
    })
}

fn command() -> impl Strategy<Value = Command> {
    let transfer =
        || (any::<bool>(), set(), name()).prop_map(|(uid, set, to)| Transfer { uid, set, to });
    let how = prop_oneof![
        Just(StoreHow::Add),
        Just(StoreHow::Remove),
        Just(StoreHow::Replace)
    ];
    let fetch = (any::<bool>(), set(), vec(item(), 1..4)).prop_map(|(uid, set, mut items)| {
        if uid {
            items.insert(0, FetchItem::Uid);
        }
        let mut once = Vec::new();
        items.retain(|item| {
            !once.contains(item) && {
                once.push(item.clone());
                true
            }
        });
        Fetch { uid, set, items }
    });
    prop_oneof![
        Just(Command::Check),
        Just(Command::Noop),
        Just(Command::Expunge(None)),
        set().prop_map(|set| Command::Expunge(Some(set))),
        transfer().prop_map(Command::Copy),
        transfer().prop_map(Command::Move),
        name().prop_map(Command::Create),
        name().prop_map(Command::Delete),
        name().prop_map(Command::GetQuotaRoot),
        "[ -~]{0,8}".prop_map(Command::GetQuota),
        name().prop_map(Command::Select),
        name().prop_map(Command::Subscribe),
        (name(), name()).prop_map(|(from, to)| Command::Rename { from, to }),
        fetch.prop_map(Command::Fetch),
        list().prop_map(Command::List),
        (any::<bool>(), key()).prop_map(|(uid, key)| Command::Search(Search { uid, key })),
        name()
            .prop_map(|name| Command::Status(name, vec![StatusItem::Recent, StatusItem::Messages])),
        (any::<bool>(), set(), how, any::<bool>(), keywords()).prop_map(
            |(uid, set, how, silent, flags)| Command::Store(Store {
                uid,
                set,
                how,
                silent,
                flags
            })
        ),
    ]
}

/// A tag can only come from a client: here from a machine that was told one.
fn tag() -> Tag {
    Tag::new("a1").expect("a1 is a tag")
}

fn read(octets: &[u8]) -> (Step, Vec<u8>) {
    let config = Config::new("mx.test");
    let mut server = Server::new(Arc::clone(&config), true);
    let mut out = Vec::new();
    server.feed(Bytes::from_static(b"l LOGIN a b\r\ns SELECT c\r\n"));
    for _ in 0..2 {
        let _ = server.step(&mut out);
        server.answer(Reply::ok("done"), &mut out);
    }
    server.feed(Bytes::copy_from_slice(octets));
    out.clear();
    (server.step(&mut out), out)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_command_survives_being_written_and_read(command in command()) {
        let mut octets = Vec::new();
        command.write_to(&tag(), &mut octets);
        let (step, said) = read(&octets);
        prop_assert_eq!(step, Step::Run(command), "{} {}",
            String::from_utf8_lossy(&octets), String::from_utf8_lossy(&said));
    }

    #[test]
    fn an_announced_message_survives_it_too(
        mailbox in name(),
        flags in keywords(),
        date in option::of(0..4_000_000_000_u64),
        octets in 1..64_000_000_u64,
    ) {
        let date = date.map(Time::from_seconds);
        let append = Append { mailbox, flags, date, octets };
        let mut octets = Vec::new();
        append.write_to(&tag(), &mut octets);
        prop_assert_eq!(read(&octets).0, Step::AppendBegin(append));
    }
}
