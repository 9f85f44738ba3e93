//! A request on its way: the real course, permit and pass, and what is played of it.

use std::rc::Rc;

use infermux::testing::base::ids::ProviderId;
use infermux::testing::base::time::Instant;
use infermux::testing::decide::outcome::Outcome;
use infermux::testing::exchange::callers::SharedCallers;
use infermux::testing::exchange::course::{Action, Course, Injection};
use infermux::testing::shard::request::pass::Pass;
use infermux::testing::shard::request::permit::Permit;
use infermux::testing::shard::state::desk::Desk;

use crate::memory::Bodies;
use crate::promise::AttemptId;
use crate::scene::Script;
use crate::scopes::Allotments;
use crate::way::Way;

pub(crate) struct Request {
    pub(crate) shard: usize,
    /// The configuration that it began under.
    pub(crate) desk: Rc<Desk>,
    /// Likewise, until it is over: ids are given away when nobody holds them.
    pub(crate) callers: Option<Rc<SharedCallers>>,
    /// The place of its key.
    pub(crate) key: Option<usize>,
    pub(crate) caller: String,
    /// What it asks for.
    pub(crate) model: &'static str,
    /// Its estimate.
    pub(crate) tokens: u64,
    /// What it holds of its scopes, and what that is of which budget.
    pub(crate) pass: Option<(Pass, Allotments)>,
    pub(crate) course: Course,
    /// The judge's view of it.
    pub(crate) way: Way,
    /// Its body, until its answer begins, and what it is in the dialect of its candidate.
    pub(crate) bodies: Bodies,
    pub(crate) permit: Option<Permit>,
    pub(crate) attempt: Option<Attempt>,
    pub(crate) stage: Stage,
    /// Number of its next event.
    pub(crate) turn: u32,
}

/// What a provider does with an attempt.
#[derive(Clone, Copy)]
pub(crate) struct Attempt {
    pub(crate) id: AttemptId,
    pub(crate) provider: ProviderId,
    pub(crate) admitted: Instant,
    pub(crate) script: Script,
    pub(crate) injection: Injection,
    pub(crate) content_at: Option<Instant>,
}

#[derive(Clone, Copy)]
pub(crate) enum Stage {
    Arrived,
    /// A permit is taken, and nothing said of it.
    Taken(Action),
    Sent,
    /// A verdict waits to be in force.
    Enforcing {
        outcome: Outcome,
        batch: u64,
        fact: u64,
        polls: u32,
    },
    Over,
}

impl Request {
    /// Whether the attempt has been sent before: this is a repeat.
    pub(crate) fn is_sent(&self) -> bool {
        matches!(self.stage, Stage::Sent | Stage::Enforcing { .. })
    }

    pub(crate) fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }
}
