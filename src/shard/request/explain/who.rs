//! For whom a request is explained, and what their key, limits and budgets say to it.

use std::rc::Rc;

use crate::base::endpoint::Endpoint;
use crate::config::accounts::Account;
use crate::exchange::affinity;
use crate::exchange::attribution::{Attribution, Label};
use crate::exchange::callers::{KeyState, SharedCallers};
use crate::exchange::explain::{self, Asked};
use crate::exchange::overrides::Overrides;
use crate::exchange::principal::Principal;
use crate::exchange::refusal::{KeyFault, Refusal};
use crate::exchange::scopes::Scopes;
use crate::report::explained::{Explained, ScopeExplained, Verdict};
use crate::shard::request::admit;
use crate::shard::request::job::Job;
use crate::shard::request::pass::{self, Wanted};
use crate::shard::request::spend;
use crate::shard::request::unit_cost;
use crate::shard::state::shard::Shard;
use crate::sys::clock;

/// For whom a request is explained.
pub(super) struct Who {
    callers: Rc<SharedCallers>,
    key: Option<(Principal, KeyState)>,
    attribution: Attribution,
}

impl Who {
    /// The key and the caller that are named.
    ///
    /// # Errors
    ///
    /// No key has this name.
    pub(super) fn of<'q>(shard: &Shard, asked: &'q Asked) -> Result<Self, Refusal<'q>> {
        let callers = shard.held_callers.current(&shard.callers);
        let label = |name: &String| Label::of(name.as_bytes());
        let mut attribution = Attribution {
            caller: asked.caller.as_ref().and_then(label),
            ..Attribution::default()
        };
        let key = match asked.key.as_deref() {
            Some(name) => {
                let found = Principal::named(&callers, name, clock::wall());
                Some(found.ok_or(Refusal::UnknownKey { name })?)
            }
            None => None,
        };
        if let Some((principal, _)) = &key {
            principal.attribute(&mut attribution);
        }
        Ok(Self {
            callers,
            key,
            attribution,
        })
    }

    /// An explanation that says for whom it is.
    pub(super) fn begun(&self, endpoint: Endpoint) -> Explained {
        let owner = self.key.as_ref().map(|(principal, _)| principal.owner());
        let caller = self.attribution.caller.as_ref();
        Explained {
            endpoint: endpoint.name().to_owned(),
            caller: caller.map(|label| label.as_str().to_owned()),
            key: owner.map(|owner| owner.key.to_owned()),
            team: owner.and_then(|owner| owner.team.map(str::to_owned)),
            ..Explained::default()
        }
    }

    /// Notes where the key refuses the request for `model`, whose body also names these models.
    pub(super) fn admit(
        &self,
        told: &mut Explained,
        endpoint: Endpoint,
        (model, named): (&str, &[String]),
    ) {
        let Some((principal, state)) = &self.key else {
            return;
        };
        let fault = match state {
            KeyState::Active => None,
            KeyState::Disabled => Some(KeyFault::Disabled),
            KeyState::Expired => Some(KeyFault::Expired),
        };
        let mut models = std::iter::once(model).chain(named.iter().map(String::as_str));
        let denied = models.find(|model| !principal.allows_model(model));
        let key = &*principal.key().name;
        let of_model = denied.map(|model| Refusal::ModelNotAllowed { model, key });
        let refusal = fault.map(Refusal::InvalidApiKey).or(of_model);
        if let Some(refusal) = refusal {
            told.refuse(explain::refusal(&refusal, endpoint));
        }
    }

    /// Hash of whose request it is, as conversations are kept apart by.
    pub(super) fn owner(&self) -> u64 {
        let principal = self.key.as_ref().map(|(principal, _)| principal);
        let caller = self.attribution.caller.as_ref().map(Label::as_str);
        affinity::owner(principal, caller)
    }

    /// The scopes whose limits and budgets the request passes.
    pub(super) fn accounts(&self) -> (&SharedCallers, Scopes<'_>) {
        let key = self.key.as_ref().map(|(principal, _)| principal.place());
        let caller = self.attribution.caller.as_ref().map(Label::as_str);
        let scopes = Scopes::new(self.callers.accounts(), key, caller);
        (&self.callers, scopes)
    }
}

/// Looks at all scopes that the request passes, as `admit::admit` takes it through them.
///
/// # Errors
///
/// One of them would refuse the request, or nobody serves a budget's other model.
pub(super) fn pass<'a>(
    job: &mut Job<'a>,
    (callers, scopes): (&'a SharedCallers, Scopes<'a>),
    told: &mut Explained,
) -> Result<(), Refusal<'a>> {
    unit_cost::check_priced_for(job, &scopes)?;
    let mut overrides = Overrides::default();
    loop {
        let is_free = job.is_free();
        let wanted = Wanted {
            now: clock::now(),
            model: job.model,
            tokens: spend::expected(job).sum(),
            ask: (!is_free).then(|| spend::estimate(job, &spend::expected(job))),
            overrides: &overrides,
        };
        let mut stopped = None;
        for account in scopes.of_model(Some(job.model)) {
            let found = pass::look(callers.gates(), account, &wanted);
            told.scopes.push(scope(account, job.model));
            if let Err(by) = found {
                stopped = Some(by);
                break;
            }
        }
        let Some(stopped) = stopped else {
            return unit_cost::check_priced_for(job, &scopes);
        };
        let refusal = admit::refusal(&stopped, wanted.now);
        let last = told.scopes.last_mut();
        let last = last.map(|scope| {
            scope.reason = Some(refusal.to_string());
            &mut scope.verdict
        });
        let budget = stopped.budget().filter(|_| job.endpoint.has_model());
        let Some(model) = budget.and_then(|budget| overrides.start_over(budget)) else {
            last.into_iter()
                .for_each(|verdict| *verdict = Verdict::Refuses);
            return Err(refusal);
        };
        last.into_iter()
            .for_each(|verdict| *verdict = Verdict::ServedInstead);
        told.model_override = Some(model.to_owned());
        admit::serve_with(job, model)?;
    }
}

fn scope(account: &Account, model: &str) -> ScopeExplained {
    ScopeExplained {
        scope: account.scope.to_string(),
        model: model.to_owned(),
        verdict: Verdict::Passes,
        reason: None,
    }
}
