//! The requests of simulated shards: what `shard::drive`, `permit` and `spend` do, in steps.

use std::sync::Arc;
use std::time::Duration;

use infermux::testing::base::ids::{BudgetId, ProviderId};
use infermux::testing::base::money::NanoUsd;
use infermux::testing::base::time::Instant;
use infermux::testing::base::tokens::Tokens;
use infermux::testing::config::plan::BudgetAction;
use infermux::testing::decide::budget::{self, Admission, Ask, Standing as Budget};
use infermux::testing::decide::failover::{Attempts, Grant, Step};
use infermux::testing::decide::outcome::{Outcome, Sample as Kind, Signal};
use infermux::testing::ledger::terms::Terms;
use infermux::testing::link::facts::{Ended, Fact, Sample, SampleKind};
use infermux::testing::link::provider_gate::{Standing, Taken};
use infermux::testing::shard::state::reports::ENFORCE_POLLS;

use crate::judge::{AttemptId, Broken, Held, is_enforced, promise};
use crate::money::Allotment;
use crate::scene::{PRICE, Script};
use crate::window::Counted;
use crate::world::{Event, Happened, World};

pub(crate) struct Request {
    pub(crate) shard: usize,
    /// The configuration that it began under.
    terms: Arc<Terms>,
    /// Its estimate.
    tokens: u64,
    /// What is reserved from which budget.
    reservation: Option<(BudgetId, Allotment)>,
    attempts: Attempts,
    attempt: Option<Attempt>,
    stage: Stage,
    /// Number of its next event.
    turn: u32,
}

#[derive(Clone, Copy)]
struct Attempt {
    id: AttemptId,
    provider: ProviderId,
    admitted: Instant,
    taken: Taken,
    script: Script,
    content_at: Option<Instant>,
}

#[derive(Clone, Copy)]
enum Stage {
    Choosing,
    /// A permit is taken, and nothing said of it.
    Taken,
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
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }
}

impl World {
    /// Callers come, alone or many at once.
    pub(crate) fn arrive(&mut self) {
        if !self.is_open() {
            return;
        }
        let many = if self.dice.chance(50) { 30 } else { 1 };
        for _ in 0..self.dice.between(1, many) {
            let request = self.requests.len();
            let shard = self.dice.place(self.shards.len());
            let terms = Arc::clone(&self.shards[shard].terms);
            let failover = &terms.plan.failover;
            let (max, span) = (failover.max_attempts, failover.deadline);
            let tokens = match self.dice.between(0, 99) {
                0..80 => self.dice.between(1, 500),
                80..98 => self.dice.between(500, 4_000),
                _ => self.dice.between(4_000, 40_000),
            };
            self.requests.push(Request {
                shard,
                terms,
                tokens,
                reservation: None,
                attempts: Attempts::new(max, self.now, span),
                attempt: None,
                stage: Stage::Choosing,
                turn: 0,
            });
            let span = self.dice.span(0, 2);
            self.go_on_after(span, request);
            if self.dice.chance(150) {
                let most = self.dice.one_of(&[300, 3_000, 60_000]);
                let span = self.dice.span(1, most);
                self.after(span, Event::HangUp(request));
            }
        }
        let most = 2 * self.scene.pace;
        let pause = self.dice.span(1, most);
        self.after(pause, Event::Arrive);
    }

    fn go_on_after(&mut self, span: Duration, request: usize) {
        self.requests[request].turn += 1;
        let turn = self.requests[request].turn;
        self.after(span, Event::Step(request, turn));
    }

    /// A request goes on.
    pub(crate) fn step(&mut self, request: usize, turn: u32) -> Result<Happened, Broken> {
        if self.requests[request].turn != turn {
            return Ok(Happened::Nothing);
        }
        match self.requests[request].stage {
            Stage::Choosing => self.admit(request)?,
            Stage::Taken => self.sent(request),
            Stage::Sent => self.answered(request)?,
            Stage::Enforcing {
                outcome,
                batch,
                fact,
                polls,
            } => self.enforce(request, outcome, (batch, fact), polls)?,
            Stage::Over => return Ok(Happened::Nothing),
        }
        Ok(Happened::Something)
    }

    /// The caller leaves. Nobody notices but an attempt that is on its way.
    pub(crate) fn hang_up(&mut self, request: usize) -> Result<Happened, Broken> {
        let Stage::Sent = self.requests[request].stage else {
            return Ok(Happened::Nothing);
        };
        self.say(|| format!("request {request}: its caller leaves"));
        self.end_attempt(request, Outcome::CallerGone)?;
        Ok(Happened::Something)
    }

