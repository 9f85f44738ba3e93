//! Overflows in their providers' own words, and other errors that look like them.

use serde_json::json;

use super::*;

/// The words of each row, and a whole message of a provider that says them.
const SAMPLES: [(&str, &str); WORDS.len()] = [
    (
        "maximum context length",
        "This model's maximum context length is 128000 tokens. However, your messages resulted in \
         173172 tokens. Please shorten them.",
    ),
    (
        "context window",
        "Your input exceeds the context window of this model. Please adjust your input and try \
         again.",
    ),
    (
        "input tokens exceed the configured limit",
        "Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in \
         289650 tokens.",
    ),
    (
        "prompt is too long",
        "prompt is too long: 208732 tokens > 200000 maximum",
    ),
    (
        "exceed context limit",
        "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease \
         input length or `max_tokens` and try again",
    ),
    (
        "input is too long",
        "Input is too long for requested model.",
    ),
    (
        "exceeds the available context size",
        "the request exceeds the available context size. try increasing the context size or \
         enable context shift",
    ),
    (
        "context the overflows",
        "Trying to keep the first 10136 tokens when context the overflows. However, the model is \
         loaded with context length of only 7866 tokens, which is not enough.",
    ),
    (
        "greater than the context length",
        "The number of tokens to keep from the initial prompt is greater than the context length. \
         Try to load the model with a larger context length, or provide a shorter input",
    ),
    (
        "longer than the maximum model length",
        "The decoder prompt (length 21535) is longer than the maximum model length of 16384. Make \
         sure that `max_model_len` is no smaller than the number of text tokens.",
    ),
    (
        "longer than the model's context length",
        "The input (20000 tokens) is longer than the model's context length (8192 tokens).",
    ),
    (
        "reduce the length of the messages",
        "Please reduce the length of the messages or completion. Current length is 42328 while \
         limit is 40000",
    ),
    (
        "exceeds the maximum number of tokens allowed",
        "The input token count (1200293) exceeds the maximum number of tokens allowed (1048576).",
    ),
    (
        "exceeded max context length",
        "prompt too long; exceeded max context length by 17 tokens (ref: 0)",
    ),
    (
        "exceeds the context length",
        "the input length exceeds the context length",
    ),
    (
        "maximum prompt length",
        "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
    ),
    (
        "`inputs` tokens + `max_new_tokens` must be",
        "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4097. Given: 5000 \
         `inputs` tokens and 512 `max_new_tokens`",
    ),
    (
        "exceeded model token limit",
        "Invalid request: Your request exceeded model token limit: 262144 (requested: 300000)",
    ),
    (
        "contextwindowexceedederror",
        "litellm.ContextWindowExceededError: litellm.BadRequestError: AnthropicError - \
         b'{\"type\":\"error\"}'",
    ),
];

#[test]
fn each_row_knows_the_words_of_its_provider_and_no_other_row_does() {
    for (place, (words, message)) in SAMPLES.iter().enumerate() {
        assert_eq!(WORDS[place], *words);
        let message = Some(Cow::Borrowed(*message));
        assert!(is_said(&message, &WORDS), "{words}");
        let others: Vec<&str> = WORDS.iter().copied().filter(|row| row != words).collect();
        assert!(!is_said(&message, &others), "{words}: {message:?}");
    }
}

#[track_caller]
fn check(error: &serde_json::Value, expected: bool) {
    let body = json!({"error": error}).to_string();
    assert_eq!(
        is_told(&ProviderError::read(body.as_bytes())),
        expected,
        "{error}"
    );
}

#[test]
fn the_same_words_in_other_sentences_are_known() {
    for message in [
        // Azure and vLLM, before and after its version 0.10.
        "This model's maximum context length is 16384 tokens. However, you requested 19591 tokens \
         (9591 in the messages, 10000 in the completion). Please reduce the length.",
        "This model's maximum context length is 128000 tokens. However, you requested 65535 output \
         tokens and your prompt contains at least 62466 input tokens, for a total of at least \
         128001 tokens.",
        "'max_tokens' or 'max_completion_tokens' is too large: 5000. This model's maximum context \
         length is 4096 tokens and your request has 100 input tokens",
        "Input length (265330) exceeds model's maximum context length (262144).",
        // SGLang.
        "Requested token count exceeds the model's maximum context length of 131072 tokens. You \
         requested a total of 140000 tokens",
        // Mistral.
        "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum \
         context length",
        // OpenRouter.
        "This endpoint's maximum context length is 200000 tokens. However, you requested about \
         210000 tokens",
        // Anthropic, with status 413.
        "Request size exceeds model context window",
        // llama.cpp, newer.
        "request (20000 tokens) exceeds the available context size (4096 tokens), try more",
        // llama-cpp-python.
        "Requested tokens (85) exceed context window of 2048",
        // MiniMax.
        "invalid params, context window exceeds limit (2013)",
        // Fireworks.
        "The prompt is too long: 221782, model maximum: 202752",
    ] {
        check(&json!({"message": message}), true);
    }
}

#[test]
fn each_code_is_known_wherever_it_stands() {
    for name in NAMES {
        check(&json!({"message": "x", "code": name}), true);
        check(&json!({"type": name}), true);
        let inner = json!({"code": "400", "innererror": {"code": name.to_uppercase()}});
        check(&inner, true);
        // The name of what is at fault is not.
        check(&json!({"message": "x", "param": name}), false);
    }
}

#[test]
fn other_limits_and_quoted_words_are_not_taken_for_it() {
    for error in [
        // Bytes, not tokens.
        json!({"type": "request_too_large", "message": "Request exceeds the maximum size"}),
        json!({"type": "request_too_large", "message": "the prompt is too long"}),
        json!({"message": "Invalid 'messages[0].content': string too long. Expected a string with \
            maximum length 10485760, but got a string with length 10485761 instead.",
            "code": "string_above_max_length"}),
        // Tokens per minute.
        json!({"message": "Request too large for model `m` in organization `o` on tokens per \
            minute (TPM): Limit 6000, Requested 14368, please reduce your message size.",
            "type": "tokens", "code": "rate_limit_exceeded"}),
        json!({"message": "please reduce the length of the messages", "type": "tokens"}),
        // The answer alone.
        json!({"message": "max_tokens is too large: 200000. This model supports at most 16384 \
            completion tokens, whereas you provided 200000."}),
        // The caller's words.
        json!({"message": "Invalid value: 'prompt is too long'. Supported values are: 'user'."}),
        json!({"message": "no tool `the prompt is too long`"}),
        json!({"message": "Unknown role \"a maximum context length of 2"}),
        json!({"message": format!("{} prompt is too long", "x".repeat(LOOKED_AT))}),
        json!({"message": {"a": "prompt is too long"}}),
        json!({}),
    ] {
        check(&error, false);
    }
}

#[test]
fn what_is_quoted_is_left_out_and_names_stay() {
    for (text, expected) in [
        ("", ""),
        ("the model's end", "the model's end"),
        ("a 'b c' d", "a  d"),
        ("a `b` \"c\" 'd'", "a `b` \"c\" 'd'"),
        ("a \"b c", "a "),
        ("'a b'é\"ü\"", "é\"ü\""),
    ] {
        assert_eq!(without_quotes(text), expected, "{text}");
    }
}
