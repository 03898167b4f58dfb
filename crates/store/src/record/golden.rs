//! The octets of each record format, for ever: what `golden.txt` holds is written so, and read.
//!
//! A line here never changes. A new version of a record gets a line of its own, and the old one
//! stays for reading.

use mail::{
    AccountId, BodyType, Enhanced, Envelope, Flags, ModSeq, Notify, Recipient, Reply, Ret, Target,
    Time, UidValidity,
};

use super::*;
use crate::port::{
    AccountRow, BodyRef, Entry, MessageFlags, MessageRow, Quota, RecipientState, SpecialUse, State,
};

const GOLDEN: &str = include_str!("golden.txt");

/// The octets of a line.
fn golden(name: &str) -> Vec<u8> {
    let line = GOLDEN
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let hex = line.unwrap_or_else(|| panic!("{name} has no line in golden.txt"));
    let digits = hex.as_bytes().chunks(2);
    let octet = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.map(octet).collect()
}

#[track_caller]
fn assert_golden(name: &str, written: impl AsRef<[u8]>) {
    let hex: String = written
        .as_ref()
        .iter()
        .map(|o| format!("{o:02x}"))
        .collect();
    let line = format!("{name} {hex}");
    assert!(GOLDEN.lines().any(|golden| golden == line), "{line}");
}

fn envelope() -> Envelope {
    let far: Address = "\"b b\"@far.test".parse().unwrap();
    Envelope {
        from: Some("ann@example.test".parse().unwrap()),
        recipients: vec![
            Recipient {
                address: far.clone(),
                original: Some("team@example.test".parse().unwrap()),
                target: Target::Remote(far.domain().clone()),
                notify: Notify::NEVER,
            },
            Recipient::new(
                "bob@example.test".parse().unwrap(),
                Target::Local {
                    account: AccountId(258),
                    detail: Some("lists".to_owned()),
                },
            ),
        ],
        body: BodyType::EightBitMime,
        smtputf8: true,
        envid: Some("E1".to_owned()),
        ret: Some(Ret::Headers),
    }
}

#[test]
fn spooled_messages() {
    let written = write_spooled(&envelope(), 4096, Time(1_800_000_000_000), "origin").unwrap();
    assert_golden("spooled-1", written);
    let octets = golden("spooled-1");
    let head = SpooledHead {
        body: BodyRef {
            blob: 0,
            octets: 4096,
        },
        arrived: Time(1_800_000_000_000),
        recipients: 2,
        remote: 1,
    };
    assert_eq!(read_spooled_head(&octets).unwrap(), head);
    let (read, origin) = read_spooled(&octets).unwrap();
    assert_eq!((read, origin.as_str()), (envelope(), "origin"));
    let domains = read_spooled_domains(&octets).unwrap();
    assert_eq!(domains, [Some("far.test"), None]);
}

#[test]
fn recipients_and_counts() {
    let state = RecipientState {
        state: State::Failed,
        attempts: 3,
        due: Time(77),
        last: Some(Reply::new(550, Enhanced(5, 1, 1), "no such user")),
        delay_told: true,
    };
    assert_golden("recipient-1", write_recipient(&state).unwrap());
    assert_eq!(read_recipient(&golden("recipient-1")).unwrap(), state);
    assert_golden("due-1", write_due(2, Time(99)));
    assert_eq!(read_due(&golden("due-1")).unwrap(), (2, Time(99)));
    assert_golden("count-1", write_count(513));
    assert_eq!(read_count(&golden("count-1")).unwrap(), 513);
    assert_golden("number-1", write_number(7));
    assert_eq!(read_number(&golden("number-1")).unwrap(), 7);
    let remaining = Remaining { all: 5, local: 2 };
    assert_golden("remaining-1", write_remaining(remaining));
    assert_eq!(read_remaining(&golden("remaining-1")).unwrap(), remaining);
    assert_golden("mark-1", MARK);
    let aside = AsideRecord {
        remaining,
        since: Time(1_800_000_000_000),
        report: "panic at r\u{f6}uter.rs".to_owned(),
    };
    assert_golden("aside-1", write_aside(&aside));
    assert_eq!(read_aside(&golden("aside-1")).unwrap(), aside);
}

#[test]
fn references() {
    let refs = Refs {
        refs: 2,
        at: 0x0000_0003_0000_1000,
        spans: vec![(3, 4160), (4, 64)],
    };
    assert_golden("refs-1", write_refs(&refs));
    assert_eq!(read_refs(&golden("refs-1")).unwrap(), refs);
}

#[test]
fn mailboxes() {
    let owner = Owner {
        next_mailbox: 9,
        last_validity: 1_800_000_001,
    };
    assert_golden("owner-1", write_owner(owner));
    assert_eq!(read_owner(&golden("owner-1")).unwrap(), owner);
    let mailbox = Mailbox {
        name: "Entwürfe".to_owned(),
        special_use: Some(SpecialUse::Drafts),
        keywords: vec!["$Junk".parse().unwrap(), "work".parse().unwrap()],
        created: Time(1_800_000_000_123),
    };
    assert_golden("mailbox-1", write_mailbox(&mailbox).unwrap());
    assert_eq!(read_mailbox(&golden("mailbox-1")).unwrap(), mailbox);
    let counters = Counters {
        uid_validity: UidValidity::new(1_800_000_001).unwrap(),
        uid_next: Uid::new(5).unwrap(),
        recent_from: Uid::new(4).unwrap(),
        messages: 3,
        unseen: 2,
        deleted: 1,
        octets: 1 << 33,
        highest: ModSeq(17),
        log_from: ModSeq(6),
        log_rows: 8,
        sheets: false,
    };
    assert_golden("counters-1", write_counters(&counters));
    assert_eq!(read_counters(&golden("counters-1")).unwrap(), counters);
    let counters = Counters {
        sheets: true,
        ..counters
    };
    assert_golden("counters-2", write_counters(&counters));
    assert_eq!(read_counters(&golden("counters-2")).unwrap(), counters);
}

