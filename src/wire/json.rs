//! JSON by byte range: one level at a time, no tree, no recursion, no allocation.
//!
//! The reader checks the level it walks: brackets, names, colons, commas, scalars. Deeper levels
//! are skipped by looking for quotes and for their own kind of bracket alone, with a SIMD search
//! each. So the reader finds its way in any valid JSON and ends, with a fault or without, on any
//! other bytes; it is no validator.

pub use bracket::Bracket;
pub use value::{Kind, NotJson, Value, text_inside, text_len, word};
pub use walk::{Name, Walk};

mod bracket;
pub mod check;
mod container;
#[cfg(test)]
pub mod respelt;
pub mod string;
mod value;
mod walk;

/// The members of the object that `text` holds, in order; anything but one object is a fault.
#[must_use]
pub const fn members(text: &[u8]) -> Members<'_> {
    Members {
        walk: Walk::new(text),
        place: Position::Before,
    }
}

/// The elements of the array that `text` holds, in order; anything but one array is a fault.
#[must_use]
pub const fn elements(text: &[u8]) -> Elements<'_> {
    Elements {
        walk: Walk::new(text),
        place: Position::Before,
    }
}

/// The member called `name` of the object that `text` holds; of several members with that name the
/// last, as most readers take it. `None` also where `text` is no object.
#[must_use]
pub fn member<'a>(text: &'a [u8], name: &[u8]) -> Option<Member<'a>> {
    let mut walk = Walk::new(text);
    let mut found = None;
    walk.open(Bracket::Object).ok()?;
    while let Ok(Some(own)) = walk.name()
        && let Ok(value) = walk.value()
    {
        if own.is(name) {
            found = Some(Member { name: own, value });
        }
    }
    found
}

/// Appends `text` as a JSON string, quotes included.
pub fn write_string(text: &str, out: &mut Vec<u8>) {
    if string::mark(text.as_bytes(), 0).is_none() {
        out.reserve(text.len() + 2);
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
        return;
    }
    let written = serde_json::to_writer(out, text);
    debug_assert!(written.is_ok(), "a Vec takes every str");
}

/// `text` as a JSON string, quotes included.
#[must_use]
pub fn quoted(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 2);
    write_string(text, &mut out);
    out
}

/// The range that must go to take `member` out of the object `text`: the member with one of its
/// commas.
#[must_use]
pub fn removal(text: &[u8], member: &Member<'_>) -> std::ops::Range<usize> {
    let end = member.value.end();
    let before = text
        .get(..member.name.at)
        .unwrap_or_default()
        .trim_ascii_end();
    if before.last() == Some(&b',') {
        return before.len() - 1..end;
    }
    let after = text.get(end..).unwrap_or_default();
    let space = after.len() - after.trim_ascii_start().len();
    if after.get(space) == Some(&b',') {
        member.name.at..end + space + 1
    } else {
        member.name.at..end
    }
}

/// A member of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member<'a> {
    /// Its name.
    pub name: Name<'a>,
    /// Its value.
    pub value: Value<'a>,
}

/// Walks the members of an object; see [`members`].
pub struct Members<'a> {
    walk: Walk<'a>,
    place: Position,
}

impl<'a> Members<'a> {
    fn step(&mut self) -> Result<Option<Member<'a>>, NotJson> {
        if std::mem::replace(&mut self.place, Position::Inside) == Position::Before {
            self.walk.open(Bracket::Object)?;
        }
        match self.walk.name()? {
            Some(name) => Ok(Some(Member {
                name,
                value: self.walk.value()?,
            })),
            None => self.walk.end().map(|()| None),
        }
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = Result<Member<'a>, NotJson>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.place == Position::After {
            return None;
        }
        let step = self.step();
        if !matches!(step, Ok(Some(_))) {
            self.place = Position::After;
        }
        step.transpose()
    }
}

/// Walks the elements of an array; see [`elements`].
pub struct Elements<'a> {
    walk: Walk<'a>,
    place: Position,
}

impl<'a> Elements<'a> {
    fn step(&mut self) -> Result<Option<Value<'a>>, NotJson> {
        if std::mem::replace(&mut self.place, Position::Inside) == Position::Before {
            self.walk.open(Bracket::Array)?;
        }
        if self.walk.element()? {
            return self.walk.value().map(Some);
        }
        self.walk.end().map(|()| None)
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<Value<'a>, NotJson>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.place == Position::After {
            return None;
        }
        let step = self.step();
        if !matches!(step, Ok(Some(_))) {
            self.place = Position::After;
        }
        step.transpose()
    }
}

/// Where a walk stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Position {
    /// Before the opening bracket.
    Before,
    /// Behind the bracket or a value.
    Inside,
    /// At the end, or at a fault.
    After,
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
