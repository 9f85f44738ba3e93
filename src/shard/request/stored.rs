//! Stored responses: each belongs to one provider, which alone can be asked for it (rule W3 of
//! reference/responses-inbound.md). Where nobody knows whose it is, all who store responses are
//! asked, in the order of the file.

use std::cell::Cell;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use crate::base::endpoint::Dialect;
use crate::base::ids::ProviderId;
use crate::base::limits::ONE_SEND_BYTES_MAX;
use crate::base::time::Instant;
use crate::base::tokens::Tokens;
use crate::config::plan::Provider;
use crate::decide::outcome::{Outcome, Topic, Waiting, classify_status};
use crate::dialect::responses::references;
use crate::exchange::auth::{self, Credential, Presented};
use crate::exchange::inbound::Crossing;
use crate::exchange::masks::OwnMasks;
use crate::exchange::media::Media;
use crate::exchange::outbound::{Outbound, StoredLine};
use crate::exchange::refusal::{Down, LastWord, LimitOf, Refusal, Whose};
use crate::exchange::stored::Stored;
use crate::link::provider_gate::{Limit, Standing};
use crate::shard::http::caller::Caller;
use crate::shard::http::receive;
use crate::shard::net::part::Part;
use crate::shard::net::timers::Cut;
use crate::shard::request::admit;
use crate::shard::request::after::After;
use crate::shard::request::connect;
use crate::shard::request::journal::Beginning;
use crate::shard::request::permit::Permit;
use crate::shard::request::record::Record;
use crate::shard::request::refuse;
use crate::shard::request::stored_answer::{self, Errand, Reached, Told};
use crate::shard::request::unserved::Unserved;
use crate::shard::request::words::Words;
use crate::shard::state::shard::Shard;
use crate::sys::clock;
use crate::wire::head::Head;
use crate::wire::known::Known;

/// How a provider took the request.
enum Taken {
    /// The caller has its answer, or has left.
    Over(After),
    /// It does not have the response, as it says.
    Unknown(Told),
    /// It cannot be asked now.
    Out(Standing),
    /// It has failed.
    Failed(Outcome),
}

/// Answers a request for a stored response, whose body stands `at` there.
///
/// # Errors
///
/// Nobody has the response, or can be asked for it.
pub(super) async fn answer<'a>(
    shard: &'a Rc<Shard>,
    caller: &mut Caller,
    record: &mut Record<'a>,
    (stored, at): (&'a Stored, Range<usize>),
) -> Result<After, Unserved<'a>> {
    let (_, request) = record.of();
    if at.len() > ONE_SEND_BYTES_MAX {
        let limit = ONE_SEND_BYTES_MAX;
        return Err(Refusal::RequestTooLarge { limit }.into());
    }
    let asked = (&**shard, request);
    if let Err(halt) = admit::pass_free(asked, record, None) {
        Box::pin(admit::later_free(asked, record, (None, halt))).await?;
    }
    let errand = Errand {
        shard,
        request,
        stored,
        id: stored.id.as_deref().unwrap_or_default(),
        message: Rc::clone(&caller.bytes),
        body: at,
        span: Cell::default(),
    };
    errand.run(caller, record).await
}

