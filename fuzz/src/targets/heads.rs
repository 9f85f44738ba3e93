//! Heads of requests and answers, and what is read from their fields.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use infermux::testing::readers::base::limits::TARGET_BYTES_MAX;
use infermux::testing::readers::base::time::{Instant, WallTime};
use infermux::testing::readers::exchange::affinity;
use infermux::testing::readers::exchange::attribution::Attribution;
use infermux::testing::readers::exchange::auth::Presented;
use infermux::testing::readers::exchange::door::Door;
use infermux::testing::readers::exchange::media::{Looks, Media, Stated};
use infermux::testing::readers::exchange::origin::Origin;
use infermux::testing::readers::exchange::path_hint;
use infermux::testing::readers::exchange::request::Request;
use infermux::testing::readers::exchange::target;
use infermux::testing::readers::wire::head::{Arrival, Asked, Head, RecentHeads};
use infermux::testing::readers::wire::known::Known;
use infermux::testing::readers::wire::retry_after;

use super::{head_rules as rules, splits};
use crate::target::Target;

/// A head as `httparse` and the rules read it, however it arrives.
pub(super) const HEAD: Target = Target {
    name: "head",
    run: head,
    times: 64,
    folders: &[],
    fronts: &[],
};

fn head(bytes: &[u8]) {
    if bytes.len() <= SHORT {
        return rules::check(bytes);
    }
    let seed = splits::seed_of(bytes);
    for kind in rules::KINDS {
        let expected = rules::reference(kind, bytes);
        assert_eq!(
            rules::own(&mut Head::default(), kind, bytes, 0),
            expected,
            "{kind:?}"
        );
        for split in [seed % bytes.len(), seed / 3 % bytes.len(), bytes.len() - 1] {
            rules::check_split(kind, bytes, split, &expected);
        }
    }
}

/// Up to this length, every split of a head is tried.
const SHORT: usize = 64;

/// Everything that is read from the fields of a request and of an answer.
pub(super) const FIELDS: Target = Target {
    name: "fields",
    run: fields,
    times: 64,
    folders: &[],
    fronts: &[],
};

/// What is known of a head that was kept is what is read of it.
fn recalled(bytes: &[u8], head: &Head) {
    let mut heads = RecentHeads::default();
    heads.keep(bytes, head);
    let [other, longer] = splits::changed(bytes);
    for bytes in [bytes, &other, &longer] {
        let (mut known, mut read) = (Head::default(), Head::default());
        if heads.recall(bytes, &mut known) {
            assert_eq!(read.parse_request(bytes, 0), Ok(Arrival::Whole));
            assert_eq!(format!("{known:?}"), format!("{read:?}"));
        }
    }
}

fn fields(bytes: &[u8]) {
    let mut head = Head::default();
    if head.parse_request(bytes, 0) == Ok(Arrival::Whole) {
        recalled(bytes, &head);
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let request = Request::read(&head, bytes, [1, 2], Instant::ZERO);
        assert!(!request.id.as_str().is_empty());
        let attribution = Attribution::read(&head, bytes);
        let labels = [&attribution.caller, &attribution.project, &attribution.env];
        for label in labels.into_iter().flatten() {
            assert!(!label.as_str().is_empty() && !label.as_str().contains(char::is_control));
        }
        let _ = Origin::read(address, &head, bytes).path();
        let all: Vec<_> = Presented::read_all(&head, bytes).each().collect();
        assert!(all.len() >= Presented::read(&head, bytes).each().count());
        let _ = affinity::of_head(1, &head, bytes);
        let stated = Stated::read(&head, bytes);
        assert!(stated.may_be_json().is_err() || stated.readable().is_ok());
        let names: Vec<&[u8]> = head.listed_by_connection(bytes).collect();
        assert!(names.len() <= bytes.len());
    } else {
        let _ = Request::unreadable(bytes, [1, 2], Instant::ZERO);
    }
    if head.parse_answer(bytes, 0, Asked::Other) == Ok(Arrival::Whole) {
        let _ = Media::of(head.value_of(bytes, Known::ContentType));
        let _ = Looks::of(&bytes[head.len..]);
    }
}

/// Method and target of a request at each door.
pub(super) const TARGET: Target = Target {
    name: "target",
    run: path,
    times: 256,
    folders: &[],
    fronts: &[],
};

fn path(bytes: &[u8]) {
    let Some(space) = bytes.iter().position(|byte| *byte == b' ') else {
        return;
    };
    let (method, target) = (&bytes[..space], &bytes[space + 1..]);
    // A longer one is refused with its head.
    let target = &target[..target.len().min(TARGET_BYTES_MAX)];
    for door in [Door::Both, Door::Callers, Door::Operators] {
        let usual = target::read_usual(door, method, target);
        let Ok(text) = std::str::from_utf8(target) else {
            assert!(usual.is_none());
            continue;
        };
        let read = target::read(door, method, text);
        if let Some(usual) = usual {
            assert_eq!(read.ok().map(|(_, target)| target), Some(usual));
        }
        let _ = path_hint::served(door, text.split('?').next().unwrap_or_default());
        let _ = target::has_web_socket(door, text);
    }
}

/// How long a provider asks to be left alone.
pub(super) const RETRY_AFTER: Target = Target {
    name: "retry_after",
    run: wait,
    times: 64,
    folders: &["messages/error", "anthropic/error"],
    fronts: &[
        "HTTP/1.1 429 X\r\nretry-after: 7\r\n\r\n",
        "HTTP/1.1 503 X\r\n\r\n",
    ],
};

fn wait(bytes: &[u8]) {
    let mut head = Head::default();
    if head.parse_answer(bytes, 0, Asked::Other) != Ok(Arrival::Whole) {
        return;
    }
    let headers = |known| head.value_of(bytes, known);
    let body = &bytes[head.len..];
    for wall in [
        WallTime::from_unix_millis(0),
        WallTime::from_unix_millis(1_792_567_680_000),
    ] {
        let asked = retry_after::asked(&headers, body, wall);
        let outright = retry_after::outright(&headers, body, wall);
        assert!(outright.is_none() || asked == outright);
        let used_up = retry_after::used_up(&headers, wall);
        assert!(used_up != Some(Duration::ZERO));
    }
}
