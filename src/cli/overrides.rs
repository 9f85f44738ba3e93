//! Settings of flags and variables that override the file.

use crate::cli::flags::{ServeFlags, word};
use crate::config::check::{LOG_FORMATS, LOG_LEVELS};
use crate::config::faults::printable;
use crate::config::listen;
use crate::config::plan::{Listen, LogFormat, LogLevel, Plan};

/// Settings from outside of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    listen: Option<Listen>,
    level: Option<LogLevel>,
    format: Option<LogFormat>,
    timestamps: Option<bool>,
    shards: Option<usize>,
    cores: Option<Box<[usize]>>,
}

impl Overrides {
    /// The settings of `flags`, and where a flag is absent, of the variable that `setting` gives.
    ///
    /// # Errors
    ///
    /// A sentence for each variable with a value that cannot be used.
    pub fn new(
        flags: &ServeFlags,
        setting: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Vec<String>> {
        let mut faults = Vec::new();
        let variables = &mut Variables {
            setting,
            faults: &mut faults,
        };
        let overrides = Self {
            listen: variables.or(flags.listen.clone(), "INFERMUX_LISTEN", listen::parse),
            level: variables.or(flags.log_level, "INFERMUX_LOG_LEVEL", |text| {
                word(&LOG_LEVELS, text)
            }),
            format: variables.or(flags.log_format, "INFERMUX_LOG_FORMAT", |text| {
                word(&LOG_FORMATS, text)
            }),
            timestamps: variables.or(None, "INFERMUX_LOG_TIMESTAMPS", |text| {
                word(&[("true", true), ("false", false)], text)
            }),
            shards: flags.shards,
            cores: flags.cores.clone(),
        };
        if faults.is_empty() {
            Ok(overrides)
        } else {
            Err(faults)
        }
    }

    /// Puts the settings into `plan`.
    ///
    /// # Errors
    ///
    /// A sentence for each setting that contradicts the rest of the file.
    pub fn apply(&self, plan: &mut Plan) -> Result<(), Vec<String>> {
        put(&mut plan.listen, self.listen.as_ref());
        put(&mut plan.log.level, self.level.as_ref());
        put(&mut plan.log.format, self.format.as_ref());
        put(&mut plan.log.timestamps, self.timestamps.as_ref());
        put(&mut plan.server.shards, self.shards.as_ref());
        put(&mut plan.server.cores, self.cores.as_ref());
        let mut faults = Vec::new();
        if let Some(management) = &plan.management_listen
            && listen::collide(&plan.listen, management)
        {
            faults.push(format!(
                "listen: {} takes the same place as management_listen ({})",
                plan.listen.text, management.text
            ));
        }
        let (shards, cores) = (plan.server.shards, plan.server.cores.len());
        if cores > 0 && shards > cores {
            faults.push(format!(
                "shards: {shards} is more than the {cores} cores to pin them to"
            ));
        }
        if faults.is_empty() {
            Ok(())
        } else {
            Err(faults)
        }
    }
}

fn put<T: Clone>(place: &mut T, value: Option<&T>) {
    if let Some(value) = value {
        place.clone_from(value);
    }
}

struct Variables<'a> {
    setting: &'a dyn Fn(&str) -> Option<String>,
    faults: &'a mut Vec<String>,
}

impl Variables<'_> {
    /// The flag's value, else the variable's.
    fn or<T>(
        &mut self,
        flag: Option<T>,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        if flag.is_some() {
            return flag;
        }
        let text = (self.setting)(name)?;
        match parse(&text) {
            Ok(value) => Some(value),
            Err(problem) => {
                self.faults
                    .push(format!("{name}: `{}` {problem}", printable(&text)));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Environment, Options, Strictness};

    const FILE: &str = "
listen: ':1'
management_listen: ':2'
log: {level: error, format: json, timestamps: true}
server: {shards: 2, cores: '0-2'}
providers: [{name: a, type: ollama}]
";

    fn plan() -> Plan {
        let options = Options {
            environment: Environment::Unresolved,
            strict: Strictness::Strict,
        };
        config::load(FILE, &options).ok().unwrap().plan
    }

    fn set(pairs: &[(&str, &str)], name: &str) -> Option<String> {
        let found = pairs.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| (*value).to_owned())
    }

    const ALL: [(&str, &str); 4] = [
        ("INFERMUX_LISTEN", ":3"),
        ("INFERMUX_LOG_LEVEL", "warn"),
        ("INFERMUX_LOG_FORMAT", "text"),
        ("INFERMUX_LOG_TIMESTAMPS", "false"),
    ];

    #[test]
    fn a_flag_goes_before_a_variable_and_that_before_the_file() {
        let flags = ServeFlags {
            listen: Some(listen::parse(":4").unwrap()),
            shards: Some(3),
            ..ServeFlags::default()
        };
        let mut plan = plan();
        let overrides = Overrides::new(&flags, &|name| set(&ALL, name)).unwrap();
        overrides.apply(&mut plan).unwrap();
        assert_eq!((&*plan.listen.text, plan.server.shards), (":4", 3));
        assert_eq!(plan.log.level, LogLevel::Warn);
        assert_eq!(plan.log.format, LogFormat::Text);
        assert!(!plan.log.timestamps);
        assert_eq!(*plan.server.cores, [0, 1, 2]);
    }

    #[test]
    fn without_any_the_file_counts() {
        let mut plan = plan();
        let overrides = Overrides::new(&ServeFlags::default(), &|_| None).unwrap();
        overrides.apply(&mut plan).unwrap();
        assert_eq!((&*plan.listen.text, plan.server.shards), (":1", 2));
        assert_eq!(
            (plan.log.level, plan.log.format),
            (LogLevel::Error, LogFormat::Json)
        );
    }

    #[test]
    fn every_bad_variable_is_named() {
        let bad = ALL.map(|(name, _)| (name, "x"));
        let faults = Overrides::new(&ServeFlags::default(), &|name| set(&bad, name)).unwrap_err();
        assert_eq!(
            faults,
            [
                "INFERMUX_LISTEN: `x` has no port, write it as `127.0.0.1:8080` or `:8080`",
                "INFERMUX_LOG_LEVEL: `x` is not one of debug, info, warn, error",
                "INFERMUX_LOG_FORMAT: `x` is not one of text, json",
                "INFERMUX_LOG_TIMESTAMPS: `x` is not one of true, false",
            ]
        );
    }

    #[test]
    fn what_does_not_fit_the_file_is_told() {
        let flags = ServeFlags {
            listen: Some(listen::parse("127.0.0.1:2").unwrap()),
            shards: Some(4),
            ..ServeFlags::default()
        };
        let overrides = Overrides::new(&flags, &|_| None).unwrap();
        assert_eq!(
            overrides.apply(&mut plan()).unwrap_err(),
            [
                "listen: 127.0.0.1:2 takes the same place as management_listen (:2)",
                "shards: 4 is more than the 3 cores to pin them to",
            ]
        );
    }
}
