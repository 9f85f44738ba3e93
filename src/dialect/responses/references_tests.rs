//! What requests refer to, and what answers make.

use super::*;

fn references(body: &str) -> Vec<(Place, String)> {
    let mut found = Vec::new();
    each(body.as_bytes(), |one| {
        found.push((one.place, String::from_utf8_lossy(&one.name).into_owned()));
    });
    found
}

fn made(read: impl Fn(&mut dyn FnMut(&[u8]))) -> Vec<String> {
    let mut found = Vec::new();
    read(&mut |name| found.push(String::from_utf8_lossy(name).into_owned()));
    found
}

#[test]
fn a_request_refers_to_responses_conversations_items_and_sealed_contents() {
    use Place::*;

    for (body, expected) in [
        (r#"{"model":"m","input":"x"}"#, vec![]),
        (
            r#"{"previous_response_id":"resp_1"}"#,
            vec![(PreviousResponse, "resp_1")],
        ),
        (
            r#"{"previous\u005fresponse_id":"resp\u005f1"}"#,
            vec![(PreviousResponse, "resp_1")],
        ),
        (
            r#"{"previous_response_id":null,"conversation":null}"#,
            vec![],
        ),
        (
            r#"{"previous_response_id":7,"conversation":{"id":null}}"#,
            vec![],
        ),
        (
            r#"{"conversation":"conv_1"}"#,
            vec![(Conversation, "conv_1")],
        ),
        (
            r#"{"conversation":{"id":"conv_1"}}"#,
            vec![(Conversation, "conv_1")],
        ),
        (
            r#"{"input":["x",{"type":"item_reference","id":"msg_1"},
                {"id":"rs_1","type":"item_reference"}]}"#,
            vec![(Item(1), "msg_1"), (Item(2), "rs_1")],
        ),
        (
            r#"{"input":[{"encrypted_content":"gAAA","type":"reasoning","id":"rs_1"},
                {"type":"reasoning","id":"rs_2","encrypted_content":null},
                {"type":"compaction","encrypted_content":"gBBB"},
                {"type":"message","id":"msg_1","encrypted_content":"no"}]}"#,
            vec![
                (Reasoning(0), "gAAA"),
                (Reasoning(1), "rs_2"),
                (Compaction(2), "gBBB"),
            ],
        ),
        // What infermux has made belongs to no provider.
        (
            r#"{"input":[{"type":"item_reference","id":"rs_ifx_00"},
                {"type":"reasoning","id":"rs_ifx_00","summary":[]},
                {"type":"reasoning","id":"rs_1","encrypted_content":"infermux.reasoning"},
                {"type":"reasoning","id":"rs_1","encrypted_content":""},
                {"type":"reasoning"},{"type":"item_reference"}]}"#,
            vec![],
        ),
    ] {
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(place, name)| (place, name.to_owned()))
            .collect();
        assert_eq!(references(body), expected, "{body}");
    }
}

#[test]
fn a_response_makes_ids_and_sealed_contents() {
    let body = r#"{"id":"resp_1","model":"m","conversation":{"id":"conv_1"},"output":[
        {"type":"reasoning","id":"rs_1","encrypted_content":"gAAA","summary":[{"id":"no"}]},
        {"type":"message","id":"msg_1","content":[]}],"metadata":{"id":"no"}}"#;
    let names = ["resp_1", "conv_1", "rs_1", "gAAA", "msg_1"];
    assert_eq!(
        made(|tell| each_made(body.as_bytes(), |name| tell(name))),
        names
    );

    let event = |data: &str| made(|tell| each_made_in_event(data.as_bytes(), |name| tell(name)));
    let completed = format!(r#"{{"type":"response.completed","response":{body}}}"#);
    assert_eq!(event(&completed), names);
    let done =
        r#"{"item":{"id":"rs_1","encrypted_content":"g"},"type":"response.output_item.done"}"#;
    assert_eq!(event(done), ["rs_1", "g"]);
    for nothing in [
        r#"{"type":"response.output_text.delta","item_id":"msg_1","delta":"x","item":{"id":"a"}}"#,
        r#"{"type":"response.output_item.added","item":{"id":"a"}}"#,
        r#"{"type":"response.completed"}"#,
        "[DONE]",
        "",
    ] {
        assert_eq!(event(nothing), [""; 0], "{nothing}");
    }
}

#[test]
fn what_infermux_has_made_is_seen_by_its_mark() {
    for (body, response, any) in [
        (r#"{"previous_response_id":"resp_ifx_0a"}"#, true, true),
        (
            r#"{"input":[{"type":"item_reference","id":"msg_ifx_0"}]}"#,
            false,
            true,
        ),
        (r#"{"input":[{"id":"msg\u005fifx\u005f0"}]}"#, false, true),
        (r#"{"input":"resp_1 and msg_2"}"#, false, false),
    ] {
        let found = (
            may_name_own_response(body.as_bytes()),
            may_name_own(body.as_bytes()),
        );
        assert_eq!(found, (response, any), "{body}");
    }
}
