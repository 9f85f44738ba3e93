//! `POST /v1/messages/count_tokens` and `POST /v1/responses/input_tokens`: a provider that has the
//! same counts, and where none can, the answer is an estimate (rules MC of
//! reference/messages-inbound.md, W4 and M2 of reference/responses-inbound.md). Budgets go by a
//! coarser one, of the body's bytes, which takes no pass of its own.
//!
//! Counting costs nothing. So it takes a provider's place, but neither headroom nor money, and
//! whatever comes of it says nothing about the provider.

use std::rc::Rc;
use std::time::Duration;

use crate::base::endpoint::Dialect;
use crate::base::ids::ProviderId;
use crate::base::limits::{ERROR_BODY_BYTES_MAX, TRANSLATED_AT_ONCE_BYTES_MAX};
use crate::base::time::Instant;
use crate::base::tokens::Tokens;
use crate::decide::outcome::{Failure, KeyOwner, Outcome, Topic, classify_status};
use crate::dialect::{messages, responses};
use crate::exchange::answer_head::{JSON, PassedOn};
use crate::exchange::course::{Fresh, Try};
use crate::exchange::headers::Totals;
use crate::exchange::inbound;
use crate::exchange::refusal::Refusal;
use crate::shard::http::caller::Caller;
use crate::shard::http::help;
use crate::shard::http::receive;
use crate::shard::http::upstream::Upstream;
use crate::shard::net::timers::Cut;
use crate::shard::request::after::{self, After};
use crate::shard::request::answer_head::{self, Told};
use crate::shard::request::attempt::Attempt;
use crate::shard::request::error::Error;
use crate::shard::request::job::Job;
use crate::shard::request::kept;
use crate::shard::request::local::{self, Answer};
use crate::shard::request::perform;
use crate::shard::request::record::Record;
use crate::shard::request::translated;
use crate::shard::request::unserved::Unserved;
use crate::shard::request::words::Words;
use crate::shard::state::desk::Desk;
use crate::sys::clock;
use crate::wire::json::{self, Kind};

/// Answers with the tokens of the caller's prompt.
///
/// # Errors
///
/// infermux stops, or no helper thread has time for a large prompt.
pub(super) async fn answer<'a>(
    job: &Job<'a>,
    caller: &mut Caller,
    record: &mut Record<'a>,
) -> Result<After, Unserved<'a>> {
    let until = clock::now() + COUNTED_WITHIN;
    let places = 0..job.routed.route.candidates.len();
    for place in places.filter(|place| job.routed.is_candidate(*place)) {
        let Some(seat) = Seat::take(job, place) else {
            continue;
        };
        let outcome = ask(job, caller, record, (place, until)).await;
        drop(seat);
        if let Some(outcome) = outcome {
            record.end_attempt(outcome);
        }
        if caller.is_cut_off() && outcome == Some(Outcome::CallerGone) {
            return Err(Refusal::ShuttingDown.into());
        }
        match outcome {
            Some(Outcome::CallerGone) => {
                record.caller_gone();
                return Ok(After::Close);
            }
            Some(_) => return Ok(after::after(job.shard, record.connection)),
            None => {}
        }
    }
    record.asked = None;
    record.words = Words::default();
    estimated(job, caller, record).await
}

/// A place among a provider's requests in flight, given back when it is dropped.
struct Seat {
    desk: Rc<Desk>,
    provider: ProviderId,
}

