//! Things that wait on shelves. On each shelf the last thing in is the first out, and the thing
//! that has waited longest over all shelves can be taken. Each operation takes the same time,
//! however many things there are, and allocates only when there are more things than ever before.

/// Things on shelves, which are numbered from 0.
#[derive(Debug)]
pub struct Shelves<T> {
    slots: Vec<Slot<T>>,
    /// Slots with nothing in them.
    free: Vec<usize>,
    shelves: Vec<Row>,
    all: Row,
}

/// Room for one thing, and its neighbors in the two rows that it stands in.
#[derive(Debug)]
struct Slot<T> {
    thing: Option<T>,
    shelf: usize,
    on_shelf: Neighbors,
    of_all: Neighbors,
}

/// Both ends of a row, in which things stand in the order in which they came.
#[derive(Clone, Copy, Debug, Default)]
struct Row {
    oldest: Option<usize>,
    newest: Option<usize>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Neighbors {
    older: Option<usize>,
    newer: Option<usize>,
}

impl<T> Default for Shelves<T> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            shelves: Vec::new(),
            all: Row::default(),
        }
    }
}

impl<T> Shelves<T> {
    /// How many things there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.oldest.is_none()
    }

    /// Puts `thing` on a shelf.
    pub fn put(&mut self, shelf: usize, thing: T) {
        if self.shelves.len() <= shelf {
            self.shelves.resize(shelf + 1, Row::default());
        }
        let slot = Slot {
            thing: Some(thing),
            shelf,
            on_shelf: Neighbors::default(),
            of_all: Neighbors::default(),
        };
        let at = match self.free.pop() {
            Some(at) => {
                self.slots[at] = slot;
                at
            }
            None => {
                self.slots.push(slot);
                self.slots.len() - 1
            }
        };
        self.shelves[shelf].append(&mut self.slots, at, Slot::on_shelf);
        self.all.append(&mut self.slots, at, Slot::of_all);
    }

    /// Takes the thing that was put on a shelf last.
    pub fn take(&mut self, shelf: usize) -> Option<T> {
        let at = self.shelves.get(shelf)?.newest?;
        self.remove(at)
    }

    /// The thing that was put on a shelf last.
    #[must_use]
    pub fn newest(&self, shelf: usize) -> Option<&T> {
        self.slots[self.shelves.get(shelf)?.newest?].thing.as_ref()
    }

    /// Takes the thing that was put on a shelf last of those that fit. This takes the longer the
    /// more things came behind it.
    pub fn take_where(&mut self, shelf: usize, fits: impl Fn(&T) -> bool) -> Option<T> {
        let mut next = self.shelves.get(shelf)?.newest;
        while let Some(at) = next {
            if self.slots[at].thing.as_ref().is_some_and(&fits) {
                return self.remove(at);
            }
            next = self.slots[at].on_shelf.older;
        }
        None
    }

    /// The thing that has waited longest over all shelves.
    #[must_use]
    pub fn oldest(&self) -> Option<&T> {
        self.slots[self.all.oldest?].thing.as_ref()
    }

    /// Takes the thing that has waited longest over all shelves.
    pub fn take_oldest(&mut self) -> Option<T> {
        self.remove(self.all.oldest?)
    }

    /// Empties a shelf.
    pub fn clear(&mut self, shelf: usize) {
        while self.take(shelf).is_some() {}
    }

    /// The shelves with something on them.
    pub fn used(&self) -> impl Iterator<Item = usize> {
        let shelves = self.shelves.iter().enumerate();
        shelves.filter_map(|(shelf, row)| row.newest.map(|_| shelf))
    }

    /// Drops the things for which `keeps` is false.
    pub fn retain(&mut self, mut keeps: impl FnMut(&mut T) -> bool) {
        for at in 0..self.slots.len() {
            let thing = &mut self.slots[at].thing;
            if thing.as_mut().is_some_and(|thing| !keeps(thing)) {
                self.remove(at);
            }
        }
    }

    fn remove(&mut self, at: usize) -> Option<T> {
        let thing = self.slots[at].thing.take();
        let shelf = self.slots[at].shelf;
        self.shelves[shelf].remove(&mut self.slots, at, Slot::on_shelf);
        self.all.remove(&mut self.slots, at, Slot::of_all);
        self.free.push(at);
        thing
    }
}

