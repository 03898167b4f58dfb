//! The operator socket: a Unix socket in the data folder, for the daemon's user and root.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde::Serialize;
use store::port::Body;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
    task::JoinSet,
};

use super::{
    Desk, ServiceArgs,
    desk::done,
    protocol::{Answer, LINE_OCTETS_MAX, Refusal, RefusalKind, Request},
    service::Serving,
    session::Session,
};

/// The socket's name in the data folder.
pub const SOCKET_NAME: &str = "operator.sock";

/// Serves operators on the socket in `folder`, which this process has locked.
#[must_use]
pub fn operator_socket(folder: &Path, desk: Arc<Desk>) -> ServiceArgs {
    let path = folder.join(SOCKET_NAME);
    ServiceArgs {
        bind: Arc::new(move || {
            let (path, desk) = (path.clone(), Arc::clone(&desk));
            Box::pin(async move { bind(path, desk) })
        }),
    }
}

fn bind(path: PathBuf, desk: Arc<Desk>) -> io::Result<Serving> {
    // Whoever left it there is gone: the data folder's lock is ours.
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(named(&path, &error)),
        _ => {}
    }
    let listener = UnixListener::bind(&path).map_err(|error| named(&path, &error))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))
        .map_err(|error| named(&path, &error))?;
    Ok(Box::pin(async move {
        let mut connections = JoinSet::new();
        loop {
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of descriptors, most likely: that passes, and is nothing to fall for.
                    tracing::warn!(%error, "cannot accept an operator");
                    tokio::time::sleep(RECOVERY).await;
                    continue;
                }
            };
            while connections.try_join_next().is_some() {}
            if connections.len() >= CONNECTIONS_MAX {
                tracing::warn!("an operator is turned away: too many have not hung up");
            } else if let Some(who) = operator(&stream) {
                let desk = Arc::clone(&desk);
                connections.spawn(async move {
                    if let Err(error) = serve(stream, who, &desk).await {
                        tracing::debug!(%error, "an operator left");
                    }
                });
            }
        }
    }))
}

/// Who asks: user and process, as the kernel knows them.
#[derive(Clone, Copy)]
struct Who {
    uid: u32,
    pid: Option<i32>,
}

/// The peer, if it is the daemon's own user or root. The file's mode says the same, but not every
/// system asks it.
fn operator(stream: &UnixStream) -> Option<Who> {
    let peer = stream.peer_cred().ok()?;
    let who = Who {
        uid: peer.uid(),
        pid: peer.pid(),
    };
    let own = rustix::process::geteuid().as_raw();
    let is_operator = who.uid == own || who.uid == 0;
    if !is_operator {
        tracing::warn!(
            uid = who.uid,
            pid = who.pid,
            "a stranger at the operator socket"
        );
    }
    is_operator.then_some(who)
}

async fn serve(mut stream: UnixStream, who: Who, desk: &Desk) -> io::Result<()> {
    let (read, mut write) = stream.split();
    let mut read = BufReader::new(read);
    let mut line = Vec::new();
    let mut session = Session::default();
    loop {
        line.clear();
        let mut limited = (&mut read).take(LINE_OCTETS_MAX as u64);
        if limited.read_until(b'\n', &mut line).await? == 0 {
            session.end().await;
            return Ok(());
        }
        let is_whole = line.last() == Some(&b'\n');
        let answer = match serde_json::from_slice(&line) {
            Ok(Request::LetterPut(put)) if is_whole => {
                session.note(&put.address, "letter_put", who.uid, who.pid);
                answer(desk.keep(put, &mut read).await?)
            }
            Ok(Request::LetterGet {
                address,
                folder,
                uid,
            }) if is_whole => {
                session.note(&address, "letter_get", who.uid, who.pid);
                match desk.letter(&address, &folder, uid) {
                    Ok((view, body)) => {
                        send(&mut write, &answer(Ok(view))).await?;
                        send_body(&mut write, &body).await?;
                        continue;
                    }
                    Err(refusal) => Answer::Refused(refusal),
                }
            }
            Ok(request) if is_whole => carry_out(request, who, desk, &mut session).await,
            Ok(_) => refused(format!(
                "a request is a line of at most {LINE_OCTETS_MAX} octets"
            )),
            Err(error) => refused(format!("the request is not understood: {error}")),
        };
        send(&mut write, &answer).await?;
        if !is_whole {
            return Ok(());
        }
    }
}

async fn send(write: &mut (impl AsyncWrite + Unpin), answer: &Answer) -> io::Result<()> {
    let mut answer = serde_json::to_vec(answer)?;
    answer.push(b'\n');
    write.write_all(&answer).await
}

/// Sends a message piece by piece. One that turns out to be damaged cannot be taken back: the
/// connection ends before all of it is there, and whoever reads it knows that.
async fn send_body(write: &mut (impl AsyncWrite + Unpin), body: &Body) -> io::Result<()> {
    let mut sent = 0;
    while sent < body.octets() {
        let piece = body.read_at(sent, PIECE_OCTETS).map_err(io::Error::other)?;
        if piece.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        write.write_all(&piece).await?;
        sent += piece.len() as u64;
    }
    Ok(())
}

fn answer(outcome: Result<impl Serialize, Refusal>) -> Answer {
    match outcome.and_then(done) {
        Ok(value) => Answer::Done(value),
        Err(refusal) => Answer::Refused(refusal),
    }
}

/// Does what is asked, and leaves in the log who asked for what.
async fn carry_out(
    request: Request,
    Who { uid, pid }: Who,
    desk: &Desk,
    session: &mut Session,
) -> Answer {
    let (is_look, (act, about)) = (request.is_look(), request.act());
    let outcome = desk.answer(request, session).await;
    let refusal = outcome.as_ref().err().map(|refusal| &*refusal.message);
    if is_look {
        tracing::debug!(uid, pid, act, about, refusal, "an operator looks");
    } else {
        tracing::info!(uid, pid, act, about, refusal, "an operator acts");
    }
    match outcome {
        Ok(value) => Answer::Done(value),
        Err(refusal) => Answer::Refused(refusal),
    }
}

fn refused(message: String) -> Answer {
    Answer::Refused(Refusal::new(RefusalKind::Wrong, message))
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(
        error.kind(),
        format!("cannot listen on {}: {error}", path.display()),
    )
}

/// Octets of a message that are read at once.
const PIECE_OCTETS: usize = 256 * 1024;

/// Operators are few; a program that forgets to hang up must not take every descriptor.
const CONNECTIONS_MAX: usize = 64;

/// How long the socket rests after an error of ours.
const RECOVERY: Duration = Duration::from_secs(1);