impl Seat {
    /// Takes a place at the candidate `place`, if it can count and is in service.
    fn take(job: &Job<'_>, place: usize) -> Option<Self> {
        let provider = job.provider_at(place);
        let is_asked_alike = !job.is_translated_at(place);
        if !is_asked_alike || !provider.vendor.has(job.endpoint) {
            return None;
        }
        let desk = Rc::clone(&job.shard.desk);
        let gate = &desk.gates.providers[provider.id.index()];
        gate.take_place(clock::now()).then(|| Self {
            provider: provider.id,
            desk: Rc::clone(&desk),
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.desk.gates.providers[self.provider.index()].release();
    }
}

/// Asks the candidate `place`, and tells the caller what it says; `None`: it cannot count now.
async fn ask<'a>(
    job: &Job<'a>,
    caller: &mut Caller,
    record: &mut Record<'a>,
    (place, until): (usize, Instant),
) -> Option<Outcome> {
    let first = Try::first(place, clock::now());
    translated::prepare(job, caller, record, &first)
        .await
        .ok()?;
    record.attempts += 1;
    record.asked = Some(job.asked(place));
    job.note_begun(record, place, false, None);
    let mut read = read_answer(job, caller, record, &first, until).await;
    if let Err(Outcome::StaleConnection) = read {
        let again = Try {
            fresh: Fresh::Needed,
            ..first
        };
        read = read_answer(job, caller, record, &again, until).await;
    }
    let (attempt, mut up) = match read {
        Ok(read) => read,
        Err(Outcome::CallerGone) => return Some(Outcome::CallerGone),
        Err(outcome) => {
            record.end_attempt(outcome);
            return None;
        }
    };
    let status = up.head.status;
    record.hear(status, Words::of_head(attempt.crossing().masks, &up));
    attempt.crossing().masks.mask_answer(up.body_mut());
    let is_count = || {
        let count = json::member(up.body(), b"input_tokens");
        count.is_some_and(|count| count.value.kind == Kind::Number)
    };
    if status == 200 && is_count() {
        return Some(tell(&attempt, caller, record, up).await);
    }
    // A page of some server in between is no word of the API.
    let is_error = json::member(up.body(), b"error").is_some();
    if is_error && is_about_the_request(status, attempt.key) {
        attempt.note_error(record, up.body());
        let body = up.body().to_vec();
        let error = Error::object(status, body);
        let sent = kept::pass_through(&attempt, caller, record, up, error).await;
        return Some(sent.unwrap_or(Outcome::RequestRefused(status)));
    }
    record.end_attempt(match classify_status(status, attempt.key, Topic::Unknown) {
        Outcome::Answered => Outcome::Failed(Failure::Malformed),
        outcome => outcome,
    });
    job.shard.park(attempt.candidate().provider, up);
    None
}

/// Whether the caller is told of an error with this status: others are about the provider, or about
/// infermux's own key.
fn is_about_the_request(status: u16, key: KeyOwner) -> bool {
    match (status, key) {
        (401..=403, KeyOwner::Infermux) | (404 | 405 | 408 | 429, _) => false,
        (400..=499, _) => true,
        (_, _) => false,
    }
}

/// Sends the request, and reads the answer to its end.
async fn read_answer<'j, 'a>(
    job: &'j Job<'a>,
    caller: &mut Caller,
    record: &mut Record<'_>,
    this: &Try,
    until: Instant,
) -> Result<(Attempt<'j, 'a>, Box<Upstream>), Outcome> {
    let provider = job.provider_at(this.place);
    let deadline = until.min(this.started + provider.timeout);
    let (mut up, sent_at) = perform::connection(job, caller, this, deadline).await?;
    let (mut attempt, credential) = Attempt::new(job, &caller.head, this, sent_at, deadline);
    attempt.note_sent(record);
    up.socket.deadline.set(deadline, Cut::Both);
    perform::send_request(&attempt, caller, &mut up, credential).await?;
    if caller.is_gone() {
        return Err(Outcome::CallerGone);
    }
    up.read_head(caller).await?;
    match receive::read(&job.shard.io, caller, &mut up, ERROR_BODY_BYTES_MAX).await {
        Ok(()) => Ok((attempt, up)),
        Err(receive::Stop::Outcome(outcome)) => Err(outcome),
        Err(receive::Stop::Overloaded) => Err(Outcome::TooLarge),
    }
}

/// Tells what the provider has counted.
async fn tell<'a>(
    attempt: &Attempt<'_, 'a>,
    caller: &mut Caller,
    record: &mut Record<'a>,
    up: Box<Upstream>,
) -> Outcome {
    let mut fields = Vec::new();
    inbound::write_fields(&up.head, &up.bytes, attempt.crossing(), &mut fields);
    fields.extend_from_slice(COUNTED);
    let told = Told {
        place: attempt.place,
        status: up.head.status,
        media_type: JSON,
        length: up.body().len(),
        totals: Totals::default(),
        latency: clock::now().since(attempt.sent_at),
    };
    answer_head::write_whole(attempt.job, caller, record, &told, PassedOn::Lines(&fields));
    caller.out.extend_from_slice(up.body());
    attempt.job.shard.park(attempt.candidate().provider, up);
    match caller.send_out().await {
        Ok(()) => Outcome::Answered,
        Err(_) => Outcome::CallerGone,
    }
}

/// Tells the estimate.
async fn estimated<'a>(
    job: &Job<'a>,
    caller: &mut Caller,
    record: &mut Record<'a>,
) -> Result<After, Unserved<'a>> {
    let (at, dialect) = (job.body.clone(), job.endpoint.dialect());
    let count: Tokens = if at.len() <= TRANSLATED_AT_ONCE_BYTES_MAX {
        estimate(dialect, &caller.bytes[at])
    } else {
        let work = move |message: &[u8]| estimate(dialect, &message[at]);
        help::make_of_message(&job.shard.helpers, caller, work).await?
    };
    let object = match dialect {
        Dialect::Chat | Dialect::Messages => "",
        Dialect::Responses => "\"object\":\"response.input_tokens\",",
    };
    let body = format!("{{{object}\"input_tokens\":{}}}", count.get());
    let answer = Answer {
        fields: ESTIMATED.to_owned(),
        ..Answer::json(200, body.into_bytes())
    };
    Ok(local::answer(job.shard, caller, job.request, record, answer).await)
}

/// How many tokens a prompt of this dialect is likely to have.
fn estimate(dialect: Dialect, body: &[u8]) -> Tokens {
    match dialect {
        Dialect::Chat | Dialect::Messages => messages::estimate::tokens(body),
        Dialect::Responses => responses::estimate::tokens(body),
    }
}

/// Longest wait for providers' counts: the estimate is there at once.
const COUNTED_WITHIN: Duration = Duration::from_secs(10);
/// Says that a provider has counted.
const COUNTED: &[u8] = b"X-Infermux-Token-Count: native\r\n";
/// Says that nobody has counted.
const ESTIMATED: &str = "X-Infermux-Token-Count: estimated\r\n";
