//! What the mail store promises about mailboxes and the numbers in them.

use heronry_store::port::{FlagChange, FlagsHow, NewMailbox, SpecialUse};
use mail::{Flags, ModSeq, Time, Uid};

use super::bench::{Bench, assert_is, uid};

fn names(bench: &Bench) -> Vec<String> {
    let rows = bench.store.mailboxes(bench.ann).unwrap();
    rows.into_iter().map(|row| row.name).collect()
}

async fn seen(bench: &Bench, uids: Vec<Uid>) {
    let change = FlagChange {
        how: FlagsHow::Add,
        flags: Flags::SEEN,
        keywords: vec![],
    };
    let inbox = bench.inbox().id;
    let done = bench
        .store
        .flag(bench.fence(), bench.ann, inbox, uids, change, None);
    done.await.unwrap();
}

pub(crate) async fn uids_and_modseqs_rise_and_survive_a_reopening(
    bench: impl Future<Output = Bench>,
) {
    let mut bench = bench.await;
    let inbox = bench.inbox().id;
    let mut latest = (0, ModSeq(0));
    for round in 0..6 {
        let uid = bench.append(inbox, b"x").await;
        let row = bench.inbox();
        assert_eq!(row.uid_next.get(), uid.get() + 1);
        assert!(
            uid.get() > latest.0 && row.highest_modseq > latest.1,
            "round {round}"
        );
        latest = (uid.get(), row.highest_modseq);
        bench
            .store
            .expunge(bench.fence(), bench.ann, inbox, vec![uid], false)
            .await
            .unwrap();
        let row = bench.inbox();
        assert!(row.highest_modseq > latest.1);
        latest.1 = row.highest_modseq;
        if round % 2 == 0 {
            bench.reopen().await;
            assert_eq!(bench.inbox(), row);
        }
    }
}

pub(crate) async fn changes_since_a_modseq_are_the_new_the_flagged_and_the_expunged(
    bench: impl Future<Output = Bench>,
) {
    let mut bench = bench.await;
    let inbox = bench.inbox().id;
    for _ in 0..5 {
        bench.append(inbox, b"x").await;
    }
    let since = bench.inbox().highest_modseq;
    let nothing = bench
        .store
        .changes(bench.ann, inbox, since)
        .unwrap()
        .unwrap();
    assert_eq!(
        (
            nothing.highest,
            nothing.changed.len(),
            nothing.expunged.len()
        ),
        (since, 0, 0)
    );
    seen(&bench, vec![uid(2), uid(4)]).await;
    bench
        .store
        .expunge(bench.fence(), bench.ann, inbox, vec![uid(3), uid(4)], false)
        .await
        .unwrap();
    bench.append(inbox, b"new").await;
    for _ in 0..2 {
        let changes = bench
            .store
            .changes(bench.ann, inbox, since)
            .unwrap()
            .unwrap();
        let changed: Vec<u32> = changes.changed.iter().map(|row| row.uid.get()).collect();
        assert_eq!(changed, [2, 6]);
        assert_eq!(changes.expunged, [uid(3), uid(4)]);
        assert_eq!(changes.highest, bench.inbox().highest_modseq);
        let all = bench
            .store
            .changes(bench.ann, inbox, ModSeq(0))
            .unwrap()
            .unwrap();
        assert_eq!(all.changed, bench.flags(inbox));
        let later = bench
            .store
            .changes(bench.ann, inbox, ModSeq(1 << 60))
            .unwrap()
            .unwrap();
        assert!(later.changed.is_empty() && later.expunged.is_empty());
        bench.reopen().await;
    }
    assert_is(
        bench.store.changes(bench.ann, mail::MailboxId(99), since),
        "Missing",
    );
}

