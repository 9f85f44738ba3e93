//! This process as a member of its namespace: its name, its number, the store's data and clock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::base::time::{Instant, WallTime};
use crate::ledger::shares::message::{Hello, HelloAnswer, Member, Welcome};
use crate::ledger::shares::quota::{Identity, News, Pace, State};

/// What this process knows of its membership.
#[derive(Debug)]
pub struct Membership {
    identity: Identity,
    pace: Pace,
    /// The server's `run_id` on this connection; `None`: there is no connection.
    run: Option<Arc<str>>,
    generation: u64,
    /// The store's data that every quota goes by; 0: none was told.
    epoch: u64,
    /// Whether hello was answered on this connection.
    is_welcome: bool,
    members: u64,
    /// When hello is to be said again.
    hello_at: Instant,
    /// The store's clock as it was at a moment.
    clock: Option<(Instant, WallTime)>,
    learning_until: Instant,
    /// When the last answered batch was sent, and whether one has failed since.
    answered: Option<Instant>,
    has_failed: bool,
    /// When that was said whose answer last told of data that the store may lose.
    sure: Instant,
    lag: Duration,
    told: State,
    /// Providers that this process puts aside and the store was not told of yet, and until when.
    asides: BTreeMap<Arc<str>, Instant>,
    /// Until when each provider is put aside, as was last told.
    asides_told: BTreeMap<Arc<str>, Instant>,
}

impl Membership {
    /// A process that was never answered.
    #[must_use]
    pub fn new(identity: Identity, pace: Pace) -> Self {
        Self {
            identity,
            pace,
            run: None,
            generation: 0,
            epoch: 0,
            is_welcome: false,
            members: 1,
            hello_at: Instant::ZERO,
            clock: None,
            learning_until: Instant::ZERO,
            answered: None,
            has_failed: false,
            sure: Instant::ZERO,
            lag: Duration::ZERO,
            told: State::Lost,
            asides: BTreeMap::new(),
            asides_told: BTreeMap::new(),
        }
    }

    /// There is a connection to the server with this `run_id`: hello comes first.
    pub fn on_connected(&mut self, run: Arc<str>) {
        self.run = Some(run);
        self.hello_first();
    }

    /// A batch was not answered. There is no connection any more until another one is told of.
    pub fn on_failed(&mut self) {
        self.has_failed = true;
        self.run = None;
    }

    /// The process goes on under another name.
    pub fn rename(&mut self, identity: Identity) {
        self.identity = identity;
        self.generation = 0;
        self.hello_first();
    }

    /// Nothing is said before hello was.
    pub fn hello_first(&mut self) {
        self.hello_at = Instant::ZERO;
        self.is_welcome = false;
    }

    /// A provider is put aside until `until`.
    pub fn put_aside(&mut self, provider: Arc<str>, until: Instant) {
        let told = self.asides_told.entry(Arc::clone(&provider)).or_default();
        if until > *told {
            *told = until;
            self.asides.insert(provider, until);
            self.hello_at = Instant::ZERO;
        }
    }

    /// The hello that is due at `now`.
    pub fn hello(&mut self, now: Instant) -> Option<Hello> {
        let run = self.run.clone()?;
        if now < self.hello_at {
            return None;
        }
        self.hello_at = now + HELLO_EVERY;
        self.asides.retain(|_, until| *until > now);
        self.asides_told.retain(|_, until| *until > now);
        let asides = self.asides.iter();
        let put_asides = asides.map(|(name, until)| (Arc::clone(name), until.since(now)));
        Some(Hello {
            nonce: self.identity.nonce,
            run,
            put_asides: put_asides.collect(),
        })
    }

    /// Hello, which was said at `sent`, is answered at `now`. Returns whether the store's data is
    /// another than before, so that everything is to be said again.
    pub fn on_hello(
        &mut self,
        (sent, now): (Instant, Instant),
        answer: &HelloAnswer,
        news: &mut Vec<News>,
    ) -> bool {
        match answer {
            HelloAnswer::Welcome(welcome) => self.on_welcome((sent, now), welcome, news),
            HelloAnswer::Wait => {
                self.hello_at = now + CLAIM_EVERY;
                false
            }
            HelloAnswer::Taken => {
                news.push(News::Taken);
                false
            }
            HelloAnswer::Replaced => {
                news.push(News::Replaced);
                false
            }
        }
    }

