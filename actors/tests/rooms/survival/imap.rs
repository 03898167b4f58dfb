//! IMAP while its sessions crash.

use imap::client::Response;
use proptest::prelude::*;

use super::{
    fuse::Harm,
    house::{House, Keys, cases, run},
    smtp::plans,
    wire::Wire,
};

/// A client, and what it has been told.
pub(crate) struct Client {
    pub(crate) exists: u32,
    pub(crate) selected: bool,
    tags: u32,
    pub(crate) wire: Wire,
}

impl Client {
    pub(crate) async fn new(house: &House) -> Self {
        let mut client = Self {
            exists: 0,
            selected: false,
            tags: 0,
            wire: house.imap(),
        };
        assert_eq!(client.response().await.word(1), "OK");
        client
    }

    /// Logged in, with the INBOX open, however often that takes.
    pub(crate) async fn selected(house: &House) -> Self {
        let mut client = Self::new(house).await;
        client.until_done("LOGIN ann secret").await;
        client.until_done("SELECT INBOX").await;
        client
    }

    async fn response(&mut self) -> Response {
        self.wire.response().await.expect("the connection goes on")
    }

    /// A tag and the command behind it.
    pub(crate) fn tagged(&mut self, command: &str) -> (String, String) {
        self.tags += 1;
        let tag = format!("t{}", self.tags);
        let line = format!("{tag} {command}\r\n");
        (tag, line)
    }

    pub(crate) async fn command(&mut self, command: &str) -> Response {
        let (tag, line) = self.tagged(command);
        self.wire.say(&line).await;
        self.finish(&tag, command).await
    }

    pub(crate) async fn until_done(&mut self, command: &str) {
        for _ in 0..10 {
            if self.command(command).await.word(1) == "OK" {
                return;
            }
        }
        panic!("{command} is never done");
    }

    /// Hears what comes before the end of a command, which nothing else may end.
    pub(crate) async fn finish(&mut self, tag: &str, command: &str) -> Response {
        let selects = command.starts_with("SELECT");
        if selects {
            self.exists = 0;
        }
        loop {
            let response = self.response().await;
            if response.tag() == "*" {
                self.hear(&response);
                continue;
            }
            assert_eq!(response.tag(), tag, "{command}: {response:?}");
            if selects {
                self.selected = response.word(1) == "OK";
            }
            return response;
        }
    }

    /// Is told something, and believes it.
    fn hear(&mut self, response: &Response) {
        let number = response.word(1).parse();
        match (response.word(2), number) {
            ("EXISTS", Ok(number)) => {
                let news = number > self.exists || number == 0;
                assert!(news, "{number} messages are told twice");
                self.exists = number;
            }
            ("EXPUNGE", Ok(number)) => {
                assert!((1..=self.exists).contains(&number), "there is no {number}");
                self.exists -= 1;
            }
            ("FETCH", Ok(number)) => assert!(number <= self.exists, "there is no {number}"),
            _ => assert_ne!(response.word(1), "BYE", "{response:?}"),
        }
    }

    /// Begins to idle; false if that failed.
    pub(crate) async fn idle(&mut self) -> Option<String> {
        let (tag, line) = self.tagged("IDLE");
        self.wire.say(&line).await;
        loop {
            let response = self.response().await;
            match response.tag() {
                "*" => self.hear(&response),
                "+" => return Some(tag),
                other => {
                    assert_eq!(other, tag);
                    return None;
                }
            }
        }
    }

    /// Idles until so many messages have been told.
    pub(crate) async fn hear_until(&mut self, exists: u32) {
        while self.exists != exists {
            let response = self.response().await;
            assert_eq!(response.tag(), "*", "{response:?}");
            self.hear(&response);
        }
    }

    pub(crate) async fn done(&mut self, tag: &str) -> Response {
        self.wire.say("DONE\r\n").await;
        self.finish(tag, "DONE").await
    }
}

fn is_trouble(response: &Response) -> bool {
    response.word(1) == "NO" && response.word(2).starts_with("[SERVERBUG]")
}

#[tokio::test(start_paused = true)]
async fn a_command_that_was_never_heard_is_answered_and_the_mailbox_stays_open() {
    let house = House::new().await;
    house.put("Subject: one\r\n\r\n1").await;
    let mut client = Client::selected(&house).await;
    for harm in [Harm::Panic, Harm::Error, Harm::Kill] {
        house.strike_next(harm).await;
        let answer = client.command("FETCH 1 FLAGS").await;
        assert!(is_trouble(&answer), "{harm:?}: {answer:?}");
        assert_eq!(client.command("FETCH 1 FLAGS").await.word(1), "OK");
    }
}

