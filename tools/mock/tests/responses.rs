//! OpenAI's Responses over real sockets: what is stored, what is found again, what is refused.
#![expect(
    clippy::unwrap_used,
    reason = "a test stops at what it does not expect"
)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use infermux_mock::Mock;
use serde_json::{Value, json};

/// Sends one request on a connection of its own; returns the status and the body's text.
fn exchange(mock: &Mock, method: &str, path: &str, body: &Value) -> (u16, String) {
    let mut socket = TcpStream::connect(mock.address()).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let body = body.to_string();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: mock\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    socket
        .write_all(format!("{head}{body}").as_bytes())
        .unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

fn json_of(mock: &Mock, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let (status, body) = exchange(mock, method, path, body);
    (status, serde_json::from_str(&body).unwrap())
}

fn respond(mock: &Mock, body: &Value) -> (u16, Value) {
    let mut whole = json!({"model": "m", "input": "hi"});
    let over = body.as_object().unwrap().clone();
    whole.as_object_mut().unwrap().extend(over);
    json_of(mock, "POST", "/v1/responses", &whole)
}

/// The data of the events of a stream, in order.
fn events(mock: &Mock, method: &str, path: &str, body: &Value) -> Vec<Value> {
    let (status, text) = exchange(mock, method, path, body);
    assert_eq!(status, 200, "{text}");
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

fn names(events: &[Value]) -> Vec<&str> {
    let name = |event: &Value| {
        event["type"]
            .as_str()
            .unwrap()
            .trim_start_matches("response.")
            .len()
    };
    events
        .iter()
        .map(|event| {
            let whole = event["type"].as_str().unwrap();
            &whole[whole.len() - name(event)..]
        })
        .collect()
}

const WEATHER: &str = "weather";

fn tools() -> Value {
    json!([
        {"type": "function", "name": WEATHER, "parameters": {"type": "object"}},
        {"type": "custom", "name": "shell"},
        {"type": "namespace", "name": "box", "description": "d", "tools": [
            {"type": "function", "name": "open", "parameters": {"type": "object"}}]},
    ])
}

#[test]
fn an_answer_repeats_the_request_and_counts() {
    let mock = Mock::start(json!({"name": "a", "thinking_tokens": 4})).unwrap();
    let (status, body) = respond(
        &mock,
        &json!({"instructions": "be short", "tools": tools(), "metadata": {"k": "v"}}),
    );
    assert_eq!(status, 200);
    assert_eq!(body["output"][0]["content"][0]["text"], "mock a: hi");
    assert_eq!(body["instructions"], "be short");
    assert_eq!(body["tools"], tools());
    assert_eq!(body["metadata"], json!({"k": "v"}));
    assert_eq!(
        body["usage"],
        json!({"input_tokens": 3, "input_tokens_details": {"cached_tokens": 0,
            "cache_write_tokens": 0}, "output_tokens": 7,
            "output_tokens_details": {"reasoning_tokens": 4}, "total_tokens": 10})
    );
    let (_, short) = respond(&mock, &json!({"max_output_tokens": 2}));
    assert_eq!(short["status"], "incomplete");
    assert_eq!(short["incomplete_details"]["reason"], "max_output_tokens");
}

#[test]
fn a_stream_numbers_its_events_and_ends_with_the_whole_response() {
    let mock = Mock::start(json!({"name": "a", "reasoning": "I greet."})).unwrap();
    let body = json!({"model": "m", "input": "hi", "stream": true,
        "include": ["reasoning.encrypted_content"]});
    let told = events(&mock, "POST", "/v1/responses", &body);
    assert_eq!(
        names(&told),
        [
            "created",
            "in_progress",
            "output_item.added",
            "reasoning_summary_part.added",
            "reasoning_summary_text.delta",
            "reasoning_summary_text.done",
            "reasoning_summary_part.done",
            "output_item.done",
            "output_item.added",
            "content_part.added",
            "output_text.delta",
            "output_text.delta",
            "output_text.delta",
            "output_text.done",
            "content_part.done",
            "output_item.done",
            "completed",
        ]
    );
    for (number, event) in told.iter().enumerate() {
        assert_eq!(event["sequence_number"], number);
    }
    let response = &told.last().unwrap()["response"];
    assert_eq!(response["output"][1], told[15]["item"]);
    assert_eq!(response["output"][0]["encrypted_content"], "gAAAAAB_a_1");
    let id = response["id"].as_str().unwrap();
    let path = format!("/v1/responses/{id}");
    assert_eq!(json_of(&mock, "GET", &path, &json!({})).1, *response);
    let again = events(&mock, "GET", &format!("{path}?stream=true"), &json!({}));
    assert_eq!(again, told);
}

#[test]
fn calls_come_in_the_form_of_their_tools() {
    let calls = json!([[
        {"name": WEATHER, "input": {"city": "Bonn"}},
        {"name": "shell", "input": "ls -l"},
        {"name": "box__open", "input": {"a": 1}},
    ]]);
    let mock = Mock::start(json!({"name": "a", "calls": calls, "text": "done"})).unwrap();
    let asked = json!({"model": "m", "input": "hi", "stream": true, "tools": tools()});
    let told = events(&mock, "POST", "/v1/responses", &asked);
    let response = &told.last().unwrap()["response"];
    let output = response["output"].as_array().unwrap();
    assert_eq!(output[0]["arguments"], "{\"city\":\"Bonn\"}");
    assert_eq!(output[1]["type"], "custom_tool_call");
    assert_eq!(output[1]["input"], "ls -l");
    assert_eq!(
        (&output[2]["name"], &output[2]["namespace"]),
        (&json!("open"), &json!("box"))
    );
    let pieces: String = told
        .iter()
        .filter(|event| event["type"] == "response.function_call_arguments.delta")
        .filter(|event| event["output_index"] == 2)
        .map(|event| event["delta"].as_str().unwrap())
        .collect();
    assert_eq!(pieces, "{\"a\":1}");

    // The next turn refers to the former one, and answers its calls.
    let result =
        |kind: &str, call: &Value| json!({"type": kind, "call_id": call["call_id"], "output": "r"});
    let mut answers = vec![
        result("function_call_output", &output[0]),
        result("custom_tool_call_output", &output[1]),
        result("function_call_output", &output[2]),
    ];
    let next = |input: &Vec<Value>| {
        respond(
            &mock,
            &json!({"previous_response_id": response["id"], "input": input}),
        )
    };
    let (status, body) = next(&answers);
    assert_eq!(
        (status, &body["output"][0]["content"][0]["text"]),
        (200, &json!("done")),
        "{body}"
    );
    answers.pop();
    let (status, body) = next(&answers);
    assert_eq!(status, 400);
    let message = body["error"]["message"].as_str().unwrap();
    assert!(
        message.starts_with("No tool output found for function call call_"),
        "{message}"
    );
}

#[test]
fn what_is_not_stored_is_not_found() {
    let mock = Mock::start(json!({"name": "a", "reasoning": "so"})).unwrap();
    let (_, kept) = respond(&mock, &json!({}));
    let (_, other) = respond(&mock, &json!({"store": false}));
    let refer = |response: &Value, item: usize| {
        let reference = json!({"type": "item_reference", "id": response["output"][item]["id"]});
        respond(
            &mock,
            &json!({"input": [{"role": "user", "content": "a"}, reference]}),
        )
    };
    assert_eq!(refer(&kept, 0).0, 200);
    assert_eq!(refer(&kept, 1).0, 200);
    let (status, body) = refer(&other, 0);
    assert_eq!((status, &body["error"]["param"]), (404, &json!("input")));
    let bare = json!({"type": "reasoning", "id": other["output"][0]["id"], "summary": []});
    assert_eq!(respond(&mock, &json!({"input": [bare]})).0, 404);
    let former =
        |response: &Value| respond(&mock, &json!({"previous_response_id": response["id"]}));
    assert_eq!(former(&kept).0, 200);
    let (status, body) = former(&other);
    assert_eq!(
        (status, &body["error"]["code"]),
        (400, &json!("previous_response_not_found"))
    );

    let path = format!("/v1/responses/{}", kept["id"].as_str().unwrap());
    let (_, items) = json_of(&mock, "GET", &format!("{path}/input_items"), &json!({}));
    assert_eq!(items["data"][0]["content"], "hi");
    assert_eq!(
        json_of(&mock, "POST", &format!("{path}/cancel"), &json!({})).0,
        400
    );
    let (status, gone) = json_of(&mock, "DELETE", &path, &json!({}));
    assert_eq!((status, &gone["deleted"]), (200, &json!(true)));
    let (status, body) = json_of(&mock, "GET", &path, &json!({}));
    assert_eq!((status, &body["error"]["code"]), (404, &Value::Null));
}

#[test]
fn encrypted_reasoning_is_taken_back_by_its_maker_alone() {
    let maker = Mock::start(json!({"name": "a", "reasoning": "so"})).unwrap();
    let other = Mock::start(json!({"name": "b"})).unwrap();
    let include = json!(["reasoning.encrypted_content"]);
    let (_, body) = respond(&maker, &json!({"store": false, "include": include}));
    let back = json!({"input": [{"role": "user", "content": "a"}, body["output"][0],
        body["output"][1], {"role": "user", "content": "b"}]});
    assert_eq!(respond(&maker, &back).0, 200);
    let (status, body) = respond(&other, &back);
    assert_eq!(
        (status, &body["error"]["code"]),
        (400, &json!("invalid_encrypted_content"))
    );
}

#[test]
fn a_response_in_the_background_is_finished_at_the_second_look() {
    let mock = Mock::start(json!({"name": "a"})).unwrap();
    let (_, queued) = respond(&mock, &json!({"background": true}));
    assert_eq!(
        (&queued["status"], &queued["usage"]),
        (&json!("queued"), &Value::Null)
    );
    let path = format!("/v1/responses/{}", queued["id"].as_str().unwrap());
    let look = || json_of(&mock, "GET", &path, &json!({})).1;
    let (first, second) = (look(), look());
    assert_eq!(
        (&first["status"], &first["usage"]),
        (&json!("in_progress"), &Value::Null)
    );
    assert_eq!(
        (&second["status"], &second["usage"]["output_tokens"]),
        (&json!("completed"), &json!(3))
    );
    let (_, queued) = respond(&mock, &json!({"background": true}));
    let path = format!("/v1/responses/{}/cancel", queued["id"].as_str().unwrap());
    assert_eq!(
        json_of(&mock, "POST", &path, &json!({})).1["status"],
        "cancelled"
    );
}

#[test]
fn it_fails_as_it_is_told() {
    let mock = Mock::start(json!({"name": "a", "answers": [
        {"do": "failed_mid_stream", "error_code": "rate_limit_exceeded", "error_message": "wait"},
        "failed_before_content", "error_event_mid_stream",
        {"do": "cut_mid_stream", "after_events": 0},
        "no_done", "no_choices", "failed_mid_stream",
    ]}))
    .unwrap();
    let stream = json!({"model": "m", "input": "hi", "stream": true});
    let told = || events(&mock, "POST", "/v1/responses", &stream);
    let failed = told();
    let last = failed.last().unwrap();
    assert_eq!(last["type"], "response.failed");
    assert_eq!(
        last["response"]["error"],
        json!({"code": "rate_limit_exceeded", "message": "wait"})
    );
    assert_eq!(last["sequence_number"], failed.len() - 1);
    assert!(names(&failed).contains(&"output_text.delta"));
    assert!(!names(&told()).contains(&"output_text.delta"));
    assert_eq!(told().last().unwrap()["code"], "server_error");
    assert_eq!(names(&told()).last(), Some(&"content_part.added"));
    assert_eq!(names(&told()).last(), Some(&"output_item.done"));
    assert_eq!(names(&told()), ["created", "in_progress", "completed"]);
    let (status, body) = respond(&mock, &json!({}));
    assert_eq!((status, &body["status"]), (200, &json!("failed")));
}

#[test]
fn counts_and_compactions_are_answered() {
    let mock = Mock::start(json!({"name": "a"})).unwrap();
    let body = json!({"model": "m", "input": "four", "instructions": "four"});
    let (_, count) = json_of(&mock, "POST", "/v1/responses/input_tokens", &body);
    assert_eq!(
        count,
        json!({"object": "response.input_tokens", "input_tokens": 2})
    );
    let (_, compact) = json_of(&mock, "POST", "/v1/responses/compact", &body);
    let next = json!({"input": [compact["output"][0], {"role": "user", "content": "a"}]});
    assert_eq!(respond(&mock, &next).0, 200);
}

#[test]
fn a_path_that_a_provider_lacks_says_so_without_a_code() {
    for script in [json!({"responses": false}), json!({"dialect": "ollama"})] {
        let mock = Mock::start(script).unwrap();
        let (status, body) = respond(&mock, &json!({}));
        assert_eq!((status, &body["error"]["code"]), (404, &Value::Null));
        assert_eq!(body["error"]["message"], "no such path: POST /v1/responses");
    }
    let azure = Mock::start(json!({"dialect": "azure"})).unwrap();
    let body = json!({"model": "d", "input": "hi"});
    let ask = |path| exchange(&azure, "POST", path, &body).0;
    assert_eq!(ask("/openai/v1/responses"), 200);
    assert_eq!(ask("/openai/deployments/d/responses?api-version=1"), 404);
    let mock = Mock::start(json!({})).unwrap();
    assert_eq!(exchange(&mock, "GET", "/v1/responses", &body).0, 405);
}
