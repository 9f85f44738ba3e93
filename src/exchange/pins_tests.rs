//! Who may serve a request, given what it refers to.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

/// Whoever is known to have made what.
#[derive(Default)]
struct Known(HashMap<&'static str, u16>);

impl Makers for Known {
    fn maker(&self, name: &[u8]) -> Option<ProviderId> {
        let name = std::str::from_utf8(name).ok()?;
        self.0.get(name).copied().map(ProviderId)
    }

    fn hash(&self, name: &[u8]) -> u64 {
        name.iter()
            .fold(7, |hash, byte| hash * 31 + u64::from(*byte))
    }
}

fn known(of: &[(&'static str, u16)]) -> Known {
    Known(of.iter().copied().collect())
}

/// Candidates 1 and 2, which are native, and 3, which is not.
fn candidates() -> impl Iterator<Item = Candidate> {
    [(1, true), (2, true), (3, false)]
        .into_iter()
        .map(|(id, is_native)| Candidate {
            provider: ProviderId(id),
            is_native,
        })
}

fn pins(body: &str, makers: &Known) -> Pins {
    Pins::read(body.as_bytes(), makers).expect("no fault")
}

fn admitted(body: &str, makers: &Known) -> Result<Option<Vec<usize>>, String> {
    let admitted = pins(body, makers).admitted(candidates(), |id| format!("provider {}", id.0));
    let places = |set: Eligible| set.iter().collect();
    admitted
        .map(|set| set.map(places))
        .map_err(|fault| fault.to_string())
}

#[test]
fn what_one_provider_has_made_it_alone_may_serve() {
    let makers = known(&[("resp_a", 1), ("resp_b", 2), ("msg_b", 2), ("resp_x", 9)]);
    let natives = Ok(Some(vec![0, 1]));
    for (body, expected) in [
        (r#"{"input":"x"}"#, Ok(None)),
        (r#"{"previous_response_id":"resp_a"}"#, Ok(Some(vec![0]))),
        (r#"{"previous_response_id":"resp_b"}"#, Ok(Some(vec![1]))),
        (r#"{"conversation":"resp_b"}"#, Ok(Some(vec![1]))),
        (
            r#"{"input":[{"type":"item_reference","id":"msg_b"}]}"#,
            Ok(Some(vec![1])),
        ),
        // A response says more than an item, in whatever order they come.
        (
            r#"{"input":[{"type":"item_reference","id":"msg_b"}],"previous_response_id":"resp_a"}"#,
            Ok(Some(vec![0])),
        ),
        (
            r#"{"previous_response_id":"resp_a","conversation":"resp_b"}"#,
            Ok(Some(vec![0])),
        ),
        // Nobody knows whose it is: whoever makes such ids is asked.
        (r#"{"previous_response_id":"resp_new"}"#, natives.clone()),
        (
            r#"{"input":[{"type":"item_reference","id":"rs_new"}]}"#,
            natives,
        ),
        (
            r#"{"input":[{"type":"item_reference","id":"rs_new"},
                {"type":"item_reference","id":"msg_b"}]}"#,
            Ok(Some(vec![1])),
        ),
        // What is sealed binds nobody.
        (
            r#"{"input":[{"type":"reasoning","id":"r","encrypted_content":"resp_a"}]}"#,
            Ok(None),
        ),
        (
            r#"{"previous_response_id":"resp_x"}"#,
            Err("`previous_response_id` belongs to provider 9, which does not serve this model"),
        ),
    ] {
        let expected = expected.map_err(str::to_owned);
        assert_eq!(admitted(body, &makers), expected, "{body}");
    }
}

#[test]
fn without_a_native_candidate_a_translation_says_what_it_cannot_express() {
    let pins = pins(r#"{"previous_response_id":"resp_new"}"#, &Known::default());
    let bridged = candidates().filter(|one| !one.is_native);
    assert_eq!(pins.admitted(bridged, |_| String::new()), Ok(None));
}

#[test]
fn a_response_of_the_bridge_is_refused_at_once() {
    for body in [
        r#"{"previous_response_id":"resp_ifx_00"}"#,
        r#"{"previous_response_id":"resp\u005fifx_00"}"#,
    ] {
        let read = Pins::read(body.as_bytes(), &Known::default());
        assert_eq!(read, Err(PinFault::NotStored), "{body}");
    }
}

#[test]
fn sealed_contents_prefer_their_maker_and_are_left_out_elsewhere() {
    let makers = known(&[("gA", 1), ("gB", 2), ("gC", 2)]);
    let body = r#"{"input":[{"type":"reasoning","encrypted_content":"gA"},"x",
        {"type":"reasoning","encrypted_content":"gB"},
        {"type":"reasoning","encrypted_content":"gNew"}]}"#;
    let found = pins(body, &makers);
    assert_eq!(found.preferred(), Some(ProviderId(2)));
    let foreign = |id| found.foreign(ProviderId(id)).collect::<Vec<_>>();
    assert_eq!(
        (foreign(1), foreign(2), foreign(3)),
        (vec![2], vec![0], vec![0, 2])
    );
    assert_eq!(found.unreadable(ProviderId(3)), None);
    assert_eq!(found.removable(), Some(vec![0, 2, 3]));
    assert_eq!(found.unknown(), [makers.hash(b"gNew")]);

    // What was said before a compaction stands nowhere else.
    let body = r#"{"input":[{"type":"compaction","encrypted_content":"gC"},
        {"type":"reasoning","encrypted_content":"gA"}]}"#;
    let found = pins(body, &makers);
    assert_eq!(found.unreadable(ProviderId(1)), Some(0));
    assert_eq!(found.unreadable(ProviderId(2)), None);
    assert_eq!(found.removable(), None);
    assert_eq!(pins("{}", &makers).removable(), None);
}

#[test]
fn an_error_that_names_what_was_asked_for_says_that_it_is_not_the_providers() {
    let body = r#"{"previous_response_id":"resp_1"}"#;
    let item = r#"{"input":["x",{"type":"item_reference","id":"rs_1"}]}"#;
    let sealed = r#"{"input":[{"type":"reasoning","encrypted_content":"g"}]}"#;
    let error = |param: &str, code: &str, message: &str| {
        format!(r#"{{"error":{{"message":"{message}","param":"{param}","code":"{code}"}}}}"#)
    };
    let by_code = error("", "previous_response_not_found", "gone");
    for (body, status, error, expected) in [
        (body, 400, by_code.clone(), Some(NotMine::Id)),
        (body, 404, by_code.clone(), Some(NotMine::Id)),
        (body, 403, by_code.clone(), None),
        (
            body,
            400,
            error("previous_response_id", "", ""),
            Some(NotMine::Id),
        ),
        (
            body,
            400,
            error("", "", "no resp_1 here"),
            Some(NotMine::Id),
        ),
        (body, 400, error("input", "", "no such thing"), None),
        (body, 400, error("model", "model_not_found", ""), None),
        (item, 400, by_code, None),
        (
            item,
            404,
            error("input", "", "Item 'rs_1' not found"),
            Some(NotMine::Id),
        ),
        (item, 404, error("input[1].id", "", ""), Some(NotMine::Id)),
        (item, 404, error("input[10].id", "", ""), None),
        (
            sealed,
            400,
            error("", "invalid_encrypted_content", ""),
            Some(NotMine::Content),
        ),
        (sealed, 400, error("", "invalid_value", ""), None),
    ] {
        let found = pins(body, &Known::default()).not_mine(status, error.as_bytes());
        assert_eq!(found, expected, "{body} {status} {error}");
    }
    // Whoever is known to have made it has forgotten it: nobody else knows it either.
    let found = pins(body, &known(&[("resp_1", 1)]));
    let gone = error("previous_response_id", "previous_response_not_found", "");
    assert_eq!(found.not_mine(400, gone.as_bytes()), None);
}

proptest! {
    #[test]
    fn any_bytes_are_read(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Pins::read(&body, &Known::default());
    }
}