#[test]
fn messages_and_changes() {
    let uid = Uid::new(4).unwrap();
    let row = MessageRow {
        uid,
        modseq: ModSeq(17),
        flags: Flags::SEEN | Flags::FLAGGED,
        keywords: 3,
        internal_date: Time(1_800_000_000_000),
        save_date: Time(1_800_000_000_001),
        body: BodyRef {
            blob: 0x0000_0003_0000_1000,
            octets: 4096,
        },
        email_id: 0x0000_0003_0000_1000,
        thread_id: 0x0000_0003_0000_1000,
    };
    let written = write_message(&row, ModSeq(16));
    assert_golden("message-1", written);
    assert_eq!(
        read_message(uid, &golden("message-1")).unwrap(),
        (row, ModSeq(16))
    );
    for place in MESSAGE_BLOB_AT {
        assert_eq!(written[place..place + 8], row.body.blob.to_be_bytes());
    }
    let uids = [1, 2, 3, 7, 9, 10].into_iter().filter_map(Uid::new);
    let change = Change::new(true, uids.clone());
    assert_eq!(change.uids, [(1, 3), (7, 7), (9, 10)]);
    assert!(change.uids().eq(uids));
    assert_golden("change-1", write_change(&change));
    assert_eq!(read_change(&golden("change-1")).unwrap(), change);
}

#[test]
fn sheets() {
    let message = |uid: u32, modseq, flags, keywords| MessageFlags {
        uid: Uid::new(uid).unwrap(),
        modseq: ModSeq(modseq),
        flags,
        keywords,
    };
    let messages = [
        message(128, 5, Flags::NONE, 0),
        message(129, 6, Flags::NONE, 0),
        message(130, 300, Flags::SEEN, 1 << 40),
        message(131, 300, Flags::SEEN, 1 << 40),
        message(255, 4, Flags::SEEN | Flags::DELETED, 0),
    ];
    assert_golden("sheet-1", write_sheet(1, &messages));
    let mut read = Vec::new();
    read_sheet(1, &golden("sheet-1"), &mut read).unwrap();
    assert_eq!(read, messages);
}

#[test]
fn accounts() {
    let account = Entry::Account(AccountId(7));
    assert_golden("entry-1-account", write_entry(&account).unwrap());
    assert_eq!(read_entry(&golden("entry-1-account")).unwrap(), account);
    let alias = Entry::Alias(vec!["ann@example.test".parse().unwrap()]);
    assert_golden("entry-1-alias", write_entry(&alias).unwrap());
    assert_eq!(read_entry(&golden("entry-1-alias")).unwrap(), alias);
    let row = AccountRow {
        id: AccountId(7),
        address: "Ann@example.test".parse().unwrap(),
        password: Some("$argon2id$x".to_owned()),
        quota: Quota {
            octets: Some(1 << 30),
            messages: None,
        },
        created: Time(1_800_000_000_000),
    };
    assert_golden("account-1", write_account(&row).unwrap());
    assert_eq!(read_account(row.id, &golden("account-1")).unwrap(), row);
    let (quota, domain) = read_limits(&golden("account-1")).unwrap();
    assert_eq!((quota, domain.as_str()), (row.quota, "example.test"));
    let quota = Quota {
        octets: Some(513),
        messages: None,
    };
    assert_golden("quota-1", write_quota(quota).unwrap());
    assert_eq!(read_quota(&golden("quota-1")).unwrap(), quota);
}

#[test]
fn a_newer_record_is_told_from_a_damaged_one() {
    let mut octets = write_count(5);
    octets[2] = 2;
    assert!(matches!(
        read_count(&octets),
        Err(StoreError::Newer {
            found: 2,
            known: 1,
            ..
        })
    ));
    octets[1] = Kind::Due as u8;
    assert!(matches!(
        read_count(&octets),
        Err(StoreError::Damage { .. })
    ));
    for line in GOLDEN.lines() {
        let (name, _) = line.split_once(' ').unwrap();
        let octets = golden(name);
        for cut in 0..octets.len() {
            // Nothing that is cut off may panic, or read as something.
            let cut = &octets[..cut];
            let _ = (
                read_spooled_head(cut),
                read_spooled(cut),
                read_recipient(cut),
            );
            let _ = (read_refs(cut), read_mailbox(cut), read_counters(cut));
            let _ = (read_aside(cut), read_sheet(1, cut, &mut Vec::new()));
            let _ = (
                read_message(Uid::FIRST, cut),
                read_change(cut),
                read_entry(cut),
            );
            assert!(read_account(AccountId(0), cut).is_err());
        }
    }
}
