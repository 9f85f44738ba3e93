//! Waiting for parts of providers' limits, where these are shared with other instances.

use std::time::Duration;

use crate::base::ids::Subject;
use crate::base::time::Instant;
use crate::base::tokens::Tokens;
use crate::decide::eligible::Eligible;
use crate::exchange::route::Survey;
use crate::link::reports::Lacking;
use crate::shard::net::sleep::sleep_apart;
use crate::shard::request::choose;
use crate::shard::request::job::Job;
use crate::shard::request::pass;
use crate::sys::clock;

/// Where no candidate can take the request, and some lack parts of shared limits, tells that and
/// waits, for `shared.wait` at most, until one of them can. `None`: nothing else was found.
pub(super) async fn survey_later(
    job: &Job<'_>,
    (tried, tokens): (&Eligible, Tokens),
    now: &mut Instant,
) -> Option<Survey> {
    let shared = job.shard.plan.shared.as_ref()?;
    let until = *now + shared.wait;
    if !tell_lacks(job, *now, (tried, tokens)) {
        return None;
    }
    while clock::now() < until {
        sleep_apart(TURN).await;
        *now = clock::now();
        let survey = choose::survey(job, *now, tried, tokens);
        if !survey.eligible.is_empty() {
            return Some(survey);
        }
    }
    None
}

/// Tells the coordinator what the request lacks at each candidate; returns whether a part of one
/// may come soon.
fn tell_lacks(job: &Job<'_>, now: Instant, (tried, tokens): (&Eligible, Tokens)) -> bool {
    let shard = job.shard;
    let candidates = job.routed.route.candidates.iter().enumerate();
    let open = candidates.filter(|(at, _)| !tried.contains(*at) && job.routed.is_candidate(*at));
    let mut may_come = false;
    for (_, candidate) in open {
        let id = candidate.provider;
        let gate = &shard.gates.providers[id.index()];
        let mut lacks = gate.lacks(now, tokens.get()).peekable();
        let lacks_any = lacks.peek().is_some();
        let mut is_vain = false;
        for (lease, amount) in lacks {
            let lacking = Lacking::Limits(Subject::Provider(id));
            is_vain |= !pass::tell_lack(&shard.desk, (lease, amount), (now, lacking));
        }
        may_come |= lacks_any && !is_vain;
    }
    may_come
}

/// Pause between two looks at whether a part has come.
const TURN: Duration = Duration::from_millis(2);
