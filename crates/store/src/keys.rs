//! The keys of the directory: a table letter, then numbers big-endian, so that order is meaning.
//!
//! | class | key | value (`record.rs`) |
//! |---|---|---|
//! | house | `d` domain | mark: a domain of ours |
//! | house | `e` domain 0 local-part | account or alias |
//! | house | `i` account | account |
//! | house | `j` | mark: all accounts that are limited are listed |
//! | house | `k` | number of the next account |
//! | house | `l` account | mark: it is limited |
//! | house | `q` domain | how much it may hold, if that is limited |
//! | house | `o` domain | how many octets a limited domain holds |
//! | house | `m` domain | how many messages a limited domain holds |
//! | queue | `S` message | spooled message |
//! | queue | `O` message | how many recipients are not closed; some of them are ours and open |
//! | queue | `P` message | the same; none of them is ours and open |
//! | queue | `R` message recipient | state of a recipient that is no longer as it began |
//! | queue | `F` message | how many recipients have failed |
//! | queue | `D` domain 0 due message recipient | attempts, arrival |
//! | queue | `N` domain | how many open recipients |
//! | queue | `X` message | spooled message that is set aside: no row under `S`, `O`, `P`, `F`, `D` |
//! | queue | `Y` message | why, since when, and how many of its recipients are not closed |
//! | blobs | `B` blob | references, place |
//! | blobs | `L` segment | live octets |
//! | mail | `a` account | next mailbox, last UIDVALIDITY |
//! | mail | `b` account mailbox | name, role, keywords |
//! | mail | `c` account mailbox | counters |
//! | mail | `n` account name | number of a mailbox |
//! | mail | `p` account mailbox | mark: messages still to be removed |
//! | mail | `s` account name | mark: subscribed |
//! | mail | `u` account mailbox uid | message, with the flags that it came with |
//! | mail | `v` account mailbox modseq | row of the change log |
//! | mail | `w` account mailbox sheet | flags of up to 128 messages |

use mail::{AccountId, Domain, MailboxId, MessageId, ModSeq, Time, Uid};

/// A class of keys. Each is a partition of the directory of its own; mail is spread over several
/// by account. The numbers stand in the journal: append-only.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub(crate) enum Class {
    House = 1,
    Queue = 2,
    Blobs = 3,
    Mail = 4,
}

impl Class {
    pub(crate) const fn of(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::House,
            2 => Self::Queue,
            3 => Self::Blobs,
            4 => Self::Mail,
            _ => return None,
        })
    }
}

/// Joins parts into an array of their summed length.
macro_rules! key {
    ($table:literal, $length:literal, $($part:expr => $octets:literal),*) => {{
        let mut key = [0_u8; $length];
        key[0] = $table;
        let mut at = 1;
        $(
            key[at..at + $octets].copy_from_slice(&$part.to_be_bytes());
            at += $octets;
        )*
        debug_assert_eq!(at, $length);
        key
    }};
}

pub(crate) const NEXT_ACCOUNT: &[u8] = b"k";

/// In a house whose first account came when limited ones were listed already.
pub(crate) const LISTED: &[u8] = b"j";

/// What the keys of all limited accounts begin with.
pub(crate) const LIMITED: &[u8] = b"l";

/// What the quotas of all domains begin with.
pub(crate) const DOMAIN_QUOTAS: &[u8] = b"q";

pub(crate) fn domain(name: &Domain) -> Vec<u8> {
    text(b'd', &[], name.as_str())
}

pub(crate) fn domain_quota(name: &Domain) -> Vec<u8> {
    text(b'q', &[], name.as_str())
}

/// Where octets and messages of a limited domain are counted.
pub(crate) fn domain_held(name: &Domain) -> [Vec<u8>; 2] {
    [b'o', b'm'].map(|table| text(table, &[], name.as_str()))
}

