//! What the mail store promises about messages.

use heronry_store::port::{
    Arrival, Draft, FlagChange, FlagsHow, MessageFlags, MessageRow, State, UidRange,
};
use mail::{Flags, Keyword, MailboxId, ModSeq, Time, Uid};

use super::bench::{Bench, assert_is, uid};

fn keyword(text: &str) -> Keyword {
    text.parse().unwrap()
}

fn change(how: FlagsHow, flags: Flags, keywords: &[&str]) -> FlagChange {
    FlagChange {
        how,
        flags,
        keywords: keywords.iter().map(|k| keyword(k)).collect(),
    }
}

async fn flag(
    bench: &Bench,
    uids: &[u32],
    what: FlagChange,
    since: Option<u64>,
) -> (Vec<MessageFlags>, Vec<Uid>) {
    let uids = uids.iter().map(|&n| uid(n)).collect();
    let since = since.map(ModSeq);
    let inbox = bench.inbox().id;
    let done = bench
        .store
        .flag(bench.fence(), bench.ann, inbox, uids, what, since);
    done.await.unwrap()
}

fn numbers(rows: &[MessageRow]) -> Vec<u32> {
    rows.iter().map(|row| row.uid.get()).collect()
}

fn numbers_of(messages: &[MessageFlags]) -> Vec<u32> {
    messages.iter().map(|message| message.uid.get()).collect()
}

fn all(count: u32) -> Vec<Uid> {
    (1..=count).map(uid).collect()
}

pub(crate) async fn a_delivery_puts_the_message_into_the_mailbox_and_closes_the_recipient(
    bench: impl Future<Output = Bench>,
) {
    let mut bench = bench.await;
    let inbox = bench.inbox();
    let id = bench.accept_for_ann(b"hello").await;
    let arrival = Arrival {
        id,
        recipient: 0,
        internal_date: Time(4_321),
        flags: Flags::FLAGGED,
        keywords: vec![keyword("$Junk")],
    };
    let done = bench
        .store
        .deliver(bench.fence(), bench.ann, inbox.id, arrival);
    let appended = done.await.unwrap().unwrap();
    assert_eq!(appended.uid, inbox.uid_next);
    assert_eq!(appended.uid_validity, inbox.uid_validity);
    assert!(appended.modseq > inbox.highest_modseq);
    for _ in 0..2 {
        assert_eq!(bench.store.get(id).unwrap(), None);
        let after = bench.inbox();
        assert_eq!(
            (after.messages, after.unseen, after.deleted, after.octets),
            (1, 1, 0, 5)
        );
        assert_eq!(after.highest_modseq, appended.modseq);
        assert_eq!(after.keywords, [keyword("$junk")]);
        let rows = bench.rows(inbox.id);
        assert_eq!(rows.len(), 1);
        let row = rows[0];
        assert_eq!((row.uid, row.modseq), (appended.uid, appended.modseq));
        assert_eq!((row.flags, row.keywords), (Flags::FLAGGED, 1));
        assert_eq!(row.internal_date, Time(4_321));
        assert_eq!(row.body.octets, 5);
        assert_eq!(row.thread_id, row.email_id);
        assert_eq!(bench.octets(&row), "hello");
        bench.reopen().await;
    }
}

