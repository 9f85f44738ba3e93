//! What is said of single models, and what a provider is sent in place of what the caller wrote.

use serde_json::json;

use crate::support::client::Client;
use crate::support::router::Router;
use crate::support::{config_with, last_seen, mock};

#[test]
fn a_model_has_settings_of_its_own() {
    let alpha = mock(json!({"name": "alpha"}));
    let models = "models: [plain, {name: long, max_output_tokens: 50, context_window: 4096}, \
                  {name: 'x-*', max_output_tokens: 40}, {name: brief, max_output_tokens: 7}]";
    let aliases = "model_aliases: {brief: long, other: long}";
    let router = Router::start(&config_with(&alpha, &[models, aliases]));
    let mut client = Client::connect(router.addr());
    for (asked, served, most) in [
        ("plain", "plain", 64),
        ("long", "long", 50),
        ("other", "long", 50),
        ("brief", "long", 7),
        ("x-1", "x-1", 40),
    ] {
        let body = json!({"model": asked, "max_tokens": 64, "messages": [
            {"role": "user", "content": "hello"},
        ]});
        client.post("/v1/messages", &body.to_string());
        let answer = client.answer();
        assert_eq!(answer.status, 200, "{}", answer.text());
        let seen = &last_seen(&alpha)["body"];
        assert_eq!(
            (&seen["model"], &seen["max_tokens"]),
            (&json!(served), &json!(most)),
            "{asked}"
        );
    }
}
