//! What is wrong with a request for an Anthropic provider is told by its place, and what is odd
//! arrives there whole: nothing is left out in silence, and nothing brings the router down.

use serde_json::{Value, json};

use crate::support::client::{Answer, Client};
use crate::support::router::Router;
use crate::support::{config_of, last_seen, mock, provider};

/// A router in front of one provider that speaks Messages.
struct Scene {
    claude: infermux_mock::Mock,
    /// Stops when it is dropped, and fails the test if a request made it panic.
    _router: Router,
    client: Client,
}

impl Scene {
    fn new() -> Self {
        let script = json!({
            "name": "claude", "dialect": "anthropic", "record_body_bytes": 16 << 20,
        });
        let claude = mock(script);
        let base = format!("base_url: \"http://{}\"", claude.address());
        let one = provider(&claude, &["type: anthropic", &base]);
        let router = Router::start(&config_of(&[one], ""));
        let client = Client::connect(router.addr());
        Self {
            claude,
            _router: router,
            client,
        }
    }

    /// Asks with these members beside the model.
    fn ask(&mut self, members: &str) -> Answer {
        let body = format!("{{\"model\":\"m\",{members}}}");
        self.client.chat(&body)
    }

    /// The request is refused for what stands at `place`, and goes nowhere.
    fn check_refused(&mut self, members: &str, place: &str) {
        let before = self.claude.stats().requests;
        let answer = self.ask(members);
        let shown = members.get(..200).unwrap_or(members);
        assert_eq!(answer.status, 400, "{shown}: {}", answer.text());
        let error = answer.json()["error"].clone();
        assert_eq!(error["type"], "infermux_error", "{shown}");
        assert_eq!(error["code"], "invalid_request", "{shown}");
        assert_eq!(error["param"], Value::Null, "{shown}");
        let message = error["message"].as_str().expect("a message");
        let named = format!("`{place}`");
        assert!(message.contains(&named), "{shown}: {place}: {message}");
        assert_eq!(answer.header("x-infermux-error"), Some("invalid_request"));
        assert_eq!(self.claude.stats().requests, before, "{shown}");
    }

    /// The request is sent, and the members of `expected` arrive like this.
    fn check_sent(&mut self, members: &str, expected: &Value) {
        let answer = self.ask(members);
        let shown = members.get(..200).unwrap_or(members);
        assert_eq!(answer.status, 200, "{shown}: {}", answer.text());
        self.check_arrived(shown, expected);
    }

    /// The members of `expected` are in what the provider was asked last.
    fn check_arrived(&self, shown: &str, expected: &Value) {
        let seen = last_seen(&self.claude)["body"].clone();
        for (key, value) in expected.as_object().expect("an object") {
            assert_eq!(&seen[key], value, "{shown}: {key}");
        }
    }
}