impl<'a> Errand<'a> {
    async fn run(
        &self,
        caller: &mut Caller,
        record: &mut Record<'a>,
    ) -> Result<After, Unserved<'a>> {
        let (mut unknown, mut missed) = (None, None);
        for provider in self.candidates() {
            match self.ask(caller, record, provider).await {
                Taken::Over(after) => return Ok(after),
                Taken::Unknown(told) => unknown = Some((provider, told)),
                missing => missed = Some((provider, missing)),
            }
        }
        match (missed, unknown) {
            // The one that could not be asked may have it.
            (Some((provider, Taken::Out(standing))), _) => {
                Ok(self.tell_out(caller, record, provider, standing).await)
            }
            (Some((provider, Taken::Failed(outcome))), _) => {
                let last = LastWord {
                    provider: &provider.name,
                    model: "",
                    outcome,
                    retry: Duration::ZERO,
                };
                let refusal = Refusal::of_verdict(outcome.verdict(), &last);
                Err(Unserved::Refused(refusal.unwrap_or(
                    Refusal::UpstreamError {
                        provider: &provider.name,
                        outcome,
                    },
                )))
            }
            (_, Some((_, told))) => Ok(stored_answer::tell(self, caller, record, told).await),
            (_, None) => Err(Refusal::ResponseNotFound.into()),
        }
    }

    /// Those who may have the response: its owner, or all who store responses.
    fn candidates(&self) -> Vec<&'a Provider> {
        if self.id.is_empty() || references::is_own(self.id.as_bytes()) {
            return Vec::new();
        }
        let owner = self.shard.owners.of(self.id.as_bytes());
        let plan: &'a _ = &self.shard.plan;
        let providers = plan.providers.iter();
        let may_have = |one: &&Provider| {
            owner.is_none_or(|owner| owner == one.id) && self.shard.is_native(one)
        };
        providers.filter(may_have).collect()
    }

    /// Asks one provider.
    async fn ask(
        &self,
        caller: &mut Caller,
        record: &mut Record<'a>,
        provider: &'a Provider,
    ) -> Taken {
        let (shard, now) = (self.shard, clock::now());
        let gate = &shard.gates.providers[provider.id.index()];
        let standing = gate.standing(now, 0);
        if standing != Standing::Ready {
            return Taken::Out(standing);
        }
        let Some(mut permit) = Permit::take(&shard.desk, provider.id, now, Tokens::ZERO) else {
            return Taken::Out(gate.standing(now, 0));
        };
        record.attempts += 1;
        record.relayed_by = Some(&provider.name);
        note_begun(record, provider, (&permit, now));
        self.span.set(record.attempt_span());
        let mut reached = self.reach(caller, provider, now, Pooled::Allowed).await;
        if let Err(Outcome::StaleConnection) = reached {
            permit.count(Outcome::StaleConnection);
            reached = self
                .reach(caller, provider, clock::now(), Pooled::Not)
                .await;
        }
        let mut reached = match reached {
            Ok(reached) => reached,
            Err(outcome) => {
                let over = outcome == Outcome::CallerGone;
                permit.settle(clock::now(), outcome, None, Tokens::ZERO);
                record.end_attempt(outcome);
                shard.reports.enforce().await;
                if over {
                    return Taken::Over(stored_answer::leave(caller, record));
                }
                return Taken::Failed(outcome);
            }
        };
        let up = &reached.up;
        if let Some(journal) = &mut record.journal {
            journal.sent(now, Dialect::Responses, reached.crossing.key);
        }
        record.hear(up.head.status, Words::of_head(reached.crossing.masks, up));
        let media = Media::of(up.head.value_of(&up.bytes, Known::ContentType));
        if (200..=299).contains(&up.head.status) && media == Media::Events {
            self.learn(provider.id);
            let (outcome, after) = stored_answer::relay(self, caller, record, reached).await;
            permit.settle(clock::now(), outcome, None, Tokens::ZERO);
            record.end_attempt(outcome);
            return Taken::Over(after);
        }
        let limit = receive::limit(up.head.status);
        let read = receive::read(&shard.io, caller, &mut reached.up, limit).await;
        self.whole(caller, record, permit, (reached, read)).await
    }

    /// Takes in an answer that is no stream.
    async fn whole(
        &self,
        caller: &mut Caller,
        record: &mut Record<'a>,
        mut permit: Permit,
        (reached, read): (Reached<'a>, Result<(), receive::Stop>),
    ) -> Taken {
        let (shard, status) = (self.shard, reached.up.head.status);
        let provider = reached.provider;
        let outcome = match read {
            Ok(()) => classify_status(status, reached.crossing.key, Topic::Unknown),
            Err(receive::Stop::Outcome(outcome)) => outcome,
            Err(receive::Stop::Overloaded) => {
                let refusal = Refusal::Overloaded;
                let after = refuse::tell(caller, record, &refusal).await;
                return Taken::Over(after);
            }
        };
        permit.settle(clock::now(), outcome, None, Tokens::ZERO);
        record.end_attempt(outcome);
        match outcome {
            Outcome::CallerGone => Taken::Over(stored_answer::leave(caller, record)),
            Outcome::Answered
            | Outcome::RequestRefused(_)
            | Outcome::CallerKeyRefused(_)
            | Outcome::AccessRefused
            | Outcome::Overflowed => {
                let told = stored_answer::told(self, reached);
                if status == 404 {
                    return Taken::Unknown(told);
                }
                if outcome == Outcome::Answered {
                    self.learn(provider.id);
                }
                Taken::Over(stored_answer::tell(self, caller, record, told).await)
            }
            Outcome::StaleConnection
            | Outcome::ConnectFailed(_)
            | Outcome::TimedOut(_)
            | Outcome::Failed(_)
            | Outcome::RateLimited
            | Outcome::OwnKeyRefused(_)
            | Outcome::NotMine
            | Outcome::Untranslatable
            | Outcome::TooLarge
            | Outcome::StreamCut
            | Outcome::StreamStalled => {
                shard.park(provider.id, reached.up);
                shard.reports.enforce().await;
                Taken::Failed(outcome)
            }
        }
    }

    /// Sends the request, and reads the head of the answer.
    async fn reach(
        &self,
        caller: &mut Caller,
        provider: &'a Provider,
        now: Instant,
        pooled: Pooled,
    ) -> Result<Reached<'a>, Outcome> {
        let (shard, deadline) = (self.shard, now + provider.timeout);
        let parked = match pooled {
            Pooled::Allowed => shard.pool.take(provider.id, now),
            Pooled::Not => None,
        };
        let connecting = connect::connect(shard, provider.id, deadline);
        let mut up = match parked {
            Some(up) => up,
            None => match caller.unless_gone(connecting).await {
                Some(Ok(opened)) => Box::new(opened),
                None => return Err(Outcome::CallerGone),
                Some(Err(_)) if caller.is_gone() => return Err(Outcome::CallerGone),
                Some(Err(fault)) => return Err(Outcome::ConnectFailed(fault)),
            },
        };
        up.socket.deadline.set(deadline, Cut::Both);
        let presented = Presented::read(&caller.head, &caller.bytes);
        let credential = auth::credential(provider, &shard.plan.auth, presented);
        let crossing = Crossing {
            key: credential.owner(provider),
            masks: self.masks(provider.id),
        };
        let mut out = std::mem::take(&mut caller.out);
        out.clear();
        self.write(&caller.head, (provider.id, credential, crossing), &mut out);
        let (deadline, sending) = up.send(Part::own(out));
        let (sent, _) = caller.watch(deadline, sending).await;
        if caller.is_gone() {
            return Err(Outcome::CallerGone);
        }
        if sent.is_err() && up.socket.deadline.is_overdue() && !up.has_arrived() {
            return Err(Outcome::TimedOut(Waiting::Head));
        }
        up.read_head(caller).await?;
        Ok(Reached {
            provider,
            crossing,
            up,
        })
    }

    /// Writes the request to a provider: method, query and body are the caller's.
    fn write(
        &self,
        head: &Head,
        (provider, credential, crossing): (ProviderId, Credential<'_>, Crossing<'_>),
        out: &mut Vec<u8>,
    ) {
        let target = &self.message[head.target.clone()];
        let query = target.iter().position(|byte| *byte == b'?');
        let line = StoredLine {
            method: &self.message[head.method.clone()],
            id: self.id,
            path: self.stored.part.path(),
            query: query.map_or(&b""[..], |at| target.split_at(at + 1).1),
        };
        let body = &self.message[self.body.clone()];
        let outbound = Outbound {
            dialect: Dialect::Responses,
            model: "",
            credential,
            key: crossing.key,
            request_id: self.request.id.as_bytes(),
            caller: (head, &self.message),
            trace: self.request.trace.as_deref().zip(self.span.get()),
        };
        let prefixes = self.shard.era.prefixes(provider);
        prefixes.write_stored(&line, &outbound, body.len(), out);
        out.extend_from_slice(body);
    }

    fn masks(&self, provider: ProviderId) -> &'a OwnMasks {
        let shard: &'a Shard = self.shard;
        shard.era.prefixes(provider).masks()
    }

    /// Takes note of whose the response is.
    fn learn(&self, provider: ProviderId) {
        let owners = &self.shard.owners;
        owners.learn(owners.hash(self.id.as_bytes()), provider);
    }

    /// Tells the caller that the only provider that may have the response is out of service.
    async fn tell_out(
        &self,
        caller: &mut Caller,
        record: &mut Record<'a>,
        provider: &'a Provider,
        standing: Standing,
    ) -> After {
        let now = clock::now();
        let down = [Down {
            provider: &provider.name,
            reason: "it is out of service".into(),
        }];
        let refusal = match standing {
            Standing::Limited {
                limit: Limit::Store,
                ..
            } => Refusal::SharedState {
                whose: Whose::Provider(&provider.name),
            },
            Standing::Limited { until, limit } => Refusal::RateLimit {
                model: self.id,
                retry: until.since(now),
                limit: LimitOf {
                    provider: &provider.name,
                    limit,
                },
            },
            Standing::Ready => Refusal::NoHealthyProviders {
                model: self.id,
                retry: Duration::ZERO,
                candidates: &down,
            },
            Standing::Out { until, .. } => Refusal::NoHealthyProviders {
                model: self.id,
                retry: until.since(now),
                candidates: &down,
            },
        };
        refuse::tell(caller, record, &refusal).await
    }
}

/// Takes note that an attempt at `provider` begins at `at`.
fn note_begun(record: &mut Record<'_>, provider: &Provider, (permit, at): (&Permit, Instant)) {
    if let Some(journal) = &mut record.journal {
        journal.begin(&Beginning {
            provider,
            model: "",
            dialect: Dialect::Responses,
            is_probe: permit.taken().probe.is_some(),
            after: None,
            at,
        });
    }
}

/// Whether a pooled connection will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pooled {
    Allowed,
    Not,
}
