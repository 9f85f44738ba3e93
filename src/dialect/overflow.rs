//! How providers say that a prompt is longer than their model's window.
//!
//! A code is believed wherever it stands. A sentence is believed only at the beginning of an error,
//! and not where it stands between quotation marks: either may be the caller's own text.

use std::borrow::Cow;

use crate::wire::provider_error::ProviderError;

/// Whether the error says so by its type or code.
#[must_use]
pub fn is_named(error: &ProviderError<'_>) -> bool {
    has_name(error, &NAMES)
}

/// Whether the error says so by its type, its code or its words.
#[must_use]
pub fn is_told(error: &ProviderError<'_>) -> bool {
    is_named(error) || (!has_name(error, &OTHER_LIMITS) && is_said(&error.message, &WORDS))
}

fn has_name(error: &ProviderError<'_>, known: &[&str]) -> bool {
    let mut names = error.names();
    names.any(|name| known.iter().any(|known| known.eq_ignore_ascii_case(name)))
}

fn is_said(message: &Option<Cow<'_, str>>, words: &[&str]) -> bool {
    let message = message.as_deref().unwrap_or_default();
    let said = without_quotes(beginning(message.trim_start())).to_ascii_lowercase();
    words.iter().any(|words| said.contains(words))
}

/// The beginning of a message, which is all that is believed of it.
#[must_use]
pub fn beginning(message: &str) -> &str {
    let mut end = message.len().min(LOOKED_AT);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    message.get(..end).unwrap_or_default()
}

/// The text without what is quoted in it; a quoted name, which has no spaces, stays.
fn without_quotes(text: &str) -> String {
    let (mut rest, mut kept) = (text, String::with_capacity(text.len()));
    while let Some(opening) = rest.find(['"', '`', '\'']) {
        let (before, quoted) = rest.split_at(opening);
        let (mark, inside) = quoted.split_at(1);
        kept.push_str(before);
        // The apostrophe in `model's` quotes nothing.
        if mark == "'" && before.ends_with(char::is_alphanumeric) {
            kept.push('\'');
            rest = inside;
            continue;
        }
        // What has no closing mark is quoted to the end.
        let end = inside.find(mark).unwrap_or(inside.len());
        let (name, behind) = inside.split_at(end);
        if !name.contains(char::is_whitespace) {
            kept.extend([mark, name, mark]);
        }
        rest = behind.strip_prefix(mark).unwrap_or_default();
    }
    kept.push_str(rest);
    kept
}

/// Length of the beginning of a message that is looked at, in bytes.
const LOOKED_AT: usize = 300;

/// Types and codes of a prompt that is longer than the model's window: OpenAI's and Azure's (also
/// of their Responses), Groq's and Cerebras'; llama.cpp's (its pull request 15780); LiteLLM's;
/// Z.ai's.
const NAMES: [&str; 4] = [
    "context_length_exceeded",
    "exceed_context_size_error",
    "context_window_exceeded",
    "model_context_window_exceeded",
];

/// Types and codes of other limits, whatever the message says: bytes of a request (Anthropic's 413,
/// of its page about errors) and tokens per minute (Groq's 413: continuedev/continue issue 10218).
const OTHER_LIMITS: [&str; 3] = ["request_too_large", "rate_limit_exceeded", "tokens"];

/// Words about the window, in lower case, each with those who say them.
const WORDS: [&str; 19] = [
    // OpenAI, Azure (langchain-ai/langchain issue 24058), DeepSeek, vLLM (its issues 20409 and
    // 42474), SGLang and OpenRouter, with the number of tokens before or behind it; Mistral
    // ("too large for model with 32768 maximum context length").
    "maximum context length",
    // OpenAI's Responses (openai/codex issue 19269), Anthropic's 413 (anthropics/claude-code issue
    // 6380), llama-cpp-python (its issue 462), MiniMax.
    "context window",
    // OpenAI and Azure for GPT-5 (cline/cline issue 5474).
    "input tokens exceed the configured limit",
    // Anthropic (RooCodeInc/Roo-Code issue 5816), Vertex AI, Fireworks.
    "prompt is too long",
    // Anthropic, of prompt and answer together (its page about context windows).
    "exceed context limit",
    // Amazon Bedrock.
    "input is too long",
    // llama.cpp (oobabooga/textgen issue 7257).
    "exceeds the available context size",
    // LM Studio (cline/cline issue 3664).
    "context the overflows",
    "greater than the context length",
    // vLLM (xorbitsai/inference issue 3785, OpenBMB/MiniCPM-V issue 1048).
    "longer than the maximum model length",
    // SGLang, and Together, which runs it.
    "longer than the model's context length",
    // Groq (OpenHands/OpenHands issue 1902), Cerebras (cline/cline issue 5140).
    "reduce the length of the messages",
    // Gemini, its OpenAI endpoint included (google-gemini/gemini-cli issue 6678).
    "exceeds the maximum number of tokens allowed",
    // Ollama: its cloud, and its own server for requests that it may not cut.
    "exceeded max context length",
    "exceeds the context length",
    // xAI.
    "maximum prompt length",
    // Text Generation Inference and Together.
    "`inputs` tokens + `max_new_tokens` must be",
    // Moonshot's Kimi.
    "exceeded model token limit",
    // A LiteLLM proxy, in front of whatever its provider says (kortix-ai/suna issue 217).
    "contextwindowexceedederror",
];

#[cfg(test)]
#[path = "overflow_tests.rs"]
mod tests;
