//! Callers and providers, who are played. What a shard does for them is the real thing: the course
//! of a request says what is done next, and its permit and pass are taken from real gates.

use std::rc::Rc;
use std::time::Duration;

use infermux::testing::base::ids::ProviderId;
use infermux::testing::base::money::NanoUsd;
use infermux::testing::base::tokens::Tokens;
use infermux::testing::decide::budget::Ask;
use infermux::testing::decide::failover::Grant;
use infermux::testing::decide::outcome::{Outcome, Sample as Kind, Signal, Verdict, Waiting};
use infermux::testing::decide::room::too_small;
use infermux::testing::exchange::course::{Action, Course, Injection, Later, Try};
use infermux::testing::exchange::overrides::Overrides;
use infermux::testing::exchange::scopes::Scopes;
use infermux::testing::link::facts::{Fact, Sample, SampleKind};
use infermux::testing::link::provider_gate::Standing;
use infermux::testing::shard::request::pass::{Bill, Pass, Wanted};
use infermux::testing::shard::request::permit::Permit;
use infermux::testing::shard::state::reports::ENFORCE_POLLS;

use crate::promise::{AttemptId, Broken, Held, promise};
use crate::request::{Attempt, Request, Stage};
use crate::scene::{MODELS, PRICE, Script};
use crate::scopes::{Words, passed};
use crate::way::Way;
use crate::window::Counted;
use crate::world::{Event, Happened, World};

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
            let desk = Rc::clone(&self.shards[shard].desk);
            let failover = &desk.plan.failover;
            let course = Course::new(failover.max_attempts, self.now, failover.deadline);
            let tokens = match self.dice.between(0, 99) {
                0..80 => self.dice.between(1, 500),
                80..98 => self.dice.between(500, 4_000),
                _ => self.dice.between(4_000, 40_000),
            };
            let callers = Rc::clone(&self.shards[shard].callers);
            let key = self.dice.place(callers.ring().keys().len() + 1);
            self.requests.push(Request {
                shard,
                way: Way::new(failover.max_attempts),
                desk,
                // The last of these places is that of no key.
                key: (key < callers.ring().keys().len()).then_some(key),
                callers: Some(callers),
                caller: format!("c{}", self.dice.between(0, 5)),
                model: self.dice.one_of(&MODELS),
                tokens,
                pass: None,
                course,
                bodies: self.memory.nothing(shard),
                permit: None,
                attempt: None,
                stage: Stage::Arrived,
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
            Stage::Arrived => self.admit(request)?,
            Stage::Taken(action) => self.announce(request, action)?,
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

    /// Takes the request through its scopes.
    fn admit(&mut self, request: usize) -> Held {
        if !self.receive(request)? {
            return self.over(request);
        }
        // Some ask for nothing that costs.
        let ask = (!self.dice.chance(50)).then(|| {
            let whole = self.requests[request].tokens * PRICE;
            Ask {
                prompt: NanoUsd::new(whole / self.dice.between(1, 8)),
                whole: NanoUsd::new(whole),
            }
        });
        let is_served = self.pass(request, ask)?;
        if !is_served || ask.is_none() {
            return self.over(request);
        }
        self.follow(request, Action::Survey)
    }

    /// Takes what the request needs of its scopes; whether they let it through.
    fn pass(&mut self, request: usize, ask: Option<Ask>) -> Result<bool, Broken> {
        let one = &self.requests[request];
        let (desk, shard, key) = (Rc::clone(&one.desk), one.shard, one.key);
        let (caller, asked) = (one.caller.clone(), one.model);
        let Some(callers) = one.callers.clone() else {
            return Ok(true);
        };
        let tokens = if ask.is_some() { one.tokens } else { 0 };
        let scopes = Scopes::new(callers.accounts(), key, Some(&caller));
        let (mut model, mut overrides) = (asked, Overrides::default());
        loop {
            let wanted = Wanted {
                now: self.now,
                model,
                tokens: Tokens::new(tokens),
                ask,
                overrides: &overrides,
            };
            let before = Words::of(self.now, callers.gates());
            let (mut pass, accounts) = (None, scopes.of_model(Some(model)));
            let taken = Pass::take(&mut pass, (&desk, &callers), &accounts, &wanted);
            let stopped = match (taken, pass) {
                (Ok(()), Some(pass)) => {
                    let expected = passed(&desk.plan, key, &caller, model);
                    let held = (&pass, &*expected);
                    let judge = &mut self.judge.scopes;
                    let allotments = judge.on_passed(held, &wanted, request as AttemptId)?;
                    self.say(|| {
                        let shares = allotments.iter().map(|(id, one)| (id, one.reserved.share));
                        let (limits, shares) = (pass.taken(), shares.collect::<Vec<_>>());
                        let limits: Vec<_> = limits.collect();
                        format!("request {request} for {model}: {limits:?}, {shares:?}")
                    });
                    self.requests[request].pass = Some((pass, allotments));
                    self.hear(shard, request as AttemptId);
                    return Ok(true);
                }
                (Err(stopped), None) => stopped,
                (Ok(()), None) | (Err(_), Some(_)) => panic!("a pass is there where it was taken"),
            };
            let after = Words::of(self.now, callers.gates());
            let told = self.shards[shard].reports.heard();
            let scope = &stopped.account.scope;
            // That a budget has refused is told, and takes nothing.
            let is_refusal = |fact: &Fact| matches!(fact, Fact::Refused { .. });
            let has_told = !told.iter().all(|(fact, _)| is_refusal(fact));
            // proves: refused.uses-nothing
            promise("refused.uses-nothing", before == after && !has_told, || {
                format!("request {request} for {model} is refused by {scope}, and took something")
            })?;
            self.take_heard(shard, request as AttemptId, told);
            self.judge.scopes.on_stopped(&callers, &stopped, &wanted)?;
            self.say(|| format!("request {request} for {model}: {scope} refuses {ask:?}"));
            let budget = stopped.budget();
            let Some(other) = budget.and_then(|budget| overrides.start_over(budget)) else {
                return Ok(false);
            };
            model = other;
        }
    }

    /// Does what the course of a request says, until that takes time.
    pub(crate) fn follow(&mut self, request: usize, action: Action) -> Held {
        let mut action = action;
        loop {
            action = match action {
                Action::Survey => self.survey(request)?,
                Action::Take(place) => match self.take(request, place)? {
                    Some(action) => action,
                    None => return Ok(()),
                },
                Action::Send(this) => return self.ask(request, this),
                Action::Refuse | Action::Tell(_) => {
                    if let Action::Tell(verdict) = action {
                        self.requests[request].way.on_told(verdict)?;
                        self.judge_told(request, verdict)?;
                    }
                    self.say(|| format!("request {request}: {action:?}"));
                    return self.over(request);
                }
            };
        }
    }

    /// Chooses some eligible provider. Sometimes others were faster since it looked.
    fn survey(&mut self, request: usize) -> Result<Action, Broken> {
        let (now, tokens) = (self.now, self.requests[request].tokens);
        let desk = Rc::clone(&self.requests[request].desk);
        let (providers, gates) = (&desk.plan.providers, &desk.gates.providers);
        let tried = self.requests[request].course.tried();
        let is_late = self.dice.chance(100);
        let is_eligible = |place: &usize| {
            let standing = gates[providers[*place].id.index()].standing(now, tokens);
            !tried.contains(*place) && (is_late || standing == Standing::Ready)
        };
        let eligible: Vec<usize> = (0..providers.len()).filter(is_eligible).collect();
        let mut place = None;
        if !eligible.is_empty() {
            let chosen = self.dice.one_of(&eligible);
            let gate = &gates[providers[chosen].id.index()];
            let is_ready = gate.standing(now, tokens) == Standing::Ready;
            promise("reservation.settled-once", is_late || is_ready, || {
                format!("provider {chosen} is ready, and nothing can be taken")
            })?;
            place = Some(chosen);
        }
        let is_away = |place: &usize| {
            let standing = gates[providers[*place].id.index()].standing(now, tokens);
            !tried.contains(*place) && standing != Standing::Ready
        };
        let later = match (0..providers.len()).any(|place| is_away(&place)) {
            true => Later::Somebody,
            false => Later::Nobody,
        };
        Ok(self.requests[request].course.chosen(place, later))
    }

    /// Looks at the candidates beside what the caller of a request is told.
    fn judge_told(&self, request: usize, verdict: Verdict) -> Held {
        let one = &self.requests[request];
        let (gates, now, tokens) = (&one.desk.gates.providers, self.now, one.tokens);
        for (place, provider) in one.desk.plan.providers.iter().enumerate() {
            let standing = gates[provider.id.index()].standing(now, tokens);
            let candidate = (place, window(provider.id));
            let is_ready = standing == Standing::Ready;
            one.way.on_told_beside(verdict, candidate, is_ready)?;
        }
        Ok(())
    }

    /// Takes a permit of a provider; `None`: the shard is stopped before it can say so.
    fn take(&mut self, request: usize, place: usize) -> Result<Option<Action>, Broken> {
        let one = &self.requests[request];
        let (shard, desk, tokens) = (one.shard, Rc::clone(&one.desk), Tokens::new(one.tokens));
        let provider = desk.plan.providers[place].id;
        if let Some(action) = self.translate(request, place)? {
            return Ok(Some(action));
        }
        let Some(permit) = Permit::hold(&desk, provider, self.now, tokens) else {
            self.say(|| format!("request {request}: others were faster at provider {place}"));
            return Ok(Some(self.requests[request].course.permit(place, None)));
        };
        self.attempts += 1;
        let (id, taken) = (self.attempts, permit.taken());
        self.say(|| format!("request {request}: {taken:?} of provider {}", provider.0));
        let counted = Counted::by(&desk.plan.providers[place]);
        self.judge
            .on_taken(self.now, provider, (taken, counted), id)?;
        let script = self.script(request, provider);
        let now = self.now;
        let one = &mut self.requests[request];
        let action = one.course.permit(place, Some(permit.admitted()));
        one.permit = Some(permit);
        one.attempt = Some(Attempt {
            id,
            provider,
            admitted: now,
            script,
            injection: Injection::Allowed,
            content_at: None,
        });
        let stuck = if taken.probe.is_some() { 100 } else { 2 };
        if self.dice.chance(stuck) {
            self.requests[request].stage = Stage::Taken(action);
            let span = self.dice.span(1, 10_000);
            self.stop_shard(shard, span);
            self.go_on_after(Duration::ZERO, request);
            return Ok(None);
        }
        self.announce(request, action)?;
        if self.dice.chance(2) {
            // Its facts wait with it, some for longer than a window.
            let span = self.dice.span(1, 90_000);
            self.stop_shard(shard, span);
        }
        Ok(None)
    }

    fn script(&mut self, request: usize, provider: ProviderId) -> Script {
        let plan = &self.requests[request].desk.plan;
        let timeout = plan.provider(provider).timeout;
        self.moods[provider.index()].script(&mut self.dice, timeout)
    }

    /// A permit is reported, and the request is on its way.
    fn announce(&mut self, request: usize, action: Action) -> Held {
        let one = &self.requests[request];
        if let Some(permit) = &one.permit {
            permit.announce();
        }
        let id = one.attempt.map_or(0, |attempt| attempt.id);
        self.hear(self.requests[request].shard, id);
        self.follow(request, action)
    }

    /// The provider has the request, over a pooled connection or a fresh one.
    fn ask(&mut self, request: usize, this: Try) -> Held {
        let Some(mut attempt) = self.requests[request].attempt else {
            return Ok(());
        };
        if this.started > attempt.admitted || self.requests[request].is_sent() {
            attempt.script = self.script(request, attempt.provider);
        }
        let script = attempt.script;
        attempt.injection = this.injection;
        let window = window(attempt.provider);
        self.requests[request].way.on_sent(this.place, window)?;
        self.requests[request].attempt = Some(attempt);
        self.requests[request].stage = Stage::Sent;
        self.go_on_after(script.content.unwrap_or(script.end), request);
        Ok(())
    }

    /// The first content of an attempt, or its end.
    fn answered(&mut self, request: usize) -> Held {
        let (shard, now) = (self.requests[request].shard, self.now);
        let one = &mut self.requests[request];
        let Some(attempt) = &mut one.attempt else {
            return Ok(());
        };
        if attempt.script.content.is_none() || attempt.content_at.is_some() {
            let mut outcome = attempt.script.outcome;
            if attempt.content_at.is_some() && self.dice.chance(20) {
                // Whatever else ends it: nobody takes over any more.
                outcome = Outcome::TimedOut(Waiting::Content);
            }
            let is_asked = attempt.injection == Injection::Allowed;
            if outcome == Outcome::RequestRefused(400) && is_asked && self.dice.chance(300) {
                return self.without_injection(request);
            }
            return self.end_attempt(request, outcome);
        }
        attempt.content_at = Some(now);
        let attempt = *attempt;
        let release = one.course.commit();
        one.way.on_committed();
        self.memory.release(&mut one.bodies, release);
        if let Some(permit) = &one.permit {
            if permit.taken().probe.is_some() {
                self.judge.on_begun(attempt.provider, attempt.id);
            }
            permit.answered();
        }
        self.say(|| format!("request {request}: first content"));
        self.hear(shard, attempt.id);
        self.go_on_after(attempt.script.end, request);
        Ok(())
    }

    fn end_attempt(&mut self, request: usize, outcome: Outcome) -> Held {
        self.say(|| format!("request {request}: {outcome:?}"));
        let one = &self.requests[request];
        let Some(attempt) = one.attempt else {
            return Ok(());
        };
        let (shard, desk) = (one.shard, Rc::clone(&one.desk));
        let provider = desk.plan.provider(attempt.provider);
        let closing = one.course.ended(outcome, &provider.breaker);
        let signal = outcome.for_breaker(&provider.breaker);
        let is_owed = signal == Signal::Failure || outcome == Outcome::RateLimited;
        promise(
            "verdict.before-cause",
            closing.is_enforced >= is_owed,
            || format!("request {request} tells of {outcome:?} and does not wait"),
        )?;
        self.requests[request].way.on_ended(outcome);
        if outcome == Outcome::Overflowed {
            self.rule_out(request, attempt.provider);
        }
        if outcome == Outcome::RateLimited {
            let (provider, at, span) = (attempt.provider, self.now, attempt.script.asked);
            desk.reports.report(Fact::Cooldown { provider, at, span });
            self.hear(shard, attempt.id);
        }
        let mut used = 0;
        if outcome == Outcome::Answered || attempt.content_at.is_some() {
            let most = self.requests[request].tokens * if self.dice.chance(100) { 5 } else { 1 };
            used = self.dice.between(1, most);
            self.pay(request, used)?;
        }
        if !closing.is_settled {
            return self.go_on(request, outcome);
        }
        let sample = self.sample(&attempt, outcome, provider.timeout);
        let now = self.now;
        if let Some(permit) = &mut self.requests[request].permit {
            let _ = permit.settle(now, outcome, sample, Tokens::new(used));
        }
        self.left(request, signal, used)?;
        if !closing.is_enforced {
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
        let now = self.now;
        let course = &mut self.requests[request].course;
        let action = course.go_on(now, outcome, || may);
        if !matches!(action, Action::Send(_)) {
            self.give_back(request)?;
        }
        self.follow(request, action)
    }

    /// The prompt is too long for the provider that was asked, and so for others.
    fn rule_out(&mut self, request: usize, asked: ProviderId) {
        let one = &mut self.requests[request];
        let prompt = Tokens::new(one.tokens);
        let plan = &one.desk.plan;
        let of = |place: usize| window(plan.providers.get(place)?.id);
        let places = too_small(plan.providers.len(), plan.place(asked), prompt, of);
        one.course.rule_out(&places);
        one.way.on_overflow(window(asked).unwrap_or(prompt));
    }

    /// Drops a permit: one that nothing was said of is given back.
    fn give_back(&mut self, request: usize) -> Held {
        drop(self.requests[request].permit.take());
        self.left(request, Signal::Neutral, 0)
    }

    /// An attempt has left its gate, once.
    fn left(&mut self, request: usize, signal: Signal, used: u64) -> Held {
        let Some(attempt) = self.requests[request].attempt.take() else {
            return Ok(());
        };
        let provider = attempt.provider;
        let counted = Counted::by(self.requests[request].desk.plan.provider(provider));
        self.judge.on_left(provider, (used, counted), attempt.id)?;
        let before = self.judge.on_ended(provider, signal, attempt.id);
        if signal == Signal::Failure {
            self.say(|| format!("request {request}: {before} successes had ended before"));
        }
        self.hear(self.requests[request].shard, attempt.id);
        Ok(())
    }

    /// Settles what a request cost, once.
    fn pay(&mut self, request: usize, used: u64) -> Held {
        let (tokens, cost) = (Tokens::new(used), NanoUsd::new(used * PRICE));
        let Some((mut pass, allotments)) = self.requests[request].pass.take() else {
            return Ok(());
        };
        pass.settle(&Bill { tokens, cost });
        let (id, now) = (request as AttemptId, self.now);
        let judge = &mut self.judge.scopes;
        judge.on_settled(now, (&pass, &allotments), (used, cost, id))?;
        self.hear(self.requests[request].shard, id);
        Ok(())
    }

    fn over(&mut self, request: usize) -> Held {
        self.give_back(request)?;
        self.pay(request, 0)?;
        let one = &mut self.requests[request];
        self.memory.let_go(&mut one.bodies);
        (one.callers, one.stage) = (None, Stage::Over);
        Ok(())
    }

    /// The judge hears what a shard has reported of an attempt.
    fn hear(&mut self, shard: usize, attempt: AttemptId) {
        let heard = self.shards[shard].reports.heard();
        self.take_heard(shard, attempt, heard);
    }

    fn take_heard(&mut self, shard: usize, attempt: AttemptId, heard: Vec<(Fact, u64)>) {
        if heard.is_empty() {
            return;
        }
        for (fact, batch) in heard {
            self.judge.on_report(shard, (fact, attempt), batch);
        }
        if !std::mem::replace(&mut self.shards[shard].will_flush, true) {
            self.after(Duration::from_millis(10), Event::Flush(shard));
        }
        self.expect_delivery(shard);
    }
}

/// The window of a provider's model; of some, none is known.
fn window(provider: ProviderId) -> Option<Tokens> {
    let thousands = u64::from(provider.0) % 4;
    (thousands > 0).then(|| Tokens::new(1_000 * thousands))
}
