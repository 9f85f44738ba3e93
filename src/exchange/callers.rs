//! Callers as all shards see them: their keys, what operators do with these by hand, and the limits
//! and budgets of every scope.

use std::ops::Deref;
use std::sync::Arc;

use crate::base::ids::{BudgetId, ScopeId};
use crate::base::map::Map;
use crate::base::time::WallTime;
use crate::config::account_seats::FreshAccounts;
use crate::config::accounts::Accounts;
use crate::config::keyring::{CallerKey, Keyring, NamePattern, Team, allows};
use crate::config::scope::{Enforce, Limits, Reach};
use crate::exchange::recent_keys::RecentKeys;
use crate::link::caller_gates::CallerGates;
use crate::link::marks::Marks;
use crate::link::meters::{Kept, Party};
use crate::link::origin::Origin;
use crate::link::scope_gate::{LimitMode, ScopeLimit, ScopeLimits};

/// The callers' keys, limits and budgets in force.
#[derive(Debug, Default)]
pub struct Callers {
    ring: Keyring,
    /// By key: the models that its team may ask for are those of which of `teams`.
    teams: Box<[Team]>,
    /// By key, the place of its team; empty where no team says which models it may ask for.
    team_places: Box<[Option<u32>]>,
    /// By key: what an operator has done with it since the files were read.
    by_hand: Marks,
    /// The scopes that have limits or budgets.
    accounts: Arc<Accounts>,
    /// The words of these limits and budgets.
    gates: CallerGates,
    /// Ids that begin with them.
    fresh: FreshAccounts,
}

/// The callers in force, as the requests of one shard share them.
#[derive(Debug)]
pub struct SharedCallers {
    callers: Arc<Callers>,
    /// The shard's memory of their keys.
    pub recent: RecentKeys,
}

impl SharedCallers {
    /// These callers, and no memory of their keys: `recent` is empty.
    #[must_use]
    pub const fn new(callers: Arc<Callers>, recent: RecentKeys) -> Self {
        Self { callers, recent }
    }

    /// Whether these are the same value.
    #[must_use]
    pub fn is(&self, callers: &Callers) -> bool {
        std::ptr::eq(callers, Arc::as_ptr(&self.callers))
    }
}

impl Deref for SharedCallers {
    type Target = Callers;

    fn deref(&self) -> &Callers {
        &self.callers
    }
}

/// Whether a key can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// It can.
    Active,
    /// The file or an operator has taken it out of use.
    Disabled,
    /// It was good until then.
    Expired,
}

impl KeyState {
    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
            Self::Expired => "expired",
        }
    }
}

/// What an operator does with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum KeyAct {
    /// It is put back in use, whatever the file says.
    Enable = 1,
    /// It is taken out of use.
    Disable = 2,
}

impl Callers {
    /// The first callers of a process: the keys of `ring`, whose teams are `teams`, and their
    /// accounts.
    #[must_use]
    pub fn first(ring: Keyring, teams: Box<[Team]>, accounts: Arc<Accounts>) -> Self {
        let scopes = limits(&accounts);
        let ids: Vec<ScopeId> = scopes.iter().map(|(id, _)| *id).collect();
        let gates = CallerGates::default().next(&scopes, (&ids, &all_budgets(&accounts)));
        let gates = gates.leasing(&leased_budgets(&accounts));
        let team_places = places(&ring, &teams);
        Self {
            by_hand: Marks::new(ring.keys().len()),
            ring,
            team_places,
            teams,
            accounts,
            gates,
            fresh: FreshAccounts::default(),
        }
    }

    /// The callers that follow on these: scopes that stay keep their words.
    #[must_use]
    pub fn next(
        &self,
        ring: Keyring,
        teams: Box<[Team]>,
        (accounts, fresh): (Arc<Accounts>, FreshAccounts),
    ) -> Self {
        let begun = (&*fresh.scopes, &*fresh.budgets);
        let team_places = places(&ring, &teams);
        Self {
            by_hand: Marks::new(ring.keys().len()),
            ring,
            team_places,
            teams,
            gates: {
                let gates = self.gates.next(&limits(&accounts), begun);
                gates.leasing(&leased_budgets(&accounts))
            },
            accounts,
            fresh,
        }
    }

