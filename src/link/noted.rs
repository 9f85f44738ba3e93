//! The last requests that failed, were refused or were slow, for operators.
//!
//! There is a ring for each of the three, so that a caller with a wrong key does not push a
//! provider's failures out. Whichever event loop notes a request exchanges one pointer; nobody
//! waits for anybody. Nothing of a request's content is noted.

use std::array;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;

use crate::base::limits::NOTED_KEPT_MAX;
use crate::base::money::NanoUsd;
use crate::base::time::WallTime;
use crate::decide::slowness;

/// The noted requests of the process, and from when on requests are slow.
#[derive(Debug)]
pub struct Noted {
    rings: [Ring; Trouble::ALL.len()],
    /// How many requests have been noted: which of two came first, since many can share a
    /// millisecond.
    count: AtomicU64,
    /// Nanoseconds, by place of the answer's form.
    slow_from: [AtomicU64; Form::ALL.len()],
}

/// Why a request is noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It was answered with 429 or 5xx, or its stream did not come to its end.
    Failed,
    /// It was answered with another 4xx: its caller has to change something.
    Refused,
    /// It took longer than is usual.
    Slow,
}

/// The form of an answer: what is usual differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// In one piece; its end is what its caller waits for.
    Whole,
    /// A stream; its first content is what its caller waits for.
    Stream,
}

/// A request that was noted.
#[derive(Clone, Debug)]
pub struct NotedRequest {
    /// When it ended.
    pub time: WallTime,
    /// Why it is noted.
    pub trouble: Trouble,
    /// Its id.
    pub id: Box<str>,
    /// The provider's own id for it.
    pub upstream_id: Option<Box<str>>,
    /// The endpoint's name.
    pub endpoint: Option<&'static str>,
    /// The caller that it is counted for.
    pub caller: Option<Box<str>>,
    /// The name of the caller's key.
    pub key: Option<Box<str>>,
    /// The team of that key.
    pub team: Option<Box<str>>,
    /// The model that was asked for.
    pub model: Option<Box<str>>,
    /// The provider that was asked last.
    pub provider: Option<Box<str>>,
    /// That provider's name for the model.
    pub provider_model: Option<Box<str>>,
    /// The status that the caller was told; 499 for a caller that left.
    pub status: u16,
    /// The code of the error, or what went wrong.
    pub error: Option<&'static str>,
    /// Whether a stream was asked for.
    pub stream: Option<bool>,
    /// Providers tried.
    pub attempts: u32,
    /// From the head's arrival to the answer's last byte.
    pub duration: Duration,
    /// From the head's arrival to the answer's first byte.
    pub first_byte: Option<Duration>,
    /// What it cost.
    pub cost: Option<NanoUsd>,
    /// What attempts cost that failed after their provider had begun to answer.
    pub failed_cost: Option<NanoUsd>,
}

/// A request with its number among all that were noted.
#[derive(Debug)]
struct Numbered(u64, Arc<NotedRequest>);

#[derive(Debug)]
struct Ring {
    places: Box<[ArcSwapOption<Numbered>]>,
    next: AtomicUsize,
}

impl Default for Noted {
    fn default() -> Self {
        let unknown = nanos(slowness::UNKNOWN);
        Self {
            rings: array::from_fn(|_| Ring::default()),
            count: AtomicU64::new(0),
            slow_from: array::from_fn(|_| AtomicU64::new(unknown)),
        }
    }
}

impl Default for Ring {
    fn default() -> Self {
        Self {
            places: (0..NOTED_KEPT_MAX)
                .map(|_| ArcSwapOption::empty())
                .collect(),
            next: AtomicUsize::new(0),
        }
    }
}

impl Noted {
    /// Notes a request; the oldest of its kind makes room.
    pub fn add(&self, request: NotedRequest) {
        let ring = &self.rings[request.trouble as usize];
        let place = ring.next.fetch_add(1, Ordering::Relaxed) % NOTED_KEPT_MAX;
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let one = Numbered(number, Arc::new(request));
        ring.places[place].store(Some(Arc::new(one)));
    }

    /// At most `most` of the requests noted for one of `troubles`, the newest first.
    #[must_use]
    pub fn last(&self, troubles: &[Trouble], most: usize) -> Vec<Arc<NotedRequest>> {
        let rings = troubles.iter().map(|one| &self.rings[*one as usize]);
        let places = rings.flat_map(|ring| ring.places.iter());
        let mut all: Vec<_> = places.filter_map(ArcSwapOption::load_full).collect();
        all.sort_by_key(|one| std::cmp::Reverse((one.1.time, one.0)));
        let newest = all.iter().take(most);
        newest.map(|one| Arc::clone(&one.1)).collect()
    }

    /// From when on a request with an answer of this form is slow.
    #[must_use]
    pub fn slow_from(&self, form: Form) -> Duration {
        Duration::from_nanos(self.slow_from[form as usize].load(Ordering::Relaxed))
    }

    /// Publishes from when on requests are slow.
    pub fn set_slow_from(&self, form: Form, from: Duration) {
        self.slow_from[form as usize].store(nanos(from), Ordering::Relaxed);
    }
}

