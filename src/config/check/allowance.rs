//! Limits and budgets of teams, of keys, and of keys' models.

use crate::base::limits::BUDGETS_OF_A_SCOPE_MAX;
use crate::base::money::NanoUsd;
use crate::base::period::Per;
use crate::config::raw::Node;
use crate::config::raw::fields::Block;
use crate::config::routes::Served;
use crate::config::scope::{Allowance, Budget, BudgetAction, Enforce, Limits, Reach};

/// Reads `limits` and `budgets` of a block.
pub fn read(block: &Block<'_>, served: Option<&Served<'_>>) -> Allowance {
    Allowance {
        limits: limits(block),
        budgets: budgets(block, served),
    }
}

/// Reads `limits`. A limit without a value would mean that there is none.
fn limits(outer: &Block<'_>) -> Option<Limits> {
    outer.refuse_empty("limits");
    let block = outer.block("limits");
    for name in LIMITS {
        block.refuse_empty(name);
    }
    let is_mapping = matches!(outer.node("limits"), Some(Node::Map(_)));
    if is_mapping && !LIMITS.iter().any(|name| block.mentions(name)) {
        outer.fault("limits", "has no limit: leave it out, or give it one");
    }
    let limits = Limits {
        requests_per_minute: block.whole("requests_per_minute"),
        tokens_per_minute: block.whole("tokens_per_minute"),
        requests_per_day: block.whole("requests_per_day"),
        tokens_per_day: block.whole("tokens_per_day"),
        max_in_flight: block.whole("max_in_flight"),
        enforce: enforce(&block),
        reach: reach(&block),
    };
    let none = Limits {
        enforce: limits.enforce,
        reach: limits.reach,
        ..Limits::default()
    };
    (limits != none).then_some(limits)
}

const LIMITS: [&str; 5] = [
    "requests_per_minute",
    "tokens_per_minute",
    "requests_per_day",
    "tokens_per_day",
    "max_in_flight",
];

/// Reads `budgets`.
fn budgets(outer: &Block<'_>, served: Option<&Served<'_>>) -> Box<[Budget]> {
    outer.refuse_empty_list("budgets", "leave it out, or give it a budget");
    let count = outer.count("budgets");
    if count > BUDGETS_OF_A_SCOPE_MAX {
        let problem = format!("has {count} entries, at most {BUDGETS_OF_A_SCOPE_MAX} fit");
        outer.fault("budgets", problem);
        return Box::default();
    }
    let blocks = outer.blocks("budgets");
    blocks.iter().map(|block| budget(block, served)).collect()
}

fn budget(block: &Block<'_>, served: Option<&Served<'_>>) -> Budget {
    let (action, model_override) = action(block, served);
    let enforce = enforce(block);
    if action == BudgetAction::Alert && enforce == Enforce::No {
        block.warn("enforce", "has no effect where action is alert");
    }
    Budget {
        amount: block.usd("usd").unwrap_or(NanoUsd::ZERO),
        per: block.word("per", &PERIODS).unwrap_or(Per::Month),
        action,
        model_override,
        enforce,
        reach: reach(block),
    }
}

const PERIODS: [(&str, Per); 4] = [
    (Per::Day.name(), Per::Day),
    (Per::Week.name(), Per::Week),
    (Per::Month.name(), Per::Month),
    (Per::Total.name(), Per::Total),
];

fn enforce(block: &Block<'_>) -> Enforce {
    match block.flag("enforce") {
        Some(false) => Enforce::No,
        Some(true) | None => Enforce::Yes,
    }
}

/// Reads `local`.
pub fn reach(block: &Block<'_>) -> Reach {
    match block.flag("local") {
        Some(true) => Reach::Instance,
        Some(false) | None => Reach::Fleet,
    }
}

/// Reads `action` and `model_override` of a budget; where it is not known which models are
/// `served`, any may be named.
pub fn action(block: &Block<'_>, served: Option<&Served<'_>>) -> (BudgetAction, Option<Box<str>>) {
    let action = block.word("action", &ACTIONS);
    let action = action.unwrap_or(BudgetAction::HardStop);
    (action, model_override(block, action, served))
}

const ACTIONS: [(&str, BudgetAction); 3] = [
    ("hard_stop", BudgetAction::HardStop),
    ("alert", BudgetAction::Alert),
    ("model_override", BudgetAction::ModelOverride),
];

fn model_override(
    block: &Block<'_>,
    action: BudgetAction,
    served: Option<&Served<'_>>,
) -> Option<Box<str>> {
    let model = block.text("model_override");
    match action {
        BudgetAction::ModelOverride if !block.has("model_override") => {
            block.missing(
                "model_override",
                "is required where action is model_override",
            );
        }
        BudgetAction::Alert if block.has("model_override") => {
            block.warn("model_override", "has no effect where action is alert");
        }
        BudgetAction::HardStop | BudgetAction::Alert | BudgetAction::ModelOverride => {}
    }
    let model = model?;
    if let Some(served) = served.filter(|served| !served.includes(model))
        && !block.is_unresolved("model_override")
    {
        let hint = block.hint(model, served.names());
        let problem = format!("no provider serves `{model}`{hint}");
        block.fault("model_override", problem);
    }
    Some(model.into())
}

#[cfg(test)]
#[path = "allowance_tests.rs"]
mod tests;
