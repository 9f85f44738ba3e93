//! Heads of requests that were read lately: a client says the same with nearly all its requests.

use crate::base::limits::{RECENT_HEAD_BYTES_MAX, RECENT_HEADS_MAX};
use crate::wire::head::framing::{Framing, decimal};
use crate::wire::head::{Field, Head};
use crate::wire::known::Known;

/// The heads of one event loop. They hold callers' keys, and have no `Debug`.
pub struct RecentHeads {
    kept: Vec<Kept>,
    /// The one that came last.
    recent: usize,
    /// How many more may be kept. A head that is known gives back what another one costs, so that
    /// requests whose heads are all different do not pay for each of them.
    credit: u8,
    /// Heads since there was no credit any more.
    missed: u8,
}

/// A head, and what was read of it.
#[derive(Default)]
struct Kept {
    bytes: Vec<u8>,
    /// Where the eight bytes begin that are compared first: those in which other clients differ. As
    /// they are the last ones of the caller's key, how long it takes to read a head tells nobody
    /// less than eight bytes of another caller's.
    apart_at: usize,
    apart: [u8; 8],
    /// Where the body's length stands, which may be another one of as many digits.
    length: Option<(usize, usize)>,
    head: Head,
}

impl Default for RecentHeads {
    fn default() -> Self {
        Self {
            kept: Vec::new(),
            recent: 0,
            credit: CREDIT,
            missed: 0,
        }
    }
}

impl RecentHeads {
    /// Makes `head` what [`Head::parse_request`] would make of `bytes`, if they begin with a head
    /// that was [kept](Self::keep); otherwise returns `false`.
    #[inline]
    pub fn recall(&mut self, bytes: &[u8], head: &mut Head) -> bool {
        let Some(recent) = self.kept.get(self.recent) else {
            return false;
        };
        let is_known = recent.recall(bytes, head) || self.recall_other(bytes, head);
        if is_known {
            self.credit = CREDIT.min(self.credit + 1);
        }
        is_known
    }

    #[inline(never)]
    fn recall_other(&mut self, bytes: &[u8], head: &mut Head) -> bool {
        let known = self.kept.iter().position(|kept| kept.recall(bytes, head));
        self.recent = known.unwrap_or(self.recent);
        known.is_some()
    }

    /// Keeps a head that was parsed from the beginning of `bytes`, and was not known.
    #[inline(never)]
    pub fn keep(&mut self, bytes: &[u8], head: &Head) {
        if head.len > RECENT_HEAD_BYTES_MAX {
            return;
        }
        if self.credit == 0 {
            self.missed = (self.missed + 1) % PAUSE;
            self.credit = u8::from(self.missed == 0);
            return;
        }
        self.credit -= 1;
        if self.kept.len() < RECENT_HEADS_MAX {
            self.recent = self.kept.len();
            self.kept.push(Kept::default());
        } else {
            self.recent = (self.recent + 1) % RECENT_HEADS_MAX;
        }
        self.kept[self.recent].set(bytes, head);
    }
}

impl Kept {
    fn set(&mut self, bytes: &[u8], head: &Head) {
        let bytes = &bytes[..head.len];
        self.bytes.clear();
        self.bytes.extend_from_slice(bytes);
        let of = |known| head.fields.iter().find(|field| field.known == known);
        let keys = [Known::Authorization, Known::XApiKey, Known::ApiKey];
        let credential = keys.into_iter().find_map(of);
        let apart_end = credential.map_or(head.len, |field| field.value.end);
        self.apart_at = apart_end.saturating_sub(self.apart.len());
        let apart = bytes.get(self.apart_at..).and_then(<[u8]>::first_chunk);
        self.apart = apart.copied().unwrap_or_default();
        self.length = match head.framing {
            Framing::Length(_) => {
                of(Known::ContentLength).map(|field| (field.value.start, field.value.end))
            }
            Framing::None | Framing::Chunked | Framing::Close => None,
        };
        self.head.become_like(head);
    }

    #[inline]
    fn recall(&self, bytes: &[u8], head: &mut Head) -> bool {
        let apart = bytes.get(self.apart_at..).and_then(<[u8]>::first_chunk);
        if apart != Some(&self.apart) {
            return false;
        }
        let Some(own) = bytes.get(..self.bytes.len()) else {
            return false;
        };
        let mut framing = self.head.framing;
        if let Some((start, end)) = self.length {
            let same = own[..start] == self.bytes[..start] && own[end..] == self.bytes[end..];
            let Some(length) = decimal(&own[start..end]).filter(|_| same) else {
                return false;
            };
            framing = Framing::Length(length);
        } else if own != self.bytes {
            return false;
        }
        head.become_like(&self.head);
        head.framing = framing;
        true
    }
}

impl Head {
    /// Becomes a copy of `other`, in the room that it has.
    fn become_like(&mut self, other: &Self) {
        let mut fields: Vec<Field> = std::mem::take(&mut self.fields);
        fields.clear();
        fields.extend_from_slice(&other.fields);
        *self = Self {
            len: other.len,
            method: other.method.clone(),
            target: other.target.clone(),
            status: other.status,
            minor: other.minor,
            fields,
            framing: other.framing,
            keep_alive: other.keep_alive,
            expects_continue: other.expects_continue,
            names: other.names,
            lists_fields: other.lists_fields,
        };
    }
}

