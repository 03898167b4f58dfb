//! Mail for a system that offers chunks and cannot do them.

use testkit::{LONG, Neighbour, OnChunk, until};

use crate::common::{demo, letter};

/// What the letter is called.
fn subject(message: &[u8]) -> String {
    let text = String::from_utf8_lossy(message);
    let subject = text.lines().find_map(|line| line.strip_prefix("Subject: "));
    subject.unwrap_or_default().to_owned()
}

#[test]
fn who_offers_chunks_and_does_not_know_them_gets_each_message_once_after_data() {
    for (on_chunk, why) in [(OnChunk::Refuse, "refused"), (OnChunk::Close, "lost")] {
        let neighbour = Neighbour::that_cannot_chunk(subject, on_chunk);
        let daemon = demo()
            .argument("--trust")
            .argument("127.0.0.0/8")
            .argument("--relay")
            .argument(neighbour.address().to_string())
            .start();
        let large = [letter("large"), b"a line\r\n".repeat(500_000)].concat();
        for (name, message) in [("large", large), ("small", letter("small"))] {
            daemon.accept(&["a@remote.test", "b@remote.test"], &message);
            until("the neighbour has it", LONG, || neighbour.has(name));
        }
        until("the queue is empty", LONG, || {
            !daemon
                .command(&["queue", "list"], b"")
                .ok()
                .contains("remote.test")
        });
        assert_eq!(neighbour.came().len(), 2, "{why}");
        assert_eq!(neighbour.again(), 0, "{why}: nothing came twice");
        assert_eq!(neighbour.chunked(), 1, "{why}: it is remembered");
        let counted = format!("heronry_delivery_unchunked_total{{why=\"{why}\"}} 1");
        assert!(daemon.metrics().contains(&counted), "{why}");
    }
}
