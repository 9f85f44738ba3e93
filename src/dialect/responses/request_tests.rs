//! Tests of requests for a response in the words of other dialects: the vectors, and what they do
//! not show.

use std::collections::HashMap;
use std::path::Path;

use serde_json::{Value as Json, json};

use super::*;
use crate::dialect::chat::lessons::Key;
use crate::dialect::names::Restored;
use crate::dialect::names::ToolKind::{Custom, Function};
use crate::dialect::responses::remembered::Nothing;

/// What a test remembers.
#[derive(Default)]
struct Memory(HashMap<String, Vec<u8>>);

impl Remembered for Memory {
    fn item(&self, id: &str) -> Option<&[u8]> {
        self.0.get(id).map(Vec::as_slice)
    }
}

impl Memory {
    /// Remembers the items of an answer to the `place`th request, told by what the provider said.
    fn add(&mut self, place: usize, chat: &Json) {
        let message = &chat["choices"][0]["message"];
        let mut items = Vec::new();
        if let Some(text) = message["reasoning_content"].as_str() {
            let summary = json!([{"type": "summary_text", "text": text}]);
            items.push(json!({"type": "reasoning", "summary": summary}));
        }
        if let Some(text) = message["content"].as_str() {
            let content = json!([{"type": "output_text", "text": text, "annotations": []}]);
            items.push(json!({"type": "message", "role": "assistant", "content": content}));
        }
        for (index, item) in items.iter_mut().enumerate() {
            let id = format!("${place}.output[{index}].id");
            item["id"] = json!(id);
            self.0.insert(id, item.to_string().into_bytes());
        }
    }
}

fn chat(model: &str) -> Destination<'_> {
    Destination {
        dialect: Dialect::Chat,
        model,
        host: Host::Other,
        max_output: None,
        left_out: Keys::default(),
        stream: Stream::No,
    }
}

fn claude(model: &str) -> Destination<'_> {
    Destination {
        dialect: Dialect::Messages,
        ..chat(model)
    }
}

fn written(
    body: &Json,
    to: &Destination<'_>,
    remembered: &dyn Remembered,
) -> Result<(Json, Written), Unsupported> {
    let body = body.to_string();
    let received = Received {
        dialect: Dialect::Responses,
        body: body.as_bytes(),
        remembered,
    };
    let mut out = b"before".to_vec();
    match write(received, to, &mut out) {
        Ok(written) => Ok((serde_json::from_slice(&out[6..]).unwrap(), written)),
        Err(fault) => {
            assert_eq!(out, b"before", "a refused request leaves nothing behind");
            Err(fault)
        }
    }
}

/// A request in which `null` is absent, a single text is a string, and arguments are JSON.
fn comparable(value: Json) -> Json {
    match value {
        Json::Object(members) => {
            let members = members.into_iter().filter(|(_, value)| !value.is_null());
            let members = members.map(|(name, value)| {
                let parsed = value.as_str().filter(|_| name == "arguments");
                let parsed = parsed.and_then(|text| serde_json::from_str(text).ok());
                let value = parsed.unwrap_or(value);
                let text = value[0]["text"].clone();
                let list = value.as_array().filter(|_| name == "content");
                let is_text = list.is_some_and(|list| list.len() == 1 && text.is_string());
                (name, if is_text { text } else { comparable(value) })
            });
            members.collect()
        }
        Json::Array(list) => list.into_iter().map(comparable).collect(),
        other => other,
    }
}

