//! Decides which name is looked up when, and what is published after a look-up.

use std::collections::HashMap;
use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::base::ids::ProviderId;
use crate::base::limits::ADDRESSES_MAX;
use crate::base::time::Instant;
use crate::config::plan::Plan;

/// The hosts of all providers.
pub struct Names {
    hosts: Vec<Host>,
    /// By provider, the place of its name in `hosts`; providers whose host is an address have none.
    of_provider: HashMap<ProviderId, usize>,
    literals: Vec<(ProviderId, SocketAddr)>,
}

/// A name, looked up once for all providers that share it.
struct Host {
    name: Box<str>,
    /// Its providers and their ports.
    users: Vec<(ProviderId, u16)>,
    /// When it was last looked up.
    asked: Option<Instant>,
    due: Instant,
    /// The last good answer.
    addresses: Vec<IpAddr>,
    /// Whether the last look-up failed.
    failing: bool,
}

impl Names {
    /// The hosts of the providers of `plan`, all of them due at once.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        let mut names = Self {
            hosts: Vec::new(),
            of_provider: HashMap::new(),
            literals: Vec::new(),
        };
        let mut places: HashMap<Box<str>, usize> = HashMap::new();
        for provider in &plan.providers {
            let id = provider.id;
            let (host, port) = provider.first_stop();
            if let Ok(ip) = host.parse() {
                names.literals.push((id, SocketAddr::new(ip, port)));
                continue;
            }
            let place = *places
                .entry(host.to_ascii_lowercase().into())
                .or_insert_with(|| {
                    names.hosts.push(Host::new(host));
                    names.hosts.len() - 1
                });
            names.hosts[place].users.push((id, port));
            names.of_provider.insert(id, place);
        }
        names
    }

    /// The hosts of the providers of the next `plan`: addresses of known names are kept, and the
    /// other names are due at once. Also returns what must be published for known names.
    #[must_use]
    pub fn next(mut self, plan: &Plan) -> (Self, Vec<(ProviderId, Vec<SocketAddr>)>) {
        let mut next = Self::of(plan);
        let mut known = Vec::new();
        let mut former: HashMap<Box<str>, Host> = HashMap::new();
        for host in self.hosts.drain(..) {
            former.insert(host.name.to_ascii_lowercase().into(), host);
        }
        for host in &mut next.hosts {
            let Some(before) = former.remove(&*host.name.to_ascii_lowercase()) else {
                continue;
            };
            // A name that was never found is tried again for its new provider.
            if before.addresses.is_empty() {
                continue;
            }
            (host.asked, host.due) = (before.asked, before.due);
            (host.addresses, host.failing) = (before.addresses, before.failing);
            known.extend(host.published());
        }
        (next, known)
    }

    /// Providers whose host is an address: for these, nothing is looked up.
    #[must_use]
    pub fn literals(&self) -> &[(ProviderId, SocketAddr)] {
        &self.literals
    }

    /// Whether every name has been looked up.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.hosts.iter().all(|host| host.asked.is_some())
    }

    /// When the next name is due.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        let dues = self.hosts.iter().map(|host| host.due);
        dues.min().unwrap_or(Instant::NEVER)
    }

    /// Of the names that are due at `now`, the one that has been due for the longest time.
    #[must_use]
    pub fn due(&self, now: Instant) -> Option<usize> {
        let due = self.hosts.iter().enumerate();
        due.filter(|(_, host)| host.due <= now)
            .min_by_key(|(_, host)| host.due)
            .map(|(place, _)| place)
    }

    /// The name at `place`.
    #[must_use]
    pub fn name(&self, place: usize) -> &str {
        &self.hosts[place].name
    }

    /// A connection to `provider` failed: its name is due now, or a second after its last look-up.
    pub fn on_wish(&mut self, provider: ProviderId) {
        if let Some(place) = self.of_provider.get(&provider) {
            let host = &mut self.hosts[*place];
            let soonest = host.asked.map_or(Instant::ZERO, |asked| asked + PAUSE_MIN);
            host.due = host.due.min(soonest);
        }
    }

    /// Returns what to publish when the look-up of the name at `place` has ended at `now`.
    ///
    /// A failure publishes nothing: the last good addresses are a better guess than none.
    pub fn on_answer<E: Display>(
        &mut self,
        now: Instant,
        place: usize,
        answer: Result<Vec<SocketAddr>, E>,
    ) -> Vec<(ProviderId, Vec<SocketAddr>)> {
        let host = &mut self.hosts[place];
        host.asked = Some(now);
        host.due = now + PAUSE;
        match answer {
            Ok(found) => host.on_found(&found),
            Err(fault) => {
                host.on_failed(&fault);
                Vec::new()
            }
        }
    }
}