impl<T> Slot<T> {
    fn on_shelf(&mut self) -> &mut Neighbors {
        &mut self.on_shelf
    }

    fn of_all(&mut self) -> &mut Neighbors {
        &mut self.of_all
    }
}

/// Finds a thing's neighbors in one of its two rows.
type In<T> = fn(&mut Slot<T>) -> &mut Neighbors;

impl Row {
    /// Puts the thing in slot `at` behind the newest one.
    fn append<T>(&mut self, slots: &mut [Slot<T>], at: usize, neighbors: In<T>) {
        *neighbors(&mut slots[at]) = Neighbors {
            older: self.newest,
            newer: None,
        };
        match self.newest.replace(at) {
            Some(before) => neighbors(&mut slots[before]).newer = Some(at),
            None => self.oldest = Some(at),
        }
    }

    fn remove<T>(&mut self, slots: &mut [Slot<T>], at: usize, neighbors: In<T>) {
        let Neighbors { older, newer } = *neighbors(&mut slots[at]);
        match older {
            Some(older) => neighbors(&mut slots[older]).newer = newer,
            None => self.oldest = newer,
        }
        match newer {
            Some(newer) => neighbors(&mut slots[newer]).older = older,
            None => self.newest = older,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_last_one_in_is_the_first_one_out_of_its_shelf() {
        let mut shelves = Shelves::default();
        for (shelf, thing) in [(2, 'a'), (0, 'b'), (2, 'c'), (0, 'd')] {
            shelves.put(shelf, thing);
        }
        assert_eq!(shelves.used().collect::<Vec<_>>(), [0, 2]);
        assert_eq!((shelves.take(2), shelves.oldest()), (Some('c'), Some(&'a')));
        assert_eq!((shelves.take(1), shelves.take(7)), (None, None));
        assert_eq!(shelves.take_oldest(), Some('a'));
        assert_eq!((shelves.newest(0), shelves.newest(7)), (Some(&'d'), None));
        assert_eq!(shelves.take_where(0, |thing| *thing == 'b'), Some('b'));
        assert_eq!(shelves.take_where(0, |thing| *thing == 'b'), None);
        shelves.put(0, 'b');
        assert_eq!((shelves.take(2), shelves.len()), (None, 2));
        shelves.retain(|thing| *thing != 'b');
        assert_eq!(
            (shelves.take_oldest(), shelves.take_oldest()),
            (Some('d'), None)
        );
        assert!(shelves.is_empty());
    }

    proptest! {
        #[test]
        fn they_are_as_a_list_would_be(
            steps in prop::collection::vec((0_u8..6, 0_usize..4), 0..200),
        ) {
            let mut shelves = Shelves::default();
            // Things by age, each with its shelf.
            let mut list: Vec<(usize, usize)> = Vec::new();
            let mut most = 0;
            for (thing, (step, shelf)) in steps.into_iter().enumerate() {
                match step {
                    0..=2 => {
                        shelves.put(shelf, thing);
                        list.push((shelf, thing));
                    }
                    3 => {
                        let at = list.iter().rposition(|one| one.0 == shelf);
                        prop_assert_eq!(shelves.take(shelf), at.map(|at| list.remove(at).1));
                    }
                    4 => {
                        let first = (!list.is_empty()).then(|| list.remove(0).1);
                        prop_assert_eq!(shelves.oldest().copied(), first);
                        prop_assert_eq!(shelves.take_oldest(), first);
                    }
                    _ => {
                        shelves.retain(|thing| *thing % 5 != shelf);
                        list.retain(|one| one.1 % 5 != shelf);
                    }
                }
                most = most.max(list.len());
                prop_assert_eq!(shelves.len(), list.len());
                prop_assert!(shelves.slots.len() <= most, "places are used again");
            }
            for shelf in 0..4 {
                shelves.clear(shelf);
            }
            prop_assert_eq!((shelves.is_empty(), shelves.len()), (true, 0));
        }
    }
}
