//! What the candidates of a request that is explained would be sent.

use std::sync::Arc;

use crate::base::endpoint::Dialect;
use crate::dialect::parameters::Changes;
use crate::dialect::request::Destination;
use crate::dialect::unsupported::Unsupported;
use crate::exchange::course::Try;
use crate::exchange::refusal::Refusal;
use crate::exchange::remembered::Items;
use crate::report::explained::CandidateExplained;
use crate::shard::http::help::{self, WhenFull};
use crate::shard::request::job::Job;
use crate::shard::request::parameters;
use crate::shard::request::parcel::Parcel;
use crate::shard::request::translated;
use crate::sys::clock;

/// What one candidate would be sent.
#[derive(Debug, Default)]
pub(super) struct Sent {
    provider: String,
    changed: Option<String>,
    dropped: Option<String>,
    inexpressible: Option<String>,
}

impl Sent {
    /// Writes it down with its candidate.
    pub(super) fn tell(self, candidates: &mut [CandidateExplained]) {
        let mut candidates = candidates.iter_mut();
        if let Some(candidate) = candidates.find(|one| one.provider == self.provider) {
            candidate.changed = self.changed;
            candidate.dropped = self.dropped;
            candidate.inexpressible = self.inexpressible;
        }
    }
}

/// What the first candidates of the job would be sent. A helper thread writes it.
///
/// # Errors
///
/// The helper threads have no time.
pub(super) async fn to(job: &Job<'_>, body: &Arc<Vec<u8>>) -> Result<Vec<Sent>, Refusal<'static>> {
    if job.parcel.is_some_and(Parcel::is_carried) {
        return Ok(Vec::new());
    }
    let places = 0..job.routed.route.candidates.len();
    let places = places.filter(|place| job.routed.is_candidate(*place));
    let pieces: Vec<Piece> = places
        .take(SHOWN_MAX)
        .map(|place| Piece::of(job, place))
        .collect();
    let (body, items) = (Arc::clone(body), Arc::clone(&job.shard.items));
    let work = move || {
        let sent = pieces.into_iter().map(|piece| piece.write(&body, &items));
        sent.collect()
    };
    help::make(&job.shard.helpers, WhenFull::Refuse, work).await
}

/// What is to be written for one candidate.
struct Piece {
    provider: String,
    from: Dialect,
    /// Where it is translated for, and the provider's name of the model.
    to: Option<(Destination<'static>, String)>,
    changes: Changes,
    unreadable: Option<Unsupported>,
}

impl Piece {
    fn of(job: &Job<'_>, place: usize) -> Self {
        let this = Try::first(place, clock::now());
        let provider = job.provider_at(place);
        let mut changes = parameters::changes(job, &this);
        changes.is_told = true;
        let is_translated = job.is_translated_at(place);
        if !is_translated {
            parameters::add_own(job, &this, &mut changes);
        }
        let to = is_translated.then(|| {
            let to = translated::destination(job, &this);
            let model = to.model.to_owned();
            (Destination { model: "", ..to }, model)
        });
        Self {
            provider: provider.name.to_string(),
            from: job.endpoint.dialect(),
            to,
            changes,
            unreadable: job
                .pins
                .unreadable(provider.id)
                .map(Unsupported::unreadable),
        }
    }

    fn write(self, body: &[u8], items: &Items) -> Sent {
        let mut sent = Sent {
            provider: self.provider,
            inexpressible: self.unreadable.map(|why| why.to_string()),
            ..Sent::default()
        };
        let mut written = Vec::new();
        let body = match &self.to {
            None => body,
            Some((to, model)) => {
                let to = Destination { model, ..*to };
                match translated::write((self.from, Some(items)), body, &to, &mut written) {
                    Ok(made) => {
                        let dropped = made.dropped;
                        sent.dropped = (!dropped.is_empty()).then(|| dropped.to_string());
                    }
                    Err(why) => {
                        sent.inexpressible = Some(why.to_string());
                        return sent;
                    }
                }
                &written
            }
        };
        match self.changes.of(body) {
            Ok(changed) => sent.changed = changed.told,
            Err(why) => sent.inexpressible = Some(why.to_string()),
        }
        sent
    }
}

/// Candidates for which a request is written: each takes as long as the request's translation.
const SHOWN_MAX: usize = 16;