#[test]
fn requests_are_written_as_the_vectors_say() {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/golden/responses/request"
    );
    let mut count = 0;
    for file in Path::new(folder).read_dir().unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let vector: Json = serde_json::from_str(&text).unwrap();
        let id = vector["id"].as_str().unwrap();
        let mut memory = Memory::default();
        for (index, before) in vector["before"]
            .as_array()
            .into_iter()
            .flatten()
            .enumerate()
        {
            memory.add(index + 1, &before["chat_response"]);
        }
        let body = &vector["responses_request"];
        let model = vector["upstream_model"].as_str().unwrap();
        let to = match vector["provider_type"].as_str() {
            Some("anthropic") => claude(model),
            Some("ollama") => Destination {
                host: Host::Ollama,
                ..chat(model)
            },
            _ => chat(model),
        };
        let stream = match (body["stream"] == true, to.dialect) {
            (false, _) => Stream::No,
            (true, Dialect::Messages) => Stream::Plain,
            (true, _) => Stream::WithUsage,
        };
        let found = written(body, &Destination { stream, ..to }, &memory);
        if let Some(reject) = vector.get("reject") {
            let fault = found.map(|(sent, _)| sent).unwrap_err().to_string();
            let named = reject["message_names"].as_str().unwrap();
            assert!(fault.contains(named), "{id}: {fault}");
        } else {
            let expected = vector
                .get("chat_request")
                .or(vector.get("anthropic_request"));
            let (sent, _) = found.unwrap_or_else(|fault| panic!("{id}: {fault}"));
            assert_eq!(
                comparable(sent),
                comparable(expected.unwrap().clone()),
                "{id}"
            );
        }
        count += 1;
    }
    assert_eq!(count, 43);
}

/// What is written of a request with these members.
fn of(members: Json, to: &Destination<'_>) -> Result<(Json, Written), Unsupported> {
    let mut body = json!({"model": "m", "input": "x"});
    let Json::Object(members) = members else {
        panic!("members are an object");
    };
    body.as_object_mut().unwrap().extend(members);
    written(&body, to, &Nothing)
}

fn check_messages(input: Json, to: &Destination<'_>, expected: Json) {
    let told = input.to_string();
    let members = serde_json::Map::from_iter([("input".to_owned(), input)]);
    let (sent, _) = of(members.into(), to).unwrap();
    let [sent, expected] = [comparable(sent["messages"].clone()), expected];
    assert_eq!(sent, expected, "{told}");
}

fn check_refused(members: Json, to: &Destination<'_>, place: &str) {
    let told = members.to_string();
    let fault = of(members, to).map(|(sent, _)| sent).unwrap_err();
    assert!(fault.place.starts_with(place), "{told}: {fault}");
}

fn user(text: &str) -> Json {
    json!({"role": "user", "content": text})
}

fn call(id: &str) -> Json {
    json!({"type": "function_call", "call_id": id, "name": "f", "arguments": "{\"a\": 1}"})
}

fn output(id: &str, said: Json) -> Json {
    let mut output = json!({"type": "function_call_output", "call_id": id});
    output["output"] = said;
    output
}

/// The message of a turn with these calls, as [`comparable`] shows it.
fn called(ids: &[&str]) -> Json {
    let call = |id: &&str| {
        let function = json!({"name": "f", "arguments": {"a": 1}});
        json!({"id": id, "type": "function", "function": function})
    };
    let calls: Vec<Json> = ids.iter().map(call).collect();
    json!({"role": "assistant", "tool_calls": calls})
}

fn result(id: &str, said: &str) -> Json {
    json!({"role": "tool", "tool_call_id": id, "content": said})
}

#[test]
fn calls_and_outputs_that_have_no_partner_stay() {
    check_messages(
        json!([
            user("x"),
            call("a"),
            call("b"),
            user("y"),
            output("b", json!("1"))
        ]),
        &chat("m"),
        json!([user("x"), called(&["a", "b"]), result("b", "1"), user("y")]),
    );
    check_messages(
        json!([
            user("x"),
            output("q", json!("1")),
            call("a"),
            user("y"),
            output("q", json!(""))
        ]),
        &chat("m"),
        json!([
            result("q", "1"),
            user("x"),
            called(&["a"]),
            result("q", ""),
            user("y")
        ]),
    );
}

#[test]
fn an_output_that_is_no_part_list_is_its_text() {
    for (said, expected) in [
        (json!({"a": [1]}), "{\"a\":[1]}"),
        (
            json!([1, {"type": "input_text", "text": "x"}]),
            "[1,{\"text\":\"x\",\"type\":\"input_text\"}]",
        ),
        (json!(1), "1"),
        (json!(null), ""),
        (json!([]), ""),
        (
            json!([{"type": "input_text", "text": "p"}, {"type": "input_text", "text": "q"}]),
            "p\nq",
        ),
    ] {
        check_messages(
            json!([user("x"), call("a"), output("a", said)]),
            &chat("m"),
            json!([user("x"), called(&["a"]), result("a", expected)]),
        );
    }
}

