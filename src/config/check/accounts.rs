//! Prices and budgets.

use std::collections::{HashMap, HashSet};

use crate::base::endpoint::Endpoint;
use crate::base::ids::ProviderId;
use crate::base::limits::BUDGETS_MAX;
use crate::base::money::{NanoUsd, Price};
use crate::base::period::Per;
use crate::config::check::allowance;
use crate::config::plan::{Budgets, CallerBudget, ModelPrice, Passthrough, Provider};
use crate::config::prices::{self, Pricing};
use crate::config::raw::Node;
use crate::config::raw::fields::Block;
use crate::config::routes::Served;
use crate::config::scope::{Budget, Enforce};
use crate::decide::units::{ImagePrice, Quality, UnitPrice};

/// Reads the prices.
pub fn pricing(root: &Block<'_>, providers: &[Provider]) -> Pricing {
    let names: HashSet<&str> = providers.iter().map(|provider| &*provider.name).collect();
    let by_name = |name: &str| providers.iter().find(|provider| &*provider.name == name);
    let mut pricing = Pricing::new();
    for (provider, models) in root.table("pricing", "pricing.<provider>.<model>") {
        if !names.contains(provider) {
            let hint = root.hint(provider, names.iter().copied());
            root.doubt(
                &format!("pricing.{provider}"),
                format!("no provider has this name{hint}"),
            );
        }
        let rows = pricing.entry(provider.into()).or_default();
        for (model, block) in models {
            rows.insert(model.into(), price(&block));
            if let Some(provider) = by_name(provider).filter(|one| !prices::may_price(one, model)) {
                let hint = root.hint(model, provider.models.iter().map(|model| &**model));
                let field = format!("pricing.{}.{model}", provider.name);
                root.doubt(
                    &field,
                    format!("the provider does not have this model{hint}"),
                );
            }
        }
    }
    pricing
}

/// Reads what a model costs: by tokens, or by one other unit, or both.
fn price(block: &Block<'_>) -> ModelPrice {
    let nano = |name| block.usd(name).map(NanoUsd::get);
    let units: Vec<&str> = UNITS.into_iter().filter(|name| block.has(name)).collect();
    let has_tokens = TOKENS.iter().any(|name| block.has(name));
    if units.is_empty() || has_tokens {
        let missing = TOKENS.iter().filter(|name| !block.has(name));
        missing.for_each(|name| block.missing(name, "is required"));
    }
    if let [first, second, ..] = units[..] {
        block.fault(second, format!("cannot be set beside {first}"));
    }
    let per_million = |name| nano(name).map(Price::per_million);
    let [input, output] = TOKENS.map(per_million);
    let [second, characters, image] = UNITS.map(nano);
    let hour = second.map(|nano| UnitPrice::Hour(NanoUsd::new(nano.saturating_mul(3_600))));
    let characters = characters.map(|nano| UnitPrice::Characters(NanoUsd::new(nano)));
    let image = image.map(|nano| {
        UnitPrice::Images(Box::new([ImagePrice {
            quality: Quality::Standard,
            pixels_max: u64::MAX,
            price: NanoUsd::new(nano),
        }]))
    });
    ModelPrice {
        tokens: input.zip(output),
        units: hour.or(characters).or(image),
    }
}

const TOKENS: [&str; 2] = ["input_per_million", "output_per_million"];
const UNITS: [&str; 3] = ["per_second", "per_million_characters", "per_image"];

/// Reads what is done with requests that have no model or no price.
///
/// The second value is the declared place of the provider that the first one names.
pub fn passthrough(root: &Block<'_>, providers: &[Provider]) -> (Passthrough, Option<ProviderId>) {
    let block = root.block("passthrough");
    let named = block.text("provider");
    let mut places = (0..).zip(providers);
    let found = named.and_then(|name| places.find(|(_, one)| *one.name == *name));
    if let (Some(name), None) = (named, found) {
        let hint = block.hint(name, providers.iter().map(|one| &*one.name));
        block.fault(
            "provider",
            format!("`{name}` is not a declared provider{hint}"),
        );
    }
    if let Some((_, provider)) = found
        && !provider.vendor.has(Endpoint::Files)
    {
        let vendor = provider.vendor.name;
        block.fault(
            "provider",
            format!("is of type {vendor}, which has no such paths"),
        );
    }
    let passthrough = Passthrough {
        provider: found.map(|(_, one)| one.name.clone()),
        assume_usd: block.usd("assume_usd"),
    };
    (passthrough, found.map(|(place, _)| ProviderId(place)))
}

/// Reads the budgets: a list of callers, or a mapping with `state_file` and `callers`.
pub fn budgets(root: &Block<'_>, served: &Served<'_>) -> Budgets {
    if let Some(Node::List(_)) = root.node("budgets") {
        let callers = callers(&root.blocks_of("budgets", "budgets[]"), Some(served));
        return Budgets {
            state_file: None,
            callers,
        };
    }
    let block = root.block("budgets");
    Budgets {
        state_file: block.text("state_file").map(Into::into),
        callers: callers(&block.blocks("callers"), Some(served)),
    }
}

fn callers(blocks: &[Block<'_>], served: Option<&Served<'_>>) -> Box<[CallerBudget]> {
    if let Some(beyond) = blocks.get(BUDGETS_MAX) {
        beyond.fault(
            "caller",
            format!("there are more than {BUDGETS_MAX} budgets"),
        );
        return Box::default();
    }
    let mut seen: HashMap<&str, &str> = HashMap::new();
    let mut budgets = Vec::new();
    for block in blocks {
        let caller = block.text("caller").unwrap_or_default();
        if let Some(other) = seen.insert(caller, block.path())
            && !caller.is_empty()
        {
            block.fault(
                "caller",
                format!("`{caller}` already has the budget {other}"),
            );
        }
        let (action, model_override) = allowance::action(block, served);
        budgets.push(CallerBudget {
            caller: caller.into(),
            budget: Budget {
                amount: block.usd("monthly_usd").unwrap_or(NanoUsd::ZERO),
                per: Per::Month,
                action,
                model_override,
                enforce: Enforce::Yes,
                reach: allowance::reach(block),
            },
        });
    }
    budgets.into()
}
