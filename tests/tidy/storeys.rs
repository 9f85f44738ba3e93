//! The storeys of a room: a file uses only those below its own.

use crate::arrows::Arrow;
use crate::source::Source;

/// The storeys, each with its room and its height.
const STOREYS: [(&str, &str, u8); 8] = [
    ("shard", "net", 0),
    ("shard", "http", 1),
    ("shard", "state", 2),
    ("shard", "request", 3),
    ("shard", "listener", 4),
    ("shard", "health", 4),
    ("shard", "run", 5),
    ("shard", "mod", 6),
];

/// The faults of the `sources` and the `arrows` between them.
pub(crate) fn check(sources: &[Source], arrows: &[Arrow]) -> Vec<String> {
    let paths = sources.iter().map(|source| source.path.as_str());
    let homeless = paths.filter(|path| matches!(storey_of(path), Some((_, _, None))));
    let homeless = homeless.map(|path| format!("{path}:1: the file is in no storey of its room"));
    let wrong = arrows.iter().filter_map(|arrow| {
        let (room, from, Some(own)) = storey_of(&arrow.from)? else {
            return None;
        };
        let (other_room, to, Some(height)) = storey_of(&arrow.to)? else {
            return None;
        };
        let is_allowed = room != other_room || from == to || height < own;
        let side = if height == own { "beside" } else { "above" };
        let Arrow { line, name, .. } = arrow;
        let what = format!("{from} may not use {to} {side} it: {name}");
        (!is_allowed).then(|| format!("{}:{line}: {what}", arrow.from))
    });
    homeless.chain(wrong).collect()
}

/// The room of a file that has storeys, the file's own, and how high that is, if it is one.
fn storey_of(path: &str) -> Option<(&str, &str, Option<u8>)> {
    let (room, rest) = path.strip_prefix("src/")?.split_once('/')?;
    let mut storeys = STOREYS.iter().filter(|(own, ..)| *own == room).peekable();
    storeys.peek()?;
    let name = rest.split('/').next()?.trim_end_matches(".rs");
    let found = storeys.find(|(_, own, _)| *own == name);
    Some((room, name, found.map(|(_, _, height)| *height)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arrows;

    /// The faults of a shard whose file `path` says `text`.
    fn faults(path: &str, text: &str) -> usize {
        let module = "pub mod net; mod http; mod request; mod listener; mod health; mod run;";
        let mut sources = vec![
            Source::new("src/lib.rs", "mod base; mod shard;"),
            Source::new("src/base/mod.rs", "pub struct Base;"),
            Source::new("src/shard/mod.rs", module),
            Source::new("src/shard/net/mod.rs", "pub mod ring; pub struct Net;"),
            Source::new("src/shard/net/ring.rs", "pub struct Ring;"),
            Source::new("src/shard/http/mod.rs", "pub struct Http;"),
            Source::new("src/shard/request/mod.rs", "pub struct Request;"),
            Source::new("src/shard/listener.rs", "pub struct Listener;"),
            Source::new("src/shard/health.rs", "pub struct Health;"),
            Source::new("src/shard/run.rs", "pub struct Run;"),
        ];
        sources.retain(|source| source.path != path);
        sources.push(Source::new(path, text));
        check(&sources, &arrows::all(&sources)).len()
    }

    #[test]
    fn a_storey_uses_those_below_it() {
        for (path, text, expected) in [
            ("net/mod.rs", "use crate::shard::http::Http;", 1),
            ("net/ring.rs", "fn f(run: &crate::shard::run::Run) {}", 1),
            ("net/ring.rs", "use super::Net;", 0),
            ("http/mod.rs", "use crate::shard::request::Request;", 1),
            ("http/mod.rs", "use super::{net::Net, run::Run};", 1),
            (
                "http/mod.rs",
                "use crate::shard::net::Net;
use crate::shard::net::ring::Ring;",
                0,
            ),
            ("listener.rs", "use crate::shard::health::Health;", 1),
            ("listener.rs", "use crate::shard::run::Run;", 1),
            ("listener.rs", "use crate::shard::request::Request;", 0),
            (
                "run.rs",
                "use crate::shard::health::Health;
use crate::shard::listener::Listener;",
                0,
            ),
            ("run.rs", "use crate::base::Base;", 0),
        ] {
            let found = faults(&format!("src/shard/{path}"), text);
            assert_eq!(found, expected, "{path}: {text}");
        }
    }

    #[test]
    fn a_file_without_a_storey_is_found() {
        assert_eq!(faults("src/shard/odd.rs", ""), 1);
        assert_eq!(faults("src/shard/odd/mod.rs", ""), 1);
        assert_eq!(faults("src/shard/request/odd.rs", ""), 0);
        assert_eq!(faults("src/base/odd.rs", ""), 0);
    }
}
