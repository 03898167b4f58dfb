//! What is decided about crashes. No ractor, no clock, no disk.
//!
//! In go crashes with what was in hand, out comes a verdict when the same thing was in hand twice:
//!
//! ```text
//!   unknown ──crash──► suspect ──crash within the window──► verdict, again with each crash
//!      ▲                  │  ▲                                  │
//!      │                  └──┘ crash after the window           │
//!      └───────────────────── an operator retries it ───────────┘
//! ```
//!
//! Only what an actor did to itself counts: a panic, an error, or that it was stuck. A kill comes
//! from outside and says nothing about what was in hand.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use mail::{MessageId, Time};

use crate::contract::{CrashNote, Crashed, RefusedCommand, Subject};

/// What was in hand when somebody crashed, and the last crashes.
#[derive(Debug)]
pub struct Suspects {
    window: Duration,
    seen: HashMap<Subject, Seen>,
    last: VecDeque<CrashNote>,
}

/// What is to be done about what was in hand.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Refuse the command.
    Refuse(RefusedCommand),
    /// Set the message aside with that report.
    SetAside(MessageId, String),
}

#[derive(Debug)]
struct Seen {
    crashes: u32,
    last: Time,
    /// The crash before, in a line.
    line: String,
}

impl Suspects {
    /// Nobody is suspected. Crashes further apart than `window` have nothing to do with each
    /// other.
    #[must_use]
    pub fn new(window: Duration) -> Self {
        Self {
            window,
            seen: HashMap::new(),
            last: VecDeque::new(),
        }
    }

    /// Hears of a crash.
    pub fn crashed(&mut self, crashed: Crashed, now: Time) -> Option<Verdict> {
        let Crashed {
            path,
            kind,
            in_hand,
            report,
        } = crashed;
        let verdict = match &in_hand {
            Some(subject) if COUNTED.contains(&kind) => self.suspect(subject, &path, &report, now),
            _ => None,
        };
        self.last.push_back(CrashNote {
            at: now,
            path,
            kind,
            in_hand: in_hand.as_ref().map(ToString::to_string),
            report: head(&report, NOTE_OCTETS_MAX).to_owned(),
        });
        if self.last.len() > NOTES_MAX {
            self.last.pop_front();
        }
        verdict
    }

    /// It is given another chance: two crashes from now on.
    pub fn forget(&mut self, subject: impl Fn(&Subject) -> bool) {
        self.seen.retain(|known, _| !subject(known));
    }

    /// The last crashes, the newest last.
    pub fn notes(&self) -> impl Iterator<Item = &CrashNote> {
        self.last.iter()
    }

    /// How many things are watched.
    #[must_use]
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Whether nothing is watched.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    fn suspect(
        &mut self,
        subject: &Subject,
        path: &str,
        report: &str,
        now: Time,
    ) -> Option<Verdict> {
        let line = head(report.lines().next().unwrap_or_default(), LINE_OCTETS_MAX);
        let line = format!("{now} {path}: {line}");
        let Some(seen) = self.seen.get_mut(subject) else {
            self.make_room();
            let seen = Seen {
                crashes: 1,
                last: now,
                line,
            };
            self.seen.insert(subject.clone(), seen);
            return None;
        };
        let before = std::mem::replace(&mut seen.line, line);
        let last = std::mem::replace(&mut seen.last, now);
        if now.since(last) > self.window {
            seen.crashes = 1;
            return None;
        }
        seen.crashes = seen.crashes.saturating_add(1);
        let report = format!(
            "{path}: {}\n\ncrash {} with {subject} in hand, at {now}\nbefore: {before}\n",
            report.trim_end(),
            seen.crashes
        );
        Some(match subject {
            Subject::Command(mark) => Verdict::Refuse(RefusedCommand {
                mark: mark.clone(),
                since: now,
                crashes: seen.crashes,
                refusals: 0,
                is_on_trial: false,
                report,
            }),
            Subject::Message(id) => Verdict::SetAside(*id, report),
        })
    }

    /// The one whose last crash is longest ago is the least likely to crash again.
    fn make_room(&mut self) {
        if self.seen.len() < SUSPECTS_MAX {
            return;
        }
        let oldest = self.seen.iter().min_by_key(|(_, seen)| seen.last);
        if let Some(subject) = oldest.map(|(subject, _)| subject.clone()) {
            self.seen.remove(&subject);
        }
    }
}

/// The first octets of a text, up to a letter's end.
fn head(text: &str, octets: usize) -> &str {
    &text[..text.floor_char_boundary(octets)]
}

/// The frame's words for ends that an actor brought upon itself.
const COUNTED: [&str; 3] = ["error", "panic", "stuck"];

/// Crashes that are remembered.
const NOTES_MAX: usize = 100;

/// Octets of a report that are remembered of each: 800 KiB for all.
const NOTE_OCTETS_MAX: usize = 8 * 1024;

/// Octets of the crash before that go into a report.
const LINE_OCTETS_MAX: usize = 512;