    /// Whether the files say the same.
    #[must_use]
    pub fn is_same(&self, ring: &Keyring, teams: &[Team]) -> bool {
        self.ring == *ring && *self.teams == *teams
    }

    /// The scopes that have limits or budgets.
    #[must_use]
    pub const fn accounts(&self) -> &Arc<Accounts> {
        &self.accounts
    }

    /// Whether a party is counted apart however many there are: the configuration bounds what it
    /// may use.
    #[must_use]
    pub fn kept(&self, party: Party, name: &str) -> Kept {
        let is_bounded = match party {
            Party::Caller => self.accounts.of_caller(name).is_some(),
            Party::Key => self.accounts.bounds_key(name),
            Party::Team => self.accounts.bounds_team(name),
            Party::Project | Party::Env => false,
        };
        if is_bounded {
            Kept::Always
        } else {
            Kept::WhileRoom
        }
    }

    /// The words of their limits and budgets.
    #[must_use]
    pub const fn gates(&self) -> &CallerGates {
        &self.gates
    }

    /// Ids that begin with them.
    #[must_use]
    pub const fn fresh(&self) -> &FreshAccounts {
        &self.fresh
    }

    /// The keys of the files.
    #[must_use]
    pub const fn ring(&self) -> &Keyring {
        &self.ring
    }

    /// The key at this place, its state at `now` included; `until` is when its secret ends.
    #[must_use]
    pub fn state(&self, place: usize, until: Option<WallTime>, now: WallTime) -> KeyState {
        let Some(key) = self.ring.keys().get(place) else {
            return KeyState::Disabled;
        };
        let is_disabled = match self.by_hand.at(place) {
            ENABLED => false,
            DISABLED => true,
            _ => key.is_disabled,
        };
        let is_over = |end: Option<WallTime>| end.is_some_and(|end| now >= end);
        if is_disabled {
            KeyState::Disabled
        } else if is_over(key.expires) || is_over(until) {
            KeyState::Expired
        } else {
            KeyState::Active
        }
    }

    /// Whether the key at this place may ask for the model called `name`.
    #[must_use]
    pub fn allows_model(&self, place: usize, name: &str) -> bool {
        allows(self.models_of_key(place), name) && allows(self.models_of_team(place), name)
    }

    /// Whether there are models that the key at this place may not ask for.
    #[must_use]
    pub fn is_restricted(&self, place: usize) -> bool {
        self.models_of_key(place).is_some() || self.models_of_team(place).is_some()
    }

    /// The models that a key may ask for; `None`: all.
    fn models_of_key(&self, place: usize) -> Option<&[NamePattern]> {
        self.ring.keys().get(place)?.models.as_deref()
    }

    /// The models that a key's team may ask for; `None`: all.
    fn models_of_team(&self, place: usize) -> Option<&[NamePattern]> {
        let team = (*self.team_places.get(place)?)?;
        self.teams.get(team as usize)?.models.as_deref()
    }

    /// The state of the key at this place at `now`, and how many of its secrets are good.
    #[must_use]
    pub fn standing(&self, place: usize, now: WallTime) -> (KeyState, usize) {
        let key = self.ring.keys().get(place);
        let secrets = key.into_iter().flat_map(|key| &key.secrets);
        let states = secrets.map(|secret| self.state(place, secret.until, now));
        let active = states.filter(|state| *state == KeyState::Active).count();
        let state = match self.state(place, None, now) {
            KeyState::Active if active == 0 => KeyState::Expired,
            state => state,
        };
        (state, active)
    }

    /// The place of the key called `name`.
    #[must_use]
    pub fn place(&self, name: &str) -> Option<usize> {
        self.ring.keys().iter().position(|key| *key.name == *name)
    }

    /// The teams of the configuration.
    #[must_use]
    pub const fn teams(&self) -> &[Team] {
        &self.teams
    }

