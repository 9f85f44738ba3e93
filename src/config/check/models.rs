//! The `models` of a provider.

use std::collections::HashMap;

use crate::base::tokens::Tokens;
use crate::config::check::request;
use crate::config::model_settings::{ModelSettings, SettingsByModel};
use crate::config::patterns::{Pattern, is_pattern};
use crate::config::raw::fields::Block;

/// What a provider's `models` say.
#[derive(Default)]
pub struct Models {
    /// Names, and patterns as they are written, each once.
    pub entries: Vec<Box<str>>,
    /// The patterns among them.
    pub patterns: Vec<Pattern>,
    /// What is said of them besides.
    pub settings: SettingsByModel,
}

/// Reads `models` of a provider.
pub fn read(block: &Block<'_>) -> Models {
    let mut models = Models::default();
    // Names, and whether they stand in the list alone.
    let mut seen: HashMap<&str, bool> = HashMap::new();
    for entry in block.entries("models") {
        let place = entry.place;
        let settings = entry.block.as_ref().map(settings);
        let Some(name) = entry.name else { continue };
        let is_plain = settings.is_none();
        if let Some(was_plain) = seen.insert(name, is_plain) {
            if !(is_plain && was_plain) {
                let problem = format!("`{name}` stands in the list before");
                block.fault(&format!("models[{place}]"), problem);
            }
            continue;
        }
        models.entries.push(name.into());
        if is_pattern(name) {
            match Pattern::parse(name) {
                Ok(pattern) => {
                    if let Some(settings) = settings {
                        models.settings.add_pattern(pattern.clone(), settings);
                    }
                    models.patterns.push(pattern);
                }
                Err(problem) => block.fault(&format!("models[{place}]"), problem),
            }
        } else if let Some(settings) = settings {
            models.settings.add_name(name, settings);
        }
    }
    models
}

fn settings(block: &Block<'_>) -> ModelSettings {
    ModelSettings {
        context_window: block.whole("context_window").map(Tokens::new),
        max_output: block.whole("max_output_tokens"),
        request: request::read(block),
    }
}
