//! What the body of a Responses request asks for.

use serde_json::{Map, Value, json};

use crate::ask::{Ask, Offered, called_tool, text_of};

/// The items that the value of `input` stands for: a text is one message of the user's.
pub(crate) fn items_of(input: Option<&Value>) -> Vec<Value> {
    match input {
        Some(Value::Array(items)) => items.clone(),
        Some(Value::String(text)) => vec![json!({"role": "user", "content": text})],
        _ => Vec::new(),
    }
}

impl Ask {
    /// Reads a body whose `input` is a list of items, earlier ones included.
    pub(crate) fn read_response(&mut self, body: &Value) {
        let flag = |key, usual| body.get(key).and_then(Value::as_bool).unwrap_or(usual);
        self.keep = flag("store", true);
        self.background = flag("background", false);
        let include = body.get("include").and_then(Value::as_array);
        self.encrypts = include
            .into_iter()
            .flatten()
            .any(|what| what == "reasoning.encrypted_content");
        self.max_tokens = body
            .get("max_output_tokens")
            .and_then(Value::as_u64)
            .map(|count| usize::try_from(count).unwrap_or(usize::MAX));
        self.said = body.as_object().cloned().unwrap_or_default();
        self.said.remove("input");
        self.characters += length(body.get("instructions"));
        self.offer(body.get("tools"));
        let mut calling = false;
        self.items = items_of(body.get("input"));
        for item in self.items.clone() {
            self.read_item(&item, &mut calling);
        }
        self.tool = self.wanted(body.get("tool_choice"));
    }

    /// Reads one item; `calling` is whether the item before it was a call.
    fn read_item(&mut self, item: &Value, calling: &mut bool) {
        let kind = item
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or("message");
        let is_call = matches!(kind, "function_call" | "custom_tool_call");
        self.call_turns += usize::from(is_call && !*calling);
        *calling = is_call;
        for key in ["content", "arguments", "input", "output"] {
            self.characters += length(item.get(key));
        }
        self.offer(item.get("tools"));
        if item.get("role").and_then(Value::as_str) == Some("user") {
            self.last_user = item.get("content").map_or_else(String::new, text_of);
        }
    }

    /// Takes over the tools of a list, and those of its namespaces.
    fn offer(&mut self, tools: Option<&Value>) {
        for tool in tools.and_then(Value::as_array).into_iter().flatten() {
            let Some(name) = tool.get("name").and_then(Value::as_str) else {
                continue;
            };
            if tool.get("type").and_then(Value::as_str) != Some("namespace") {
                self.offer_one(tool, name, None);
                continue;
            }
            for member in tool
                .get("tools")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                if let Some(own) = member.get("name").and_then(Value::as_str) {
                    self.offer_one(member, own, Some(name));
                }
            }
        }
    }

    fn offer_one(&mut self, tool: &Value, name: &str, namespace: Option<&str>) {
        let joined = match namespace {
            Some(space) => format!("{}__{name}", space.trim_end_matches('_')),
            None => name.to_owned(),
        };
        let offered = Offered {
            name: name.to_owned(),
            namespace: namespace.map(str::to_owned),
            is_custom: tool.get("type").and_then(Value::as_str) == Some("custom"),
        };
        self.offered.push(joined.clone());
        self.kinds.insert(joined, offered);
    }

    fn wanted(&self, choice: Option<&Value>) -> Option<String> {
        let first = self.offered.first()?;
        match choice {
            Some(Value::String(mode)) if mode == "none" => None,
            Some(Value::String(mode)) if mode == "required" => Some(first.clone()),
            Some(Value::Object(choice)) => named(choice).or_else(|| called_tool(&self.last_user)),
            _ => called_tool(&self.last_user),
        }
    }
}

/// The tool that a choice names.
fn named(choice: &Map<String, Value>) -> Option<String> {
    Some(choice.get("name")?.as_str()?.to_owned())
}

fn length(text: Option<&Value>) -> usize {
    text.map_or(0, |text| text_of(text).chars().count())
}
