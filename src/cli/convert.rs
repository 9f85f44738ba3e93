//! `infermux convert`: another router's file as one of infermux.

use std::collections::BTreeSet;
use std::path::Path;

use crate::base::endpoint::Endpoint;
use crate::base::limits::CONFIG_BYTES_MAX;
use crate::cli::exit::{DONE, UNUSABLE};
use crate::cli::input;
use crate::cli::setup_flags::{ConvertFlags, ConvertFrom};
use crate::cli::terminal;
use crate::config::convert::{Converted, litellm};
use crate::config::faults::printable;
use crate::config::plan::Plan;
use crate::config::{self, Environment, Options, Strictness};

/// Converts the file; returns the exit code.
#[must_use]
pub fn run(flags: &ConvertFlags) -> u8 {
    let ConvertFrom::Litellm(from) = &flags.from;
    match convert(&from.file) {
        Ok(converted) => {
            tell(&converted);
            terminal::say(converted.text.trim_end());
            DONE
        }
        Err(problems) => {
            problems.iter().for_each(terminal::error);
            UNUSABLE
        }
    }
}

/// The file at `path`, converted. Its text is one that infermux takes.
fn convert(path: &Path) -> Result<Converted, Vec<String>> {
    let text = input::text(path, CONFIG_BYTES_MAX).map_err(|problem| vec![problem])?;
    let name = input::name(path);
    let converted = litellm::convert(&text).map_err(|faults| {
        let faults = faults.iter();
        faults
            .map(|fault| format!("{name}: {fault}"))
            .collect::<Vec<_>>()
    })?;
    let options = Options {
        environment: Environment::Unresolved,
        strict: Strictness::Lenient,
    };
    match config::load(&converted.text, &options) {
        Ok(loaded) => {
            let led = led_elsewhere(&converted, &loaded.plan);
            led.for_each(terminal::warning);
            Ok(converted)
        }
        Err(rejected) => {
            let faults = rejected.faults().iter();
            let faults = faults.map(|fault| format!("{name}: what it comes to is wrong: {fault}"));
            Err(faults.collect())
        }
    }
}

/// The names that lead to other providers than in the other file, a sentence each.
fn led_elsewhere<'c>(
    converted: &'c Converted,
    plan: &'c Plan,
) -> impl Iterator<Item = String> + 'c {
    let named = converted.routes.iter();
    let named = named.filter(|(name, _)| !name.contains('*'));
    named.filter_map(|(name, expected)| {
        let endpoint = Endpoint::ChatCompletions;
        let route = plan.routes.find(endpoint, name);
        let candidates = route.map(|id| &plan.routes.route(id).candidates);
        let candidates = candidates.into_iter().flatten();
        let found: BTreeSet<&str> = candidates
            .map(|candidate| &*plan.provider(candidate.provider).name)
            .collect();
        let expected: BTreeSet<&str> = expected.iter().map(String::as_str).collect();
        (found != expected).then(|| {
            let found: Vec<&str> = found.into_iter().collect();
            format!(
                "{} leads to {}: names that stand for each other cannot be told apart; look at \
                 routing.groups",
                printable(name),
                found.join(", ")
            )
        })
    })
}

fn tell(converted: &Converted) {
    converted.left.iter().for_each(terminal::note);
    if converted.literal_keys > 0 {
        let count = converted.literal_keys;
        terminal::warning(format_args!(
            "{count} key{} written in the file, and so in what is printed: put a variable in \
             place, as in `${{OPENAI_API_KEY}}`",
            if count == 1 { " is" } else { "s are" }
        ));
    }
}
