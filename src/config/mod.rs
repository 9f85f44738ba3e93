//! YAML text to a checked Plan, or every fault with its path.
//!
//! `raw` has the list of keys and is the only place that knows YAML, `env` substitutes variables,
//! `check` finds out whether the fields make sense together, `routes` says which providers serve
//! which model. Nothing here reads a file, the environment or a clock: the text and a look-up for
//! variables are arguments.

pub mod aliases;
pub mod changes;
pub mod check;
pub mod cores;
pub mod decimal;
pub mod duration;
pub mod env;
pub mod faults;
pub mod listen;
pub mod patterns;
pub mod plan;
pub mod prices;
pub mod raw;
pub mod routes;
pub mod seats;
pub mod suggest;
pub mod url;

use crate::config::faults::{Fault, Findings};
use crate::config::plan::Plan;
use crate::config::raw::fields::Block;
use crate::config::raw::yaml;

/// How a text is to be read.
pub struct Options<'a> {
    /// Where variables come from.
    pub environment: Environment<'a>,
    /// What becomes of doubts.
    pub strict: Strictness,
}

/// Where variables come from.
pub enum Environment<'a> {
    /// This gives a variable's value.
    Lookup(&'a dyn Fn(&str) -> Option<String>),
    /// Nowhere: they stay as they are written, and checks that need their values are left out.
    Unresolved,
}

/// Whether unknown fields and unset variables are faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// They are warnings.
    Lenient,
    /// They are faults.
    Strict,
}

/// A configuration that can be used.
pub struct Loaded {
    /// The configuration.
    pub plan: Plan,
    /// What its writer may have meant otherwise.
    pub warnings: Vec<Fault>,
}

/// A configuration that cannot be used.
#[derive(Debug)]
pub enum Rejected {
    /// The text is not YAML, or not a mapping.
    Malformed(Vec<Fault>),
    /// What it says makes no sense.
    Faulty {
        /// All of it.
        faults: Vec<Fault>,
        /// What its writer may have meant otherwise.
        warnings: Vec<Fault>,
    },
}

impl Rejected {
    /// What is wrong.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        match self {
            Self::Malformed(faults) | Self::Faulty { faults, .. } => faults,
        }
    }

    /// What its writer may have meant otherwise.
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
    let mut entries = yaml::parse(text).map_err(|fault| Rejected::Malformed(vec![fault]))?;
    let findings = Findings::new(options.strict);
    env::resolve(&mut entries, &options.environment, &findings);
    let plan = check::plan(&Block::root(&entries, &findings));
    let (faults, warnings) = findings.into_parts();
    if faults.is_empty() {
        Ok(Loaded { plan, warnings })
    } else {
        Err(Rejected::Faulty { faults, warnings })
    }
}

/// What a configuration amounts to: `3 providers, 2 route groups`.
#[must_use]
pub fn summary(plan: &Plan) -> String {
    let count = |number: usize, one: &str| {
        let plural = if number == 1 { "" } else { "s" };
        format!("{number} {one}{plural}")
    };
    let (providers, groups) = (plan.providers.len(), plan.groups.len());
    format!(
        "{}, {}",
        count(providers, "provider"),
        count(groups, "route group")
    )
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
