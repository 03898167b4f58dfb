//! The stack at a panic: addresses when it is taken, names when somebody reads it.
//!
//! Names are in the program's symbols, which take tens of megabytes once they are read. So they are
//! let go after each reading, a stack that was read before is told from memory, and of many new ones
//! in a second the first is told by names and the others by their addresses.
//!
//! A reading keeps a processor busy for a tenth of a second. Nobody else waits for it: the thread that
//! reads hands its actors on, others tell theirs by addresses, and no stacks are taken meanwhile.

use std::{
    collections::VecDeque,
    fmt::{self, Write},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use backtrace::{Frame, Symbol, clear_symbol_cache, resolve_frame, trace};
use tokio::{
    runtime::{Handle, RuntimeFlavor},
    task,
};

use crate::ration::Ration;

/// The stack at a panic.
#[derive(Clone)]
pub struct Stack(Arc<[Frame]>);

impl Stack {
    /// The stack of this thread; walking it costs some 20 µs. None while another one is read: to walk
    /// one is to wait for that.
    pub(crate) fn take() -> Option<Self> {
        if IS_READING.load(Ordering::Relaxed) {
            return None;
        }
        let mut frames = Vec::with_capacity(FRAMES_USUAL);
        trace(|frame| {
            frames.push(frame.clone());
            frames.len() < FRAMES_MAX
        });
        Some(Self(frames.into()))
    }

    /// Its addresses: a stack with the same ones has the same names.
    fn addresses(&self) -> Vec<usize> {
        self.0.iter().map(|frame| frame.ip() as usize).collect()
    }
}

/// A line for each call, the innermost first.
impl fmt::Display for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        static READINGS: Ration = Ration::per_second(READINGS_PER_SECOND);
        let addresses = self.addresses();
        if let Some(text) = remembered(&addresses) {
            return f.write_str(&text);
        }
        let reading = Reading::begin().filter(|_| READINGS.take());
        let Some(_reading) = reading else {
            return write!(f, "stack by addresses, of many at once: {addresses:x?}");
        };
        let text: Arc<str> = aside(|| named(&self.0)).into();
        clear_symbol_cache();
        let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
        read.truncate(KEPT_MAX - 1);
        read.push_front((addresses, Arc::clone(&text)));
        drop(read);
        f.write_str(&text)
    }
}

impl fmt::Debug for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stack({} frames)", self.0.len())
    }
}

/// While it lives, this thread reads names, and no other one does.
struct Reading;

impl Reading {
    fn begin() -> Option<Self> {
        (!IS_READING.swap(true, Ordering::Relaxed)).then_some(Self)
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        IS_READING.store(false, Ordering::Relaxed);
    }
}

/// The names of that stack, if it was read before.
fn remembered(addresses: &[usize]) -> Option<Arc<str>> {
    let read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    let known = read.iter().find(|(of, _)| of == addresses);
    known.map(|(_, text)| Arc::clone(text))
}

/// Works on this thread, whose other actors another thread takes over.
fn aside<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current() {
        Ok(runtime) if runtime.runtime_flavor() == RuntimeFlavor::MultiThread => {
            task::block_in_place(work)
        }
        _ => work(),
    }
}

/// Names and places of all calls from the one that panicked on.
fn named(frames: &[Frame]) -> String {
    let mut calls = Vec::with_capacity(frames.len());
    for frame in frames {
        let before = calls.len();
        resolve_frame(frame, |symbol| calls.push(call(symbol))); // several where calls were inlined
        if calls.len() == before {
            calls.push((format!("{:?}", frame.ip()), None));
        }
    }
    let is_panicking = |(name, _): &(String, _)| PANICKING.iter().any(|part| name.contains(part));
    let begin = calls.iter().position(is_panicking).unwrap_or_default();
    let calls = calls[begin..].iter().skip_while(|call| is_panicking(call));
    let mut text = String::new();
    for (number, (name, place)) in calls.enumerate() {
        let _ = write!(text, "{number:4}: {name}"); // a string takes everything
        if let Some(place) = place {
            let _ = write!(text, "\n             at {place}");
        }
        text.push('\n');
    }
    text
}

fn call(symbol: &Symbol) -> (String, Option<String>) {
    let name = symbol.name().map_or_else(
        || "unknown".to_owned(),
        |name| format!("{name:#}"), // without its hash
    );
    let place = symbol.filename().zip(symbol.lineno());
    let place = place.map(|(file, line)| format!("{}:{line}", file.display()));
    (name, place)
}

/// The stacks that were read last, with their names. It is held for as long as it takes to look.
static READ: Mutex<VecDeque<(Vec<usize>, Arc<str>)>> = Mutex::new(VecDeque::new());

/// Whether a thread reads names. It also holds the lock of `backtrace` then, for most of the time.
static IS_READING: AtomicBool = AtomicBool::new(false);

/// A stack takes some ten kilobytes, and bugs are few.
const KEPT_MAX: usize = 16;

/// Reading takes a tenth of a second.
const READINGS_PER_SECOND: u32 = 1;

/// What a panic itself calls, between the hook and whoever panicked.
const PANICKING: [&str; 10] = [
    "__rust_end_short_backtrace",
    "assert_failed",
    "begin_panic",
    "core::panicking::",
    "expect_failed",
    "panic_any",
    "panic_fmt",
    "rust_begin_unwind",
    "rust_panic_with_hook",
    "unwrap_failed",
];

const FRAMES_USUAL: usize = 64;
/// Behind that a stack repeats itself.
const FRAMES_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use std::{
        thread,
        time::{Duration, Instant},
    };

    use super::*;
    use crate::panic_hook::{caught_now, install_panic_hook};

    #[inline(never)]
    fn climb(to: &str) -> u32 {
        assert!(to.is_empty(), "no tree for {to}");
        1
    }

    /// Tries until no other test reads a stack.
    fn in_the_end<T>(mut step: impl FnMut() -> Option<T>) -> T {
        let limit = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(done) = step() {
                return done;
            }
            assert!(Instant::now() < limit, "somebody reads a stack for ever");
            thread::yield_now();
        }
    }

    #[test]
    fn nobody_waits_for_a_stack_that_is_read() {
        let stack = in_the_end(Stack::take);
        let reading = in_the_end(Reading::begin);
        assert!(Stack::take().is_none(), "to walk one is to wait");
        assert!(stack.to_string().starts_with("stack by addresses"));
        drop(reading);
        in_the_end(Stack::take);
    }

    #[test]
    fn a_stack_begins_with_who_panicked_and_is_read_once() {
        install_panic_hook();
        // While others read stacks, none is taken.
        let fallen = || caught_now(|| climb("a heron")).unwrap_err().backtrace;
        let fall = || in_the_end(fallen);
        let stacks = [fall(), fall()];
        // Others read stacks as well, one a second.
        let text = in_the_end(|| {
            let text = stacks[0].to_string();
            (!text.starts_with("stack by addresses")).then_some(text)
        });
        assert!(text.lines().next().unwrap().contains("climb"), "{text}");
        assert!(text.contains("stack.rs:"), "{text}");
        assert_eq!(stacks[0].to_string(), text);
        assert_eq!(stacks[1].addresses().len(), stacks[0].addresses().len());
    }
}
