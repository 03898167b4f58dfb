//! SMTP while its sessions crash.

use proptest::prelude::*;

use super::{
    fuse::Harm,
    house::{House, Keys, cases, run},
    wire::Wire,
};

pub(crate) async fn greeted(house: &House) -> Wire {
    let mut wire = house.smtp();
    assert!(wire.reply().await.unwrap().starts_with("220 "));
    wire
}

async fn command(wire: &mut Wire, command: &str) -> String {
    wire.say(&format!("{command}\r\n")).await;
    wire.reply().await.expect("the connection goes on")
}

#[tokio::test(start_paused = true)]
async fn a_command_that_was_never_heard_is_answered() {
    let house = House::new().await;
    let mut wire = greeted(&house).await;
    assert!(command(&mut wire, "EHLO a").await.starts_with("250-"));
    for harm in [Harm::Panic, Harm::Error, Harm::Kill] {
        house.strike_next(harm).await;
        let reply = command(&mut wire, "NOOP").await;
        assert!(reply.starts_with("451 4.3.0 "), "{harm:?}: {reply}");
        assert_eq!(command(&mut wire, "NOOP").await, "250 2.0.0 ok");
    }
}

#[tokio::test(start_paused = true)]
async fn a_transaction_and_its_login_go_on_after_each_crash() {
    let house = House::new().await;
    let mut wire = greeted(&house).await;
    command(&mut wire, "EHLO a").await;
    assert!(
        command(&mut wire, "AUTH PLAIN AGFubgBzZWNyZXQ=")
            .await
            .starts_with("235 ")
    );
    house.strike_next(Harm::Kill).await;
    assert!(
        command(&mut wire, "MAIL FROM:<ann@house.test>")
            .await
            .starts_with("451 4.3.0")
    );
    assert!(
        command(&mut wire, "MAIL FROM:<ann@house.test>")
            .await
            .starts_with("250 ")
    );
    house.strike_next(Harm::Panic).await;
    assert!(
        command(&mut wire, "RCPT TO:<ann@house.test>")
            .await
            .starts_with("451 4.3.0")
    );
    // Only who has logged in may send there.
    assert!(
        command(&mut wire, "RCPT TO:<bob@else.test>")
            .await
            .starts_with("250 ")
    );
    assert!(command(&mut wire, "DATA").await.starts_with("354 "));
    wire.say("Subject: one\r\n").await;
    house.strike_next(Harm::Panic).await;
    wire.say("\r\nhalf of it\r\n").await;
    wire.say("and the rest\r\n.\r\nNOOP\r\n").await;
    assert!(wire.reply().await.unwrap().starts_with("451 4.3.0 "));
    assert_eq!(wire.reply().await.unwrap(), "250 2.0.0 ok");
    assert!(house.spooled().is_empty() && house.count() == 0);
}