pub(crate) async fn changes_of_a_large_mailbox_are_found_by_halving(
    bench: impl Future<Output = Bench>,
) {
    let bench = bench.await;
    let inbox = bench.inbox().id;
    let mut marks = vec![bench.inbox().highest_modseq];
    for _ in 0..40 {
        let mut list = Vec::new();
        for _ in 0..20 {
            list.push((bench.draft(b"x").await, Flags::NONE, vec![], Time(1)));
        }
        bench
            .store
            .append(bench.fence(), bench.ann, inbox, list)
            .await
            .unwrap();
        marks.push(bench.inbox().highest_modseq);
    }
    let odd = (1..=800)
        .filter(|n| n % 2 == 1)
        .map(uid)
        .collect::<Vec<_>>();
    bench
        .store
        .expunge(bench.fence(), bench.ann, inbox, odd, false)
        .await
        .unwrap();
    for (round, &mark) in marks.iter().enumerate() {
        let changes = bench
            .store
            .changes(bench.ann, inbox, mark)
            .unwrap()
            .unwrap();
        let expected: Vec<_> = bench
            .flags(inbox)
            .into_iter()
            .filter(|r| r.modseq > mark)
            .collect();
        assert_eq!(changes.changed.len(), (40 - round) * 10);
        assert_eq!(changes.changed, expected);
    }
    let mark = bench.inbox().highest_modseq;
    seen(&bench, (1..=800).map(uid).collect()).await;
    let changes = bench
        .store
        .changes(bench.ann, inbox, mark)
        .unwrap()
        .unwrap();
    assert_eq!(changes.changed, bench.flags(inbox));
}

pub(crate) async fn what_was_forgotten_of_a_mailbox_is_said(bench: impl Future<Output = Bench>) {
    let bench = bench.await;
    let inbox = bench.inbox().id;
    bench.append(inbox, b"x").await;
    let start = bench.inbox().highest_modseq;
    let change = |how| FlagChange {
        how,
        flags: Flags::SEEN,
        keywords: vec![],
    };
    let mut last = None;
    for round in 0..10_001 {
        let how = if round % 2 == 0 {
            FlagsHow::Add
        } else {
            FlagsHow::Remove
        };
        let uids = vec![uid(1)];
        last = Some(
            bench
                .store
                .flag(bench.fence(), bench.ann, inbox, uids, change(how), None),
        );
        if round % 500 == 0 {
            last.take().unwrap().await.unwrap();
        }
    }
    if let Some(last) = last {
        last.await.unwrap();
    }
    assert_eq!(bench.store.changes(bench.ann, inbox, start).unwrap(), None);
    let since = ModSeq(bench.inbox().highest_modseq.0 - 5_000);
    let changes = bench
        .store
        .changes(bench.ann, inbox, since)
        .unwrap()
        .unwrap();
    assert_eq!(changes.changed, bench.flags(inbox));
}

pub(crate) async fn a_change_of_scattered_messages_is_forgotten_rather_than_written_at_length(
    bench: impl Future<Output = Bench>,
) {
    let bench = bench.await;
    let inbox = bench.inbox().id;
    bench.append(inbox, b"x").await;
    for doubled in 0..14 {
        let uids = (1..=1 << doubled).map(uid).collect();
        let copied = bench
            .store
            .copy(bench.fence(), bench.ann, inbox, uids, inbox, false);
        copied.await.unwrap();
    }
    let start = bench.inbox().highest_modseq;
    seen(&bench, (1..=1000).map(|n| uid(2 * n)).collect()).await;
    let changes = bench.store.changes(bench.ann, inbox, start).unwrap();
    assert_eq!(changes.unwrap().changed.len(), 1000);
    seen(&bench, (1001..=8000).map(|n| uid(2 * n)).collect()).await;
    assert_eq!(bench.store.changes(bench.ann, inbox, start).unwrap(), None);
    let latest = bench.inbox().highest_modseq;
    seen(&bench, vec![uid(1)]).await;
    let changes = bench.store.changes(bench.ann, inbox, latest).unwrap();
    assert_eq!(changes.unwrap().changed.len(), 1);
}

pub(crate) async fn inbox_is_always_there_in_whatever_case(bench: impl Future<Output = Bench>) {
    let bench = bench.await;
    assert_eq!(names(&bench), ["INBOX"]);
    assert_eq!(bench.named("inbox"), bench.named("INBOX"));
    assert_is(bench.try_create("iNbOx").await, "Exists");
    assert_eq!(bench.create("inbox/below").await.name, "INBOX/below");
    assert_eq!(bench.create("inboxes").await.name, "inboxes");
    assert_eq!(names(&bench), ["INBOX", "INBOX/below", "inboxes"]);
}

