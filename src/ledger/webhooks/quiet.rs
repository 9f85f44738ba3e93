//! At most one notice an hour about the same thing, and no state that nobody is told of.
//!
//! What lasts (a circuit that is open) is told when it begins and when it ends. Where it begins and
//! ends again and again, each is told once an hour, and what was told last is true, or is corrected
//! as soon as the hour is over. What is a moment (a budget that has reached 80 %) is told once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::base::limits::NOTICES_REMEMBERED_MAX;
use crate::base::notice::{Course, Dated, Event, Severity};
use crate::base::time::Instant;

/// What one webhook has been told within the last hour, and what of that still lasts.
#[derive(Default)]
pub struct Quiet {
    subjects: HashMap<(Event, Box<str>), Subject>,
    /// When the subjects were last looked through for those that can be forgotten.
    looked: Instant,
}

struct Subject {
    /// When each severity was last told.
    told: [Option<Instant>; 3],
    /// What was told last.
    last: Severity,
    course: Course,
    /// What is true now, where it is something else and has to wait.
    held: Option<Arc<Dated>>,
}

/// What becomes of a notice.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is told.
    Tell(Arc<Dated>),
    /// It is not, for now or for ever.
    Silence,
    /// It would be told, and there is no room.
    NoRoom(Event),
}

impl Quiet {
    /// Judges `notice` at `now`, where there is room for this many.
    pub fn on_notice(&mut self, now: Instant, notice: &Arc<Dated>, room: usize) -> Verdict {
        self.forget(now);
        let of = &notice.notice;
        let key = (of.event, of.subject.clone());
        let Some(subject) = self.subjects.get_mut(&key) else {
            // Nobody was told that it had begun.
            if of.course == Course::Lasting && of.severity == Severity::Info {
                return Verdict::Silence;
            }
            if self.subjects.len() >= NOTICES_REMEMBERED_MAX {
                return Verdict::NoRoom(of.event);
            }
            let mut subject = Subject::new(of.course);
            let verdict = subject.on_notice(now, notice, room);
            if !matches!(verdict, Verdict::NoRoom(_)) {
                self.subjects.insert(key, subject);
            }
            return verdict;
        };
        subject.on_notice(now, notice, room)
    }

    /// A notice that had to wait and may be told now, where there is room.
    pub fn due(&mut self, now: Instant, room: usize) -> Option<Arc<Dated>> {
        if room == 0 {
            return None;
        }
        let due = |one: &&mut Subject| one.due().is_some_and(|due| now >= due);
        let subject = self.subjects.values_mut().find(due)?;
        let notice = subject.held.take()?;
        subject.tell(now, notice.notice.severity);
        Some(notice)
    }

    /// When [`Self::due`] has something, with room for this many.
    #[must_use]
    pub fn deadline(&self, room: usize) -> Instant {
        if room == 0 {
            return Instant::NEVER;
        }
        let due = self.subjects.values().filter_map(Subject::due);
        due.min().unwrap_or(Instant::NEVER)
    }

    /// Forgets what was told more than an hour ago and does not last.
    fn forget(&mut self, now: Instant) {
        if now.since(self.looked) >= LOOK_EVERY {
            self.looked = now;
            self.subjects.retain(|_, subject| subject.matters(now));
        }
    }
}

impl Subject {
    fn new(course: Course) -> Self {
        Self {
            told: [None; 3],
            last: Severity::Info,
            course,
            held: None,
        }
    }

    fn on_notice(&mut self, now: Instant, notice: &Arc<Dated>, room: usize) -> Verdict {
        let severity = notice.notice.severity;
        let lasts = self.course == Course::Lasting;
        self.held = None;
        if lasts && severity == self.last {
            return Verdict::Silence;
        }
        let is_free = self.free_at(severity).is_none_or(|free| now >= free);
        if is_free && room > 0 {
            self.tell(now, severity);
            return Verdict::Tell(Arc::clone(notice));
        }
        if lasts {
            self.held = Some(Arc::clone(notice));
            return Verdict::Silence;
        }
        if is_free {
            return Verdict::NoRoom(notice.notice.event);
        }
        Verdict::Silence
    }

    fn tell(&mut self, now: Instant, severity: Severity) {
        self.told[severity as usize] = Some(now);
        self.last = severity;
    }

    /// When this severity may be told again; `None`: it never was.
    fn free_at(&self, severity: Severity) -> Option<Instant> {
        self.told[severity as usize].map(|told| told + QUIET)
    }

    /// When what is held may be told.
    fn due(&self) -> Option<Instant> {
        let held = self.held.as_ref()?;
        Some(self.free_at(held.notice.severity).unwrap_or_default())
    }

    fn matters(&self, now: Instant) -> bool {
        let lasts = self.course == Course::Lasting && self.last != Severity::Info;
        let is_recent = self.told.iter().flatten().any(|told| now < *told + QUIET);
        lasts || is_recent || self.held.is_some()
    }
}

/// How long the same is not told again.
const QUIET: Duration = Duration::from_secs(3_600);
/// Shortest pause between two looks for what can be forgotten.
const LOOK_EVERY: Duration = Duration::from_secs(60);