    /// Asks the budget of the caller, if it has one.
    fn admit(&mut self, request: usize) -> Held {
        let terms = Arc::clone(&self.requests[request].terms);
        let budgets = terms.plan.budgets.callers.len();
        let place = self.dice.place(budgets + 1);
        if place == budgets {
            return self.choose(request);
        }
        let rules = &terms.plan.budgets.callers[place];
        let (budget, place) = (rules.id, rules.id.index());
        let (monthly, action) = (rules.monthly, rules.action);
        let whole = self.requests[request].tokens * PRICE;
        let prompt = whole / self.dice.between(1, 8);
        let ask = Ask {
            prompt: NanoUsd::new(prompt),
            whole: NanoUsd::new(whole),
        };
        let decide = |standing: &Budget| match action {
            BudgetAction::HardStop => match budget::admit(standing, &ask) {
                Admission::Reserve(share) => Ok(share),
                Admission::RefuseForGood | Admission::RefuseInFlight => Err(()),
            },
            BudgetAction::Alert | BudgetAction::ModelOverride => {
                Ok(budget::share_of_unstoppable(standing, &ask))
            }
        };
        let Ok(reserved) = terms.gates.budgets[place].reserve(monthly, decide) else {
            self.say(|| format!("request {request}: budget {place} refuses {whole}"));
            self.requests[request].stage = Stage::Over;
            return Ok(());
        };
        let allotment = Allotment {
            reserved,
            ask,
            action,
        };
        self.judge.account(place).on_reserved(&allotment)?;
        self.requests[request].reservation = Some((budget, allotment));
        self.say(|| {
            let share = reserved.share;
            format!("request {request}: budget {place} reserves {share:?}")
        });
        self.choose(request)
    }

    /// Takes a permit of some eligible provider.
    fn choose(&mut self, request: usize) -> Held {
        let (now, tokens) = (self.now, self.requests[request].tokens);
        let terms = Arc::clone(&self.requests[request].terms);
        let providers = &terms.plan.providers;
        let gate = |place: usize| &terms.gates.providers[providers[place].id.index()];
        let tried = self.requests[request].attempts.tried();
        // Sometimes others were faster since it looked.
        let is_late = self.dice.chance(100);
        let is_eligible = |place: &usize| {
            let standing = gate(*place).standing(now, tokens);
            !tried.contains(*place) && (is_late || standing == Standing::Ready)
        };
        let eligible: Vec<usize> = (0..providers.len()).filter(is_eligible).collect();
        if eligible.is_empty() {
            self.say(|| format!("request {request}: nobody is left"));
            return self.over(request);
        }
        let place = self.dice.one_of(&eligible);
        let Some(taken) = gate(place).take(tokens) else {
            promise("reservation.settled-once", is_late, || {
                format!("provider {place} is ready, and nothing can be taken")
            })?;
            self.say(|| format!("request {request}: others were faster at provider {place}"));
            return self.choose(request);
        };
        self.attempts += 1;
        let id = self.attempts;
        let provider = providers[place].id;
        self.say(|| format!("request {request}: {taken:?} of provider {}", provider.0));
        let counted = Counted::by(&providers[place]);
        self.judge.on_taken(now, provider, (taken, counted), id)?;
        let script = self.script(request, provider);
        let one = &mut self.requests[request];
        one.attempts.begin(place);
        one.stage = Stage::Taken;
        one.attempt = Some(Attempt {
            id,
            provider,
            admitted: now,
            taken,
            script,
            content_at: None,
        });
        let stuck = if taken.probe.is_some() { 100 } else { 2 };
        if self.dice.chance(stuck) {
            let (shard, span) = (self.requests[request].shard, self.dice.span(1, 10_000));
            self.stop_shard(shard, span);
            self.go_on_after(Duration::ZERO, request);
            return Ok(());
        }
        self.sent(request);
        if self.dice.chance(2) {
            // Its facts wait with it, some for longer than a window.
            let (shard, span) = (self.requests[request].shard, self.dice.span(1, 90_000));
            self.stop_shard(shard, span);
        }
        Ok(())
    }