/// Things that are watched at one time, some 700 octets each.
const SUSPECTS_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{CommandId, CommandMark, Speaker};

    const WINDOW: Duration = Duration::from_secs(60);

    fn crash(in_hand: Option<Subject>, kind: &'static str) -> Crashed {
        Crashed {
            path: "heronry/trunk/router".to_owned(),
            kind,
            in_hand,
            report: "panic at core.rs:1: odd\nstack".to_owned(),
        }
    }

    fn message(number: u128) -> Option<Subject> {
        Some(Subject::Message(MessageId(number)))
    }

    fn set_aside(verdict: Option<Verdict>) -> (u128, String) {
        match verdict {
            Some(Verdict::SetAside(id, report)) => (id.0, report),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_second_crash_with_the_same_message_sets_it_aside_with_both_in_the_report() {
        let mut suspects = Suspects::new(WINDOW);
        assert_eq!(
            suspects.crashed(crash(message(1), "panic"), Time(1_000)),
            None
        );
        assert_eq!(
            suspects.crashed(crash(message(2), "panic"), Time(1_500)),
            None
        );
        let (id, report) = set_aside(suspects.crashed(crash(message(1), "error"), Time(2_000)));
        assert_eq!(id, 1);
        assert!(report.starts_with("heronry/trunk/router: panic at core.rs:1: odd\nstack\n"));
        assert!(report.contains("crash 2 with message"));
        assert!(report.contains("before: 1970-01-01T00:00:01.000Z heronry/trunk/router: panic"));
        // It could not be set aside: the next crash says it again.
        set_aside(suspects.crashed(crash(message(1), "stuck"), Time(3_000)));
    }

    #[test]
    fn crashes_far_apart_have_nothing_to_do_with_each_other() {
        let mut suspects = Suspects::new(WINDOW);
        for round in 0..5 {
            let at = Time(round * 60_001);
            assert_eq!(suspects.crashed(crash(message(1), "panic"), at), None);
        }
        set_aside(suspects.crashed(crash(message(1), "panic"), Time(4 * 60_001 + 60_000)));
    }

    #[test]
    fn a_kill_and_a_crash_with_empty_hands_accuse_nobody_and_are_remembered() {
        let mut suspects = Suspects::new(WINDOW);
        for at in 0..4 {
            assert_eq!(
                suspects.crashed(crash(message(1), "killed"), Time(at)),
                None
            );
            assert_eq!(suspects.crashed(crash(None, "panic"), Time(at)), None);
        }
        assert!(suspects.is_empty());
        assert_eq!(suspects.notes().count(), 8);
    }

    #[test]
    fn a_command_is_refused_after_its_second_crash() {
        let mut suspects = Suspects::new(WINDOW);
        let mark = CommandMark {
            id: CommandId(7),
            protocol: "imap",
            speaker: Speaker::Client([192, 0, 2, 1].into()),
            words: "FETCH 1 FLAGS".to_owned(),
        };
        let command = || Some(Subject::Command(mark.clone()));
        assert_eq!(suspects.crashed(crash(command(), "panic"), Time(1)), None);
        match suspects.crashed(crash(command(), "panic"), Time(2)) {
            Some(Verdict::Refuse(refused)) => {
                assert_eq!((refused.mark, refused.since), (mark.clone(), Time(2)));
                assert_eq!(refused.crashes, 2);
                assert!(
                    refused.report.contains("FETCH 1 FLAGS"),
                    "{}",
                    refused.report
                );
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn who_is_forgotten_has_two_crashes_again() {
        let mut suspects = Suspects::new(WINDOW);
        suspects.crashed(crash(message(1), "panic"), Time(1));
        set_aside(suspects.crashed(crash(message(1), "panic"), Time(2)));
        suspects.forget(|subject| *subject == Subject::Message(MessageId(1)));
        assert_eq!(suspects.crashed(crash(message(1), "panic"), Time(3)), None);
        set_aside(suspects.crashed(crash(message(1), "panic"), Time(4)));
    }

    #[test]
    fn neither_suspects_nor_notes_grow_without_bound() {
        let mut suspects = Suspects::new(WINDOW);
        let long = "\u{e4}".repeat(NOTE_OCTETS_MAX);
        for number in 0..SUSPECTS_MAX as u128 + 100 {
            let crashed = Crashed {
                report: long.clone(),
                ..crash(message(number), "panic")
            };
            suspects.crashed(crashed, Time(number as u64));
        }
        assert_eq!(suspects.len(), SUSPECTS_MAX);
        assert_eq!(suspects.notes().count(), NOTES_MAX);
        assert!(
            suspects
                .notes()
                .all(|note| note.report.len() <= NOTE_OCTETS_MAX)
        );
        // The oldest went: it is a stranger again. The youngest is not.
        let at = Time(SUSPECTS_MAX as u64 + 100);
        set_aside(suspects.crashed(crash(message(SUSPECTS_MAX as u128 + 99), "panic"), at));
        assert_eq!(suspects.crashed(crash(message(0), "panic"), at), None);
    }
}