/// How many heads may be kept before one is known.
const CREDIT: u8 = 32;
/// After so many heads that were not known, another one may be kept.
const PAUSE: u8 = 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::head::Arrival;

    const HEAD: &str = "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 229\r\n\
        Authorization: Bearer sk-one\r\nConnection: keep-alive, x\r\nX-Odd:  y \r\n\r\n";

    fn parsed(text: &str) -> Option<Head> {
        let mut head = Head::default();
        let arrival = head.parse_request(text.as_bytes(), 0);
        (arrival == Ok(Arrival::Whole)).then_some(head)
    }

    /// Whether the head is known; if so, what is known is what is read.
    fn is_known(heads: &mut RecentHeads, text: &str) -> bool {
        let mut head = Head {
            status: 7,
            ..Head::default()
        };
        if !heads.recall(text.as_bytes(), &mut head) {
            return false;
        }
        let read = parsed(text).map(|head| format!("{head:?}"));
        assert_eq!(Some(format!("{head:?}")), read, "{text:?}");
        true
    }

    fn keep(heads: &mut RecentHeads, text: &str) {
        heads.keep(text.as_bytes(), &parsed(text).unwrap());
    }

    #[test]
    fn a_head_that_came_before_is_known_whatever_the_length_of_its_body() {
        let mut heads = RecentHeads::default();
        assert!(!is_known(&mut heads, HEAD));
        keep(&mut heads, HEAD);
        for body in ["", "{}", "POST"] {
            assert!(is_known(&mut heads, &format!("{HEAD}{body}")));
        }
        assert!(is_known(&mut heads, &HEAD.replace("229", "007")));
        for (from, to) in [
            ("229", "2290"),
            ("229", "22"),
            ("229", "2x9"),
            ("one", "two"),
            ("POST", "PUT "),
            ("Host: a", "Host: b"),
            ("X-Odd:  y ", "X-Odd:  z "),
            ("\r\n\r\n", "\r\nX: y\r\n\r\n"),
        ] {
            assert!(!is_known(&mut heads, &HEAD.replacen(from, to, 1)), "{to}");
        }
        for cut in 0..HEAD.len() {
            assert!(!is_known(&mut heads, &HEAD[..cut]), "{cut}");
        }
        let short = "GET / HTTP/1.0\r\n\r\n";
        keep(&mut heads, short);
        assert!(is_known(&mut heads, short) && is_known(&mut heads, HEAD));
        let chunked = HEAD.replace("Content-Length: 229", "Transfer-Encoding: chunked");
        keep(&mut heads, &chunked);
        assert!(is_known(&mut heads, &chunked) && is_known(&mut heads, HEAD));
    }

    #[test]
    fn as_many_are_kept_as_there_is_room_for() {
        let mut heads = RecentHeads::default();
        let head = |number: usize| HEAD.replace("one", &format!("{number:03}"));
        for number in 0..=RECENT_HEADS_MAX {
            keep(&mut heads, &head(number));
        }
        assert!(!is_known(&mut heads, &head(0)));
        assert!((1..=RECENT_HEADS_MAX).all(|number| is_known(&mut heads, &head(number))));
        let long = HEAD.replace("y ", &"y".repeat(RECENT_HEAD_BYTES_MAX));
        keep(&mut heads, &long);
        assert!(!is_known(&mut heads, &long));
    }

    #[test]
    fn heads_of_which_none_is_like_another_are_given_up() {
        let mut heads = RecentHeads::default();
        let head = |number: usize| HEAD.replace("one", &format!("{number:03}"));
        let mut kept = 0;
        for number in 0..1_000 {
            keep(&mut heads, &head(number));
            kept += usize::from(is_known_only(&heads, &head(number)));
        }
        let spared = (1_000 - usize::from(CREDIT)) / (usize::from(PAUSE) + 1);
        assert!(kept.abs_diff(usize::from(CREDIT) + spared) <= 1, "{kept}");
    }

    /// Whether the head is kept, which gives no credit.
    fn is_known_only(heads: &RecentHeads, text: &str) -> bool {
        let mut head = Head::default();
        let mut kept = heads.kept.iter();
        kept.any(|kept| kept.recall(text.as_bytes(), &mut head))
    }

    proptest! {
        #[test]
        fn a_head_that_is_known_is_what_is_read(
            at in any::<prop::sample::Index>(), removed in 0..4_usize,
            put in "(\r|\n|\r\n|[0-9]|:| |a|Content-Length: 1\r\n){0,3}",
        ) {
            let mut heads = RecentHeads::default();
            keep(&mut heads, HEAD);
            let mut other = HEAD.to_owned();
            let from = at.index(HEAD.len());
            other.replace_range(from..HEAD.len().min(from + removed), &put);
            is_known(&mut heads, &other);
        }
    }
}