#[test]
fn the_messages_of_one_answer_are_lines_and_their_parts_are_not() {
    let said = |parts: &[&str]| {
        let part = |text: &&str| json!({"type": "output_text", "text": text});
        let parts: Vec<Json> = parts.iter().map(part).collect();
        json!({"type": "message", "role": "assistant", "content": parts})
    };
    for to in [chat("m"), claude("claude-opus-4-5")] {
        check_messages(
            json!([
                user("x"),
                said(&["a", " ", "b"]),
                said(&["c\"\n"]),
                user("y")
            ]),
            &to,
            json!([user("x"), {"role": "assistant", "content": "a b\nc\"\n"}, user("y")]),
        );
    }
}

#[test]
fn system_messages_alone_are_enough_for_chat() {
    let developer = json!([{"role": "developer", "content": "x"}]);
    check_messages(
        developer.clone(),
        &chat("m"),
        json!([{"role": "system", "content": "x"}]),
    );
    check_refused(
        json!({"input": developer}),
        &claude("claude-opus-4-5"),
        "input",
    );
    for nothing in [json!(""), json!([]), json!([user(" ")]), json!(null)] {
        check_refused(
            json!({"input": nothing, "instructions": "x"}),
            &chat("m"),
            "input",
        );
    }
}

#[test]
fn efforts_are_as_given_where_nothing_is_known_of_the_model() {
    let ollama = Destination {
        host: Host::Ollama,
        ..chat("gpt-oss")
    };
    for (to, effort, expected) in [
        (chat("m"), json!("ultra"), json!("ultra")),
        (chat("m"), json!("none"), json!("none")),
        (ollama, json!("max"), json!("max")),
        (chat("gpt-4o"), json!("low"), json!(null)),
        (chat("gpt-oss-20b"), json!("xhigh"), json!("high")),
        (chat("gpt-5"), json!("none"), json!("minimal")),
        (chat("gpt-5.6"), json!("ultra"), json!("ultra")),
        (chat("m"), json!(null), json!(null)),
    ] {
        let (sent, written) = of(json!({"reasoning": {"effort": effort}}), &to).unwrap();
        assert_eq!(sent["reasoning_effort"], expected, "{effort}");
        assert_eq!(
            written.kept.sent.has(Key::ReasoningEffort),
            !expected.is_null()
        );
    }
    let members = json!({"reasoning": {"effort": "ultra"}});
    check_refused(members, &claude("claude-opus-4-5"), "reasoning.effort");
}

#[test]
fn what_a_provider_refuses_is_left_out() {
    let members = json!({
        "include": ["message.output_text.logprobs"],
        "top_logprobs": 3,
        "input": [
            user("x"),
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "t"}]},
            call("a"),
            output("a", json!("1")),
        ],
    });
    let (sent, written) = of(members.clone(), &chat("m")).unwrap();
    let keys = [Key::Logprobs, Key::ReasoningContent];
    for key in keys {
        assert!(written.kept.sent.has(key));
    }
    assert_eq!(sent["messages"][1]["reasoning_content"], "t");
    let to = Destination {
        left_out: keys.into_iter().fold(Keys::default(), Keys::with),
        ..chat("m")
    };
    let (sent, written) = of(members, &to).unwrap();
    assert!(!sent.to_string().contains("logprobs"), "{sent}");
    assert_eq!(sent["messages"][1].get("reasoning_content"), None);
    assert!(written.kept.sent.is_empty());
}

