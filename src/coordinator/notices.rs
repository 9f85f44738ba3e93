//! What webhooks are told of: what the log is told of, in words for people who are elsewhere.

use crate::base::ids::ProviderId;
use crate::base::notice::{Course, Detail, Event, Notice, Severity};
use crate::config::faults::printable;
use crate::config::plan::{Plan, Provider};
use crate::config::scope::{BudgetAction, Scope};
use crate::decide::budget::Level;
use crate::decide::circuit::{State as Circuit, Transition};
use crate::ledger::budgets::{Alert, Cause};
use crate::ledger::shares::quota::State as Store;
use crate::link::orders::Health;
use crate::link::webhooks::{Counts, Teller};

/// Tells the thread of webhooks; where there is none, nothing is made to be told.
#[derive(Clone, Debug, Default)]
pub struct Notices(Option<Teller>);

impl Notices {
    /// What `teller` tells on.
    #[must_use]
    pub fn new(teller: Teller) -> Self {
        Self(Some(teller))
    }

    /// What has become of notices; `None`: there never was a webhook.
    #[must_use]
    pub fn counts(&self) -> Option<Counts> {
        self.0.as_ref().and_then(Teller::counts)
    }

    fn tell(&self, notice: impl FnOnce() -> Notice) {
        if let Some(teller) = &self.0 {
            teller.tell(notice);
        }
    }

    /// A budget has reached a level, or refuses requests.
    pub fn budget(&self, alert: &Alert) {
        self.tell(|| budget(alert));
    }

    /// The circuit of a provider has changed.
    pub fn circuit(&self, provider: &str, transition: Transition) {
        // A circuit that may be probed is as good as open, until its probe has ended.
        if matches!(transition.to, Circuit::HalfOpen { .. }) {
            return;
        }
        self.tell(|| circuit(provider, transition));
    }

    /// The health of a provider has changed.
    pub fn health(&self, provider: &str, health: Health) {
        self.tell(|| {
            let name = printable(provider);
            let (severity, message) = match health {
                Health::Healthy => (
                    Severity::Info,
                    format!("provider {name} passes its health check again"),
                ),
                Health::Unhealthy => (
                    Severity::Warning,
                    format!("provider {name} fails its health check, and gets no requests"),
                ),
            };
            Notice {
                event: Event::ProviderDown,
                subject: provider.into(),
                severity,
                course: Course::Lasting,
                message,
                details: vec![("provider", Detail::text(provider))],
            }
        });
    }

    /// The configuration `before` has been followed by `after`, in which these providers are
    /// `fresh`. What was wrong with providers that are not there any more, or are others now, is
    /// over.
    pub fn adopted(&self, before: &Plan, (after, fresh): (&Plan, &[ProviderId])) {
        for provider in &before.providers {
            let stays = |other: &&Provider| other.name == provider.name;
            let next = after.providers.iter().find(stays);
            if next.is_some_and(|next| !fresh.contains(&next.id)) {
                continue;
            }
            for event in [Event::Circuit, Event::ProviderDown] {
                self.tell(|| Notice {
                    event,
                    subject: provider.name.clone(),
                    severity: Severity::Info,
                    course: Course::Lasting,
                    message: format!(
                        "provider {} is not used any more as it was: the configuration has changed",
                        printable(&provider.name)
                    ),
                    details: vec![("provider", Detail::Text(provider.name.clone()))],
                });
            }
        }
    }

    /// The state file cannot be written, for this reason; `None`: it is written again.
    pub fn state_file(&self, fault: Option<&std::io::Error>) {
        self.tell(|| {
            let (severity, message, details) = match fault {
                Some(fault) => (
                    Severity::Critical,
                    format!(
                        "the state file cannot be written ({fault}): spend is lost if infermux \
                         ends now"
                    ),
                    vec![("reason", Detail::text(fault.to_string()))],
                ),
                None => (
                    Severity::Info,
                    String::from("the state file is written again"),
                    Vec::new(),
                ),
            };
            Notice {
                event: Event::StateNotWritten,
                subject: "state file".into(),
                severity,
                course: Course::Lasting,
                message,
                details,
            }
        });
    }

    /// A model is used whose price is not known.
    pub fn unpriced(&self, provider: &str, model: &str) {
        self.tell(|| Notice {
            event: Event::Unpriced,
            subject: format!("{provider}/{model}").into(),
            severity: Severity::Warning,
            course: Course::Moment,
            message: format!(
                "the price of model {} of provider {} is not known: its requests are counted at \
                 no cost",
                printable(model),
                printable(provider)
            ),
            details: vec![
                ("provider", Detail::text(provider)),
                ("model", Detail::text(model)),
            ],
        });
    }