fn one_part(part: &str) -> String {
    format!(r#""messages":[{{"role":"user","content":[{{"type":"text","text":"a"}},{part}]}}]"#)
}

fn beside(members: &str) -> String {
    format!(r#""messages":[{{"role":"user","content":"hello"}}],{members}"#)
}

#[test]
fn every_malformed_part_of_a_message_is_refused_by_its_place() {
    let mut scene = Scene::new();
    for (part, place) in [
        ("null", ""),
        ("7", ""),
        (r#""text""#, ""),
        ("[]", ""),
        ("{}", ".type"),
        (r#"{"type":null}"#, ".type"),
        (r#"{"type":7,"text":"b"}"#, ".type"),
        (r#"{"type":"TEXT","text":"b"}"#, ""),
        (r#"{"type":"text"}"#, ".text"),
        (r#"{"type":"text","text":null}"#, ".text"),
        (r#"{"type":"text","text":7}"#, ".text"),
        (r#"{"type":"text","text":["b"]}"#, ".text"),
        (r#"{"type":"text","text":"b","text":"c"}"#, ".text"),
        (r#"{"type":"text","text":"b","image_url":"http://x"}"#, ""),
        (
            r#"{"type":"image_url","image_url":"http://x","text":"b"}"#,
            "",
        ),
        (r#"{"type":"refusal","text":"b"}"#, ""),
        (r#"{"type":"refusal","refusal":{}}"#, ".refusal"),
        (r#"{"type":"image_url"}"#, ""),
        (r#"{"type":"image_url","image_url":null}"#, ""),
        (r#"{"type":"image_url","image_url":7}"#, ".image_url"),
        (r#"{"type":"image_url","image_url":{}}"#, ".image_url"),
        (
            r#"{"type":"image_url","image_url":{"url":7}}"#,
            ".image_url",
        ),
        (
            r#"{"type":"image_url","image_url":{"url":""}}"#,
            ".image_url",
        ),
        (
            r#"{"type":"image_url","image_url":"ftp://x/y.png"}"#,
            ".image_url",
        ),
        (
            r#"{"type":"image_url","image_url":"file:///etc/passwd"}"#,
            ".image_url",
        ),
        (
            r#"{"type":"image_url","image_url":"data:image/png;base64"}"#,
            ".image_url",
        ),
        (
            r#"{"type":"image_url","image_url":"data:image/png,QUJD"}"#,
            ".image_url",
        ),
        (
            r#"{"type":"image_url","image_url":"data:image/tiff;base64,QUJD"}"#,
            ".image_url",
        ),
        (
            r#"{"type":"image_url","image_url":"data:;base64,QUJD"}"#,
            ".image_url",
        ),
        (
            r#"{"type":"image_url","image_url":"data:image/png;base64,\ud800"}"#,
            ".image_url",
        ),
        (
            r#"{"type":"text","text":"b","cache_control":"ephemeral"}"#,
            ".cache_control",
        ),
        (r#"{"type":"file"}"#, ""),
        (r#"{"type":"file","file":"QUJD"}"#, ".file"),
        (r#"{"type":"file","file":{}}"#, ".file"),
        (r#"{"type":"file","file":{"file_id":"file-1"}}"#, ".file"),
        (r#"{"type":"file","file":{"file_data":7}}"#, ".file"),
        (
            r#"{"type":"file","file":{"file_data":"data:application/zip;base64,QUJD"}}"#,
            ".file",
        ),
        (
            r#"{"type":"file","file":{"file_data":"data:text/plain;base64,Q!"}}"#,
            ".file",
        ),
        (
            r#"{"type":"file","file":{"file_data":"data:text/plain;base64,/w=="}}"#,
            ".file",
        ),
        (
            r#"{"type":"file","file":{"file_data":"é","filename":"a.txt"}}"#,
            ".file",
        ),
        (
            r#"{"type":"input_audio","input_audio":{"data":"QUJD","format":"wav"}}"#,
            "",
        ),
        (r#"{"type":"video_url","video_url":{"url":"http://x"}}"#, ""),
        (r#"{"type":"tool_use","id":"a","name":"f","input":{}}"#, ""),
    ] {
        scene.check_refused(&one_part(part), &format!("messages[0].content[1]{place}"));
    }
    // Results of tools have parts too.
    let result = concat!(
        r#""messages":[{"role":"user","content":"a"},"#,
        r#"{"role":"tool","tool_call_id":"t","content":[{"type":"input_audio"}]}]"#
    );
    scene.check_refused(result, "messages[1].content[0]");
    scene.check_sent(&beside(r#""max_tokens":5"#), &json!({"max_tokens": 5}));
}

#[test]
fn every_malformed_message_is_refused_by_its_place() {
    let mut scene = Scene::new();
    for (messages, place) in [
        ("null", ""),
        ("7", ""),
        (r#""hello""#, ""),
        ("{}", ""),
        ("[]", ""),
        (r#"[{"role":"user"}]"#, ""),
        (r#"[{"role":"user","content":" \n\t"}]"#, ""),
        (r#"[{"role":"system","content":"be brief"}]"#, ""),
        ("[null]", "[0]"),
        (r#"["hello"]"#, "[0]"),
        ("[[]]", "[0]"),
        (r#"[{"content":"x"}]"#, "[0].role"),
        (r#"[{"role":null,"content":"x"}]"#, "[0].role"),
        (r#"[{"role":7,"content":"x"}]"#, "[0].role"),
        (r#"[{"role":"","content":"x"}]"#, "[0].role"),
        (r#"[{"role":"User","content":"x"}]"#, "[0].role"),
        (r#"[{"role":"critic","content":"x"}]"#, "[0].role"),
        (
            r#"[{"role":"user","role":"user","content":"x"}]"#,
            "[0].role",
        ),
        (r#"[{"role":"user","content":7}]"#, "[0].content"),
        (r#"[{"role":"user","content":true}]"#, "[0].content"),
        (
            r#"[{"role":"user","content":{"type":"text","text":"x"}}]"#,
            "[0].content",
        ),
        (
            r#"[{"role":"user","content":"x","content":"y"}]"#,
            "[0].content",
        ),
        (
            r#"[{"role":"system","content":[{"type":"image_url","image_url":"http://x"}]}]"#,
            "[0].content",
        ),
        (r#"[{"role":"assistant","audio":{"id":"a"}}]"#, "[0].audio"),
        (r#"[{"role":"assistant","refusal":7}]"#, "[0].refusal"),
        (
            r#"[{"role":"user","content":"x","refusal":"y"}]"#,
            "[0].refusal",
        ),
        (
            r#"[{"role":"user","content":"x","tool_calls":[{"id":"a"}]}]"#,
            "[0].tool_calls",
        ),
        (
            r#"[{"role":"user","content":"x","function_call":{"name":"f"}}]"#,
            "[0].function_call",
        ),
        (r#"[{"role":"tool","content":"x"}]"#, "[0].tool_call_id"),
        (
            r#"[{"role":"tool","tool_call_id":7,"content":"x"}]"#,
            "[0].tool_call_id",
        ),
        (
            r#"[{"role":"tool","tool_call_id":"a","content":7}]"#,
            "[0].content",
        ),
        (r#"[{"role":"function","content":"x"}]"#, "[0].name"),
        (
            r#"[{"role":"function","name":"f","content":"x"}]"#,
            "[0].name",
        ),
        (
            concat!(
                r#"[{"role":"assistant","function_call":{"name":"f","arguments":"{}"}},"#,
                r#"{"role":"function","name":"g","content":"x"}]"#
            ),
            "[1].name",
        ),
        (
            r#"[{"role":"assistant","tool_calls":{}}]"#,
            "[0].tool_calls",
        ),
        (
            r#"[{"role":"assistant","tool_calls":[7]}]"#,
            "[0].tool_calls[0]",
        ),
        (
            r#"[{"role":"assistant","tool_calls":[{"function":{"name":"f"}}]}]"#,
            "[0].tool_calls[0].id",
        ),
        (
            r#"[{"role":"assistant","tool_calls":[{"id":"a","type":"custom"}]}]"#,
            "[0].tool_calls[0].type",
        ),
        (
            r#"[{"role":"assistant","tool_calls":[{"id":"a"}]}]"#,
            "[0].tool_calls[0].function",
        ),
        (
            r#"[{"role":"assistant","tool_calls":[{"id":"a","function":{}}]}]"#,
            "[0].tool_calls[0].function.name",
        ),
        (
            r#"[{"role":"assistant","function_call":"f"}]"#,
            "[0].function_call",
        ),
        (
            r#"[{"role":"assistant","function_call":{}}]"#,
            "[0].function_call.name",
        ),
    ] {
        let members = format!(r#""messages":{messages}"#);
        scene.check_refused(&members, &format!("messages{place}"));
    }
    scene.check_refused(r#""prompt":"hello""#, "messages");
}

#[test]
fn parameters_of_the_wrong_type_are_refused_by_their_names() {
    let mut scene = Scene::new();
    let schema = "response_format.json_schema";
    for (members, place) in [
        (r#""stream":"yes""#, "stream"),
        (r#""stream":true,"stream_options":7"#, "stream_options"),
        (r#""max_tokens":"9""#, "max_tokens"),
        (r#""max_completion_tokens":[9]"#, "max_completion_tokens"),
        (r#""temperature":"hot""#, "temperature"),
        (r#""top_p":{}"#, "top_p"),
        (r#""top_k":true"#, "top_k"),
        (r#""stop":7"#, "stop"),
        (r#""stop":["a",7]"#, "stop[1]"),
        (r#""user":7"#, "user"),
        (r#""safety_identifier":{}"#, "safety_identifier"),
        (r#""reasoning_effort":7"#, "reasoning_effort"),
        (r#""reasoning_effort":"huge""#, "reasoning_effort"),
        (r#""thinking":"a lot""#, "thinking"),
        (r#""cache_control":true"#, "cache_control"),
        (r#""response_format":"json""#, "response_format"),
        (r#""response_format":{}"#, "response_format.type"),
        (
            r#""response_format":{"type":"xml"}"#,
            "response_format.type",
        ),
        (r#""response_format":{"type":"json_schema"}"#, schema),
        (
            r#""response_format":{"type":"json_schema","json_schema":7}"#,
            schema,
        ),
        (
            r#""response_format":{"type":"json_schema","json_schema":{"schema":7}}"#,
            "response_format.json_schema.schema",
        ),
        (r#""tools":{}"#, "tools"),
        (r#""tools":[7]"#, "tools[0]"),
        (r#""tools":[{}]"#, "tools[0].function"),
        (r#""tools":[{"type":"web_search"}]"#, "tools[0].type"),
        (
            r#""tools":[{"type":"function","function":7}]"#,
            "tools[0].function",
        ),
        (
            r#""tools":[{"type":"function","function":{}}]"#,
            "tools[0].function.name",
        ),
        (
            r#""tools":[{"function":{"name":"f","description":7}}]"#,
            "tools[0].function.description",
        ),
        (
            r#""tools":[{"function":{"name":"f","parameters":[]}}]"#,
            "tools[0].function.parameters",
        ),
        (r#""functions":[{"name":7}]"#, "functions[0].name"),
        (r#""parallel_tool_calls":"no""#, "parallel_tool_calls"),
        (
            r#""tools":[{"function":{"name":"f"}}],"tool_choice":7"#,
            "tool_choice",
        ),
        (
            r#""tools":[{"function":{"name":"f"}}],"tool_choice":"f""#,
            "tool_choice",
        ),
        (
            r#""tools":[{"function":{"name":"f"}}],"tool_choice":{}"#,
            "tool_choice.type",
        ),
        (
            r#""tools":[{"function":{"name":"f"}}],"tool_choice":{"type":"function"}"#,
            "tool_choice.function",
        ),
        (
            concat!(
                r#""tools":[{"function":{"name":"f"}}],"tool_choice":{"type":"allowed_tools","#,
                r#""allowed_tools":{"mode":"auto","tools":[{"function":{"name":"g"}}]}}"#
            ),
            "tool_choice.allowed_tools.tools",
        ),
        (
            r#""functions":[{"name":"f"}],"function_call":"maybe""#,
            "function_call",
        ),
        (
            r#""functions":[{"name":"f"}],"function_call":{}"#,
            "function_call.name",
        ),
    ] {
        scene.check_refused(&beside(members), place);
    }
}

#[test]
fn what_is_odd_but_can_be_said_arrives_whole() {
    let mut scene = Scene::new();
    let user = json!({"role": "user", "content": "a"});
    let call = |input: Value| {
        json!({"role": "assistant", "content": [
            {"type": "tool_use", "id": "t", "name": "f", "input": input},
        ]})
    };
    let result = |content: Value| {
        json!({"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "t", "content": content},
        ]})
    };
    // A result whose call the caller left out: the provider is asked, and says what it thinks.
    let orphan = r#""messages":[{"role":"tool","tool_call_id":"t","content":"b"}]"#;
    let answer = scene.ask(orphan);
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert!(answer.text().contains("`tool_use_id`"), "{}", answer.text());
    scene.check_arrived(orphan, &json!({"messages": [result(json!("b"))]}));
    for (arguments, input) in [
        ("null", json!({})),
        (r#""""#, json!({})),
        (r#"" \n""#, json!({})),
        (r#""{\"x\":1}""#, json!({"x": 1})),
        (r#""{\"x\":""#, json!({"arguments": "{\"x\":"})),
        (r#""[1]""#, json!({"arguments": [1]})),
        (r#""null""#, json!({"arguments": null})),
        ("7", json!({"arguments": 7})),
        ("[1]", json!({"arguments": [1]})),
        (r#"{"x":1}"#, json!({"x": 1})),
    ] {
        let members = format!(
            concat!(
                r#""messages":[{{"role":"user","content":"a"}},{{"role":"assistant","#,
                r#""content":null,"tool_calls":[{{"id":"t","type":"function","#,
                r#""function":{{"name":"f","arguments":{}}}}}]}},"#,
                r#"{{"role":"tool","tool_call_id":"t","content":null}}]"#
            ),
            arguments
        );
        let messages = json!([user, call(input), result(json!(""))]);
        scene.check_sent(&members, &json!({"messages": messages}));
    }
    for (content, expected) in [
        (
            r#""\u0000\u2028\ud83d\ude00 é""#,
            json!("\u{0}\u{2028}😀 é"),
        ),
        (
            r#"[{"type":"text","text":""},{"type":"text","text":"a"}]"#,
            json!("a"),
        ),
        (r#"[{"type":"refusal","refusal":"no"}]"#, json!("no")),
        (
            r#"[{"type":"image_url","image_url":{"url":"HTTPS://x/y","detail":7}}]"#,
            json!([{"type": "image", "source": {"type": "url", "url": "HTTPS://x/y"}}]),
        ),
        (
            r#"[{"type":"file","file":{"file_data":"QUJD","filename":7}}]"#,
            json!([{"type": "document", "source":
                {"type": "base64", "media_type": "application/pdf", "data": "QUJD"}}]),
        ),
    ] {
        let members = format!(r#""messages":[{{"role":"user","content":{content}}}]"#);
        let messages = json!([{"role": "user", "content": expected}]);
        scene.check_sent(&members, &json!({"messages": messages}));
    }
    scene.check_sent(
        &beside(concat!(
            r#""stream":null,"max_tokens":null,"temperature":null,"stop":null,"tools":null,"#,
            r#""tool_choice":null,"response_format":null,"reasoning_effort":null,"user":null"#
        )),
        &json!({"messages": [{"role": "user", "content": "hello"}], "max_tokens": 4096}),
    );
}

#[test]
fn a_body_that_is_no_request_is_refused() {
    let mut scene = Scene::new();
    for body in [
        "",
        "null",
        "[]",
        "hello",
        "{",
        r#"{"model":"m","messages":[{"role":"user","content":"x"}]"#,
        r#"{"model":"m","messages":[{"role":"user","content":"x"}]}}"#,
        r#"{"model":"m","messages":[{"role":"user",content:"x"}]}"#,
        r#"{"model":"m","messages":[{"role":"user","content":"x",}]}"#,
        "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"a\nb\"}]}",
        r#"{"model":7,"messages":[]}"#,
        r#"{"messages":[{"role":"user","content":"x"}]}"#,
        r#"{"model":"m","messages":[],"messages":[]}"#,
    ] {
        let answer = scene.client.chat(body);
        assert_eq!(answer.status, 400, "{body}: {}", answer.text());
        assert_eq!(answer.code(), "invalid_request", "{body}");
    }
    assert_eq!(scene.claude.stats().requests, 0);
}

#[test]
fn ten_thousand_messages_arrive_in_their_order() {
    let mut scene = Scene::new();
    let (mut asked, mut expected) = (Vec::new(), Vec::new());
    for index in 0..10_000 {
        let role = if index % 2 == 0 { "user" } else { "assistant" };
        let message = json!({"role": role, "content": format!("text {index}")});
        asked.push(message.to_string());
        expected.push(message);
    }
    let members = format!(r#""messages":[{}]"#, asked.join(","));
    scene.check_sent(&members, &json!({"messages": expected}));
    // All from one side: one message with as many blocks.
    let asked: Vec<String> = asked
        .iter()
        .map(|one| one.replace("assistant", "user"))
        .collect();
    assert_eq!(
        scene
            .ask(&format!(r#""messages":[{}]"#, asked.join(",")))
            .status,
        200
    );
    let seen = last_seen(&scene.claude)["body"]["messages"].clone();
    assert_eq!(seen.as_array().map(Vec::len), Some(1));
    assert_eq!(seen[0]["content"].as_array().map(Vec::len), Some(10_000));
    assert_eq!(seen[0]["content"][9_999]["text"], "text 9999");
}

#[test]
fn a_picture_of_five_megabytes_arrives_whole() {
    let mut scene = Scene::new();
    let data = "QUJDREVG".repeat(5 << 17);
    let url = format!("data:image/png;base64,{data}");
    let part = format!(r#"{{"type":"image_url","image_url":{{"url":"{url}"}}}}"#);
    let source = json!({"type": "base64", "media_type": "image/png", "data": data});
    let content = json!([{"type": "text", "text": "a"}, {"type": "image", "source": source}]);
    let messages = json!([{"role": "user", "content": content}]);
    scene.check_sent(&one_part(&part), &json!({"messages": messages}));
    // Escapes everywhere, so that nothing can be copied as it stands.
    let escaped = part.replace("QUJDREVG", r"QUJDR\u0045VG");
    scene.check_sent(&one_part(&escaped), &json!({"messages": messages}));
}

#[test]
fn no_depth_of_json_brings_the_router_down() {
    let mut scene = Scene::new();
    let depth = 100_000;
    let (open, close) = ("[".repeat(depth), "]".repeat(depth));
    let nested = format!("{}7{}", r#"{"x":"#.repeat(depth), "}".repeat(depth));
    let call = |arguments: &str| {
        format!(
            concat!(
                r#""messages":[{{"role":"assistant","tool_calls":[{{"id":"t","function":"#,
                r#"{{"name":"f","arguments":{}}}}}]}}]"#
            ),
            arguments
        )
    };
    let tool = format!(r#""tools":[{{"function":{{"name":"f","parameters":{nested}}}}}]"#);
    for (members, text) in [
        (call(&format!("\"{open}{close}\"")), &open),
        (call(&Value::from(&*nested).to_string()), &nested),
        (call(&nested), &nested),
        (beside(&tool), &nested),
    ] {
        // A provider need not take it; what it gets is what was asked.
        let answer = scene.ask(&members);
        assert!(matches!(answer.status, 200 | 400), "{}", answer.text());
        let seen = last_seen(&scene.claude);
        let body = seen["body_text"].as_str().expect("a body");
        // Members that a schema lacks are added to the outermost object.
        let inner = text.get(r#"{"x":"#.len()..text.len() - 1).expect("a depth");
        assert!(body.contains(inner), "{}", body.get(..300).unwrap_or(body));
    }
    for (members, place) in [
        (format!(r#""messages":{open}{close}"#), "messages[0]"),
        (
            one_part(&format!("{open}{close}")),
            "messages[0].content[1]",
        ),
        (one_part(&nested), "messages[0].content[1].type"),
        (beside(&format!(r#""tool_choice":{nested}"#)), ""),
        (
            beside(&format!(
                r#""response_format":{{"type":"json_schema","json_schema":{{"schema":{nested}}}}}"#
            )),
            "",
        ),
        (
            beside(&format!(
                concat!(
                    r#""response_format":{{"type":"json_schema","json_schema":{{"schema":"#,
                    r#"{}{{}}{}}}}}"#
                ),
                r#"{"items":"#.repeat(depth),
                "}".repeat(depth)
            )),
            "",
        ),
    ] {
        if place.is_empty() {
            let answer = scene.ask(&members);
            assert!(matches!(answer.status, 200 | 400), "{}", answer.text());
        } else {
            scene.check_refused(&members, place);
        }
    }
    scene.check_sent(&beside(r#""max_tokens":5"#), &json!({"max_tokens": 5}));
}

#[test]
fn ids_of_calls_are_legal_unique_and_those_of_their_results() {
    let mut scene = Scene::new();
    let turn = |ids: &[&str]| -> Vec<Value> {
        let calls = ids.iter().map(|id| {
            json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}})
        });
        let calls: Vec<Value> = calls.collect();
        let results = ids
            .iter()
            .map(|id| json!({"role": "tool", "tool_call_id": id, "content": id}));
        let mut turn = vec![
            json!({"role": "user", "content": "q"}),
            json!({"role": "assistant", "content": null, "tool_calls": calls}),
        ];
        turn.extend(results);
        turn
    };
    for turns in [
        vec![turn(&[""])],
        vec![turn(&["", ""])],
        vec![turn(&["look.a:0", "look_a_0"])],
        vec![turn(&["look_a_0", "look.a:0", "look a 0"])],
        vec![
            turn(&["call_0"]),
            turn(&["call_0"]),
            turn(&["call_0", "call_0_2"]),
        ],
        vec![turn(&["\u{e9}"]), turn(&["call", ""])],
    ] {
        let messages = Value::from(turns.concat()).to_string();
        let answer = scene.ask(&format!("\"messages\":{messages}"));
        assert_eq!(answer.status, 200, "{messages}: {}", answer.text());
        let sent = last_seen(&scene.claude)["body"]["messages"].clone();
        let blocks = |kind: &str, id: &str| -> Vec<String> {
            let turns = sent.as_array().expect("a list").iter();
            let blocks = turns
                .filter_map(|turn| turn["content"].as_array())
                .flatten();
            let blocks = blocks.filter(|block| block["type"] == kind);
            blocks
                .map(|block| block[id].as_str().expect("an id").to_owned())
                .collect()
        };
        let calls = blocks("tool_use", "id");
        assert_eq!(calls, blocks("tool_result", "tool_use_id"), "{messages}");
        let unique: std::collections::HashSet<_> = calls.iter().collect();
        assert_eq!(unique.len(), calls.len(), "{calls:?}");
        let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        assert!(
            calls
                .iter()
                .all(|id| !id.is_empty() && id.chars().all(is_legal)),
            "{calls:?}"
        );
    }
}