    fn script(&mut self, request: usize, provider: ProviderId) -> Script {
        let plan = &self.requests[request].terms.plan;
        let timeout = plan.provider(provider).timeout;
        self.moods[provider.index()].script(&mut self.dice, timeout)
    }

    /// A permit is reported, and the request is on its way.
    fn sent(&mut self, request: usize) {
        let (shard, at) = (self.requests[request].shard, self.now);
        let Some(attempt) = &mut self.requests[request].attempt else {
            return;
        };
        attempt.admitted = at;
        let attempt = *attempt;
        let provider = attempt.provider;
        let gates = &self.requests[request].terms.gates;
        let gate = &gates.providers[provider.index()];
        if gate.is_limited() {
            let tokens = Tokens::new(attempt.taken.tokens);
            let fact = Fact::Admitted {
                provider,
                at,
                requests: gate.requests_taken(),
                tokens,
            };
            self.report(shard, fact, attempt.id);
        }
        if let Some(generation) = attempt.taken.probe {
            let fact = Fact::ProbeTaken {
                provider,
                generation,
                at,
            };
            self.report(shard, fact, attempt.id);
            self.shards[shard].reports.flush();
        }
        self.begin(request, attempt.script);
    }

    fn begin(&mut self, request: usize, script: Script) {
        self.requests[request].stage = Stage::Sent;
        self.go_on_after(script.content.unwrap_or(script.end), request);
    }

    /// The first content of an attempt, or its end.
    fn answered(&mut self, request: usize) -> Held {
        let shard = self.requests[request].shard;
        let Some(attempt) = &mut self.requests[request].attempt else {
            return Ok(());
        };
        if attempt.script.content.is_none() || attempt.content_at.is_some() {
            let outcome = attempt.script.outcome;
            return self.end_attempt(request, outcome);
        }
        attempt.content_at = Some(self.now);
        let attempt = *attempt;
        self.requests[request].attempts.commit();
        self.say(|| format!("request {request}: first content"));
        if let Some(generation) = attempt.taken.probe {
            let (provider, at) = (attempt.provider, self.now);
            let fact = Fact::ProbeAnswered {
                provider,
                generation,
                at,
            };
            self.judge.on_proven(provider, attempt.id);
            self.report(shard, fact, attempt.id);
            self.shards[shard].reports.flush();
        }
        self.go_on_after(attempt.script.end, request);
        Ok(())
    }

    fn end_attempt(&mut self, request: usize, outcome: Outcome) -> Held {
        self.say(|| format!("request {request}: {outcome:?}"));
        let Some(attempt) = self.requests[request].attempt else {
            return Ok(());
        };
        if outcome == Outcome::StaleConnection {
            return self.go_on(request, outcome);
        }
        let shard = self.requests[request].shard;
        if outcome == Outcome::RateLimited {
            let (provider, at, span) = (attempt.provider, self.now, attempt.script.asked);
            self.report(shard, Fact::Cooldown { provider, at, span }, attempt.id);
        }
        let mut used = 0;
        if outcome == Outcome::Answered || attempt.content_at.is_some() {
            let most = self.requests[request].tokens * if self.dice.chance(100) { 5 } else { 1 };
            used = self.dice.between(1, most);
            self.pay(request, NanoUsd::new(used * PRICE));
        }
        let plan = Arc::clone(&self.requests[request].terms.plan);
        let provider = plan.provider(attempt.provider);
        let signal = outcome.for_breaker(&provider.breaker);
        let sample = self.sample(&attempt, outcome, provider.timeout);
        self.settle(request, signal, sample, used)?;
        if !is_enforced(signal, outcome == Outcome::RateLimited) {
            return self.go_on(request, outcome);
        }
        let batch = self.shards[shard].reports.hand_over();
        let fact = self.judge.reported(shard);
        self.expect_delivery(shard);
        self.enforce(request, outcome, (batch, fact), 0)
    }

    fn sample(&self, attempt: &Attempt, outcome: Outcome, timeout: Duration) -> Option<Sample> {
        let (latency, kind) = match (outcome.sample(), attempt.content_at) {
            (Kind::Nothing, _) => return None,
            (Kind::TheTimeout, _) => (timeout, SampleKind::WholeAnswer),
            (Kind::Measured, Some(at)) => (at.since(attempt.admitted), SampleKind::FirstContent),
            (Kind::Measured, None) => (self.now.since(attempt.admitted), SampleKind::WholeAnswer),
        };
        Some(Sample { latency, kind })
    }