#[test]
fn thoughts_go_to_no_model_of_openai_s_and_to_none_of_anthropic_s() {
    let input = json!([
        user("x"),
        {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "t1"}],
         "encrypted_content": "infermux.reasoning"},
        {"type": "reasoning", "summary": [], "content": []},
        {"type": "reasoning", "summary": [{"text": "t2"}, {"text": " "}, {"text": "t3"}],
         "encrypted_content": ""},
        call("a"),
        output("a", json!("1")),
    ]);
    let (sent, _) = of(json!({"input": input}), &chat("gpt-oss-20b")).unwrap();
    assert_eq!(sent["messages"][1]["reasoning"], "t1");
    assert_eq!(sent["messages"][1]["reasoning_content"], "t2\nt3");
    for to in [chat("gpt-5"), claude("claude-opus-4-5"), claude("other")] {
        let (sent, _) = of(json!({"input": input}), &to).unwrap();
        assert!(!sent.to_string().contains("t1"), "{sent}");
        assert!(!sent.to_string().contains("t2"), "{sent}");
    }
}

#[test]
fn the_length_is_the_caller_s_to_choose() {
    let to = Destination {
        max_output: Some(100),
        ..chat("m")
    };
    let (sent, _) = of(json!({"max_output_tokens": 1_000}), &to).unwrap();
    assert_eq!(sent["max_tokens"], 1_000);
}

#[test]
fn users_are_told_to_openai_s_models_alone() {
    let members = json!({"safety_identifier": "s", "user": "u"});
    let (sent, _) = of(members.clone(), &chat("gpt-4o")).unwrap();
    assert_eq!(sent["user"], "s");
    let (sent, _) = of(members, &chat("m")).unwrap();
    assert_eq!(sent.get("user"), None);
}

#[test]
fn ollama_is_sent_no_addresses_and_no_files() {
    let to = Destination {
        host: Host::Ollama,
        ..chat("m")
    };
    let input = |part: Json| json!({"input": [user("x"), {"role": "user", "content": [part]}]});
    let picture = |url: &str| json!({"type": "input_image", "image_url": url});
    check_refused(input(picture("https://a")), &to, "input[1].content[0]");
    let file = json!({"type": "input_file", "filename": "a.pdf", "file_data": "JVBERi0="});
    check_refused(input(file.clone()), &to, "input[1].content[0]");
    of(input(picture("DATA:image/png;base64,QUJD")), &to).unwrap();
    of(input(file), &chat("m")).unwrap();
}

#[test]
fn pictures_and_files_are_read_for_anthropic() {
    let to = claude("claude-opus-4-5");
    let check = |part: Json, expected: Json| {
        let input =
            json!([{"role": "user", "content": [part, {"type": "input_text", "text": "x"}]}]);
        let (sent, _) = of(json!({"input": input}), &to).unwrap();
        assert_eq!(sent["messages"][0]["content"][0], expected);
    };
    let picture = |url: &str| json!({"type": "input_image", "image_url": url, "detail": "low"});
    check(
        picture("data:image/JPG;base64,QUJD"),
        json!({"type": "image",
               "source": {"type": "base64", "media_type": "image/jpeg", "data": "QUJD"}}),
    );
    check(
        picture("https://a"),
        json!({"type": "image", "source": {"type": "url", "url": "https://a"}}),
    );
    let pdf = json!({"type": "base64", "media_type": "application/pdf", "data": "QUJD"});
    check(
        picture("data:application/pdf;base64,QUJD"),
        json!({"type": "document", "source": pdf}),
    );
    check(
        json!({"type": "input_file", "file_data": "SGFsbG8=", "filename": "a.txt"}),
        json!({"type": "document", "title": "a.txt",
               "source": {"type": "text", "media_type": "text/plain", "data": "Hallo"}}),
    );
    for part in [
        picture("gs://a"),
        picture("data:image/png,x"),
        json!({"type": "input_file", "file_data": "data:text/csv;base64,QUJD"}),
        json!({"type": "input_audio", "input_audio": {"data": "QUJD", "format": "wav"}}),
    ] {
        let input = json!([{"role": "user", "content": [part]}]);
        check_refused(json!({"input": input}), &to, "input[0].content[0]");
        let input = json!([
            user("x"),
            call("a"),
            output("a", json!([picture("gs://a")]))
        ]);
        check_refused(json!({"input": input}), &to, "input[2].output[0]");
    }
}

