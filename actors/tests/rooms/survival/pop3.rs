//! POP3 while its sessions crash, and the mailbox that gave them their maildrop.

use std::time::Duration;

use proptest::prelude::*;

use super::{
    fuse::Harm,
    house::{House, Keys, cases, run},
    smtp::plans,
    wire::Wire,
};

/// Says a command; the reply, and how many lines followed it.
async fn command(wire: &mut Wire, command: &str) -> (String, usize) {
    wire.say(&format!("{command}\r\n")).await;
    reply(wire, command).await
}

async fn reply(wire: &mut Wire, command: &str) -> (String, usize) {
    let said = wire.line().await.expect("the connection goes on");
    let mut lines = 0;
    let is_long = matches!(command, "CAPA" | "LIST" | "UIDL" | "RETR 1" | "TOP 2 0");
    if is_long && said.starts_with("+OK") {
        while wire.line().await.expect("a list ends") != "." {
            lines += 1;
        }
    }
    (said, lines)
}

async fn until_done(wire: &mut Wire, what: &str) -> String {
    for _ in 0..10 {
        let (said, _) = command(wire, what).await;
        if said.starts_with("+OK") {
            return said;
        }
        assert!(said.starts_with("-ERR [SYS/TEMP]"), "{what}: {said}");
    }
    panic!("{what} is never done");
}

async fn greeted(house: &House) -> Wire {
    let mut wire = house.pop3();
    assert!(wire.line().await.unwrap().starts_with("+OK "));
    wire
}

/// Logged in, however often that takes.
async fn logged_in(house: &House) -> Wire {
    let mut wire = greeted(house).await;
    until_done(&mut wire, "AUTH PLAIN AGFubgBzZWNyZXQ=").await;
    wire
}

async fn is_in_use(house: &House) -> bool {
    let mut wire = greeted(house).await;
    let (said, _) = command(&mut wire, "AUTH PLAIN AGFubgBzZWNyZXQ=").await;
    said.starts_with("-ERR [IN-USE]")
}