    /// Looks whether a verdict is in force; waits a little where it is not.
    fn enforce(
        &mut self,
        request: usize,
        outcome: Outcome,
        (batch, fact): (u64, u64),
        polls: u32,
    ) -> Held {
        let shard = self.requests[request].shard;
        if self.shards[shard].reports.is_in_force(batch) {
            self.judge.on_told(shard, fact)?;
            return self.go_on(request, outcome);
        }
        self.expect_delivery(shard);
        if polls == ENFORCE_POLLS {
            return self.go_on(request, outcome);
        }
        self.requests[request].stage = Stage::Enforcing {
            outcome,
            batch,
            fact,
            polls: polls + 1,
        };
        self.go_on_after(Duration::from_millis(1), request);
        Ok(())
    }

    /// What follows from an attempt's end.
    fn go_on(&mut self, request: usize, outcome: Outcome) -> Held {
        let may = if self.dice.chance(900) {
            Grant::Granted
        } else {
            Grant::Denied
        };
        let attempts = &mut self.requests[request].attempts;
        let step = attempts.on_outcome(self.now, outcome, || may);
        if let (Step::SameProviderFresh, Some(attempt)) = (step, self.requests[request].attempt) {
            let script = self.script(request, attempt.provider);
            if let Some(attempt) = &mut self.requests[request].attempt {
                attempt.script = script;
            }
            self.begin(request, script);
            return Ok(());
        }
        // A permit that nothing was said of is given back.
        self.settle(request, Signal::Neutral, None, 0)?;
        match step {
            Step::SameProviderFresh | Step::Another => self.choose(request),
            Step::End(_) => self.over(request),
        }
    }

    /// Gives an attempt's permit back, once.
    fn settle(
        &mut self,
        request: usize,
        signal: Signal,
        sample: Option<Sample>,
        used: u64,
    ) -> Held {
        let Some(attempt) = self.requests[request].attempt.take() else {
            return Ok(());
        };
        let (shard, provider) = (self.requests[request].shard, attempt.provider);
        let terms = &self.requests[request].terms;
        let gate = &terms.gates.providers[provider.index()];
        let excess = gate.take_excess(attempt.taken, used);
        gate.leave();
        let counted = Counted::by(terms.plan.provider(provider));
        self.judge.on_left(provider, (used, counted), attempt.id)?;
        let ended = Ended {
            provider,
            admitted: attempt.admitted,
            at: self.now,
            signal,
            sample,
            reserved: Tokens::new(attempt.taken.tokens),
            excess: Tokens::new(excess),
            used: Tokens::new(used),
            probe: attempt.taken.probe,
            successes_before: 0,
        };
        let before = self.judge.on_ended(provider, signal, attempt.id);
        if signal == Signal::Failure {
            self.say(|| format!("request {request}: {before} successes had ended before"));
        }
        self.report(shard, Fact::Ended(ended), attempt.id);
        if attempt.taken.probe.is_some() {
            self.shards[shard].reports.flush();
        }
        Ok(())
    }

    /// Settles what a request cost, once.
    fn pay(&mut self, request: usize, cost: NanoUsd) {
        let Some((budget, allotment)) = self.requests[request].reservation.take() else {
            return;
        };
        let gates = &self.requests[request].terms.gates;
        gates.budgets[budget.index()].settle(&allotment.reserved, cost);
        self.judge
            .account(budget.index())
            .on_settled(&allotment, cost);
        if cost > NanoUsd::ZERO {
            let month = allotment.reserved.month;
            let fact = Fact::Settled {
                budget,
                month,
                cost,
            };
            self.report(self.requests[request].shard, fact, 0);
        }
    }

    fn over(&mut self, request: usize) -> Held {
        self.settle(request, Signal::Neutral, None, 0)?;
        self.pay(request, NanoUsd::ZERO);
        self.requests[request].stage = Stage::Over;
        Ok(())
    }

    fn report(&mut self, shard: usize, fact: Fact, attempt: AttemptId) {
        self.judge.on_report(shard, fact, attempt);
        match fact {
            Fact::Ended(ended) => self.shards[shard].reports.ended(ended),
            other => self.shards[shard].reports.report(other),
        }
        if !std::mem::replace(&mut self.shards[shard].will_flush, true) {
            self.after(Duration::from_millis(10), Event::Flush(shard));
        }
        self.expect_delivery(shard);
    }
}