    /// The keys of `next` that are as the files say again, and not as operators have switched them.
    pub fn switched_back<'a>(&'a self, next: &'a Keyring) -> impl Iterator<Item = &'a CallerKey> {
        let by_hand = (0..).zip(self.ring.keys()).filter_map(|(place, key)| {
            let mark = self.by_hand.at(place);
            [ENABLED, DISABLED].contains(&mark).then_some((key, mark))
        });
        by_hand.filter_map(|(key, mark)| {
            let mut keys = next.keys().iter();
            let next = keys.find(|next| next.name == key.name)?;
            (next.is_disabled != (mark == DISABLED)).then_some(next)
        })
    }

    /// Does this with the key called `name`; whether there is one. It is in force for the next
    /// request on every shard, until the files are read again.
    #[must_use]
    pub fn act(&self, name: &str, act: KeyAct) -> bool {
        let place = self.place(name);
        if let Some(place) = place {
            self.by_hand.set(place, act as u8);
        }
        place.is_some()
    }
}

/// By key, the place of its team; empty where no team says which models it may ask for.
fn places(ring: &Keyring, teams: &[Team]) -> Box<[Option<u32>]> {
    if teams.iter().all(|team| team.models.is_none()) {
        return Box::default();
    }
    let places: Map<&str, u32> = teams.iter().map(|team| &*team.name).zip(0..).collect();
    let keys = ring.keys().iter();
    keys.map(|key| places.get(key.team.as_deref()?).copied())
        .collect()
}

/// The limits of every scope that has any, for its gate.
fn limits(accounts: &Accounts) -> Vec<(ScopeId, ScopeLimits)> {
    let limits = accounts.all().iter().filter_map(|one| one.limits);
    limits.map(|(id, limits)| (id, of_gate(&limits))).collect()
}

fn of_gate(limits: &Limits) -> ScopeLimits {
    let most = ScopeLimit::ALL.map(|limit| match limit {
        ScopeLimit::InFlight => limits.max_in_flight.map(u64::from),
        ScopeLimit::RequestsPerMinute => limits.requests_per_minute,
        ScopeLimit::TokensPerMinute => limits.tokens_per_minute,
        ScopeLimit::RequestsPerDay => limits.requests_per_day,
        ScopeLimit::TokensPerDay => limits.tokens_per_day,
    });
    let mode = match limits.enforce {
        Enforce::Yes => LimitMode::Refuse,
        Enforce::No => LimitMode::Count,
    };
    ScopeLimits {
        most,
        mode,
        origin: origin(limits.reach),
    }
}

/// Where quotas come from that reach this far.
fn origin(reach: Reach) -> Origin {
    match reach {
        Reach::Fleet => Origin::Leased,
        Reach::Instance => Origin::Own,
    }
}

/// The ids of the budgets that are shared with other instances, in their order.
fn leased_budgets(accounts: &Accounts) -> Vec<BudgetId> {
    let budgets = accounts.all().iter().flat_map(|one| &one.budgets);
    let leased = budgets.filter(|(_, budget)| budget.reach == Reach::Fleet);
    let mut leased: Vec<BudgetId> = leased.map(|(id, _)| *id).collect();
    leased.sort_unstable();
    leased
}

/// The ids of all budgets.
fn all_budgets(accounts: &Accounts) -> Vec<BudgetId> {
    let budgets = accounts.all().iter().flat_map(|one| &one.budgets);
    budgets.map(|(id, _)| *id).collect()
}