#[test]
fn what_no_other_dialect_can_express_is_refused_with_its_place() {
    let item = |item: Json| json!({"input": [user("x"), item]});
    let part = |role: &str, part: Json| item(json!({"role": role, "content": [part]}));
    let text = json!({"type": "input_text", "text": "x"});
    for (members, place) in [
        (item(json!({"type": "compaction_trigger"})), "input[1]"),
        (
            item(json!({"type": "shell_call", "call_id": "a"})),
            "input[1]",
        ),
        (item(json!({"type": "mcp_approval_response"})), "input[1]"),
        (item(json!({"id": "msg_1"})), "input[1]"),
        (item(json!({})), "input[1].role"),
        (
            item(json!({"role": "critic", "content": "x"})),
            "input[1].role",
        ),
        (item(json!("x")), "input[1]"),
        (
            item(json!({"type": "function_call", "name": "f"})),
            "input[1].call_id",
        ),
        (
            part("user", json!({"type": "input_image", "file_id": "f"})),
            "input[1].content[0]",
        ),
        (
            part("user", json!({"type": "input_file", "file_url": "f"})),
            "input[1].content[0]",
        ),
        (
            part("user", json!({"type": "computer_screenshot"})),
            "input[1].content[0]",
        ),
        (
            part("developer", json!({"type": "input_image"})),
            "input[1].content[0]",
        ),
        (
            part("assistant", json!({"type": "input_image"})),
            "input[1].content[0]",
        ),
        (
            item(output("a", json!([text, {"type": "x"}]))),
            "input[1].output[1]",
        ),
        (json!({"tools": [{"type": "computer"}]}), "tools[0].type"),
        (json!({"tools": [{"type": "tool_search"}]}), "tools[0].type"),
        (
            json!({"tools": [{"type": "web_search_2025_08_26"}]}),
            "tools[0].type",
        ),
        (
            json!({"tools": [{"type": "namespace", "name": "n", "tools": [{"type": "mcp"}]}]}),
            "tools[0].tools[0].type",
        ),
        (
            item(json!({"type": "additional_tools", "tools": [{"type": "local_shell"}]})),
            "input[1].tools[0].type",
        ),
        (json!({"tool_choice": "maybe"}), "tool_choice"),
        (json!({"text": {"format": {"type": "xml"}}}), "text.format"),
        (
            json!({"text": {"format": {"type": "json_schema"}}}),
            "text.format",
        ),
        (json!({"background": "yes"}), "background"),
        (json!({"conversation": "c"}), "conversation"),
        (json!({"temperature": "hot"}), "temperature"),
    ] {
        check_refused(members, &chat("m"), place);
    }
}

#[test]
fn tools_come_back_under_the_caller_s_names() {
    let tools = json!([
        {"type": "function", "name": "a.b"},
        {"type": "function", "name": "a_b"},
        {"type": "custom", "name": "patch"},
        {"type": "function", "name": "patch"},
        {"type": "namespace", "name": "n", "tools": [
            {"type": "function", "name": "query"},
            {"type": "custom", "name": "a_b"},
            {"type": "function", "name": "query"},
        ]},
        {"type": "web_search_preview_2025_03_11"},
    ]);
    let history = json!([
        user("x"),
        {"type": "function_call", "call_id": "1", "name": "n.query", "arguments": ""},
        {"type": "function_call", "call_id": "2", "name": "n__query", "arguments": ""},
        {"type": "function_call", "call_id": "3", "name": "query", "arguments": ""},
        {"type": "custom_tool_call", "call_id": "4", "name": "a_b", "namespace": "n", "input": ""},
        {"type": "function_call", "call_id": "5", "name": "a_b", "arguments": ""},
        {"type": "function_call", "call_id": "6", "name": "gone", "namespace": "o",
         "arguments": ""},
    ]);
    let (sent, written) = of(json!({"tools": tools, "input": history}), &chat("m")).unwrap();
    let name = |tool: &Json| tool["function"]["name"].as_str().unwrap().to_owned();
    let names = |list: &Json| {
        list.as_array()
            .unwrap()
            .iter()
            .map(name)
            .collect::<Vec<_>>()
    };
    let offered = ["a_b", "a_b_2", "patch", "patch_2", "n__query", "n__a_b"];
    assert_eq!(names(&sent["tools"]), offered);
    assert_eq!(
        names(&sent["messages"][1]["tool_calls"]),
        [
            "n__query", "n__query", "n__query", "n__a_b", "a_b_2", "o__gone"
        ],
    );
    for (said, namespace, name, kind) in [
        ("a_b", None, "a.b", Function),
        ("a_b_2", None, "a_b", Function),
        ("patch", None, "patch", Custom),
        ("patch_2", None, "patch", Function),
        ("n__query", Some("n"), "query", Function),
        ("n.a_b", Some("n"), "a_b", Custom),
        ("query", Some("n"), "query", Function),
        ("o__gone", Some("o"), "gone", Function),
        ("new", None, "new", Function),
    ] {
        let tool = Restored {
            namespace,
            name,
            kind,
        };
        assert_eq!(written.kept.names.tool(said), tool, "{said}");
    }
    assert_eq!(written.dropped.to_string(), "web_search");
}

