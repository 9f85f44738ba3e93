//! Tests of what no request of chat completions can ask for; `request_tests.rs` has the rest.

use super::*;
use crate::dialect::prompt::{
    CallInput, Choice, Input, Said, Source, Speaker, Thinking, Tool, Turn,
};

fn text(said: &str) -> Block<'_> {
    Block::new(Content::Text(Cow::Borrowed(said.as_bytes())))
}

fn turn<const N: usize>(speaker: Speaker, blocks: [Block<'_>; N]) -> Turn<'_> {
    Turn {
        speaker,
        blocks: blocks.into(),
    }
}

fn user(said: &str) -> Turn<'_> {
    turn(Speaker::User, [text(said)])
}

fn system(said: &str) -> Turn<'_> {
    turn(Speaker::System, [text(said)])
}

fn thought(signature: Option<&'static str>) -> Block<'static> {
    Block::new(Content::Thought {
        text: Cow::Borrowed(br#""hm""#),
        signature: signature.map(str::as_bytes),
        is_free: false,
    })
}

fn call() -> Block<'static> {
    Block::new(Content::ToolUse {
        id: Cow::Borrowed("a"),
        name: Cow::Borrowed(br#""f""#),
        input: CallInput::Parsed(Input::Object(Cow::Borrowed(b"{}"))),
    })
}

fn result(said: Said<'_>) -> Block<'_> {
    Block::new(Content::ToolResult {
        id: Cow::Borrowed("a"),
        said,
        is_error: false,
    })
}

fn of_turns<const N: usize>(turns: [Turn<'_>; N]) -> Prompt<'_> {
    Prompt {
        turns: turns.into(),
        max_tokens: Some(b"4096"),
        ..Prompt::default()
    }
}

fn written(prompt: Prompt<'_>, model: &str) -> Result<String, Unsupported> {
    let upstream = Upstream {
        model,
        is_streamed: false,
    };
    let mut out = b"before".to_vec();
    let result = write(prompt, upstream, &mut out);
    let out = String::from_utf8(out).unwrap();
    let out = out.strip_prefix("before").unwrap();
    match result {
        Ok(_) => Ok(out.to_owned()),
        Err(fault) => {
            assert_eq!(out, "", "a refused prompt leaves nothing behind");
            Err(fault)
        }
    }
}

/// `expected` are the members behind the lengths.
fn check(prompt: Prompt<'_>, model: &str, expected: &str) {
    let expected = format!(r#"{{"model":"{model}","max_tokens":4096,{expected}}}"#);
    assert_eq!(written(prompt, model).as_deref(), Ok(&*expected));
}

/// `expected` are the messages.
fn check_turns<const N: usize>(turns: [Turn<'_>; N], expected: &str) {
    let tools = r#""tools":[{"name":"f","input_schema":{"type":"object","properties":{}}}],"#;
    let tools = format!(r#",{tools}"tool_choice":{{"type":"none"}}"#);
    let has_calls = expected.contains(r#""type":"tool_use""#);
    let tools = if has_calls { &*tools } else { "" };
    let expected = format!(r#""messages":[{expected}]{tools}"#);
    check(of_turns(turns), "claude-opus-4-5", &expected);
}

#[test]
fn words_of_the_system_stay_in_their_place_as_the_users() {
    check_turns(
        [user(r#""a""#), system(r#""b\n""#), user(r#""c""#)],
        concat!(
            r#"{"role":"user","content":[{"type":"text","text":"a"},"#,
            r#"{"type":"text","text":"<system>\nb\n\n</system>"},{"type":"text","text":"c"}]}"#,
        ),
    );
    let marked = Block {
        cache: Some(br#"{"type":"ephemeral"}"#),
        ..text(r#""c""#)
    };
    check_turns(
        [
            user(r#""a""#),
            turn(Speaker::Assistant, [text(r#""x""#)]),
            turn(Speaker::System, [text(r#""b""#), marked]),
        ],
        concat!(
            r#"{"role":"user","content":"a"},{"role":"assistant","content":"x"},"#,
            r#"{"role":"user","content":[{"type":"text","text":"<system>\nb\nc\n</system>","#,
            r#""cache_control":{"type":"ephemeral"}}]}"#,
        ),
    );
}

#[test]
fn results_stay_right_behind_their_calls() {
    check_turns(
        [
            turn(Speaker::Assistant, [call()]),
            system(r#""b""#),
            turn(
                Speaker::User,
                [text(r#""c""#), result(Said::Text(Cow::Borrowed(br#""r""#)))],
            ),
        ],
        concat!(
            r#"{"role":"assistant","content":["#,
            r#"{"type":"tool_use","id":"a","name":"f","input":{}}]},"#,
            r#"{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":"r"},"#,
            r#"{"type":"text","text":"<system>\nb\n</system>"},{"type":"text","text":"c"}]}"#,
        ),
    );
}

#[test]
fn only_thoughts_with_the_apis_own_signature_are_sent() {
    let own = Some(r#""infermux.reasoning""#);
    check_turns(
        [
            user(r#""a""#),
            turn(
                Speaker::Assistant,
                [thought(Some(r#""EqQB""#)), thought(own), text(r#""b""#)],
            ),
        ],
        concat!(
            r#"{"role":"user","content":"a"},{"role":"assistant","content":["#,
            r#"{"type":"thinking","thinking":"hm","signature":"EqQB"},"#,
            r#"{"type":"text","text":"b"}]}"#,
        ),
    );
    // A turn of which nothing is left joins its neighbours.
    check_turns(
        [
            user(r#""a""#),
            turn(Speaker::Assistant, [thought(None), thought(own)]),
            user(r#""b""#),
        ],
        concat!(
            r#"{"role":"user","content":[{"type":"text","text":"a"},"#,
            r#"{"type":"text","text":"b"}]}"#,
        ),
    );
    // A model that does not think has no thoughts.
    let prompt = of_turns([
        user(r#""a""#),
        turn(
            Speaker::Assistant,
            [thought(Some(r#""EqQB""#)), text(r#""b""#)],
        ),
    ]);
    check(
        prompt,
        "MiniMax-M2",
        r#""messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]"#,
    );
}

#[test]
fn failed_results_and_documents_keep_what_they_say() {
    let failed = Block {
        cache: Some(b"{}"),
        ..Block::new(Content::ToolResult {
            id: Cow::Borrowed("a"),
            said: Said::Text(Cow::Borrowed(br#""r""#)),
            is_error: true,
        })
    };
    let document = |source| {
        Block::new(Content::Document {
            source,
            title: Some(br#""t""#),
            context: Some(br#""c""#),
        })
    };
    let picture = Block::new(Content::Image(Source::Url(br#""https://a""#), None));
    let said = Source::Blocks(vec![text(r#""d""#), picture]);
    check_turns(
        [turn(
            Speaker::User,
            [
                document(said),
                document(Source::Url(br#""https://b""#)),
                failed,
            ],
        )],
        concat!(
            r#"{"role":"user","content":["#,
            r#"{"type":"tool_result","tool_use_id":"a","content":"r","is_error":true,"#,
            r#""cache_control":{}},"#,
            r#"{"type":"document","source":{"type":"content","content":["#,
            r#"{"type":"text","text":"d"},"#,
            r#"{"type":"image","source":{"type":"url","url":"https://a"}}]},"#,
            r#""title":"t","context":"c"},"#,
            r#"{"type":"document","source":{"type":"url","url":"https://b"},"#,
            r#""title":"t","context":"c"}]}"#,
        ),
    );
}

#[test]
fn files_that_the_api_does_not_take_are_refused_wherever_they_stand() {
    let source = |media_type| Source::Base64 {
        media_type: Cow::Borrowed(media_type),
        data: Cow::Borrowed("QUJD"),
    };
    let picture = || Block {
        place: "input[3].output[1]".to_owned(),
        ..Block::new(Content::Image(source("image/heic"), None))
    };
    let document = Block {
        place: "input[3].output[1]".to_owned(),
        ..Block::new(Content::Document {
            source: source("application/msword"),
            title: None,
            context: None,
        })
    };
    let nested = Block::new(Content::Document {
        source: Source::Blocks(vec![picture()]),
        title: None,
        context: None,
    });
    for block in [
        picture(),
        document,
        result(Said::Blocks(vec![text(r#""a""#), nested])),
    ] {
        let prompt = of_turns([turn(Speaker::User, [block])]);
        let fault = written(prompt, "claude-opus-4-5").unwrap_err();
        assert_eq!(fault.place, "input[3].output[1]");
    }
}

#[test]
fn a_budget_is_sent_as_the_model_takes_it() {
    for (model, budget, expected) in [
        ("claude-3-5-haiku-latest", 2_000, ""),
        (
            "claude-opus-4-5",
            2_000,
            r#","thinking":{"type":"enabled","budget_tokens":2000}"#,
        ),
        (
            "claude-opus-4-5",
            5,
            r#","thinking":{"type":"enabled","budget_tokens":1024}"#,
        ),
        (
            "claude-opus-4-5",
            u64::MAX,
            r#","thinking":{"type":"enabled","budget_tokens":4095}"#,
        ),
        (
            "claude-opus-4-6",
            2_047,
            concat!(
                r#","thinking":{"type":"adaptive","display":"summarized"},"#,
                r#""output_config":{"effort":"low"}"#
            ),
        ),
        (
            "claude-opus-4-8",
            64_000,
            concat!(
                r#","thinking":{"type":"adaptive","display":"summarized"},"#,
                r#""output_config":{"effort":"high"}"#
            ),
        ),
    ] {
        let prompt = Prompt {
            thinking: Thinking::Budget(budget),
            ..of_turns([user(r#""a""#)])
        };
        let expected = format!(r#""messages":[{{"role":"user","content":"a"}}]{expected}"#);
        check(prompt, model, &expected);
    }
    let prompt = Prompt {
        thinking: Thinking::Off,
        ..of_turns([user(r#""a""#)])
    };
    let messages = r#""messages":[{"role":"user","content":"a"}]"#;
    check(prompt, "claude-opus-4-5", messages);
}

#[test]
fn a_turn_that_goes_on_may_think_if_it_has_thought() {
    let prompt = |first: Option<Block<'static>>| Prompt {
        thinking: Thinking::Budget(1_024),
        ..of_turns([
            user(r#""a""#),
            Turn {
                speaker: Speaker::Assistant,
                blocks: first.into_iter().chain([call()]).collect(),
            },
            turn(
                Speaker::User,
                [result(Said::Text(Cow::Borrowed(br#""r""#)))],
            ),
        ])
    };
    for (first, is_on) in [
        (Some(thought(Some(r#""EqQB""#))), true),
        (Some(thought(Some(r#""infermux.reasoning""#))), false),
        (None, false),
    ] {
        let body = written(prompt(first), "claude-opus-4-5").unwrap();
        assert_eq!(body.contains("budget_tokens"), is_on, "{body}");
    }
}

#[test]
fn what_is_sent_is_told() {
    let tool = || Tool {
        name: Cow::Borrowed(br#""f""#),
        description: None,
        parameters: None,
        is_strict: false,
        cache: None,
    };
    let sent = |prompt: Prompt<'_>| {
        let upstream = Upstream {
            model: "claude-opus-4-7",
            is_streamed: true,
        };
        write(prompt, upstream, &mut Vec::new()).unwrap()
    };
    let all = sent(Prompt {
        tools: vec![tool()],
        choice: Some(Choice::Auto),
        temperature: Some(b"0"),
        top_p: Some(b"0"),
        stop: vec![br#""x""#],
        user: Some(Cow::Borrowed("u")),
        thinking: Thinking::Budget(1),
        ..of_turns([user(r#""a""#)])
    });
    let expected = Sent::default()
        .with(Parameter::Choice, true)
        .with(Parameter::Thinking, true)
        .with(Parameter::User, true)
        .with(Parameter::Stop, true);
    assert_eq!(all, expected);
    // Nobody has asked for the choice that calls of the history need.
    let none = sent(of_turns([
        turn(Speaker::Assistant, [call()]),
        user(r#""a""#),
    ]));
    assert_eq!(none, Sent::default());
}
