//! A session as it stood at some step, for the one who comes after a crash.

use bytes::Bytes;

use crate::Server;

/// Everything a session is, at the boundary of two steps; the marks of the messages included.
///
/// An owner keeps one wherever a crash of the next thing it does must not cost the connection:
/// after [`Server::feed`], before it carries out a [`Step::Judge`](crate::Step::Judge), and after
/// each [`Step::Send`](crate::Step::Send) has gone out.
#[derive(Clone, Debug)]
pub struct Checkpoint(Server);

impl Server {
    /// The session as it stands.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint(self.clone())
    }

    /// Goes on from `checkpoint`, on the same connection; `heard` is what the crashed session had
    /// been sent since. What it was about is answered with `-ERR [SYS/TEMP]`; in the middle of a
    /// message there is no way to say so, and the connection is closed. A command whose end has
    /// not come is none yet, and a handshake goes on.
    #[must_use]
    pub fn resume(checkpoint: Checkpoint, heard: Bytes) -> Self {
        let mut server = checkpoint.0;
        server.hand = Bytes::new();
        if !heard.is_empty() {
            server.feed(heard);
        }
        server.answer_for_the_crash();
        server
    }
}
