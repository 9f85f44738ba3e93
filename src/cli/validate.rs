//! `infermux validate`: whether a file can be used, without using it.

use std::path::Path;

use crate::cli::environment;
use crate::cli::exit::{DONE, FAULTY, MALFORMED, UNUSABLE};
use crate::cli::file::{self, Unusable};
use crate::cli::flags::{self, ValidateFlags};
use crate::cli::keys_file;
use crate::cli::terminal;
use crate::config::faults::{Fault, printable};
use crate::config::plan::{Auth, Plan, Provider};
use crate::config::prices::{self, PriceTable};
use crate::config::raw::lines;
use crate::config::tls::TlsFiles;
use crate::config::{self, Environment, Options, Strictness};
use crate::sys::files;

/// Checks the file; returns the exit code.
#[must_use]
pub fn run(flags: &ValidateFlags) -> u8 {
    let path = flags::config_path(flags.config.as_deref(), &environment::setting);
    let options = Options {
        environment: if flags.no_environment {
            Environment::Unresolved
        } else {
            Environment::Lookup(environment::HERE)
        },
        strict: if flags.strict {
            Strictness::Strict
        } else {
            Strictness::Lenient
        },
    };
    match file::read(&path, &options) {
        Ok(loaded) => {
            if let Err(faults) = keys_file::check(&loaded.plan) {
                faults.iter().for_each(terminal::error);
                file::count(faults.len(), 0);
                return FAULTY;
            }
            let mut here = [missing_files(&loaded.plan), unpriced(&loaded.plan)].concat();
            lines::find(&loaded.text, here.iter_mut());
            let warnings = [loaded.warnings, here].concat();
            warnings.iter().for_each(terminal::warning);
            file::count(0, warnings.len());
            let summary = config::summary(&loaded.plan);
            terminal::say(format_args!("ok: config is valid ({summary})"));
            if let Some(shared) = &loaded.plan.shared {
                terminal::say(format_args!("shared: {}", shared.told()));
            }
            DONE
        }
        Err(unusable) => {
            unusable.print();
            match unusable {
                Unusable::Unreadable(_) => UNUSABLE,
                Unusable::Malformed(_) => MALFORMED,
                Unusable::Faulty { .. } => FAULTY,
            }
        }
    }
}

/// Models that the file names and whose price is not known, so that they would be counted at no
/// cost.
fn unpriced(plan: &Plan) -> Vec<Fault> {
    let table = PriceTable::built_in();
    let told = |(place, provider): (usize, &Provider)| {
        let models = prices::unpriced(&table, provider, &plan.pricing);
        let models: Vec<String> = models.into_iter().map(printable).collect();
        let message = format!(
            "no price is known for {}: such requests are counted at no cost, unless `pricing.{}` \
             sets one",
            models.join(", "),
            printable(&provider.name),
        );
        let path = format!("providers[{place}].models");
        (!models.is_empty()).then(|| Fault::new(&path, message))
    };
    plan.providers.iter().enumerate().filter_map(told).collect()
}

/// Warns of missing files that `serve` will need. They may exist on the machine where that runs,
/// hence no faults.
fn missing_files(plan: &Plan) -> Vec<Fault> {
    let listen = plan.tls.iter().flat_map(TlsFiles::paths);
    let listen = listen.map(|(key, file)| (format!("tls.{key}"), file));
    let providers = plan.providers.iter().enumerate();
    let providers = providers.flat_map(|(place, provider)| {
        let paths = provider.tls.files.paths();
        paths.map(move |(key, file)| (format!("providers[{place}].tls.{key}"), file))
    });
    let keys = match &plan.auth {
        Auth::Keys(listed) => listed.file.as_deref(),
        Auth::Passthrough | Auth::StaticKey(_) => None,
    };
    let keys = keys.map(|file| (String::from("auth.keys_file"), file));
    let missing = |file: &str| !files::exists(Path::new(file));
    let told = |file: &str| format!("{} does not exist on this host", printable(file));
    let keys = keys.filter(|(_, file)| missing(file)).map(|(path, file)| {
        let message = format!("{}: {}", told(file), keys_file::HOW_MADE);
        Fault::new(&path, message)
    });
    let others = listen.chain(providers).filter(|(_, file)| missing(file));
    let others = others.map(|(path, file)| Fault::new(&path, told(file)));
    others.chain(keys).collect()
}