pub(crate) async fn inbox_cannot_go_and_its_messages_move_when_it_is_renamed(
    bench: impl Future<Output = Bench>,
) {
    let mut bench = bench.await;
    let inbox = bench.inbox();
    bench.create("INBOX/below").await;
    assert_is(
        bench.store.delete(bench.fence(), bench.ann, inbox.id).await,
        "Exists",
    );
    bench.append(inbox.id, b"one").await;
    bench.append(inbox.id, b"two").await;
    seen(&bench, vec![uid(2)]).await;
    let old = "old/mail".to_owned();
    bench
        .store
        .rename(bench.fence(), bench.ann, inbox.id, old)
        .await
        .unwrap();
    bench.reopen().await;
    assert_eq!(names(&bench), ["INBOX", "INBOX/below", "old", "old/mail"]);
    let after = bench.inbox();
    assert_eq!(
        (after.id, after.uid_validity),
        (inbox.id, inbox.uid_validity)
    );
    assert_eq!(
        (after.messages, after.unseen, after.uid_next),
        (0, 0, uid(3))
    );
    let moved = bench.named("old/mail");
    assert_eq!((moved.messages, moved.unseen, moved.octets), (2, 1, 6));
    assert!(moved.uid_validity > after.uid_validity);
    assert_eq!(bench.octets(&bench.rows(moved.id)[1]), "two");
}

pub(crate) async fn mailboxes_above_are_created(bench: impl Future<Output = Bench>) {
    let bench = bench.await;
    bench.create("a/b/c").await;
    assert_eq!(names(&bench), ["INBOX", "a", "a/b", "a/b/c"]);
    assert_is(bench.try_create("a/b").await, "Exists");
    bench.create("a/b/d").await;
    assert_is(bench.try_create("").await, "Missing");
    assert_is(bench.try_create(&"x".repeat(5_000)).await, "TooLarge");
    let rows = bench.store.mailboxes(bench.ann).unwrap();
    let mut ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 5);
}

pub(crate) async fn renaming_takes_what_lies_below_and_keeps_numbers(
    bench: impl Future<Output = Bench>,
) {
    let mut bench = bench.await;
    let below = bench.create("a/b").await;
    bench.create("ab").await;
    let above = bench.named("a");
    bench.append(below.id, b"x").await;
    let before = bench.named("a/b");
    let to = "z/y".to_owned();
    bench
        .store
        .rename(bench.fence(), bench.ann, above.id, to)
        .await
        .unwrap();
    bench.reopen().await;
    assert_eq!(names(&bench), ["INBOX", "ab", "z", "z/y", "z/y/b"]);
    let after = bench.named("z/y/b");
    assert_eq!(
        (after.id, after.uid_validity),
        (before.id, before.uid_validity)
    );
    assert_eq!((after.uid_next, after.messages), (before.uid_next, 1));
    assert_eq!(bench.store.mailbox_named(bench.ann, "a/b").unwrap(), None);
    assert_eq!(
        bench
            .store
            .mailbox(bench.ann, after.id)
            .unwrap()
            .unwrap()
            .name,
        "z/y/b"
    );
}

pub(crate) async fn renaming_onto_another_is_refused(bench: impl Future<Output = Bench>) {
    let bench = bench.await;
    let a = bench.create("a").await.id;
    bench.create("a/x").await;
    bench.create("b").await;
    bench.create("c/x").await;
    let c = bench.named("c").id;
    bench
        .store
        .delete(bench.fence(), bench.ann, c)
        .await
        .unwrap();
    let rename = |id, to: &str| {
        bench
            .store
            .rename(bench.fence(), bench.ann, id, to.to_owned())
    };
    assert_is(rename(a, "b").await, "Exists");
    assert_is(rename(a, "a").await, "Exists");
    assert_is(rename(a, "inbox").await, "Exists");
    assert_is(rename(a, "c").await, "Exists");
    assert_is(rename(c, "d").await, "Missing");
    assert_eq!(names(&bench), ["INBOX", "a", "a/x", "b", "c/x"]);
}

