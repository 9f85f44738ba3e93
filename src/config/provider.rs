//! Which models a provider serves, and by which rules its requests are changed.

use std::sync::Arc;

use crate::config::patterns;
use crate::config::plan::Provider;
use crate::config::proxy::Proxy;
use crate::wire::rules::Rules;

impl Provider {
    /// The host and port that connections to it are opened to: its own, or its proxy's.
    #[must_use]
    pub fn first_stop(&self) -> (&str, u16) {
        match &self.proxy {
            Some(proxy) => (&proxy.host, proxy.port),
            None => (&self.base.host, self.base.port),
        }
    }

    /// The name that its certificate must be for.
    #[must_use]
    pub fn server_name(&self) -> &str {
        self.tls.server_name.as_deref().unwrap_or(&self.base.host)
    }

    /// The proxy that is to open a tunnel to it.
    #[must_use]
    pub fn tunnel(&self) -> Option<&Proxy> {
        self.proxy.as_ref().filter(|_| self.base.tls)
    }

    /// The proxy that is sent the provider's requests, since they are not encrypted.
    #[must_use]
    pub fn relay(&self) -> Option<&Proxy> {
        self.proxy.as_ref().filter(|_| !self.base.tls)
    }

    /// The names among the entries of `models`.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        let entries = self.models.iter().map(|entry| &**entry);
        entries.filter(|entry| !patterns::is_pattern(entry))
    }

    /// The rules for requests in which the model is called `asked` by the caller and `own` by the
    /// provider, in the order in which they are applied: those of the provider, then those of the
    /// model.
    pub fn rules_for(&self, asked: &str, own: &str) -> impl Iterator<Item = &Arc<Rules>> {
        let model = self.model_settings.of(asked, own);
        let model = model.and_then(|of| of.request.as_ref());
        self.request.iter().chain(model)
    }

    /// How many rules it has, for itself and for single models.
    #[must_use]
    pub fn rule_count(&self) -> usize {
        let models = self.model_settings.all();
        let models = models.filter_map(|of| of.request.as_ref());
        let all = self.request.iter().chain(models);
        all.map(|rules| rules.len()).sum()
    }

    /// Whether it serves models that no other provider claims.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.models.is_empty()
    }

    /// Whether it may serve the model called `name`, which the file does not name.
    #[must_use]
    pub fn may_serve_unnamed(&self, name: &str) -> bool {
        self.is_open() || self.patterns.iter().any(|pattern| pattern.matches(name))
    }

    /// Whether it may serve models that the file does not name, so that infermux asks it for its
    /// list of models.
    #[must_use]
    pub fn has_unnamed(&self) -> bool {
        self.is_open() || !self.patterns.is_empty()
    }
}