pub(crate) fn entry(local: &str, domain: &Domain) -> Vec<u8> {
    let mut key = entries(domain);
    key.extend(local.bytes().map(|octet| octet.to_ascii_lowercase()));
    key
}

/// What the entries of a domain begin with.
pub(crate) fn entries(domain: &Domain) -> Vec<u8> {
    let mut key = text(b'e', &[], domain.as_str());
    key.push(0);
    key
}

pub(crate) fn account(id: AccountId) -> [u8; 9] {
    key!(b'i', 9, id.0 => 8)
}

pub(crate) fn limited(id: AccountId) -> [u8; 9] {
    key!(b'l', 9, id.0 => 8)
}

pub(crate) fn spooled(id: MessageId) -> [u8; 17] {
    key!(b'S', 17, id.0 => 16)
}

pub(crate) fn spooled_aside(id: MessageId) -> [u8; 17] {
    key!(b'X', 17, id.0 => 16)
}

pub(crate) fn aside(id: MessageId) -> [u8; 17] {
    key!(b'Y', 17, id.0 => 16)
}

/// Where the count of a message's remaining recipients stands: local ones are found fast.
pub(crate) fn remaining(id: MessageId, local: bool) -> [u8; 17] {
    let mut key = key!(b'P', 17, id.0 => 16);
    if local {
        key[0] = b'O';
    }
    key
}

pub(crate) fn recipients(id: MessageId) -> [u8; 17] {
    key!(b'R', 17, id.0 => 16)
}

pub(crate) fn recipient(id: MessageId, number: u32) -> [u8; 21] {
    key!(b'R', 21, id.0 => 16, number => 4)
}

/// The key of that table and message.
pub(crate) fn of_message(table: u8, id: MessageId) -> [u8; 17] {
    let mut key = spooled(id);
    key[0] = table;
    key
}

pub(crate) fn failed(id: MessageId) -> [u8; 17] {
    key!(b'F', 17, id.0 => 16)
}

/// What the due rows of a domain begin with.
pub(crate) fn dues(domain: &str) -> Vec<u8> {
    let mut key = text(b'D', &[], domain);
    key.push(0);
    key
}

pub(crate) fn due(domain: &str, due: Time, id: MessageId, recipient: u32) -> Vec<u8> {
    let mut key = dues(domain);
    key.extend_from_slice(&due.0.to_be_bytes());
    key.extend_from_slice(&id.0.to_be_bytes());
    key.extend_from_slice(&recipient.to_be_bytes());
    key
}

/// When, which message and which recipient a due key means.
pub(crate) fn read_due(key: &[u8]) -> Option<(Time, MessageId, u32)> {
    let (rest, recipient) = key.split_last_chunk()?;
    let (rest, id) = rest.split_last_chunk()?;
    let (_, due) = rest.split_last_chunk()?;
    Some((
        Time(u64::from_be_bytes(*due)),
        MessageId(u128::from_be_bytes(*id)),
        u32::from_be_bytes(*recipient),
    ))
}

pub(crate) fn waiting(domain: &str) -> Vec<u8> {
    text(b'N', &[], domain)
}

/// The message of a key that ends with one.
pub(crate) fn read_message_id(key: &[u8]) -> Option<MessageId> {
    let (_, id) = key.split_last_chunk()?;
    Some(MessageId(u128::from_be_bytes(*id)))
}

/// What the keys of all bodies begin with.
pub(crate) const BLOBS: &[u8] = b"B";

pub(crate) fn blob(number: u64) -> [u8; 9] {
    key!(b'B', 9, number => 8)
}

pub(crate) fn live(segment: u32) -> [u8; 5] {
    key!(b'L', 5, segment => 4)
}

pub(crate) fn owner(account: AccountId) -> [u8; 9] {
    key!(b'a', 9, account.0 => 8)
}

/// What the keys of that table and account begin with.
pub(crate) fn of_account(table: u8, account: AccountId) -> [u8; 9] {
    let mut key = owner(account);
    key[0] = table;
    key
}

