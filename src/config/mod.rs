//! YAML text to a checked Plan, or every fault with its path.
//!
//! `raw` has the list of keys and is the only place that knows YAML, `env` substitutes variables,
//! `check` finds out whether the fields make sense together, `routes` says which providers serve
//! which model. This room reads no file, no environment and no clock: its arguments are the text
//! and a look-up of variables and files.

pub mod account_seats;
pub mod accounts;
pub mod aliases;
pub mod changes;
pub mod check;
pub mod convert;
pub mod cores;
pub mod cors;
pub mod decimal;
pub mod duration;
pub mod env;
pub mod faults;
pub mod key_changes;
pub mod keyring;
pub mod listen;
pub mod model_settings;
pub mod moment;
mod options;
pub mod patterns;
pub mod plan;
pub mod prices;
mod provider;
pub mod proxy;
pub mod raw;
pub mod responses;
pub mod routes;
pub mod scope;
pub mod seat_table;
pub mod seats;
pub mod shared;
pub mod suggest;
pub mod telemetry;
pub mod tls;
pub mod unit_prices;
pub mod url;
pub mod usage;
pub mod vendor;
pub mod webhook;

use crate::base::limits::{KEYS_FILE_BYTES_MAX, KEYS_FILE_VALUES_MAX};
use crate::config::check::Surroundings;
use crate::config::check::keys::Known;
use crate::config::faults::{Fault, Findings};
use crate::config::keyring::CallerKey;
use crate::config::plan::{Plan, Provider};
use crate::config::proxy::Proxies;
use crate::config::raw::Node;
use crate::config::raw::fields::Block;
use crate::config::raw::yaml::Size;
use crate::config::raw::{lines, yaml};
use crate::config::telemetry::Variables;

pub use crate::config::options::{Environment, Lookup, Options, Strictness};

/// A configuration that can be used.
pub struct Loaded {
    /// The configuration.
    pub plan: Plan,
    /// Where the file may not mean what its writer intended.
    pub warnings: Vec<Fault>,
    /// The text that it was read from, for faults that are found only when it is used.
    pub text: String,
}

/// A configuration that cannot be used.
#[derive(Debug)]
pub enum Rejected {
    /// The text is not YAML, or not a mapping.
    Malformed(Vec<Fault>),
    /// Its values make no sense.
    Faulty {
        /// All faults.
        faults: Vec<Fault>,
        /// Where the file may not mean what its writer intended.
        warnings: Vec<Fault>,
    },
}

impl Rejected {
    /// The faults.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        match self {
            Self::Malformed(faults) | Self::Faulty { faults, .. } => faults,
        }
    }

    /// Where the file may not mean what its writer intended.
    #[must_use]
    pub fn warnings(&self) -> &[Fault] {
        match self {
            Self::Malformed(_) => &[],
            Self::Faulty { warnings, .. } => warnings,
        }
    }
}

/// Reads a configuration.
///
/// # Errors
///
/// Everything that is wrong with it, all at once.
pub fn load(text: &str, options: &Options<'_>) -> Result<Loaded, Rejected> {
    let mut entries = yaml::parse(text).map_err(|mut fault| {
        lines::find(text, std::iter::once(&mut fault));
        lines::find_missing(text, std::iter::once(&mut fault));
        Rejected::Malformed(vec![fault])
    })?;
    let findings = Findings::new(options.strict);
    env::resolve(&mut entries, &options.environment, &findings);
    let surroundings = Surroundings {
        proxies: Proxies::of(&options.environment),
        telemetry: Variables::of(&options.environment),
    };
    let plan = check::plan(&Block::root(&entries, &findings), surroundings);
    let (mut faults, mut warnings) = findings.into_parts();
    lines::find(text, faults.iter_mut().chain(&mut warnings));
    lines::find_missing(text, faults.iter_mut());
    if faults.is_empty() {
        Ok(Loaded {
            plan,
            warnings,
            text: text.to_owned(),
        })
    } else {
        Err(Rejected::Faulty { faults, warnings })
    }
}

/// Reads a file of callers' keys, a bare list, beside what is known.
///
/// # Errors
///
/// Everything that is wrong with it, all at once.
pub fn load_keys(
    text: &str,
    known: &Known<'_>,
    options: &Options<'_>,
) -> Result<Vec<CallerKey>, Vec<Fault>> {
    let size = Size {
        bytes: KEYS_FILE_BYTES_MAX,
        values: KEYS_FILE_VALUES_MAX,
    };
    let items = yaml::parse_list(text, size).map_err(|fault| vec![fault])?;
    let findings = Findings::new(options.strict);
    let mut entries = [(LIST.to_owned(), Node::List(items))];
    env::resolve(&mut entries, &options.environment, &findings);
    let keys = check::keys::keys(&Block::root_of("auth", &entries, &findings), known);
    let (mut faults, _) = findings.into_parts();
    if faults.is_empty() {
        return Ok(keys);
    }
    // In the text, the list itself has no name.
    let bare = |fault: &Fault| Fault {
        path: fault.path.trim_start_matches(LIST).to_owned(),
        ..fault.clone()
    };
    let mut found: Vec<Fault> = faults.iter().map(bare).collect();
    lines::find(text, found.iter_mut());
    for (fault, found) in faults.iter_mut().zip(found) {
        fault.line = found.line;
    }
    Err(faults)
}

/// What the list of a file of keys is called in faults.
const LIST: &str = "keys";

/// A configuration in a few words: `3 providers, 2 route groups`, and how many rules change
/// requests, where there are any.
#[must_use]
pub fn summary(plan: &Plan) -> String {
    let count = |number: usize, one: &str| {
        let plural = if number == 1 { "" } else { "s" };
        format!("{number} {one}{plural}")
    };
    let (providers, groups) = (plan.providers.len(), plan.groups.len());
    let mut summary = format!(
        "{}, {}",
        count(providers, "provider"),
        count(groups, "route group")
    );
    let rules: usize = plan.providers.iter().map(Provider::rule_count).sum();
    if rules > 0 {
        summary.push_str(", ");
        summary.push_str(&count(rules, "request rule"));
    }
    summary
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
