//! What the mail store promises about the flags of many messages.

use heronry_store::port::{FlagChange, FlagsHow, MessageFlags, UidRange};
use mail::Flags;

use super::bench::{Bench, uid};

pub(crate) async fn flags_of_all_messages_change_at_once_and_stand_as_they_were_changed(
    bench: impl Future<Output = Bench>,
) {
    let mut bench = bench.await;
    let inbox = bench.inbox().id;
    for _ in 0..3 {
        bench.append(inbox, b"x").await;
    }
    for doubled in 0..9 {
        let uids = (1..=3 << doubled).map(uid).collect();
        let copied = bench
            .store
            .copy(bench.fence(), bench.ann, inbox, uids, inbox, false);
        copied.await.unwrap();
    }
    let (start, count) = (bench.inbox().highest_modseq, bench.inbox().messages);
    assert_eq!(count, 1536);
    // Two that differ, on different sheets, and a gap that is one sheet and more.
    let seen = |uids, keywords| {
        let change = FlagChange {
            how: FlagsHow::Add,
            flags: Flags::SEEN,
            keywords,
        };
        bench
            .store
            .flag(bench.fence(), bench.ann, inbox, uids, change, None)
    };
    seen(vec![uid(100), uid(900)], vec![]).await.unwrap();
    let gone = (300..=500).map(uid).collect();
    bench
        .store
        .expunge(bench.fence(), bench.ann, inbox, gone, false)
        .await
        .unwrap();
    let before = bench.inbox().highest_modseq;
    let all: Vec<_> = (1..=2000).map(uid).collect();
    let done = vec!["$Done".parse().unwrap()];
    let (changed, _) = seen(all, done).await.unwrap();
    assert_eq!(changed.len(), 1536 - 201);
    for _ in 0..2 {
        let row = bench.inbox();
        assert_eq!((row.unseen, row.messages), (0, 1536 - 201));
        let flags = bench.flags(inbox);
        assert_eq!(flags, changed);
        let rows = bench.rows(inbox);
        assert!(rows.iter().map(|row| row.flags()).eq(flags.iter().copied()));
        let same = |message: &MessageFlags| {
            (message.flags, message.keywords, message.modseq)
                == (Flags::SEEN, 1, row.highest_modseq)
        };
        assert!(flags.iter().all(same));
        let changes = bench.store.changes(bench.ann, inbox, before).unwrap();
        assert_eq!(changes.unwrap().changed, changed);
        let changes = bench.store.changes(bench.ann, inbox, start).unwrap();
        assert_eq!(changes.unwrap().expunged.len(), 201);
        let some = UidRange {
            first: uid(290),
            last: uid(510),
        };
        let mut uids = Vec::new();
        let mut each = |message: &MessageFlags| {
            uids.push(message.uid.get());
            true
        };
        let read = bench.store.flags(bench.ann, inbox, some, &mut each);
        read.unwrap();
        assert!(uids.into_iter().eq((290..300).chain(501..=510)));
        bench.reopen().await;
    }
    let nothing = bench
        .store
        .flags(bench.ann, mail::MailboxId(99), UidRange::ALL, &mut |_| {
            panic!("a mailbox that is not there has no flags")
        });
    nothing.unwrap();
}