impl Trouble {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Failed, Self::Refused, Self::Slow];

    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Slow => "slow",
        }
    }

    /// Why a request is noted that was answered with `status` after so many attempts, and that has
    /// an error or not; `None`: it is not noted.
    #[must_use]
    pub fn of(status: u16, attempts: u32, has_error: bool, is_slow: bool) -> Option<Self> {
        match status {
            CALLER_GONE => is_slow.then_some(Self::Slow),
            // A limit or a budget of the caller's: it would push failures of providers out.
            429 if attempts == 0 => Some(Self::Refused),
            429 | 500.. => Some(Self::Failed),
            400.. => Some(Self::Refused),
            // A stream that ended with an error.
            _ if has_error => Some(Self::Failed),
            _ => is_slow.then_some(Self::Slow),
        }
    }

    /// The one with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }
}

impl Form {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Whole, Self::Stream];
}

/// The status of a request whose caller did not wait for the answer, as nginx logs it.
pub const CALLER_GONE: u16 = 499;

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(second: u64, trouble: Trouble) -> NotedRequest {
        NotedRequest {
            time: WallTime::from_unix_millis(1_000 * second),
            trouble,
            id: format!("r{second}").into(),
            upstream_id: None,
            endpoint: None,
            caller: None,
            key: None,
            team: None,
            model: None,
            provider: None,
            provider_model: None,
            status: 503,
            error: None,
            stream: None,
            attempts: 1,
            duration: Duration::ZERO,
            first_byte: None,
            cost: None,
            failed_cost: None,
        }
    }

    fn ids(all: &[Arc<NotedRequest>]) -> Vec<&str> {
        all.iter().map(|one| &*one.id).collect()
    }

    #[test]
    fn the_newest_of_each_kind_stay() {
        let noted = Noted::default();
        noted.add(request(1, Trouble::Failed));
        for second in 2..2 + 2 * NOTED_KEPT_MAX as u64 {
            noted.add(request(second, Trouble::Refused));
        }
        noted.add(request(0, Trouble::Slow));
        let all = noted.last(&Trouble::ALL, usize::MAX);
        assert_eq!(all.len(), NOTED_KEPT_MAX + 2);
        let newest = 1 + 2 * NOTED_KEPT_MAX;
        assert_eq!(*all[0].id, format!("r{newest}"));
        assert_eq!(
            *all[NOTED_KEPT_MAX - 1].id,
            format!("r{}", newest + 1 - NOTED_KEPT_MAX)
        );
        assert_eq!(ids(&all[NOTED_KEPT_MAX..]), ["r1", "r0"]);
        let few = noted.last(&[Trouble::Slow, Trouble::Failed], 1);
        assert_eq!(ids(&few), ["r1"]);
    }

    #[test]
    fn of_one_millisecond_the_one_noted_last_is_the_newest() {
        let noted = Noted::default();
        for (number, trouble) in [Trouble::Failed, Trouble::Slow, Trouble::Refused]
            .into_iter()
            .cycle()
            .take(9)
            .enumerate()
        {
            let mut one = request(1, trouble);
            one.id = format!("n{number}").into();
            noted.add(one);
        }
        let newest = noted.last(&Trouble::ALL, 4);
        assert_eq!(ids(&newest), ["n8", "n7", "n6", "n5"]);
    }

    #[test]
    fn each_form_has_its_own_bound() {
        let noted = Noted::default();
        noted.set_slow_from(Form::Stream, Duration::from_secs(2));
        assert_eq!(noted.slow_from(Form::Stream), Duration::from_secs(2));
        assert_eq!(noted.slow_from(Form::Whole), slowness::UNKNOWN);
        noted.set_slow_from(Form::Whole, Duration::MAX);
        assert!(noted.slow_from(Form::Whole) > Duration::from_secs(3_600));
    }

    #[test]
    fn a_request_is_noted_for_a_reason() {
        use Trouble::{Failed, Refused, Slow};
        for (status, attempts, has_error, is_slow, expected) in [
            (200, 1, false, false, None),
            (200, 1, false, true, Some(Slow)),
            (200, 1, true, false, Some(Failed)),
            (400, 1, true, false, Some(Refused)),
            (404, 0, false, true, Some(Refused)),
            (429, 1, true, true, Some(Failed)),
            (429, 0, true, true, Some(Refused)),
            (500, 1, false, false, Some(Failed)),
            (503, 0, true, false, Some(Failed)),
            (529, 1, true, false, Some(Failed)),
            // Whoever leaves has perhaps seen enough.
            (499, 1, true, false, None),
            (499, 1, true, true, Some(Slow)),
        ] {
            let trouble = Trouble::of(status, attempts, has_error, is_slow);
            assert_eq!(
                trouble, expected,
                "{status} {attempts} {has_error} {is_slow}"
            );
        }
    }

    #[test]
    fn kinds_have_names() {
        for one in Trouble::ALL {
            assert_eq!(Trouble::named(one.name()), Some(one));
        }
        assert_eq!(Trouble::named("late"), None);
    }
}
