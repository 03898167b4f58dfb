//! A session as it stood at some step, for the one who comes after a crash.

use bytes::Bytes;
use mail::Reply;

use super::machine::Server;

/// Everything a session is, at the boundary of two steps: what the client said, the question that
/// is open, the place within a message, what was received and not yet read, and what was said and
/// not yet sent. Making one costs a few reference counts, however many recipients there are.
///
/// An owner keeps one wherever a crash of the next thing it does must not cost the connection:
/// after [`Server::feed`], before it carries out a [`Step::Judge`](super::Step::Judge), and after
/// each [`Step::Send`](super::Step::Send) has gone out.
#[derive(Clone, Debug)]
pub struct Checkpoint(Server);

impl Server {
    /// The session as it stands.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint(self.clone())
    }

    /// Goes on from `checkpoint`, on the same connection; `heard` is what the crashed session had
    /// been sent since.
    ///
    /// What the crashed session was about is answered with `trouble`, a 4xx reply: the open
    /// question; or the message that is on its way, once it has been read to its end; or the
    /// command at the head of what was received. The replies before and after stay in step. A
    /// command whose end has not come is none yet, and a handshake goes on.
    #[must_use]
    pub fn resume(checkpoint: Checkpoint, heard: Bytes, trouble: Reply) -> Self {
        let mut server = checkpoint.0;
        server.hand = Bytes::new();
        if !heard.is_empty() {
            server.feed(heard);
        }
        server.answer_for_the_crash(trouble);
        server
    }
}
