//! Which rules change the parameters of a request: those of the model's family at its vendor's own
//! host, then those of the file for the provider, then those for the model.

use std::sync::Arc;

use crate::base::endpoint::Endpoint;
use crate::config::plan::{Plan, Provider};
use crate::dialect::chat::model;
use crate::wire::rules::Rules;

/// What a request asks for, as far as rules go by it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The endpoint that the caller asks.
    pub endpoint: Endpoint,
    /// The caller's name for the model.
    pub model: &'a str,
    /// The provider's name for the model.
    pub own_model: &'a str,
}

/// The rules for a request to `provider`, in the order in which they are applied.
#[must_use]
pub fn rules(plan: &Plan, provider: &Provider, asked: Asked<'_>) -> Vec<Arc<Rules>> {
    // What infermux writes itself has nothing that the model refuses.
    let is_chat = asked.endpoint == Endpoint::ChatCompletions && provider.is_openais_host;
    let family = is_chat.then(|| family(plan, asked.own_model)).flatten();
    let own = provider.rules_for(asked.model, asked.own_model);
    family.into_iter().chain(own).cloned().collect()
}

/// What the model's family refuses: as the file says, else as the built-in table does.
fn family<'p>(plan: &'p Plan, model: &str) -> Option<&'p Arc<Rules>> {
    let mut set = plan.model_families.iter();
    match set.find(|(pattern, _)| pattern.matches(model)) {
        Some((_, rules)) => rules.as_ref(),
        None => model::refused_by(model),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Environment, Options, Strictness};

    const FILE: &str = "
providers:
  - name: openai
    type: openai
    api_key: k
    request: {set: {a: 1}}
    models:
      [o3, gpt-5, gpt-4o, {name: o1-x, request: {set: {b: 1}}}, {name: q, request: {set: {c: 1}}}]
    model_aliases: {q: o3}
  - name: other
    type: openai
    api_key: k
    base_url: https://api.groq.com/openai/v1
    models: [o3]
model_families:
  'gpt-5*': {}
  'o1*': {remove: [stop], rename: {max_tokens: n}}
";

    #[test]
    fn a_family_comes_first_and_the_file_may_have_its_own() {
        let options = Options {
            environment: Environment::Unresolved,
            strict: Strictness::Lenient,
        };
        let plan = config::load(FILE, &options).ok().unwrap().plan;
        let told = |place: usize, endpoint, model: &'static str, own_model: &'static str| {
            let asked = Asked {
                endpoint,
                model,
                own_model,
            };
            let rules = rules(&plan, &plan.providers[place], asked);
            let all = rules.iter().flat_map(|rules| rules.iter());
            all.map(ToString::to_string).collect::<Vec<_>>().join(", ")
        };
        let chat = Endpoint::ChatCompletions;
        let built_in = "rename max_tokens to max_completion_tokens, remove temperature";
        assert!(told(0, chat, "o3", "o3").starts_with(built_in));
        assert!(told(0, chat, "o3", "o3").ends_with(", set a"));
        assert!(told(0, chat, "q", "o3").ends_with(", set a, set c"));
        assert_eq!(told(0, chat, "gpt-4o", "gpt-4o"), "set a");
        assert_eq!(told(0, chat, "gpt-5", "gpt-5"), "set a");
        let own = "rename max_tokens to n, remove stop, set a, set b";
        assert_eq!(told(0, chat, "o1-x", "o1-x"), own);
        // Other endpoints, and compatible servers, know their own parameters.
        assert_eq!(told(0, Endpoint::Messages, "o3", "o3"), "set a");
        assert_eq!(told(0, Endpoint::Responses, "o3", "o3"), "set a");
        assert_eq!(told(1, chat, "o3", "o3"), "");
    }
}
