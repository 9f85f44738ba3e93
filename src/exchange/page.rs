//! The part of a list that a caller asks for: `limit`, `after_id`, `before_id`.

use std::ops::Range;

use crate::exchange::query::{percent_decode, value};

/// A part of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Most entries of it.
    limit: Option<usize>,
    /// The entry that it follows.
    after: Option<String>,
    /// The entry that it precedes.
    before: Option<String>,
}

/// The place of a page in its list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The places of its entries.
    pub places: Range<usize>,
    /// How many entries the limit has kept from it.
    pub kept_from: usize,
}

/// Why there is no such page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PageFault {
    /// The limit is none.
    #[error("`limit` is not a number from 1 on")]
    Limit,
    /// The value of this parameter cannot be decoded, or names no entry.
    #[error("`{0}` names no model of the list")]
    Unknown(&'static str),
}

impl Page {
    /// Reads the parameters of the `query`.
    ///
    /// # Errors
    ///
    /// A parameter cannot be read.
    pub fn read(query: &str) -> Result<Self, PageFault> {
        let limit = value(query, "limit").filter(|limit| !limit.is_empty());
        let limit = limit.map(|limit| match limit.parse() {
            Ok(0) | Err(_) => Err(PageFault::Limit),
            Ok(limit) => Ok(limit),
        });
        let id = |name| {
            let id = value(query, name).filter(|id| !id.is_empty());
            let id = id.map(|id| percent_decode(id).ok_or(PageFault::Unknown(name)));
            id.transpose()
        };
        Ok(Self {
            limit: limit.transpose()?,
            after: id("after_id")?,
            before: id("before_id")?,
        })
    }

    /// The place of the page in a list of `length` entries, in which `place_of` finds them.
    ///
    /// # Errors
    ///
    /// An entry that the page follows or precedes is not in the list.
    pub fn cut(
        &self,
        length: usize,
        place_of: impl Fn(&str) -> Option<usize>,
    ) -> Result<Cut, PageFault> {
        let place = |id: &Option<String>, name| {
            let id = id.as_deref();
            let place = id.map(|id| place_of(id).ok_or(PageFault::Unknown(name)));
            place.transpose()
        };
        let start = place(&self.after, "after_id")?.map_or(0, |place| place + 1);
        let end = place(&self.before, "before_id")?.unwrap_or(length);
        let all = start..end.max(start);
        let most = self.limit.unwrap_or(length).min(all.len());
        let places = match (&self.after, &self.before) {
            // Pages before an entry are read backwards: the nearest entries come first.
            (None, Some(_)) => all.end - most..all.end,
            (_, _) => all.start..all.start + most,
        };
        Ok(Cut {
            kept_from: all.len() - most,
            places,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The page of the list `a` to `e`, and whether there is more.
    fn page(query: &str) -> Result<(String, bool), PageFault> {
        let list = "abcde";
        let cut = Page::read(query)?.cut(list.len(), |id| list.find(id))?;
        Ok((list[cut.places].to_owned(), cut.kept_from > 0))
    }

    #[test]
    fn a_page_is_what_the_parameters_say() {
        for (query, entries, has_more) in [
            ("", "abcde", false),
            ("limit=", "abcde", false),
            ("x=1&limit=1000", "abcde", false),
            ("limit=5", "abcde", false),
            ("limit=2", "ab", true),
            ("limit=2&after_id=b", "cd", true),
            ("limit=2&after_id=c", "de", false),
            ("after_id=%63", "de", false),
            ("after_id=e", "", false),
            ("before_id=c", "ab", false),
            ("limit=2&before_id=e", "cd", true),
            ("limit=2&before_id=c", "ab", false),
            ("before_id=a&limit=2", "", false),
            ("after_id=a&before_id=d", "bc", false),
            ("after_id=a&before_id=d&limit=1", "b", true),
            ("after_id=d&before_id=b", "", false),
            ("after_id=&before_id=", "abcde", false),
        ] {
            assert_eq!(page(query), Ok((entries.to_owned(), has_more)), "{query}");
        }
    }

    #[test]
    fn what_is_no_page_is_told() {
        for (query, fault) in [
            ("limit=0", PageFault::Limit),
            ("limit=-1", PageFault::Limit),
            ("limit=all", PageFault::Limit),
            ("limit=99999999999999999999999", PageFault::Limit),
            ("after_id=f", PageFault::Unknown("after_id")),
            ("before_id=%zz", PageFault::Unknown("before_id")),
        ] {
            assert_eq!(page(query), Err(fault), "{query}");
        }
    }
}