pub(crate) fn of_mailbox(table: u8, account: AccountId, mailbox: MailboxId) -> [u8; 13] {
    let mut key = key!(b'b', 13, account.0 => 8, mailbox.0 => 4);
    key[0] = table;
    key
}

pub(crate) fn mailbox(account: AccountId, mailbox: MailboxId) -> [u8; 13] {
    of_mailbox(b'b', account, mailbox)
}

pub(crate) fn counters(account: AccountId, mailbox: MailboxId) -> [u8; 13] {
    of_mailbox(b'c', account, mailbox)
}

pub(crate) fn purge(account: AccountId, mailbox: MailboxId) -> [u8; 13] {
    of_mailbox(b'p', account, mailbox)
}

pub(crate) fn name(account: AccountId, name: &str) -> Vec<u8> {
    text(b'n', &account.0.to_be_bytes(), name)
}

pub(crate) fn subscription(account: AccountId, name: &str) -> Vec<u8> {
    text(b's', &account.0.to_be_bytes(), name)
}

/// The text of a key of an account that ends with one.
pub(crate) fn read_name(key: &[u8]) -> Option<&str> {
    std::str::from_utf8(key.get(9..)?).ok()
}

pub(crate) fn message(account: AccountId, mailbox: MailboxId, uid: u32) -> [u8; 17] {
    key!(b'u', 17, account.0 => 8, mailbox.0 => 4, uid => 4)
}

/// The UID of a message's key.
pub(crate) fn read_uid(key: &[u8]) -> Option<Uid> {
    let (_, uid) = key.split_last_chunk()?;
    Uid::new(u32::from_be_bytes(*uid))
}

pub(crate) fn change(account: AccountId, mailbox: MailboxId, modseq: ModSeq) -> [u8; 21] {
    key!(b'v', 21, account.0 => 8, mailbox.0 => 4, modseq.0 => 8)
}

/// The MODSEQ of a change log's key.
pub(crate) fn read_modseq(key: &[u8]) -> Option<ModSeq> {
    let (_, modseq) = key.split_last_chunk()?;
    Some(ModSeq(u64::from_be_bytes(*modseq)))
}

pub(crate) fn sheet(account: AccountId, mailbox: MailboxId, number: u32) -> [u8; 17] {
    key!(b'w', 17, account.0 => 8, mailbox.0 => 4, number => 4)
}

/// The number of a sheet's key.
pub(crate) fn read_sheet_number(key: &[u8]) -> Option<u32> {
    let (_, number) = key.split_last_chunk()?;
    Some(u32::from_be_bytes(*number))
}

/// The account that a key of the mail class belongs to; or one of an account itself.
pub(crate) fn read_account(key: &[u8]) -> Option<AccountId> {
    let account = key.get(1..9)?.first_chunk()?;
    Some(AccountId(u64::from_be_bytes(*account)))
}

/// The mailbox that a key of the mail class belongs to.
pub(crate) fn read_mailbox(key: &[u8]) -> Option<MailboxId> {
    let mailbox = key.get(9..13)?.first_chunk()?;
    Some(MailboxId(u32::from_be_bytes(*mailbox)))
}

/// The first key after all that begin with `prefix`.
pub(crate) fn after(prefix: &[u8]) -> Vec<u8> {
    let mut key = prefix.to_vec();
    while let Some(last) = key.pop() {
        if last < u8::MAX {
            key.push(last + 1);
            return key;
        }
    }
    unreachable!("a prefix begins with the letter of a table")
}

/// The first key after `key`.
pub(crate) fn next(key: &[u8]) -> Vec<u8> {
    let mut next = Vec::with_capacity(key.len() + 1);
    next.extend_from_slice(key);
    next.push(0);
    next
}

fn text(table: u8, middle: &[u8], text: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + middle.len() + text.len() + 32);
    key.push(table);
    key.extend_from_slice(middle);
    key.extend_from_slice(text.as_bytes());
    key
}