#[tokio::test(start_paused = true)]
async fn a_command_that_was_never_heard_is_answered_and_the_marks_stay() {
    let house = House::new().await;
    house.put("Subject: one\r\n\r\n1").await;
    let mut wire = logged_in(&house).await;
    until_done(&mut wire, "DELE 1").await;
    for harm in [Harm::Panic, Harm::Error, Harm::Kill] {
        house.strike_next(harm).await;
        let (said, _) = command(&mut wire, "RSET").await;
        assert!(said.starts_with("-ERR [SYS/TEMP]"), "{harm:?}: {said}");
        assert_eq!(command(&mut wire, "STAT").await.0, "+OK 0 0");
        assert!(is_in_use(&house).await);
    }
    assert!(command(&mut wire, "QUIT").await.0.starts_with("+OK"));
    assert_eq!(house.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_login_that_crashed_keeps_nobody_out() {
    let house = House::new().await;
    let mut first = greeted(&house).await;
    house.session_fuse.light([(1, Harm::Panic)]); // the store is asked when the lock is there
    let (said, _) = command(&mut first, "AUTH PLAIN AGFubgBzZWNyZXQ=").await;
    assert!(said.starts_with("-ERR [SYS/TEMP]"), "{said}");
    assert!(!is_in_use(&house).await);
}

#[tokio::test(start_paused = true)]
async fn a_maildrop_that_is_lost_with_its_mailbox_actor_is_taken_again() {
    let house = House::new().await;
    let mut wire = logged_in(&house).await;
    for harm in [Harm::Panic, Harm::Error, Harm::Kill] {
        house.mailbox_fuse.light([(0, harm)]);
        let mut other = greeted(&house).await;
        // The mailbox actor dies of this question.
        let (said, _) = command(&mut other, "AUTH PLAIN AGFubgBzZWNyZXQ=").await;
        assert!(said.starts_with("-ERR [SYS/TEMP]"), "{said}");
        assert!(is_in_use(&house).await, "{harm:?}");
        assert_eq!(command(&mut wire, "STAT").await.0, "+OK 0 0");
    }
}

#[tokio::test(start_paused = true)]
async fn tls_outlives_a_session() {
    let keys = Keys::new();
    let house = House::with_tls(Some(keys.server.clone())).await;
    for moment in 0..4 {
        let mut wire = greeted(&house).await;
        house.session_fuse.light([(moment, Harm::Kill)]);
        until_done(&mut wire, "STLS").await;
        wire.start_tls(&keys.client).await;
        until_done(&mut wire, "CAPA").await;
        house.session_fuse.put_out();
        until_done(&mut wire, "AUTH PLAIN AGFubgBzZWNyZXQ=").await;
        until_done(&mut wire, "QUIT").await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_fourth_crash_says_so_and_the_client_hears_it() {
    let keys = Keys::new();
    for tls in [None, Some(&keys)] {
        let house = House::with_tls(tls.map(|keys| keys.server.clone())).await;
        let mut wire = greeted(&house).await;
        if let Some(keys) = tls {
            until_done(&mut wire, "STLS").await;
            wire.start_tls(&keys.client).await;
        }
        for _ in 0..4 {
            house.strike_next(Harm::Panic).await;
            let (said, _) = command(&mut wire, "CAPA").await;
            assert!(said.starts_with("-ERR [SYS/TEMP]"), "{said}");
        }
        assert_eq!(wire.line().await, None, "it ends as TLS wants it");
    }
}

/// A command, the beginning of its proper reply, and how many lines follow that.
fn commands() -> impl Strategy<Value = (&'static str, &'static str, usize)> {
    prop_oneof![
        Just(("STAT", "+OK 2 ", 0)),
        Just(("NOOP", "+OK", 0)),
        Just(("LIST", "+OK", 2)),
        Just(("UIDL", "+OK", 2)),
        Just(("LIST 2", "+OK 2 ", 0)),
        Just(("RETR 1", "+OK 17 octets", 3)),
        Just(("TOP 2 0", "+OK", 2)),
        Just(("DELE 9", "-ERR", 0)),
        Just(("RSET", "+OK 2 messages", 0)),
        Just(("XYZZY", "-ERR", 0)),
    ]
}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn each_command_has_one_answer_whenever_actors_crash(
        batches in prop::collection::vec(prop::collection::vec(commands(), 1..6), 1..5),
        pieces in prop::collection::vec(1_usize..20, 0..10),
        plan in plans(12),
        of_the_mailbox in plans(4),
    ) {
        run(async {
            let house = House::new().await;
            for number in 1..=2 {
                house.put(&format!("Subject: {number}\r\n\r\nx\r\n")).await;
            }
            house.session_fuse.light(plan);
            house.mailbox_fuse.light(of_the_mailbox);
            let mut wire = logged_in(&house).await;
            for batch in batches {
                let text: String = batch.iter().flat_map(|(command, ..)| [command, "\r\n"]).collect();
                wire.say_in_pieces(&text, &pieces).await;
                for (command, proper, lines) in batch {
                    let (said, followed) = reply(&mut wire, command).await;
                    let is_answer = said.starts_with(proper) && followed == lines;
                    assert!(is_answer || said.starts_with("-ERR [SYS/TEMP]"), "{command}: {said}");
                }
            }
            assert!(wire.is_quiet().await, "that is all");
            house.session_fuse.put_out();
            house.mailbox_fuse.put_out();
            // Whoever could not ask for its maildrop asks again after a second.
            tokio::time::sleep(Duration::from_secs(2)).await;
            assert!(is_in_use(&house).await, "the maildrop is still its own");
            assert!(command(&mut wire, "QUIT").await.0.starts_with("+OK"));
            assert!(!is_in_use(&house).await);
        });
    }
}
