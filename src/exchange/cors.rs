//! What answers tell browsers when a page of another origin calls (Fetch standard, section 3.3).
//!
//! The lines of answers are put together once for each configuration; for a request, only the
//! choice among them is made. Credentials that a browser adds by itself, such as cookies, are
//! ignored, so that `*` is safe where every page may call.

use std::fmt::Write as _;

use crate::config::cors::{self, Origins};
use crate::exchange::headers::EXPOSED;
use crate::exchange::target::{self, is_of_operators};
use crate::wire::field;
use crate::wire::head::{Head, origin_form};
use crate::wire::known::Known;

/// The lines for browsers, where the file has `server.cors`.
pub struct Cors {
    origins: Origins,
    /// By grant: the lines of an answer's head.
    lines: Box<[Box<str>]>,
    /// More lines of the answer to a preflight.
    preflight: Box<str>,
}

/// Which lines the answers to one request carry: their place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant(usize);

impl Cors {
    /// The lines for the settings `cors`.
    #[must_use]
    pub fn new(cors: &cors::Cors) -> Self {
        let allows = |origin: &str, vary: &str| {
            let lines = format!(
                "Access-Control-Allow-Origin: {origin}\r\n\
                 Access-Control-Expose-Headers: {EXPOSED}\r\n{vary}"
            );
            lines.into_boxed_str()
        };
        let lines = match &cors.origins {
            Origins::Any => Box::from([allows("*", "")]),
            Origins::Listed(origins) => {
                let listed = origins.iter().map(|origin| allows(origin, VARY));
                std::iter::once(VARY.into()).chain(listed).collect()
            }
        };
        let preflight = format!(
            "Access-Control-Allow-Methods: {}\r\nAccess-Control-Max-Age: {}\r\n",
            target::METHODS,
            cors.max_age.as_secs()
        );
        Self {
            origins: cors.origins.clone(),
            lines,
            preflight: preflight.into(),
        }
    }

    /// The grant for a caller's request whose head was parsed from `bytes`.
    #[must_use]
    pub fn grant(&self, head: &Head, bytes: &[u8]) -> Grant {
        let fields = head.fields.iter();
        let origins = fields.filter(|field| field.known == Known::Origin);
        self.grant_to(origins.map(|field| &bytes[field.value.clone()]))
    }

    /// The grant for a head that could not be parsed, and of which `bytes` have arrived; `None`
    /// where it is an operator's.
    #[must_use]
    pub fn grant_unread(&self, bytes: &[u8]) -> Option<Grant> {
        let start = bytes.trim_ascii_start();
        // The last line may be incomplete.
        let end = start.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
        let lines = start.split_at(end).0.split(|byte| *byte == b'\n');
        let mut lines = lines.map(<[u8]>::trim_ascii);
        let target = lines.next()?.split(|byte| *byte == b' ').nth(1)?;
        let target = std::str::from_utf8(target).ok()?;
        if is_of_operators(origin_form(target).as_bytes()) {
            return None;
        }
        let fields = lines.take_while(|line| !line.is_empty());
        let origins = fields.filter_map(|line| {
            let (name, value) = line.split_at_checked(b"origin:".len())?;
            name.eq_ignore_ascii_case(b"origin:")
                .then_some(value.trim_ascii())
        });
        Some(self.grant_to(origins))
    }

