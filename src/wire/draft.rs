//! A JSON object that is edited: members are set, removed and renamed by their paths, and the text
//! is changed at these places alone.
//!
//! A path leads through objects, never through arrays. Names are compared as JSON reads them. Of
//! several members with a name that is addressed, the last one counts, as most readers take it, and
//! the others are dropped.

use std::borrow::Cow;
use std::ops::Range;

use super::json::{Bracket, Walk};
use super::splice::{EDITS_MAX, Splice};
use crate::wire::path::{Path, Step};

/// An object that is edited.
pub struct Draft<'a> {
    /// The names that may be addressed. Members with other names are not kept in mind.
    names: Vec<&'a [u8]>,
    /// The object itself, and those within it that a path has led into.
    objects: Vec<Object<'a>>,
    /// How many members are kept in mind.
    count: usize,
}

struct Object<'a> {
    /// Its text, from bracket to bracket.
    text: &'a [u8],
    /// Place behind the opening bracket.
    inside: usize,
    /// Whether it has members that are not kept in mind.
    has_others: bool,
    /// Those that may be addressed, in their order; those that are added come last.
    members: Vec<Member<'a>>,
}

struct Member<'a> {
    name: Cow<'a, [u8]>,
    /// Where it stands in the object's text; `None`: it is added.
    origin: Option<Origin>,
    /// Its name as a JSON string, where this is not the one that the text has.
    quoted: Option<&'a [u8]>,
    content: Content<'a>,
    is_gone: bool,
}

/// Where a member stands in its object's text.
struct Origin {
    name: Range<usize>,
    value: Range<usize>,
    /// The end of the member before it, or of the opening bracket.
    previous_end: usize,
    /// The beginning of the member behind it; its own end, if there is none.
    next: usize,
    /// Whether a member that is not kept in mind stands before it.
    has_others_before: bool,
}

