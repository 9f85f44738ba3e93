//! `infermux serve`: from the configuration to shards that serve.

use std::path::{Path, PathBuf};

use crate::cli::environment;
use crate::cli::exit::{FAILED, UNUSABLE};
use crate::cli::flags::{self, ServeFlags};
use crate::cli::launch::Launch;
use crate::cli::line_form;
use crate::cli::log::Log;
use crate::cli::loops::HealthChecks;
use crate::cli::manager::{manager, watchdog};
use crate::cli::not_started::NotStarted;
use crate::cli::open_keys::{warn_of_open_keys, warn_of_open_management};
use crate::cli::overrides::Overrides;
use crate::cli::reload::Source;
use crate::cli::server::TOKEN;
use crate::cli::terminal;
use crate::config::Loaded;
use crate::config::plan::Plan;
use crate::link::events;
use crate::sys::process;

/// Serves until the process is asked to stop; returns the exit code.
#[must_use]
pub fn run(flags: &ServeFlags) -> u8 {
    process::give_large_memory_back();
    let path = flags::config_path(flags.config.as_deref(), &environment::setting);
    let Some((source, Loaded { plan, warnings, .. })) = configured(path, flags) else {
        return UNUSABLE;
    };
    terminal::speak(line_form::of(plan.log));
    let (events, told) = events::channel();
    let log = match Log::start(plan.log, &events) {
        Ok(log) => log,
        Err(NotStarted::Asked(code)) => return code,
        Err(NotStarted::Failed(problem)) => {
            terminal::error(problem);
            return FAILED;
        }
    };
    introduce(source.path(), &plan);
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    let health = if flags.no_health_checks {
        HealthChecks::Off
    } else {
        HealthChecks::On
    };
    let manager = manager();
    let launch = Launch {
        log: &log,
        health,
        events,
        told,
    };
    match launch.start(source, plan) {
        Ok(running) => running
            .telling(manager, watchdog())
            .attend(flags.graceful_shutdown),
        Err(NotStarted::Asked(code)) => code,
        Err(NotStarted::Failed(problem)) => {
            tracing::error!("{problem}");
            FAILED
        }
    }
}

/// The file, overridden by flags and environment; `None`: its faults have been printed.
fn configured(path: PathBuf, flags: &ServeFlags) -> Option<(Source, Loaded)> {
    let speak = || terminal::speak(line_form::without_plan(flags, &environment::setting, &path));
    let tell = |faults: Vec<String>| {
        speak();
        faults.iter().for_each(terminal::error);
    };
    let overrides = Overrides::new(flags, &environment::setting).map_err(tell);
    let loaded = Source::load(&path).map_err(|unusable| {
        speak();
        unusable.print();
    });
    let (overrides, mut loaded) = (overrides.ok()?, loaded.ok()?);
    overrides.apply(&mut loaded.plan).map_err(tell).ok()?;
    Some((Source::new(path, overrides), loaded))
}

fn introduce(path: &Path, plan: &Plan) {
    terminal::say(format_args!("infermux {}", env!("CARGO_PKG_VERSION")));
    terminal::say(format_args!("config: {}", path.display()));
    warn_of_open_keys(plan);
    warn_of_open_management(plan, environment::setting(TOKEN).is_some());
}
