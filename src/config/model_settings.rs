//! What the entries of a provider's `models` say of their models beyond the names.

use std::sync::Arc;

use crate::base::map::Map;
use crate::base::tokens::Tokens;
use crate::config::patterns::Pattern;
use crate::wire::rules::Rules;

/// What an entry says of its models.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelSettings {
    /// How many tokens a prompt and its answer may have together.
    pub context_window: Option<Tokens>,
    /// Most tokens of one answer.
    pub max_output: Option<u64>,
    /// What is changed in requests for it, after what is changed for its provider.
    pub request: Option<Arc<Rules>>,
}

/// The settings of one provider's models, to be found by a model's name.
#[derive(Debug, Default, PartialEq)]
pub struct SettingsByModel {
    by_name: Map<Box<str>, ModelSettings>,
    /// In the order of the file.
    by_pattern: Vec<(Pattern, ModelSettings)>,
}

impl SettingsByModel {
    /// Adds the settings of the model called `name`.
    pub fn add_name(&mut self, name: &str, settings: ModelSettings) {
        self.by_name.insert(name.into(), settings);
    }

    /// Adds the settings of the models that `pattern` claims.
    pub fn add_pattern(&mut self, pattern: Pattern, settings: ModelSettings) {
        self.by_pattern.push((pattern, settings));
    }

    /// Whether no entry says anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty() && self.by_pattern.is_empty()
    }

    /// The settings of all models that have any.
    pub fn all(&self) -> impl Iterator<Item = &ModelSettings> {
        let by_pattern = self.by_pattern.iter().map(|(_, settings)| settings);
        self.by_name.values().chain(by_pattern)
    }

    /// The smallest window that any entry states.
    #[must_use]
    pub fn least_window(&self) -> Option<Tokens> {
        let windows = self.all().filter_map(|settings| settings.context_window);
        windows.min()
    }

    /// The settings for a request in which the model is called `asked` by the caller and `own` by
    /// the provider: those of the entry with the first of these names, else with the second, else
    /// those of the first pattern that claims the provider's name.
    ///
    /// So an entry for the name of an alias holds for requests that come by this alias alone.
    #[must_use]
    pub fn of(&self, asked: &str, own: &str) -> Option<&ModelSettings> {
        if self.is_empty() {
            return None;
        }
        let named = self.by_name.get(asked).or_else(|| self.by_name.get(own));
        named.or_else(|| {
            let mut patterns = self.by_pattern.iter();
            let found = patterns.find(|(pattern, _)| pattern.matches(own));
            found.map(|(_, settings)| settings)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_callers_name_comes_first_then_the_providers_then_patterns_in_their_order() {
        let settings = |max_output| ModelSettings {
            max_output: Some(max_output),
            ..ModelSettings::default()
        };
        let mut all = SettingsByModel::default();
        assert!(all.is_empty() && all.of("a", "a").is_none());
        for (pattern, max_output) in [("gpt-4*", 3), ("gpt-*", 4)] {
            all.add_pattern(Pattern::parse(pattern).unwrap(), settings(max_output));
        }
        all.add_name("quick", settings(1));
        all.add_name("gpt-4o", settings(2));
        for (asked, own, expected) in [
            ("quick", "gpt-4o", Some(1)),
            ("other", "gpt-4o", Some(2)),
            ("gpt-4o", "gpt-4o", Some(2)),
            ("other", "gpt-4.1", Some(3)),
            ("gpt-5", "gpt-5", Some(4)),
            // A pattern is about the provider's models, not about aliases.
            ("gpt-x", "llama", None),
        ] {
            let found = all.of(asked, own).and_then(|found| found.max_output);
            assert_eq!(found, expected, "{asked} at {own}");
        }
    }
}