    /// A request with several origins, or with `null`, comes from no listed origin.
    fn grant_to<'b>(&self, mut named: impl Iterator<Item = &'b [u8]>) -> Grant {
        let Origins::Listed(origins) = &self.origins else {
            return Grant(0);
        };
        let (Some(named), None) = (named.next(), named.next()) else {
            return Grant(0);
        };
        let place = origins.iter().position(|one| one.as_bytes() == named);
        Grant(place.map_or(0, |place| place + 1))
    }

    /// The lines of an answer's head.
    #[must_use]
    pub fn lines(&self, grant: Grant) -> &[u8] {
        self.lines
            .get(grant.0)
            .map_or(b"", |lines| lines.as_bytes())
    }

    /// Whether the page of such a request may call.
    #[must_use]
    pub fn may_call(&self, grant: Grant) -> bool {
        self.origins == Origins::Any || grant != Grant(0)
    }

    /// More lines for the answer, where a caller's request is the preflight of a page that may
    /// call; `None` for any other request.
    #[must_use]
    pub fn preflight(&self, grant: Grant, head: &Head, bytes: &[u8]) -> Option<String> {
        let is_options = &bytes[head.method.clone()] == b"OPTIONS";
        if !self.may_call(grant) || !is_options || !bytes[head.target.clone()].starts_with(b"/") {
            return None;
        }
        head.value_of(bytes, Known::Origin)?;
        let method = head.value(bytes, "access-control-request-method");
        method.filter(|method| field::is_name(method))?;
        let asked = head.value(bytes, "access-control-request-headers");
        let asked = asked.and_then(|asked| std::str::from_utf8(asked).ok());
        let allowed = asked.filter(|asked| is_list_of_names(asked));
        let mut lines = String::from(&*self.preflight);
        // A browser does not accept `*` for `Authorization`. Which headers are passed on to a
        // provider is decided elsewhere.
        let allowed = allowed.unwrap_or(ALLOWED_UNASKED);
        let _ = write!(lines, "Access-Control-Allow-Headers: {allowed}\r\n");
        Some(lines)
    }
}

fn is_list_of_names(text: &str) -> bool {
    let mut names = text.split(',');
    names.all(|name| field::is_name(name.trim_ascii().as_bytes()))
}

/// Tells caches that other origins get other answers.
const VARY: &str = "Vary: Origin\r\n";
/// The headers that a preflight without a list of headers is allowed: those that every client
/// sends.
const ALLOWED_UNASKED: &str = "authorization, content-type";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn listed(origins: &[&str]) -> Cors {
        Cors::new(&cors::Cors {
            origins: Origins::Listed(origins.iter().map(|one| (*one).into()).collect()),
            max_age: Duration::from_millis(1_999),
        })
    }

    fn lines(cors: &Cors, grant: Option<Grant>) -> &str {
        let lines = grant.map_or(&b""[..], |grant| cors.lines(grant));
        std::str::from_utf8(lines).unwrap()
    }

    #[test]
    fn a_head_that_cannot_be_read_is_searched_for_its_origin() {
        let cors = listed(&["https://a", "https://b"]);
        for (text, told) in [
            (
                "GET / HTTP/1.1\r\norigin: https://b\r\nX: yyyy",
                "https://b",
            ),
            (
                "\r\nGET / HTTP/1.1\r\nX\r\nORIGIN:https://a \r\n\r\n",
                "https://a",
            ),
            ("GET / HTTP/1.1\nOrigin: https://a\n", "https://a"),
            // The line may be incomplete.
            ("GET / HTTP/1.1\r\nOrigin: https://a", "Vary"),
            ("GET / HTTP/1.1\r\nOrigin: https://c\r\n", "Vary"),
            (
                "GET / HTTP/1.1\r\nOrigin: https://a\r\nOrigin: https://b\r\n",
                "Vary",
            ),
            // This is a body.
            ("GET / HTTP/1.1\r\n\r\nOrigin: https://a\r\n", "Vary"),
            ("GET /_infermux/x HTTP/1.1\r\nOrigin: https://a\r\n", ""),
            (
                "GET http://b/_infermux HTTP/1.1\r\nOrigin: https://a\r\n",
                "",
            ),
            ("GET\r\nOrigin: https://a\r\n", ""),
            ("", ""),
        ] {
            let found = lines(&cors, cors.grant_unread(text.as_bytes()));
            let expected = match told {
                "" | "Vary" => told.replace("Vary", VARY),
                origin => format!(
                    "Access-Control-Allow-Origin: {origin}\r\n\
                     Access-Control-Expose-Headers: {EXPOSED}\r\n{VARY}"
                ),
            };
            assert_eq!(found, expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, text in "[GET /_infermux\r\nOriginhtps:a]*") {
            let cors = listed(&["https://a"]);
            for bytes in [&bytes[..], text.as_bytes()] {
                let _ = lines(&cors, cors.grant_unread(bytes));
            }
        }
    }
}