    /// This instance stands otherwise with the store of `namespace`.
    pub fn shared_state(&self, namespace: &str, state: Store) {
        self.tell(|| {
            let (severity, what) = match state {
                Store::Ok => (Severity::Info, "grants again"),
                Store::Learning => (
                    Severity::Warning,
                    "has lost its data: instances tell it what they hold, and it grants nothing \
                     for 2 s",
                ),
                Store::Away => (
                    Severity::Warning,
                    "is out of reach: this instance goes on with what it has leased",
                ),
                Store::Lost => (
                    Severity::Critical,
                    "is out of reach, and nothing is leased any more: shared limits and budgets \
                     go by shared.on_loss",
                ),
            };
            Notice {
                event: Event::SharedState,
                subject: namespace.into(),
                severity,
                course: Course::Lasting,
                message: format!("the shared store of {} {what}", printable(namespace)),
                details: vec![
                    ("namespace", Detail::text(namespace)),
                    ("state", Detail::text(state.name())),
                ],
            }
        });
    }
}

fn budget(alert: &Alert) -> Notice {
    let per = alert.period.per().name();
    let (amount, spent) = (alert.amount, alert.spent);
    let (kind, name) = match &alert.scope {
        Scope::Team(name) => ("team", name),
        Scope::Key(name) => ("key", name),
        Scope::KeyModels { key, .. } => ("key", key),
        Scope::Caller(name) => ("caller", name),
    };
    let (severity, what) = match (alert.cause, alert.action) {
        (Cause::Reached(Level::Most), _) => (Severity::Warning, ""),
        (_, BudgetAction::HardStop) if alert.stops() => {
            (Severity::Critical, ": requests are refused")
        }
        (_, BudgetAction::ModelOverride) if alert.stops() => {
            (Severity::Warning, ": another model answers")
        }
        (_, _) => (Severity::Warning, ": requests are served all the same"),
    };
    let of = match alert.period.end() {
        Some(_) => format!("{amount} USD per {per} ({})", alert.period),
        None => format!("{amount} USD"),
    };
    let mut details = vec![
        ("scope", Detail::text(kind)),
        ("name", Detail::Text(name.clone())),
        ("per", Detail::text(per)),
        ("spent_usd", Detail::Usd(spent)),
        ("limit_usd", Detail::Usd(amount)),
        ("action", Detail::text(alert.action.name())),
        ("enforced", Detail::Flag(alert.stops())),
    ];
    if let Scope::KeyModels { models, .. } = &alert.scope {
        details.push(("models", Detail::Text(models.clone())));
    }
    if let Some(end) = alert.period.end() {
        details.push(("period_ends", Detail::text(end.to_string())));
    }
    if let Cause::Reached(level) = alert.cause {
        details.insert(2, ("percent", Detail::Whole(level.percent().into())));
    }
    let (subject, message) = budget_words(alert, (&of, what));
    Notice {
        event: Event::Budget,
        subject: subject.into(),
        severity,
        course: Course::Moment,
        message,
        details,
    }
}

/// Subject and message of a notice about a budget `of` an amount, and `what` happens then.
fn budget_words(alert: &Alert, (of, what): (&str, &str)) -> (String, String) {
    let (scope, spent) = (alert.scope.to_string(), alert.spent);
    let who = printable(&scope);
    match alert.cause {
        Cause::Reached(level) => {
            let percent = level.percent();
            let share = format!("{percent} % or more of its budget of {of}");
            (
                format!("{scope}: {percent} % of {of}"),
                format!("{who} has spent {spent} USD, {share}{what}"),
            )
        }
        Cause::Refused => (
            format!("{scope}: less left of {of} than a request may cost"),
            format!(
                "{who} has spent {spent} USD of its budget of {of}, and less is left than a \
                 request may cost{what}"
            ),
        ),
    }
}

fn circuit(provider: &str, transition: Transition) -> Notice {
    let name = printable(provider);
    let reason = transition.reason.name();
    let (severity, message) = match transition.to {
        Circuit::Closed => (
            Severity::Info,
            format!("the circuit of provider {name} is closed again ({reason})"),
        ),
        Circuit::Open { .. } | Circuit::HalfOpen { .. } => (
            Severity::Warning,
            format!("the circuit of provider {name} is open ({reason}): it gets no requests"),
        ),
    };
    Notice {
        event: Event::Circuit,
        subject: provider.into(),
        severity,
        course: Course::Lasting,
        message,
        details: vec![
            ("provider", Detail::text(provider)),
            ("from", Detail::text(transition.from.name())),
            ("to", Detail::text(transition.to.name())),
            ("reason", Detail::text(reason)),
        ],
    }
}