#[test]
fn requests_without_odd_names_keep_none() {
    let tools = json!([{"type": "function", "name": "a", "strict": true}]);
    let (sent, written) = of(json!({"tools": tools}), &chat("m")).unwrap();
    assert_eq!(sent["tools"][0]["function"]["strict"], true);
    assert!(written.kept.names.is_empty());
}

#[test]
fn traces_of_what_a_provider_ran_are_left_out() {
    for kind in [
        "web_search_call",
        "file_search_call",
        "code_interpreter_call",
        "image_generation_call",
        "mcp_list_tools",
        "mcp_call",
        "mcp_approval_request",
        "tool_search_call",
    ] {
        let trace = json!({"type": kind, "id": "t", "status": "completed", "tools": []});
        for to in [chat("m"), claude("claude-opus-4-5")] {
            let (with, written) = of(json!({"input": [user("x"), trace]}), &to).unwrap();
            let (without, _) = of(json!({"input": [user("x")]}), &to).unwrap();
            assert_eq!(with, without, "{kind}");
            assert_eq!(written.dropped.to_string(), kind);
        }
    }
}

#[test]
fn items_and_tools_that_a_caller_runs_for_its_vendor_are_refused() {
    for kind in [
        "compaction",
        "compaction_trigger",
        "configuration_update",
        "mcp_approval_response",
        "program",
        "program_output",
        "computer_call",
        "computer_call_output",
        "local_shell_call",
        "local_shell_call_output",
        "shell_call",
        "shell_call_output",
        "apply_patch_call",
        "apply_patch_call_output",
        "new",
    ] {
        let item = json!({"type": kind, "id": "t", "call_id": "c", "output": "x"});
        for to in [chat("m"), claude("claude-opus-4-5")] {
            check_refused(json!({"input": [user("x"), item]}), &to, "input[1]");
        }
    }
    let function = json!({"type": "function", "name": "f"});
    for (kind, is_left_out) in [
        ("web_search", true),
        ("web_search_2025_08_26", true),
        ("web_search_preview", true),
        ("web_search_preview_2025_03_11", true),
        ("image_generation", true),
        ("tool_search", true),
        ("file_search", false),
        ("code_interpreter", false),
        ("mcp", false),
        ("programmatic_tool_calling", false),
        ("computer", false),
        ("computer_use_preview", false),
        ("local_shell", false),
        ("shell", false),
        ("apply_patch", false),
        ("web_searches", false),
        ("new", false),
    ] {
        // A hosted tool that nothing else stands beside is what the caller wants.
        check_refused(
            json!({"tools": [{"type": kind}]}),
            &chat("m"),
            "tools[0].type",
        );
        let both = json!({"tools": [function, {"type": kind}]});
        if is_left_out {
            let (sent, _) = of(both, &chat("m")).unwrap();
            let (alone, _) = of(json!({"tools": [function]}), &chat("m")).unwrap();
            assert_eq!(sent, alone, "{kind}");
        } else {
            check_refused(both, &chat("m"), "tools[1].type");
        }
    }
    // What a search has found is a tool like those of the request.
    let found = json!({"type": "tool_search_output", "tools": [function]});
    let (sent, _) = of(json!({"input": [user("x"), found]}), &chat("m")).unwrap();
    assert_eq!(sent["tools"][0]["function"]["name"], "f");
}

