//! The task of one connection: steps its state and tells the session what happened.

use std::{
    cell::RefCell,
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::time::{Instant, Sleep, sleep_until};

use super::{
    event::{Event, Why},
    handle::Connection,
    line::Step,
};
use crate::metrics::{CLOSED, CONNECTIONS, HANDSHAKES};

/// Serves `connection` until it is over.
pub(super) async fn run<C, E>(connection: Connection<C>, ear: E)
where
    E: Fn(&Connection<C>, Event),
{
    let pump = Pump { connection, ear };
    let alarm = sleep_until(Instant::now());
    tokio::pin!(alarm);
    poll_fn(|cx| pump.poll(cx, alarm.as_mut())).await;
}

struct Pump<C, E> {
    connection: Connection<C>,
    ear: E,
}

impl<C, E> Pump<C, E>
where
    E: Fn(&Connection<C>, Event),
{
    fn poll(&self, cx: &mut Context<'_>, mut alarm: Pin<&mut Sleep>) -> Poll<()> {
        loop {
            let step = SCRATCH.with_borrow_mut(|scratch| self.connection.step(cx, scratch));
            match step {
                Step::End => return Poll::Ready(()),
                Step::Say(event) => {
                    note(&event);
                    (self.ear)(&self.connection, event);
                }
                Step::Wait(at) => {
                    // The alarm is only ever brought forward: it costs more to set than to miss.
                    if alarm.deadline() > at || alarm.is_elapsed() {
                        alarm.as_mut().reset(at);
                    }
                    if alarm.as_mut().poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                }
            }
        }
    }
}

fn note(event: &Event) {
    match event {
        Event::Closed(why) => {
            CLOSED.count(&[why.as_str()]);
            if *why == Why::Tls {
                HANDSHAKES.count(&["in", "failed"]);
            }
        }
        Event::Secured(_) => HANDSHAKES.count(&["in", "done"]),
        Event::Octets | Event::Room | Event::TimedOut(_) => {}
    }
}

/// However the task ends, also with the runtime or by a panic in the ear: the socket is closed.
impl<C, E> Drop for Pump<C, E> {
    fn drop(&mut self) {
        self.connection.let_go();
        CONNECTIONS.shift(-1.0, &[]);
    }
}

thread_local! {
    /// What is read goes through here, so that connections that wait hold no buffer.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_OCTETS_MAX].into());
}

/// The most that one [`Event::Octets`] holds.
const READ_OCTETS_MAX: usize = 64 * 1024;
