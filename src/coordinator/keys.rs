//! The reports on callers' keys and teams. With tens of thousands of keys they are long, so that
//! they are written on the thread of reports.

use std::cmp::Reverse;

use crate::base::map::Map;
use crate::config::accounts::Account;
use crate::config::scope::Scope;
use crate::coordinator::allowances::allowance;
use crate::coordinator::known::Known;
use crate::link::meters::{Kept, OTHERS, Party};
use crate::link::reports::KeysShown;
use crate::report::allowance::AllowanceReport;
use crate::report::dollars::Usd;
use crate::report::keys::{
    CallerReport, KeyReport, KeysReport, ModelsReport, SpentByPeriod, TeamReport, Urgency,
};

/// The report on keys and teams.
pub(super) fn keys<'a>(known: &'a Known, shown: &KeysShown) -> KeysReport<'a> {
    let places = 0..known.callers.ring().keys().len();
    match shown {
        KeysShown::All => KeysReport {
            keys: places.filter_map(|place| key_at(known, place)).collect(),
            teams: teams(known),
            callers: Vec::new(),
            more_keys: 0,
            more_teams: 0,
            more_callers: 0,
        },
        KeysShown::MostUsed { most, filter } => {
            let wanted = filter.to_lowercase();
            let is_wanted = |name: &str| name.to_lowercase().contains(&wanted);
            // Others have neither limits nor budgets.
            let bounded = places.filter(|place| known.callers.accounts().of_key(*place).is_some());
            let keys = bounded.filter_map(|place| {
                key_at(known, place).filter(|key| {
                    let team = key.team.unwrap_or_default();
                    [key.name, key.caller, team].into_iter().any(is_wanted)
                })
            });
            let (keys, more_keys) = most_urgent(keys, KeyReport::urgency, *most);
            let teams = teams(known).into_iter();
            let teams = teams.filter(|team| is_wanted(team.name));
            let (teams, more_teams) = most_urgent(teams, |one| one.allowance.urgency(), *most);
            let callers = callers(known).filter(|caller| is_wanted(caller.name));
            let of_caller = |one: &CallerReport<'_>| one.allowance.urgency();
            let (callers, more_callers) = most_urgent(callers, of_caller, *most);
            KeysReport {
                keys,
                teams,
                callers,
                more_keys,
                more_teams,
                more_callers,
            }
        }
    }
}

/// The callers with budgets of their own.
fn callers(known: &Known) -> impl Iterator<Item = CallerReport<'_>> {
    let accounts = known.callers.accounts().all().iter();
    accounts.filter_map(|account| match &account.scope {
        Scope::Caller(name) => Some(CallerReport {
            name,
            allowance: standing(known, Some(account)),
        }),
        Scope::Team(_) | Scope::Key(_) | Scope::KeyModels { .. } => None,
    })
}

/// The report on the key called `name`.
pub(super) fn key<'a>(known: &'a Known, name: &str) -> Option<KeyReport<'a>> {
    key_at(known, known.callers.place(name)?)
}

/// Those that have limits or budgets, the most urgent first: at most `most`, and how many more.
fn most_urgent<T>(
    all: impl Iterator<Item = T>,
    urgency: impl Fn(&T) -> Option<Urgency>,
    most: usize,
) -> (Vec<T>, usize) {
    let bounded = all.filter_map(|one| Some((urgency(&one)?, one)));
    let mut bounded: Vec<(Urgency, T)> = bounded.collect();
    // Stable: those that are alike stay in the order of the file.
    bounded.sort_by_key(|(urgency, _)| Reverse(*urgency));
    let more = bounded.len().saturating_sub(most);
    let shown = bounded.into_iter().take(most).map(|(_, one)| one);
    (shown.collect(), more)
}

fn key_at(known: &Known, place: usize) -> Option<KeyReport<'_>> {
    let key = known.callers.ring().keys().get(place)?;
    let accounts = known.callers.accounts();
    let of_key = accounts.of_key(place);
    let own = of_key.and_then(|own| accounts.at(own.key?));
    let per_model = of_key.into_iter().flat_map(|own| &own.per_model);
    let per_model = per_model.filter_map(|(_, place)| of_models(known, accounts.at(*place)?));
    let (state, secrets) = known.callers.standing(place, known.time.wall);
    let allowance = standing(known, own);
    Some(KeyReport {
        name: &key.name,
        team: key.team.as_deref(),
        caller: &key.caller,
        state: state.name(),
        expires: key.expires,
        secrets,
        spent_usd: spent(known, (Party::Key, &key.name), &allowance),
        per_model: per_model.collect(),
        allowance,
    })
}

fn of_models<'a>(known: &'a Known, account: &'a Account) -> Option<ModelsReport<'a>> {
    let models = match &account.scope {
        Scope::KeyModels { models, .. } => models,
        Scope::Team(_) | Scope::Key(_) | Scope::Caller(_) => return None,
    };
    let allowance = standing(known, Some(account));
    Some(ModelsReport { models, allowance })
}

fn teams(known: &Known) -> Vec<TeamReport<'_>> {
    let accounts = known.callers.accounts().all().iter();
    let accounts = accounts.filter_map(|one| match &one.scope {
        Scope::Team(name) => Some((&**name, one)),
        Scope::Key(_) | Scope::KeyModels { .. } | Scope::Caller(_) => None,
    });
    let accounts: Map<&str, &Account> = accounts.collect();
    let mut keys: Map<&str, usize> = Map::default();
    for key in known.callers.ring().keys() {
        if let Some(team) = key.team.as_deref() {
            *keys.entry(team).or_default() += 1;
        }
    }
    let report = |name| {
        let allowance = standing(known, accounts.get(name).copied());
        TeamReport {
            name,
            keys: keys.get(name).copied().unwrap_or_default(),
            spent_usd: spent(known, (Party::Team, name), &allowance),
            allowance,
        }
    };
    let teams = known.callers.teams().iter();
    teams.map(|team| report(&*team.name)).collect()
}

fn standing<'a>(known: &'a Known, account: Option<&'a Account>) -> AllowanceReport<'a> {
    let gates = known.callers.gates();
    account.map_or_else(AllowanceReport::default, |account| {
        allowance(account, gates, known.time)
    })
}

/// What was spent in the running month, and in the other periods that there are budgets for. Where
/// there are too many names to count each one apart, the month of those without limits and budgets
/// is not known.
fn spent(
    known: &Known,
    (party, name): (Party, &str),
    allowance: &AllowanceReport<'_>,
) -> SpentByPeriod {
    let totals = &known.totals;
    let spent = totals.of_party(party, name);
    let is_apart = || {
        let kept = known.callers.kept(party, name);
        kept == Kept::Always || totals.of_party(party, OTHERS).is_none()
    };
    let month = spent.or_else(|| is_apart().then(Default::default));
    let month = month.map(|spent| ("month", Usd(spent.cost)));
    let mut all: Vec<_> = month.into_iter().collect();
    for budget in &allowance.budgets {
        if all.iter().all(|(per, _)| *per != budget.per) {
            all.push((budget.per, budget.spent_usd));
        }
    }
    SpentByPeriod(all)
}