impl Host {
    fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            users: Vec::new(),
            asked: None,
            due: Instant::ZERO,
            addresses: Vec::new(),
            failing: false,
        }
    }

    fn on_found(&mut self, found: &[SocketAddr]) -> Vec<(ProviderId, Vec<SocketAddr>)> {
        let name = &*self.name;
        if std::mem::replace(&mut self.failing, false) {
            tracing::info!(name, "the host name is found again");
        }
        let addresses: Vec<IpAddr> = found
            .iter()
            .take(ADDRESSES_MAX)
            .map(SocketAddr::ip)
            .collect();
        if addresses == self.addresses {
            return Vec::new();
        }
        tracing::debug!(name, addresses = ?addresses, "the name is looked up");
        self.addresses = addresses;
        self.published()
    }

    /// Its addresses, with the port of each of its providers.
    fn published(&self) -> Vec<(ProviderId, Vec<SocketAddr>)> {
        let of = |port| {
            self.addresses
                .iter()
                .map(move |ip| SocketAddr::new(*ip, port))
                .collect()
        };
        self.users
            .iter()
            .map(|(provider, port)| (*provider, of(*port)))
            .collect()
    }

    fn on_failed(&mut self, fault: &impl Display) {
        if std::mem::replace(&mut self.failing, true) {
            return;
        }
        let name = &*self.name;
        if self.addresses.is_empty() {
            tracing::warn!(
                name, %fault,
                "the host name is not found: the providers there cannot be reached"
            );
        } else {
            tracing::warn!(
                name, %fault,
                "the host name is not found: the addresses found before are used"
            );
        }
    }
}

/// Longest wait for the first look-up of all names; after it, the start goes on while they are
/// looked up.
pub const LOOK_UP_MAX: Duration = Duration::from_secs(5);
/// Pause between two look-ups of a name.
const PAUSE: Duration = Duration::from_secs(30);
/// Pause between two look-ups of a name while connections to it fail.
const PAUSE_MIN: Duration = Duration::from_secs(1);

#[cfg(test)]
pub(super) mod tests {
    use std::fmt::Write;

    use super::*;
    use crate::config::{self, Environment, Options, Strictness};

    pub(in crate::coordinator) fn plan(base_urls: &[&str]) -> Plan {
        let mut text = String::from("providers:\n");
        for (i, url) in base_urls.iter().enumerate() {
            let fields = format!("name: p{i}, type: openai, base_url: \"{url}\"");
            let _ = writeln!(text, "  - {{{fields}}}");
        }
        let options = Options {
            environment: Environment::Unresolved,
            strict: Strictness::Lenient,
        };
        config::load(&text, &options).ok().unwrap().plan
    }

    fn at(seconds: u64) -> Instant {
        Instant::from_millis(seconds * 1_000)
    }

    fn addresses(texts: &[&str]) -> Result<Vec<SocketAddr>, &'static str> {
        Ok(texts
            .iter()
            .map(|text| SocketAddr::new(text.parse().unwrap(), 0))
            .collect())
    }

    #[test]
    fn a_name_is_looked_up_once_for_all_its_providers() {
        let urls = [
            "http://a.test:1",
            "http://10.0.0.1",
            "http://a.test:2",
            "http://b.test",
        ];
        let mut names = Names::of(&plan(&urls));
        assert_eq!(
            *names.literals(),
            [(ProviderId(1), "10.0.0.1:80".parse().unwrap())]
        );
        assert_eq!((names.name(0), names.name(1)), ("a.test", "b.test"));
        let published = names.on_answer(at(1), 0, addresses(&["1.1.1.1", "2.2.2.2"]));
        let expected = |port| {
            ["1.1.1.1", "2.2.2.2"]
                .map(|ip| SocketAddr::new(ip.parse().unwrap(), port))
                .to_vec()
        };
        assert_eq!(
            published,
            [(ProviderId(0), expected(1)), (ProviderId(2), expected(2))]
        );
        assert!(!names.is_complete());
        names.on_answer(at(1), 1, Err("no"));
        assert!(names.is_complete());
    }

    #[test]
    fn names_take_turns_and_a_failed_one_waits_like_the_others() {
        let mut names = Names::of(&plan(&["http://a.test", "http://b.test"]));
        assert_eq!(names.due(at(1)), Some(0));
        names.on_answer(at(20), 0, Err("timed out"));
        assert_eq!(names.due(at(20)), Some(1));
        names.on_answer(at(21), 1, addresses(&["1.1.1.1"]));
        assert_eq!((names.due(at(49)), names.deadline()), (None, at(50)));
        // Both are due; the name that has waited longer comes first.
        assert_eq!(names.due(at(60)), Some(0));
        assert_eq!(
            Names::of(&plan(&["http://[::1]:1"])).deadline(),
            Instant::NEVER
        );
    }

    #[test]
    fn a_wish_is_granted_at_once_but_not_twice_a_second() {
        let mut names = Names::of(&plan(&["http://a.test", "http://127.0.0.1"]));
        names.on_answer(at(10), 0, addresses(&["1.1.1.1"]));
        names.on_wish(ProviderId(1));
        assert_eq!(names.deadline(), at(40));
        names.on_wish(ProviderId(0));
        assert_eq!(names.deadline(), at(11));
        names.on_answer(at(15), 0, Err("gone"));
        assert_eq!(names.deadline(), at(45));
    }

    #[test]
    fn only_changes_are_published_and_a_failure_is_none() {
        let mut names = Names::of(&plan(&["http://a.test"]));
        assert_eq!(names.on_answer(at(1), 0, addresses(&["1.1.1.1"])).len(), 1);
        assert!(
            names
                .on_answer(at(2), 0, addresses(&["1.1.1.1"]))
                .is_empty()
        );
        assert!(names.on_answer(at(3), 0, Err("gone")).is_empty());
        assert!(
            names
                .on_answer(at(4), 0, addresses(&["1.1.1.1"]))
                .is_empty()
        );
        assert_eq!(names.on_answer(at(5), 0, addresses(&["2.2.2.2"])).len(), 1);
        let many: Vec<String> = (0..200).map(|i| format!("10.0.0.{i}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let published = names.on_answer(at(6), 0, addresses(&many));
        assert_eq!(published[0].1.len(), ADDRESSES_MAX);
    }
}