    fn on_welcome(
        &mut self,
        (sent, now): (Instant, Instant),
        welcome: &Welcome,
        news: &mut Vec<News>,
    ) -> bool {
        self.on_clock((sent, now), welcome.now);
        self.on_learning((sent, now), welcome.learning);
        self.members = welcome.members.max(1);
        self.generation = welcome.generation;
        self.is_welcome = true;
        self.asides.clear();
        for (provider, left) in &welcome.put_asides {
            let until = now + *left;
            let told = self.asides_told.entry(Arc::clone(provider)).or_default();
            // The same moment comes back a little shifted.
            if until.since(*told) > ASIDE_JITTER {
                *told = until;
                let provider = Arc::clone(provider);
                news.push(News::PutAside { provider, until });
            }
        }
        std::mem::replace(&mut self.epoch, welcome.epoch) != welcome.epoch
    }

    /// The store's clock showed `wall` between two moments.
    pub fn on_clock(&mut self, (sent, now): (Instant, Instant), wall: WallTime) {
        self.clock = Some((now, wall.after(now.since(sent) / 2)));
    }

    /// The store grants nothing for this long. While it learns, what was known before stays known.
    pub fn on_learning(&mut self, (sent, now): (Instant, Instant), left: Duration) {
        self.learning_until = now + left;
        if left.is_zero() {
            self.sure = sent;
        }
    }

    /// A batch that was sent at `sent` is answered; the store took this long.
    pub fn on_answered(&mut self, sent: Instant, took: Duration) {
        self.answered = Some(sent);
        self.lag = took;
        self.has_failed = false;
    }

    /// Tells of the state if it has changed.
    pub fn tell(&mut self, now: Instant, news: &mut Vec<News>) {
        let state = self.state(now);
        if std::mem::replace(&mut self.told, state) != state {
            news.push(News::State(state));
        }
    }

    /// How the process stands with the store.
    #[must_use]
    pub fn state(&self, now: Instant) -> State {
        match self.answered {
            None => State::Lost,
            Some(sent) if now >= sent + self.lease() => State::Lost,
            Some(_) if self.has_failed => State::Away,
            Some(_) if self.is_learning(now) || self.generation == 0 => State::Learning,
            Some(_) => State::Ok,
        }
    }

    /// When the state changes, if nothing else happens.
    #[must_use]
    pub fn state_ends(&self) -> Instant {
        let lost = self.answered.map(|sent| sent + self.lease());
        let lost = lost.filter(|_| self.told != State::Lost);
        let learned = Some(self.learning_until);
        let learned = learned.filter(|_| self.told == State::Learning && self.generation > 0);
        lost.into_iter()
            .chain(learned)
            .min()
            .unwrap_or(Instant::NEVER)
    }

    /// When hello is due.
    #[must_use]
    pub fn hello_at(&self) -> Instant {
        self.run.as_ref().map_or(Instant::NEVER, |_| self.hello_at)
    }

    /// How long an answered ask lets the process go on: so much less than `member_ttl` that its
    /// clock may be fast, and the store's slow.
    #[must_use]
    pub fn lease(&self) -> Duration {
        self.pace.member_ttl * 9 / 10
    }

    /// Whether the store grants nothing yet.
    #[must_use]
    pub fn is_learning(&self, now: Instant) -> bool {
        now < self.learning_until
    }

    /// Whether quotas can be spoken of: there is a connection, and hello was answered on it.
    #[must_use]
    pub fn is_welcome(&self) -> bool {
        self.run.is_some() && self.is_welcome
    }

    /// The process as it presents itself.
    #[must_use]
    pub fn member(&self) -> Member {
        Member {
            id: Arc::clone(&self.identity.id),
            generation: self.generation,
            epoch: self.epoch,
            kept: self.identity.kept,
            ttl: self.pace.member_ttl,
        }
    }

    /// Members that count as living, this one included.
    #[must_use]
    pub fn members(&self) -> u64 {
        self.members
    }

    /// How often the process speaks.
    #[must_use]
    pub fn pace(&self) -> Pace {
        self.pace
    }

    /// How long the last batch took.
    #[must_use]
    pub fn lag(&self) -> Duration {
        self.lag
    }

    /// When that was said whose answer last told of data that the store may lose.
    #[must_use]
    pub fn sure(&self) -> Instant {
        self.sure
    }

    /// The store's clock; `None`: it was never heard of.
    #[must_use]
    pub fn wall(&self, now: Instant) -> Option<WallTime> {
        let (at, wall) = self.clock?;
        Some(wall.after(now.since(at)))
    }
}

/// How often a member says hello.
const HELLO_EVERY: Duration = Duration::from_secs(1);
/// How often a process says hello that claims a name.
const CLAIM_EVERY: Duration = Duration::from_millis(500);
/// A put-aside that ends later than was told by no more than this is the same one.
const ASIDE_JITTER: Duration = Duration::from_millis(500);