const ENABLED: u8 = KeyAct::Enable as u8;
const DISABLED: u8 = KeyAct::Disable as u8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::digest::Digest;
    use crate::config::keyring::KeySecret;
    use crate::config::scope::Allowance;

    fn key(name: &str) -> CallerKey {
        CallerKey {
            name: name.into(),
            team: None,
            caller: name.into(),
            callers: Box::default(),
            models: None,
            expires: None,
            is_disabled: false,
            stream_cost: false,
            allowance: Allowance::default(),
            per_model: Box::default(),
            secrets: Box::new([KeySecret {
                digest: Digest::of(name.as_bytes()),
                until: None,
            }]),
        }
    }

    const NOON: WallTime = WallTime::from_unix_millis(1_000);

    #[test]
    fn a_key_is_found_by_its_digest_alone() {
        let ring = Keyring::new(vec![key("a"), key("b")]).unwrap();
        let found = ring.find(&Digest::of(b"b")).map(|(place, _)| place);
        assert_eq!(found, Some(1));
        assert_eq!(ring.find(&Digest::of(b"c")), None);
        let twice = CallerKey {
            name: "c".into(),
            ..key("a")
        };
        assert_eq!(Keyring::new(vec![key("a"), twice]), Err([0, 1]));
    }

    #[test]
    fn no_part_of_a_digest_is_shown() {
        let ring = Keyring::new(vec![key("a")]).unwrap();
        let callers = Callers::first(ring, Box::default(), Arc::default());
        let (shown, digest) = (format!("{callers:?}"), Digest::of(b"a"));
        assert!(shown.contains("name: \"a\""), "{shown}");
        let digits = digest.to_string();
        for part in [&digest.prefix().to_string(), &digits[..8], &digits[56..]] {
            assert!(!shown.contains(part), "{part}");
        }
    }

    #[test]
    fn operators_beat_the_file_and_time_beats_both() {
        let disabled = CallerKey {
            is_disabled: true,
            ..key("off")
        };
        let expired = CallerKey {
            expires: Some(NOON),
            ..key("old")
        };
        let ring = Keyring::new(vec![key("on"), disabled, expired]).unwrap();
        let keys = Callers::first(ring, Box::default(), Arc::default());
        let states = || [0, 1, 2].map(|place| keys.state(place, None, NOON));
        use KeyState::{Active, Disabled, Expired};
        assert_eq!(states(), [Active, Disabled, Expired]);
        assert!(keys.act("on", KeyAct::Disable) && keys.act("off", KeyAct::Enable));
        assert!(keys.act("old", KeyAct::Enable) && !keys.act("none", KeyAct::Enable));
        assert_eq!(states(), [Disabled, Active, Expired]);
        let back = keys.switched_back(keys.ring()).map(|key| &*key.name);
        assert_eq!(back.collect::<Vec<_>>(), ["on", "off"]);
        let before = WallTime::from_unix_millis(999);
        assert_eq!(keys.state(2, None, before), Active);
        assert_eq!(keys.state(2, Some(before), before), Expired);
        assert_eq!(keys.state(3, None, NOON), Disabled);
    }

    #[test]
    fn a_key_may_ask_for_what_its_team_may_ask_for_too() {
        let patterns = |texts: &[&str]| {
            let patterns = texts.iter().map(|text| NamePattern::parse(text).unwrap());
            Some(patterns.collect())
        };
        let team = |name: &str, models| Team {
            name: name.into(),
            models,
            allowance: Allowance::default(),
        };
        let teams = [team("t", patterns(&["gpt-*", "x"])), team("all", None)];
        let all = [
            ("free", None, None),
            ("team's", Some("t"), None),
            ("any of the team's", Some("t"), Some(&["*"][..])),
            ("some of the team's", Some("t"), Some(&["gpt-4o*"])),
            ("of a free team", Some("all"), None),
            ("own", Some("all"), Some(&["x"])),
        ];
        let ring = all.map(|(name, team, models)| CallerKey {
            team: team.map(Into::into),
            models: models.and_then(patterns),
            ..key(name)
        });
        let ring = Keyring::new(ring.into()).unwrap();
        let keys = Callers::first(ring, teams.into(), Arc::default());
        for (place, model, expected) in [
            (0, "any", true),
            (1, "gpt-4o", true),
            (1, "claude", false),
            (2, "claude", false),
            (3, "gpt-4o-mini", true),
            (3, "gpt-5", false),
            (4, "claude", true),
            (5, "x", true),
            (5, "X", false),
        ] {
            let is_allowed = keys.allows_model(place, model);
            assert_eq!(is_allowed, expected, "{}: {model}", all[place].0);
        }
        let restricted = [0, 1, 2, 3, 4, 5].map(|place| keys.is_restricted(place));
        assert_eq!(restricted, [false, true, true, true, false, true]);
    }
}
