//! The keys of those who are told at once when something is wrong.

use crate::config::raw::kinds::{Fallback, Key, Kind, TextKind, key};

use Fallback::{Nothing, Required, Rule, Value};
use Kind::{Blocks, Text, Word, Words};
use TextKind::Secret;

#[rustfmt::skip]
pub(super) const KEYS: &[Key] = &[
    key("", "webhooks", Blocks("webhooks[]"), Nothing,
        "Who is told at once, by HTTP, when something is wrong, and when it is right again."),

    key("webhooks[]", "url", Text(Secret), Required,
        "Where notices are posted. All of it but the host is a secret. Where its host is a name of \
            the public internet, no private address behind that name is connected to."),
    key("webhooks[]", "secret", Text(Secret), Rule("required where `format` is `json`"),
        "What notices are signed with, in `X-Infermux-Signature`."),
    key("webhooks[]", "events", Words(&["budget", "circuit", "provider_down",
        "state_not_written", "unpriced", "shared_state"]), Rule("all"),
        "What is told."),
    key("webhooks[]", "format", Word(&["json", "slack"]), Value("json"),
        "`json`: for programs. `slack`: a message for Slack's incoming webhooks, and others that \
            take the same."),
];
