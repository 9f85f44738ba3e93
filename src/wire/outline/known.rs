//! The outlines that are known at a time, and when another one is learned.

use super::Outline;

/// The outlines of texts from one source, each under a key: texts of different keys are read
/// differently.
#[derive(Clone, Debug)]
pub struct Outlines<K, R> {
    known: Vec<(K, Outline<R>)>,
    /// The one that fitted last.
    recent: usize,
    /// What may be spent on outlines. A text that fits gives back a part of what an outline costs,
    /// so that a source whose texts are all different does not pay for each of them.
    credit: u8,
    /// How many texts have fitted none, those aside that make up for ones that have.
    missed: u8,
}

impl<K, R> Default for Outlines<K, R> {
    fn default() -> Self {
        Self {
            known: Vec::new(),
            recent: 0,
            credit: CREDIT,
            missed: 0,
        }
    }
}

impl<K: Copy + PartialEq, R> Outlines<K, R> {
    /// What `read` makes of the first outline under this key that a text fits, the one that fitted
    /// last before the others; `None`: it made nothing of any.
    #[inline]
    pub fn find<T>(&mut self, key: K, read: impl Fn(&Outline<R>) -> Option<T>) -> Option<T> {
        let (own, outline) = self.known.get(self.recent)?;
        let found = if *own == key { read(outline) } else { None };
        let found = found.or_else(|| self.find_other(key, read))?;
        self.credit = CREDIT.min(self.credit + 1);
        self.missed = self.missed.saturating_sub(PRICE);
        Some(found)
    }

    #[inline(never)]
    fn find_other<T>(&mut self, key: K, read: impl Fn(&Outline<R>) -> Option<T>) -> Option<T> {
        let mut all = self.known.iter().enumerate();
        let (place, found) = all.find_map(|(place, (own, outline))| {
            let is_other = place != self.recent && *own == key;
            let found = if is_other { read(outline) } else { None };
            Some((place, found?))
        })?;
        self.recent = place;
        Some(found)
    }

    /// Whether the outline of a text that has fitted none is to be learned, which takes several
    /// times as long as to read it.
    #[must_use]
    pub fn wants_another(&mut self) -> bool {
        if let Some(left) = self.credit.checked_sub(PRICE) {
            self.credit = left;
            return true;
        }
        self.missed += 1;
        if self.missed == PAUSE {
            self.missed = 0;
            self.known.clear();
            self.credit = PRICE;
        }
        false
    }

    /// Keeps another outline.
    pub fn add(&mut self, key: K, outline: Outline<R>) {
        if self.known.len() < OUTLINES_MAX {
            self.recent = self.known.len();
            self.known.push((key, outline));
        } else {
            self.recent = (self.recent + 1) % OUTLINES_MAX;
            self.known[self.recent] = (key, outline);
        }
    }
}

/// Most outlines that are known at a time.
const OUTLINES_MAX: usize = 4;
/// What an outline costs, measured in texts that fit.
const PRICE: u8 = 8;
/// Most that can be spent.
const CREDIT: u8 = 4 * PRICE;
/// After so many texts that fitted none, all outlines are forgotten, and another one may come.
const PAUSE: u8 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a text of which there is an outline for its `number`; learns it if that is wanted.
    fn read(outlines: &mut Outlines<u8, ()>, key: u8, number: usize) -> bool {
        let text = format!("{{\"{number}\":7}}");
        let found = outlines.find(key, |outline| {
            outline.fits(text.as_bytes(), |(), _| true).then_some(())
        });
        if found.is_none() && outlines.wants_another() {
            let outline = Outline::of(text.as_bytes(), &[], |_| false).unwrap();
            outlines.add(key, outline);
        }
        found.is_some()
    }

    #[test]
    fn several_are_known_each_under_its_key() {
        let mut outlines = Outlines::default();
        for number in 0..OUTLINES_MAX {
            assert!(!read(&mut outlines, 1, number));
        }
        for number in [0, 3, 1, 2, 2] {
            assert!(read(&mut outlines, 1, number), "{number}");
        }
        assert!(!read(&mut outlines, 2, 0) && !read(&mut outlines, 1, 9));
        for _ in 0..PRICE {
            assert!(read(&mut outlines, 1, 0));
        }
        assert!(!read(&mut outlines, 1, 9) && read(&mut outlines, 1, 9));
    }

    #[test]
    fn texts_of_which_none_is_like_another_are_given_up() {
        let mut outlines = Outlines::default();
        let learned = (0..1_000).filter(|number| {
            let credit = outlines.credit;
            assert!(!read(&mut outlines, 1, *number));
            outlines.credit < credit
        });
        let learned = learned.count();
        let expected = usize::from(CREDIT / PRICE) + 1_000 / (usize::from(PAUSE) + 1);
        assert!(learned.abs_diff(expected) <= 1, "{learned}");
        let mut outlines = Outlines::default();
        for number in 0..1_000 {
            // One of ten is like the first.
            read(&mut outlines, 1, if number % 10 == 0 { 0 } else { number });
        }
        assert!(outlines.credit <= PRICE && outlines.missed < PAUSE);
    }
}