pub(crate) async fn delivering_twice_puts_it_there_once(bench: impl Future<Output = Bench>) {
    let bench = bench.await;
    let inbox = bench.inbox().id;
    let id = bench.accept_for_ann(b"hello").await;
    let (first, second) = (bench.deliver(inbox, id), bench.deliver(inbox, id));
    assert!(first.await.unwrap().is_some());
    assert_eq!(second.await.unwrap(), None);
    assert_eq!(bench.deliver(inbox, id).await.unwrap(), None);
    assert_eq!(bench.inbox().messages, 1);
    // Also while another recipient is still open.
    let id = bench.accept(vec![bench.local(), bench.local()], 9).await;
    assert!(bench.deliver(inbox, id).await.unwrap().is_some());
    assert_eq!(bench.deliver(inbox, id).await.unwrap(), None);
    let states = bench.store.get(id).unwrap().unwrap().states;
    assert_eq!(
        [states[0].state, states[1].state],
        [State::Closed, State::Open]
    );
    let stray = Arrival {
        id,
        recipient: 7,
        internal_date: Time(0),
        flags: Flags::NONE,
        keywords: vec![],
    };
    let stray = bench.store.deliver(bench.fence(), bench.ann, inbox, stray);
    assert_is(stray.await, "Missing");
}

pub(crate) async fn a_body_outlives_the_spool_and_goes_with_its_last_message(
    bench: impl Future<Output = Bench>,
) {
    let mut bench = bench.await;
    let inbox = bench.inbox().id;
    let other = bench.create("other").await.id;
    let id = bench.accept(vec![bench.local(), bench.local()], 9).await;
    let body = bench.store.get(id).unwrap().unwrap().body;
    bench.deliver(inbox, id).await.unwrap().unwrap();
    let second = Arrival {
        id,
        recipient: 1,
        internal_date: Time(0),
        flags: Flags::NONE,
        keywords: vec![],
    };
    let done = bench.store.deliver(bench.fence(), bench.ann, other, second);
    done.await.unwrap().unwrap();
    assert_eq!(bench.store.get(id).unwrap(), None);
    assert_eq!(bench.rows(inbox)[0].body, body);
    assert_eq!(bench.rows(other)[0].body, body);
    bench
        .store
        .expunge(bench.fence(), bench.ann, inbox, all(1), false)
        .await
        .unwrap();
    bench.reopen().await;
    assert_eq!(
        bench.octets(&bench.rows(other)[0]),
        "Subject: hi\r\n\r\nhi\r\n"
    );
    assert!(bench.rows(inbox).is_empty());
}

pub(crate) async fn delivering_into_a_mailbox_that_is_not_there_is_refused(
    bench: impl Future<Output = Bench>,
) {
    let bench = bench.await;
    let id = bench.accept_for_ann(b"hello").await;
    assert_is(bench.deliver(MailboxId(77), id).await, "Missing");
    let states = bench.store.get(id).unwrap().unwrap().states;
    assert_eq!(states[0].state, State::Open);
}

pub(crate) async fn appending_behind_what_was_looked_at_adds_nothing_behind_anything_else(
    bench: impl Future<Output = Bench>,
) {
    let bench = bench.await;
    let inbox = bench.inbox().id;
    let append = |next: u32, draft: Draft| {
        let message = (draft, Flags::NONE, vec![], Time(1));
        let (fence, ann) = (bench.fence(), bench.ann);
        bench
            .store
            .append_next(fence, ann, inbox, uid(next), vec![message])
    };
    // The second one was begun before the first one was durable.
    let (one, other) = (bench.draft(b"one").await, bench.draft(b"one").await);
    let (first, second) = (append(1, one), append(1, other));
    assert_eq!(first.await.unwrap()[0].uid, uid(1));
    assert_is(second.await, "Changed");
    assert_is(append(3, bench.draft(b"one").await).await, "Changed");
    let third = append(2, bench.draft(b"one").await);
    assert_eq!(third.await.unwrap()[0].uid, uid(2));
    assert_eq!(numbers(&bench.rows(inbox)), [1, 2]);
    assert_eq!(bench.inbox().octets, 6);
}