#[test]
fn parameters_without_an_equivalent_are_left_out() {
    let input = || json!([user("x")]);
    for (name, value) in [
        ("store", json!(true)),
        ("metadata", json!({"a": "b"})),
        ("include", json!(["file_search_call.results"])),
        ("prompt_cache_key", json!("k")),
        ("prompt_cache_options", json!({})),
        ("prompt_cache_retention", json!("24h")),
        ("service_tier", json!("flex")),
        ("truncation", json!("auto")),
        ("max_tool_calls", json!(3)),
        ("stream_options", json!({"include_obfuscation": false})),
        ("context_management", json!([{"type": "compaction"}])),
        ("moderation", json!({})),
        ("client_metadata", json!({"a": "b"})),
        ("background", json!(false)),
        ("text", json!({"verbosity": "low"})),
        (
            "reasoning",
            json!({"summary": "auto", "context": "auto", "mode": "m"}),
        ),
        ("new", json!(1)),
    ] {
        for to in [chat("gpt-5"), chat("m"), claude("claude-opus-4-5")] {
            let mut members = json!({"input": input()});
            members[name] = value.clone();
            let (sent, _) = of(members, &to).unwrap();
            let (without, _) = of(json!({"input": input()}), &to).unwrap();
            assert_eq!(sent, without, "{name}");
        }
    }
}

#[test]
fn what_is_left_out_is_told() {
    let members = json!({
        "store": true, "metadata": {}, "x_new": 1, "service_tier": "auto",
        "include": ["file_search_call.results"], "top_logprobs": 1,
        "reasoning": {"summary": "auto", "effort": "low"}, "text": {"verbosity": "low"},
        "input": [
            user("x"),
            {"type": "reasoning", "summary": [], "encrypted_content": "gAAA"},
            {"type": "item_reference", "id": "rs_1"},
            {"type": "web_search_call"},
        ],
    });
    let (_, written) = of(members.clone(), &chat("m")).unwrap();
    let lost = "store,include,service_tier,top_logprobs,summary,verbosity,web_search_call,\
                reasoning,item_reference";
    assert_eq!(written.dropped.to_string(), format!("{lost},x_new"));
    // A model that does not think is told of no effort.
    let (_, written) = of(members, &claude("other")).unwrap();
    let expected = format!("{lost},x_new,reasoning.effort");
    assert_eq!(written.dropped.to_string(), expected);
}

#[test]
fn responses_are_stored_unless_the_caller_says_that_they_are_not() {
    for (body, expected) in [
        (r#"{"input":"x"}"#, true),
        (r#"{"input":"store"}"#, true),
        (r#"{"input":"x","store":true}"#, true),
        (r#"{"input":"x","store":null}"#, true),
        (r#"{"store":false,"input":"x"}"#, false),
        (r#"{"store":true,"store":false,"input":"x"}"#, false),
        (r#"{"st\u006fre":false,"input":"x"}"#, false),
        (
            r#"{"input":[{"role":"user","content":"x","store":false}]}"#,
            true,
        ),
    ] {
        let read = responses::read_prompt::read(body.as_bytes(), &Nothing).unwrap();
        assert_eq!(read.is_stored, expected, "{body}");
    }
}

#[test]
fn ids_of_calls_are_made_to_fit_for_anthropic() {
    let input = json!([
        user("x"),
        call("a:b"),
        output("a:b", json!("1")),
        call("a:b"),
        output("a:b", json!("2")),
    ]);
    let (sent, _) = of(json!({"input": input}), &claude("claude-opus-4-5")).unwrap();
    let block =
        |message: usize, member: &str| sent["messages"][message]["content"][0][member].clone();
    let ids = [
        block(1, "id"),
        block(2, "tool_use_id"),
        block(3, "id"),
        block(4, "tool_use_id"),
    ];
    assert_eq!(ids, ["a_b", "a_b", "a_b_2", "a_b_2"].map(Json::from));
    assert_eq!(block(1, "input"), json!({"a": 1}));
}