#[tokio::test(start_paused = true)]
async fn tls_and_what_came_after_it_outlive_a_session() {
    let keys = Keys::new();
    let house = House::with_tls(Some(keys.server.clone())).await;
    for moment in 0..4 {
        let mut wire = greeted(&house).await;
        command(&mut wire, "EHLO a").await;
        house.session_fuse.light([(moment, Harm::Kill)]);
        let mut reply = command(&mut wire, "STARTTLS").await;
        if reply.starts_with("451 ") {
            reply = command(&mut wire, "STARTTLS").await;
        }
        assert!(reply.starts_with("220 "), "{moment}: {reply}");
        wire.start_tls(&keys.client).await;
        let mut reply = command(&mut wire, "EHLO a").await;
        if reply.starts_with("451 ") {
            reply = command(&mut wire, "EHLO a").await;
        }
        assert!(
            !reply.contains("STARTTLS") && reply.contains("AUTH"),
            "{moment}: {reply}"
        );
        house.session_fuse.put_out();
        assert!(
            command(&mut wire, "AUTH PLAIN AGFubgBzZWNyZXQ=")
                .await
                .starts_with("235 ")
        );
        house.strike_next(Harm::Kill).await;
        command(&mut wire, "NOOP").await;
        let reply = command(&mut wire, "AUTH PLAIN AGFubgBzZWNyZXQ=").await;
        assert!(reply.starts_with("503 "), "it is logged in: {reply}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_fourth_crash_says_goodbye_and_the_client_hears_it() {
    let keys = Keys::new();
    for tls in [None, Some(&keys)] {
        let house = House::with_tls(tls.map(|keys| keys.server.clone())).await;
        let mut wire = greeted(&house).await;
        if let Some(keys) = tls {
            assert!(command(&mut wire, "STARTTLS").await.starts_with("220 "));
            wire.start_tls(&keys.client).await;
        }
        for _ in 0..3 {
            house.strike_next(Harm::Panic).await;
            assert!(command(&mut wire, "NOOP").await.starts_with("451 4.3.0 "));
        }
        house.strike_next(Harm::Panic).await;
        assert!(command(&mut wire, "NOOP").await.starts_with("421 4.3.2 "));
        assert_eq!(wire.line().await, None, "it ends as TLS wants it");
    }
}

/// A command, and the beginnings of its proper replies.
fn commands() -> impl Strategy<Value = (&'static str, &'static [&'static str])> {
    prop_oneof![
        Just(("NOOP", &["250 2.0.0 ok"][..])),
        Just(("VRFY x", &["252 "][..])),
        Just(("HELP", &["214"][..])),
        Just(("FOO", &["500 "][..])),
        Just(("EHLO a", &["250-mx.house.test"][..])),
        Just(("RSET", &["250 "][..])),
        Just(("AUTH PLAIN AGFubgBzZWNyZXQ=", &["235 ", "503 "][..])),
        Just(("MAIL FROM:<>", &["250 2.1.0", "503 "][..])),
        Just(("RCPT TO:<ann@house.test>", &["250 2.1.5", "503 "][..])),
        Just(("DATA", &["354 ", "503 ", "554 "][..])),
    ]
}

pub(crate) fn plans(longest: u32) -> impl Strategy<Value = Vec<(u32, Harm)>> {
    let harm = prop_oneof![Just(Harm::Error), Just(Harm::Kill), Just(Harm::Panic)];
    prop::collection::vec((0..longest, harm), 0..4)
}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn each_command_has_one_answer_whenever_its_session_crashes(
        batches in prop::collection::vec(prop::collection::vec(commands(), 1..5), 1..6),
        pieces in prop::collection::vec(1_usize..40, 0..10),
        plan in plans(12),
    ) {
        run(async {
            let house = House::new().await;
            house.session_fuse.light(plan);
            let mut wire = greeted(&house).await;
            let (mut sent, mut taken) = (0, 0);
            for batch in batches {
                // DATA ends a batch: nobody may say more before the reply.
                let ends = batch.iter().position(|(command, _)| *command == "DATA");
                let batch = &batch[..ends.map_or(batch.len(), |at| at + 1)];
                let text: String = batch.iter().flat_map(|(command, _)| [command, "\r\n"]).collect();
                wire.say_in_pieces(&text, &pieces).await;
                for (command, proper) in batch {
                    let reply = wire.reply().await.expect("the connection goes on");
                    let is_answer = proper.iter().any(|proper| reply.starts_with(proper));
                    assert!(is_answer || reply.starts_with("451 4.3.0 "), "{command}: {reply}");
                    if reply.starts_with("354 ") {
                        sent += 1;
                        wire.say_in_pieces("Subject: x\r\n\r\none\r\n..\r\n.\r\n", &pieces).await;
                        let reply = wire.reply().await.expect("the connection goes on");
                        assert!(reply.starts_with("250 2.0.0 taken") || reply.starts_with("451 4.3.0 "), "{reply}");
                        taken += usize::from(reply.starts_with("250 "));
                    }
                }
            }
            assert!(wire.is_quiet().await, "that is all");
            let there = house.spooled().len() + house.count() as usize;
            assert!((taken..=sent).contains(&there), "{taken} were taken, {there} are there");
        });
    }
}