pub(crate) async fn appending_several_is_all_or_none(bench: impl Future<Output = Bench>) {
    let bench = bench.await;
    let inbox = bench.inbox().id;
    let message = |octets: &'static [u8], keywords: Vec<Keyword>| {
        let bench = &bench;
        async move { (bench.draft(octets).await, Flags::SEEN, keywords, Time(1)) }
    };
    let two = vec![
        message(b"one", vec![]).await,
        message(b"two!", vec![]).await,
    ];
    let done = bench.store.append(bench.fence(), bench.ann, inbox, two);
    let appended = done.await.unwrap();
    assert_eq!([appended[0].uid, appended[1].uid], [uid(1), uid(2)]);
    let rows = bench.rows(inbox);
    assert_eq!(bench.octets(&rows[0]), "one");
    assert_eq!(bench.octets(&rows[1]), "two!");
    assert_ne!(rows[0].email_id, rows[1].email_id);
    let many = (0..65).map(|n| keyword(&format!("k{n}"))).collect();
    let bad = vec![message(b"one", vec![]).await, message(b"two", many).await];
    let done = bench.store.append(bench.fence(), bench.ann, inbox, bad);
    assert_is(done.await, "Keywords");
    let row = bench.inbox();
    assert_eq!((row.messages, row.unseen, row.octets), (2, 0, 7));
    assert!(row.keywords.is_empty());
    let none = bench
        .store
        .append(bench.fence(), bench.ann, MailboxId(9), vec![]);
    assert_is(none.await, "Missing");
}

pub(crate) async fn flags_are_added_removed_and_replaced(bench: impl Future<Output = Bench>) {
    let mut bench = bench.await;
    let inbox = bench.inbox().id;
    for _ in 0..3 {
        bench.append(inbox, b"x").await;
    }
    let before = bench.inbox().highest_modseq;
    let add = change(FlagsHow::Add, Flags::SEEN | Flags::DELETED, &["Work"]);
    let (rows, refused) = flag(&bench, &[3, 1, 9, 1], add, None).await;
    assert_eq!((numbers_of(&rows), refused), (vec![1, 3], vec![]));
    assert!(rows.iter().all(|r| r.modseq > before && r.keywords == 1));
    let row = bench.inbox();
    assert_eq!((row.unseen, row.deleted), (1, 2));
    assert_eq!(row.highest_modseq, rows[0].modseq);
    let replace = change(FlagsHow::Replace, Flags::ANSWERED, &["home", "WORK"]);
    flag(&bench, &[1], replace, None).await;
    let remove = change(FlagsHow::Remove, Flags::DELETED, &["work", "unknown"]);
    flag(&bench, &[3], remove, None).await;
    bench.reopen().await;
    let rows = bench.rows(inbox);
    assert_eq!((rows[0].flags, rows[0].keywords), (Flags::ANSWERED, 3));
    assert_eq!((rows[1].flags, rows[1].keywords), (Flags::NONE, 0));
    assert_eq!((rows[2].flags, rows[2].keywords), (Flags::SEEN, 0));
    let row = bench.inbox();
    assert_eq!(row.keywords, [keyword("work"), keyword("home")]);
    assert_eq!(row.keywords[0].as_str(), "Work");
    assert_eq!((row.unseen, row.deleted), (2, 0));
}

pub(crate) async fn flags_that_stand_already_change_no_modseq(bench: impl Future<Output = Bench>) {
    let bench = bench.await;
    let inbox = bench.inbox().id;
    bench.append(inbox, b"x").await;
    let seen = || change(FlagsHow::Add, Flags::SEEN, &[]);
    assert_eq!(flag(&bench, &[1], seen(), None).await.0.len(), 1);
    let before = bench.inbox();
    assert_eq!(flag(&bench, &[1], seen(), None).await, (vec![], vec![]));
    assert_eq!(bench.inbox(), before);
}