#[derive(Clone, Copy)]
enum Content<'a> {
    /// The value that the member's text has.
    Own(&'a [u8]),
    /// That value, an object that a path has led into.
    OwnObject(usize),
    /// Another value.
    Other(&'a [u8]),
    /// Another value, an object that a path has led into.
    OtherObject(usize),
}

/// What is to be changed in a text.
#[derive(Debug, Default)]
pub struct Edited {
    /// Ranges of the text in their order, each with the range of `with` that replaces it.
    edits: Vec<(Range<usize>, Range<usize>)>,
    with: Vec<u8>,
}

impl<'a> Draft<'a> {
    /// The object `body`, of which these names may be addressed.
    #[must_use]
    pub fn new(body: &'a [u8], names: Vec<&'a [u8]>) -> Self {
        let mut draft = Self {
            names,
            objects: Vec::new(),
            count: 0,
        };
        if draft.open(body).is_none() {
            draft.objects.push(Object::new(b"{}", 1));
            draft.count = MEMBERS_MAX + 1;
        }
        draft
    }

    /// Gives the member at `path` this value; returns whether that changes anything. Objects on the
    /// way are made where there is nothing or `null`.
    pub fn set(&mut self, path: &'a Path, value: &'a [u8]) -> bool {
        let Some((object, step)) = self.make_way(path) else {
            return false;
        };
        self.put(object, step, value)
    }

    /// As [`set`](Self::set), where there is no such member, or `null`.
    pub fn set_absent(&mut self, path: &'a Path, value: &'a [u8]) -> bool {
        self.value(path).is_none() && self.set(path, value)
    }

    /// Takes the member at `path` out; returns whether there was one.
    pub fn remove(&mut self, path: &'a Path) -> bool {
        let found = self.find(path);
        if let Some((object, place)) = found {
            self.objects[object].members[place].is_gone = true;
        }
        found.is_some()
    }

    /// Moves the value at `from` to `to`, unless there is another one: then that one stays, and the
    /// one at `from` goes. Returns whether there was a value at `from`.
    pub fn rename(&mut self, from: &'a Path, to: &'a Path) -> bool {
        let Some((object, place)) = self.find(from) else {
            return false;
        };
        if self.value(to).is_some() {
            self.objects[object].members[place].is_gone = true;
            return true;
        }
        let Some((target, step)) = self.make_way(to) else {
            return false;
        };
        // A `null` makes room.
        if let Some(former) = self.find_in(target, &step.name) {
            self.objects[target].members[former].is_gone = true;
        }
        let member = &mut self.objects[object].members[place];
        if target == object {
            member.name = Cow::Borrowed(&step.name);
            member.quoted = Some(&step.quoted);
            return true;
        }
        member.is_gone = true;
        let content = match member.content {
            Content::Own(text) | Content::Other(text) => Content::Other(text),
            Content::OwnObject(id) | Content::OtherObject(id) => Content::OtherObject(id),
        };
        self.add(target, step, content);
        true
    }

    /// The value at `path`, unless it is `null`, as far as it is not edited itself.
    #[must_use]
    pub fn value(&mut self, path: &'a Path) -> Option<&'a [u8]> {
        let (object, place) = self.find(path)?;
        let text = match self.objects[object].members[place].content {
            Content::Own(text) | Content::Other(text) => text,
            Content::OwnObject(id) | Content::OtherObject(id) => self.objects[id].text,
        };
        (text != b"null").then_some(text)
    }

    /// What is to be changed in the text; `None`: the text is no object, or one with too many
    /// members to keep in mind.
    #[must_use]
    pub fn finish(&self) -> Option<Edited> {
        if self.count > MEMBERS_MAX {
            return None;
        }
        let mut edited = Edited::default();
        self.write_edits(0, 0, &mut edited);
        let body = self.objects.first().map_or(&[][..], |root| root.text);
        edited.squeeze(body);
        Some(edited)
    }

    /// Reads an object; `None`: the text is another value.
    fn open(&mut self, text: &'a [u8]) -> Option<usize> {
        let mut walk = Walk::new(text);
        if !walk.enter(Bracket::Object).ok()? {
            return None;
        }
        let inside = text.iter().position(|byte| *byte == b'{')? + 1;
        let mut object = Object::new(text, inside);
        let (mut previous_end, mut is_last_kept) = (inside, false);
        let mut room = Vec::new();
        while let Some(name) = walk.name().ok()? {
            let value = walk.value().ok()?;
            if is_last_kept
                && let Some(origin) = object
                    .members
                    .last_mut()
                    .and_then(|last| last.origin.as_mut())
            {
                origin.next = name.at;
            }
            let read = name.read(&mut room);
            is_last_kept = self.count <= MEMBERS_MAX && self.names.contains(&read);
            if is_last_kept {
                self.count += 1;
                let read = match self.names.iter().find(|own| **own == read) {
                    Some(own) => Cow::Borrowed(*own),
                    None => Cow::Owned(read.to_vec()),
                };
                object.members.push(Member {
                    name: read,
                    origin: Some(Origin {
                        name: name.at..name.at + name.quoted.len(),
                        value: value.span(),
                        previous_end,
                        next: value.end(),
                        has_others_before: object.has_others,
                    }),
                    quoted: None,
                    content: Content::Own(value.text),
                    is_gone: false,
                });
            } else {
                object.has_others = true;
            }
            previous_end = value.end();
        }
        self.objects.push(object);
        Some(self.objects.len() - 1)
    }

    /// The member called `name` of an object.
    fn find_in(&mut self, object: usize, name: &[u8]) -> Option<usize> {
        let members = &mut self.objects[object].members;
        let mut found = None;
        for place in 0..members.len() {
            if members[place].is_gone || *members[place].name != *name {
                continue;
            }
            if let Some(earlier) = found.replace(place) {
                let earlier: &mut Member<'_> = &mut members[earlier];
                earlier.is_gone = true;
            }
        }
        found
    }

    /// The object that the member at `place` is; `None`: it is another value.
    fn enter(&mut self, object: usize, place: usize) -> Option<usize> {
        let entered = match self.objects[object].members[place].content {
            Content::OwnObject(id) | Content::OtherObject(id) => return Some(id),
            Content::Own(text) => Content::OwnObject(self.open(text)?),
            Content::Other(text) => Content::OtherObject(self.open(text)?),
        };
        self.objects[object].members[place].content = entered;
        self.enter(object, place)
    }

    /// The object and the place within it of the member at `path`.
    fn find(&mut self, path: &'a Path) -> Option<(usize, usize)> {
        let (last, before) = path.steps().split_last()?;
        let mut object = 0;
        for step in before {
            let place = self.find_in(object, &step.name)?;
            object = self.enter(object, place)?;
        }
        Some((object, self.find_in(object, &last.name)?))
    }

    /// The object that the member at `path` belongs to, made where there is none, and its name.
    fn make_way(&mut self, path: &'a Path) -> Option<(usize, &'a Step)> {
        let (last, before) = path.steps().split_last()?;
        let mut object = 0;
        for step in before {
            let place = self.find_in(object, &step.name);
            let is_there = place.is_some_and(|place| {
                let content = self.objects[object].members[place].content;
                !matches!(content, Content::Own(b"null") | Content::Other(b"null"))
            });
            if !is_there {
                self.put(object, step, EMPTY);
            }
            let place = self.find_in(object, &step.name)?;
            object = self.enter(object, place)?;
        }
        Some((object, last))
    }

    /// Gives a member of an object this value; returns whether that changes anything.
    fn put(&mut self, object: usize, step: &'a Step, value: &'a [u8]) -> bool {
        let Some(place) = self.find_in(object, &step.name) else {
            self.add(object, step, Content::Other(value));
            return true;
        };
        let member = &mut self.objects[object].members[place];
        if let Content::Own(text) | Content::Other(text) = member.content
            && text == value
        {
            return false;
        }
        member.content = Content::Other(value);
        true
    }

    fn add(&mut self, object: usize, step: &'a Step, content: Content<'a>) {
        self.objects[object].members.push(Member {
            name: Cow::Borrowed(&step.name),
            origin: None,
            quoted: Some(&step.quoted),
            content,
            is_gone: false,
        });
    }

    /// Writes what changes in an object whose text begins at `offset`. The recursion is as deep as
    /// paths are long.
    fn write_edits(&self, id: usize, offset: usize, edited: &mut Edited) {
        let object = &self.objects[id];
        let keeps = |member: &Member<'_>| member.origin.is_some() && !member.is_gone;
        let is_filled = object.has_others || object.members.iter().any(keeps);
        let added = object.members.iter();
        let added = added.filter(|member| member.origin.is_none() && !member.is_gone);
        let start = edited.with.len();
        for member in added {
            if edited.with.len() > start {
                edited.with.push(b',');
            }
            edited
                .with
                .extend_from_slice(member.quoted.unwrap_or_default());
            edited.with.push(b':');
            self.write_content(member.content, &mut edited.with);
        }
        if edited.with.len() > start {
            if is_filled {
                edited.with.push(b',');
            }
            edited.replace(offset + object.inside..offset + object.inside, start);
        }
        let mut has_kept_before = false;
        for member in &object.members {
            let Some(origin) = &member.origin else {
                continue;
            };
            let at = |range: Range<usize>| range.start + offset..range.end + offset;
            let start = edited.with.len();
            if member.is_gone {
                let gone = if has_kept_before || origin.has_others_before {
                    origin.previous_end..origin.value.end
                } else {
                    origin.name.start..origin.next
                };
                edited.replace(at(gone), start);
                continue;
            }
            has_kept_before = true;
            if let Some(quoted) = member.quoted {
                edited.with.extend_from_slice(quoted);
                edited.replace(at(origin.name.clone()), start);
            }
            let start = edited.with.len();
            match member.content {
                Content::Own(_) => {}
                Content::OwnObject(id) => {
                    self.write_edits(id, at(origin.value.clone()).start, edited);
                }
                Content::Other(_) | Content::OtherObject(_) => {
                    self.write_content(member.content, &mut edited.with);
                    edited.replace(at(origin.value.clone()), start);
                }
            }
        }
    }

    fn write_content(&self, content: Content<'a>, out: &mut Vec<u8>) {
        match content {
            Content::Own(text) | Content::Other(text) => out.extend_from_slice(text),
            Content::OwnObject(id) | Content::OtherObject(id) => {
                let mut edited = Edited::default();
                self.write_edits(id, 0, &mut edited);
                edited.write(self.objects[id].text, out);
            }
        }
    }
}

impl<'a> Object<'a> {
    const fn new(text: &'a [u8], inside: usize) -> Self {
        Self {
            text,
            inside,
            has_others: false,
            members: Vec::new(),
        }
    }
}

impl Edited {
    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }

    /// How many bytes are kept for it.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.with.capacity()
    }

    /// The text that the edits are about, with these edits.
    #[must_use]
    pub fn splice<'s>(&'s self, text: &'s [u8]) -> Splice<'s> {
        let mut splice = Splice::new(text);
        for (at, with) in &self.edits {
            let with = self.with.get(with.clone()).unwrap_or_default();
            splice.replace(at.clone(), with);
        }
        splice
    }

    /// Replaces `at`, which lies behind all ranges so far, by what `with` has from `start` on.
    fn replace(&mut self, at: Range<usize>, start: usize) {
        let with = start..self.with.len();
        match self.edits.last_mut() {
            Some((last, its)) if last.end == at.start && its.end == with.start => {
                last.end = at.end;
                its.end = with.end;
            }
            Some(_) | None => self.edits.push((at, with)),
        }
    }

    fn write(&self, text: &[u8], out: &mut Vec<u8>) {
        let mut from = 0;
        for (at, with) in &self.edits {
            out.extend_from_slice(text.get(from..at.start).unwrap_or_default());
            out.extend_from_slice(self.with.get(with.clone()).unwrap_or_default());
            from = at.end;
        }
        out.extend_from_slice(text.get(from..).unwrap_or_default());
    }

    /// Joins edits with the text between them, those first that are nearest to each other, so that
    /// no more are left than a splice takes.
    fn squeeze(&mut self, text: &[u8]) {
        if self.edits.len() <= EDITS_MAX {
            return;
        }
        let gaps = self.edits.windows(2).enumerate();
        let mut gaps: Vec<(usize, usize)> = gaps
            .filter_map(|(place, pair)| match pair {
                [(one, _), (next, _)] => Some((next.start - one.end, place + 1)),
                _ => None,
            })
            .collect();
        gaps.sort_unstable_by(|one, other| other.cmp(one));
        let mut starts: Vec<usize> = gaps.iter().take(EDITS_MAX - 1).map(|gap| gap.1).collect();
        starts.sort_unstable();
        let former = std::mem::take(self);
        for (place, (at, with)) in former.edits.iter().enumerate() {
            let start = self.with.len();
            let is_joined = place > 0 && starts.binary_search(&place).is_err();
            let mut at = at.clone();
            if is_joined && let Some((last, _)) = self.edits.last() {
                let between = last.end..at.start;
                self.with
                    .extend_from_slice(text.get(between.clone()).unwrap_or_default());
                at.start = between.start;
            }
            self.with
                .extend_from_slice(former.with.get(with.clone()).unwrap_or_default());
            self.replace(at, start);
        }
    }
}

/// An object without members.
const EMPTY: &[u8] = b"{}";

/// Most members with names that may be addressed. No request has as many, unless it repeats names.
const MEMBERS_MAX: usize = 1_024;

#[cfg(test)]
#[path = "draft_tests.rs"]
mod tests;