#[tokio::test(start_paused = true)]
async fn who_idles_is_told_by_the_successor_of_who_was_to_tell() {
    let house = House::new().await;
    let (mut idle, mut other) = (
        Client::selected(&house).await,
        Client::selected(&house).await,
    );
    let tag = idle.idle().await.unwrap();
    let (sent, line) = other.tagged("APPEND INBOX {5+}\r\nabcde");
    // Two moments at the edges of the other's handler, and some in the middle of it.
    house
        .session_fuse
        .light([(7, Harm::Kill), (0, Harm::Panic)]);
    other.wire.say(&line).await;
    idle.hear_until(1).await;
    house.session_fuse.put_out();
    other.finish(&sent, "APPEND").await;
    assert_eq!(idle.done(&tag).await.word(1), "OK");
    assert_eq!((idle.exists, house.count()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn tls_outlives_a_session() {
    let keys = Keys::new();
    let house = House::with_tls(Some(keys.server.clone())).await;
    for moment in 0..4 {
        let mut client = Client::new(&house).await;
        house.session_fuse.light([(moment, Harm::Kill)]);
        client.until_done("STARTTLS").await;
        client.wire.start_tls(&keys.client).await;
        client.until_done("NOOP").await;
        house.session_fuse.put_out();
        assert_eq!(client.command("STARTTLS").await.word(1), "BAD");
        client.until_done("LOGIN ann secret").await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_fourth_crash_says_goodbye_and_the_client_hears_it() {
    let keys = Keys::new();
    for tls in [None, Some(&keys)] {
        let house = House::with_tls(tls.map(|keys| keys.server.clone())).await;
        let mut client = Client::new(&house).await;
        if let Some(keys) = tls {
            client.until_done("STARTTLS").await;
            client.wire.start_tls(&keys.client).await;
        }
        for _ in 0..3 {
            house.strike_next(Harm::Panic).await;
            assert!(is_trouble(&client.command("NOOP").await));
        }
        house.strike_next(Harm::Panic).await;
        client.wire.say("x NOOP\r\n").await;
        assert_eq!(client.response().await.word(1), "BYE");
        assert!(
            client.wire.response().await.is_none(),
            "it ends as TLS wants it"
        );
    }
}

fn commands() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        Just("NOOP"),
        Just("CAPABILITY"),
        Just("CHECK"),
        Just("FETCH 1:* (UID FLAGS)"),
        Just("FETCH 1 BODY[]"),
        Just("APPEND INBOX {5+}\r\nabcde"),
        Just("APPEND INBOX {5+}\r\nabcde"),
        Just("STATUS INBOX (MESSAGES)"),
        Just("LIST \"\" *"),
        Just("SEARCH ALL"),
        Just("STORE 1 +FLAGS (\\Deleted)"),
        Just("EXPUNGE"),
        Just("SELECT INBOX"),
        Just("SELECT {5+}\r\nINBOX"),
        Just("NONSENSE {5+}\r\nINBOX"),
        Just("IDLE"),
    ]
}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn each_command_has_one_answer_whenever_actors_crash(
        batches in prop::collection::vec(prop::collection::vec(commands(), 1..5), 1..6),
        pieces in prop::collection::vec(1_usize..40, 0..10),
        plan in plans(20),
        of_the_mailbox in plans(10),
    ) {
        run(async {
            let house = House::new().await;
            house.session_fuse.light(plan);
            house.mailbox_fuse.light(of_the_mailbox);
            let mut client = Client::selected(&house).await;
            let (mut sent, mut kept, mut expunged) = (0, 0, false);
            for batch in batches {
                // Who idles waits until it is told to.
                let ends = batch.iter().position(|command| *command == "IDLE");
                let piped: Vec<_> = batch[..ends.unwrap_or(batch.len())]
                    .iter()
                    .map(|command| (*command, client.tagged(command)))
                    .collect();
                let text: String = piped.iter().map(|(_, (_, line))| &**line).collect();
                client.wire.say_in_pieces(&text, &pieces).await;
                for (command, (tag, _)) in piped {
                    let answer = client.finish(&tag, command).await;
                    expunged |= command == "EXPUNGE";
                    if command.starts_with("APPEND") {
                        sent += 1;
                        kept += u32::from(answer.word(1) == "OK");
                    }
                }
                if ends.is_some() && let Some(tag) = client.idle().await {
                    client.done(&tag).await;
                }
            }
            assert!(client.wire.is_quiet().await, "that is all");
            house.session_fuse.put_out();
            house.mailbox_fuse.put_out();
            if !client.selected {
                client.until_done("SELECT INBOX").await;
            }
            client.until_done("NOOP").await;
            assert_eq!(client.exists, house.count(), "all was told");
            let count = house.count();
            assert!(count <= sent && (expunged || count >= kept), "{kept} of {sent}: {count}");
        });
    }
}