pub(crate) async fn messages_changed_since_are_left_alone(bench: impl Future<Output = Bench>) {
    let bench = bench.await;
    let inbox = bench.inbox().id;
    bench.append(inbox, b"x").await;
    bench.append(inbox, b"y").await;
    let since = bench.inbox().highest_modseq;
    flag(&bench, &[1], change(FlagsHow::Add, Flags::SEEN, &[]), None).await;
    let add = change(FlagsHow::Add, Flags::FLAGGED, &[]);
    let (rows, refused) = flag(&bench, &[1, 2], add, Some(since.0)).await;
    assert_eq!(numbers_of(&rows), [2]);
    assert_eq!(refused, [uid(1)]);
    assert_eq!(bench.rows(inbox)[0].flags, Flags::SEEN);
}

pub(crate) async fn a_mailbox_has_sixty_four_keywords(bench: impl Future<Output = Bench>) {
    let mut bench = bench.await;
    let inbox = bench.inbox().id;
    bench.append(inbox, b"x").await;
    let names: Vec<String> = (0..64).map(|n| format!("k{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (rows, _) = flag(
        &bench,
        &[1],
        change(FlagsHow::Add, Flags::NONE, &names),
        None,
    )
    .await;
    assert_eq!(rows[0].keywords, u64::MAX);
    bench.reopen().await;
    let one_more = change(FlagsHow::Add, Flags::SEEN, &["more"]);
    let done = bench
        .store
        .flag(bench.fence(), bench.ann, inbox, all(1), one_more, None);
    assert_is(done.await, "Keywords");
    let known = change(FlagsHow::Replace, Flags::NONE, &["K63"]);
    assert_eq!(flag(&bench, &[1], known, None).await.0[0].keywords, 1 << 63);
    assert_eq!(bench.inbox().keywords.len(), 64);
}

pub(crate) async fn copies_share_the_body_and_keep_flags_and_keywords(
    bench: impl Future<Output = Bench>,
) {
    let mut bench = bench.await;
    let inbox = bench.inbox().id;
    let other = bench.create("other").await;
    for octets in [&b"one"[..], b"two", b"three"] {
        bench.append(inbox, octets).await;
    }
    flag(
        &bench,
        &[2],
        change(FlagsHow::Add, Flags::SEEN, &["a", "b"]),
        None,
    )
    .await;
    flag(
        &bench,
        &[2],
        change(FlagsHow::Remove, Flags::NONE, &["a"]),
        None,
    )
    .await;
    let before = bench.inbox();
    let uids = vec![uid(3), uid(2), uid(50)];
    let done = bench
        .store
        .copy(bench.fence(), bench.ann, inbox, uids, other.id, false);
    let copied = done.await.unwrap();
    assert_eq!(copied.uids, [(uid(2), uid(1)), (uid(3), uid(2))]);
    assert_eq!(copied.uid_validity, other.uid_validity);
    assert_eq!(copied.from_modseq, before.highest_modseq);
    bench.reopen().await;
    assert_eq!(bench.inbox(), before);
    let (from, to) = (bench.rows(inbox), bench.rows(other.id));
    assert_eq!(bench.named("other").highest_modseq, copied.to_modseq);
    assert_eq!(bench.named("other").keywords, [keyword("b")]);
    assert_eq!((to[0].flags, to[0].keywords), (Flags::SEEN, 1));
    assert_eq!(to[0].body, from[1].body);
    assert_eq!(to[0].email_id, from[1].email_id);
    assert_eq!(to[0].internal_date, from[1].internal_date);
    assert_eq!(bench.octets(&to[1]), "three");
    let gone = bench
        .store
        .expunge(bench.fence(), bench.ann, inbox, all(3), false);
    assert_eq!(gone.await.unwrap(), all(3));
    assert_eq!(bench.octets(&to[1]), "three");
}

pub(crate) async fn moving_takes_them_away_in_the_same_step(bench: impl Future<Output = Bench>) {
    let bench = bench.await;
    let inbox = bench.inbox().id;
    let other = bench.create("other").await.id;
    for _ in 0..3 {
        bench.append(inbox, b"text").await;
    }
    let before = bench.inbox();
    let uids = vec![uid(1), uid(3)];
    let done = bench
        .store
        .copy(bench.fence(), bench.ann, inbox, uids, other, true);
    let copied = done.await.unwrap();
    assert!(copied.from_modseq > before.highest_modseq);
    assert_eq!(numbers(&bench.rows(inbox)), [2]);
    assert_eq!(numbers(&bench.rows(other)), [1, 2]);
    let after = bench.inbox();
    assert_eq!((after.messages, after.octets), (1, 4));
    assert_eq!(after.highest_modseq, copied.from_modseq);
    let changes = bench.store.changes(bench.ann, inbox, before.highest_modseq);
    assert_eq!(changes.unwrap().unwrap().expunged, [uid(1), uid(3)]);
    assert_eq!(bench.octets(&bench.rows(other)[1]), "text");
    let done = bench
        .store
        .copy(bench.fence(), bench.ann, inbox, vec![uid(1)], other, true);
    let nothing = done.await.unwrap();
    assert_eq!(nothing.uids, []);
    assert_eq!(bench.inbox(), after);
}

pub(crate) async fn copying_into_the_same_mailbox_gives_new_uids(
    bench: impl Future<Output = Bench>,
) {
    let bench = bench.await;
    let inbox = bench.inbox().id;
    bench.append(inbox, b"text").await;
    let done = bench
        .store
        .copy(bench.fence(), bench.ann, inbox, all(1), inbox, false);
    assert_eq!(done.await.unwrap().uids, [(uid(1), uid(2))]);
    let done = bench
        .store
        .copy(bench.fence(), bench.ann, inbox, all(2), inbox, true);
    assert_eq!(
        done.await.unwrap().uids,
        [(uid(1), uid(3)), (uid(2), uid(4))]
    );
    assert_eq!(numbers(&bench.rows(inbox)), [3, 4]);
    assert_eq!(bench.inbox().messages, 2);
    assert_eq!(bench.octets(&bench.rows(inbox)[0]), "text");
}

pub(crate) async fn expunging_takes_only_what_is_deleted(bench: impl Future<Output = Bench>) {
    let mut bench = bench.await;
    let inbox = bench.inbox().id;
    for _ in 0..4 {
        bench.append(inbox, b"x").await;
    }
    flag(
        &bench,
        &[2, 3],
        change(FlagsHow::Add, Flags::DELETED, &[]),
        None,
    )
    .await;
    let expunge = |uids, only| {
        bench
            .store
            .expunge(bench.fence(), bench.ann, inbox, uids, only)
    };
    assert_eq!(expunge(vec![uid(1), uid(2)], true).await.unwrap(), [uid(2)]);
    assert_eq!(expunge(all(9), true).await.unwrap(), [uid(3)]);
    let before = bench.inbox();
    assert_eq!(expunge(all(9), true).await.unwrap(), []);
    assert_eq!(bench.inbox(), before);
    assert_eq!(
        (
            before.messages,
            before.unseen,
            before.deleted,
            before.octets
        ),
        (2, 2, 0, 2)
    );
    bench.reopen().await;
    assert_eq!(numbers(&bench.rows(inbox)), [1, 4]);
    assert_eq!(bench.append(inbox, b"x").await, uid(5));
}

pub(crate) async fn messages_are_read_by_range_until_the_reader_has_enough(
    bench: impl Future<Output = Bench>,
) {
    let mut bench = bench.await;
    let inbox = bench.inbox().id;
    let messages =
        (0..700).map(|_| async { (bench.draft(b"x").await, Flags::NONE, vec![], Time(1)) });
    let mut list = Vec::new();
    for message in messages {
        list.push(message.await);
    }
    bench
        .store
        .append(bench.fence(), bench.ann, inbox, list)
        .await
        .unwrap();
    for _ in 0..2 {
        let read = |first, last, limit| {
            let mut found = Vec::new();
            let range = UidRange {
                first: uid(first),
                last: uid(last),
            };
            let mut each = |row: &MessageRow| {
                found.push(row.uid.get());
                found.len() < limit
            };
            bench
                .store
                .messages(bench.ann, inbox, range, &mut each)
                .unwrap();
            found
        };
        assert_eq!(read(1, 700, 1_000), (1..=700).collect::<Vec<_>>());
        assert_eq!(read(300, 310, 1_000), (300..=310).collect::<Vec<_>>());
        assert_eq!(read(300, 700, 5), (300..305).collect::<Vec<_>>());
        assert_eq!(read(700, u32::MAX, 5), [700]);
        assert_eq!(read(701, u32::MAX, 5), [0_u32; 0]);
        assert_eq!(read(9, 3, 5), [0_u32; 0]);
        bench.reopen().await;
    }
    let nowhere = bench
        .store
        .messages(bench.ann, MailboxId(99), UidRange::ALL, &mut |_| true);
    nowhere.unwrap();
}

pub(crate) async fn recent_is_taken_once(bench: impl Future<Output = Bench>) {
    let bench = bench.await;
    let inbox = bench.inbox().id;
    bench.append(inbox, b"x").await;
    bench.append(inbox, b"x").await;
    let take = || bench.store.take_recent(bench.fence(), bench.ann, inbox);
    let (first, second) = (take(), take());
    assert_eq!(first.await.unwrap(), uid(1));
    assert_eq!(bench.inbox().recent_from, uid(3)); // at once: a STATUS may come next
    assert_eq!(second.await.unwrap(), uid(3));
    bench.append(inbox, b"x").await;
    assert_eq!(bench.inbox().recent_from, uid(3));
    assert_eq!(take().await.unwrap(), uid(3));
    assert_eq!(take().await.unwrap(), uid(4));
}

pub(crate) async fn copying_to_a_mailbox_that_is_not_there_changes_nothing(
    bench: impl Future<Output = Bench>,
) {
    let bench = bench.await;
    let inbox = bench.inbox().id;
    bench.append(inbox, b"x").await;
    let before = bench.inbox();
    for moving in [false, true] {
        let done = bench.store.copy(
            bench.fence(),
            bench.ann,
            inbox,
            all(1),
            MailboxId(9),
            moving,
        );
        assert_is(done.await, "Missing");
    }
    let done = bench
        .store
        .copy(bench.fence(), bench.ann, MailboxId(9), all(1), inbox, false);
    assert_is(done.await, "Missing");
    assert_eq!(bench.inbox(), before);
    assert_eq!(numbers(&bench.rows(inbox)), [1]);
}

pub(crate) async fn writes_that_nobody_awaits_are_in_the_order_of_the_calls(
    bench: impl Future<Output = Bench>,
) {
    let mut bench = bench.await;
    let inbox = bench.inbox().id;
    let mut ids = Vec::new();
    for n in 0..50_u8 {
        ids.push(bench.accept_for_ann(&[n]).await);
    }
    let pending: Vec<_> = ids.iter().map(|&id| bench.deliver(inbox, id)).collect();
    let seen = bench.store.flag(
        bench.fence(),
        bench.ann,
        inbox,
        all(50),
        change(FlagsHow::Add, Flags::SEEN, &[]),
        None,
    );
    let gone = bench
        .store
        .expunge(bench.fence(), bench.ann, inbox, all(10), false);
    for (n, pending) in (1..).zip(pending) {
        assert_eq!(pending.await.unwrap().unwrap().uid, uid(n));
    }
    assert_eq!(seen.await.unwrap().0.len(), 50);
    assert_eq!(gone.await.unwrap().len(), 10);
    bench.reopen().await;
    let rows = bench.rows(inbox);
    assert_eq!(rows.len(), 40);
    for row in rows {
        assert_eq!(bench.octets(&row), [row.uid.get() as u8 - 1][..]);
        assert_eq!(row.flags, Flags::SEEN);
    }
}