pub(crate) async fn renaming_below_itself_creates_what_is_above(
    bench: impl Future<Output = Bench>,
) {
    let bench = bench.await;
    let a = bench.create("a").await.id;
    bench.create("a/x").await;
    let to = "a/b".to_owned();
    bench
        .store
        .rename(bench.fence(), bench.ann, a, to)
        .await
        .unwrap();
    assert_eq!(names(&bench), ["INBOX", "a", "a/b", "a/b/x"]);
    assert_eq!(bench.named("a/b").id, a);
    assert_ne!(bench.named("a").id, a);
}

pub(crate) async fn a_uid_validity_never_comes_back(bench: impl Future<Output = Bench>) {
    let mut bench = bench.await;
    let mut latest = bench.inbox().uid_validity;
    for round in 0..6 {
        let row = bench.create("box").await;
        assert!(row.uid_validity > latest, "round {round}");
        latest = row.uid_validity;
        bench
            .store
            .delete(bench.fence(), bench.ann, row.id)
            .await
            .unwrap();
        if round % 2 == 0 {
            bench.reopen().await;
        }
    }
}

pub(crate) async fn deleting_keeps_what_lies_below(bench: impl Future<Output = Bench>) {
    let mut bench = bench.await;
    bench.create("a/b").await;
    let a = bench.named("a").id;
    bench.append(a, b"x").await;
    bench
        .store
        .delete(bench.fence(), bench.ann, a)
        .await
        .unwrap();
    assert_is(
        bench.store.delete(bench.fence(), bench.ann, a).await,
        "Missing",
    );
    bench.reopen().await;
    assert_eq!(names(&bench), ["INBOX", "a/b"]);
    assert_eq!(bench.rows(a), []);
    assert_eq!(bench.store.mailbox(bench.ann, a).unwrap(), None);
    let again = bench.create("a").await;
    assert_ne!(again.id, a);
    assert_eq!(bench.rows(again.id), []);
}

pub(crate) async fn subscriptions_need_no_mailbox(bench: impl Future<Output = Bench>) {
    let mut bench = bench.await;
    let subscribe = |name: &str, on| {
        bench
            .store
            .subscribe(bench.fence(), bench.ann, name.to_owned(), on)
    };
    subscribe("there/is/none", true).await.unwrap();
    subscribe("inbox", true).await.unwrap();
    subscribe("b", true).await.unwrap();
    subscribe("b", true).await.unwrap();
    subscribe("c", false).await.unwrap();
    let new = NewMailbox {
        name: "made".to_owned(),
        special_use: None,
        subscribe: true,
    };
    let made = bench
        .store
        .create(bench.fence(), bench.ann, new)
        .await
        .unwrap();
    bench
        .store
        .delete(bench.fence(), bench.ann, made.id)
        .await
        .unwrap();
    subscribe("b", false).await.unwrap();
    bench.reopen().await;
    let found = bench.store.subscriptions(bench.ann).unwrap();
    assert_eq!(found, ["INBOX", "made", "there/is/none"]);
}

pub(crate) async fn special_use_is_kept(bench: impl Future<Output = Bench>) {
    let mut bench = bench.await;
    for (name, role) in [
        ("t", SpecialUse::Trash),
        ("a", SpecialUse::All),
        ("j", SpecialUse::Junk),
    ] {
        let new = NewMailbox {
            name: name.to_owned(),
            special_use: Some(role),
            subscribe: false,
        };
        let row = bench
            .store
            .create(bench.fence(), bench.ann, new)
            .await
            .unwrap();
        assert_eq!(row, bench.named(name));
    }
    bench.reopen().await;
    assert_eq!(bench.named("t").special_use, Some(SpecialUse::Trash));
    assert_eq!(bench.named("a").special_use, Some(SpecialUse::All));
    assert_eq!(bench.named("j").special_use, Some(SpecialUse::Junk));
    assert_eq!(bench.inbox().special_use, None);
}
