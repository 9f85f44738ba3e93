//! The items of a response, whole and as events.

use super::{Event, Form, quoted};

/// One item of a response.
#[derive(Debug, Default)]
pub(super) struct Item {
    pub(super) id: String,
    /// Its `output_index`.
    pub(super) place: usize,
    pub(super) kind: Kind,
    /// What a call says beside its text.
    pub(super) call: Called,
    /// What streams: text, arguments or input.
    pub(super) text: String,
}

/// The tool that a call is of.
#[derive(Debug, Default)]
pub(super) struct Called {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) namespace: Option<String>,
}

/// The type of an item.
#[derive(Debug, Default)]
pub(super) enum Kind {
    #[default]
    Message,
    /// Reasoning, and its encrypted form where it is asked for.
    Reasoning(Option<String>),
    Function,
    Custom,
}

/// How the text of an item is told.
struct Telling {
    /// The events for a piece of the text and for all of it.
    delta: &'static str,
    done: &'static str,
    /// The key of the whole text.
    key: &'static str,
    /// What the events of the text say beside item and place.
    beside: &'static str,
    /// The events around a part, where the text is one.
    part: Option<(&'static str, &'static str)>,
}

impl Kind {
    /// What the ids of such items begin with.
    pub(super) fn prefix(&self) -> &'static str {
        match self {
            Self::Message => "msg",
            Self::Reasoning(_) => "rs",
            Self::Function => "fc",
            Self::Custom => "ctc",
        }
    }

    fn telling(&self) -> Telling {
        match self {
            Self::Message => Telling {
                delta: "response.output_text.delta",
                done: "response.output_text.done",
                key: "text",
                beside: ",\"content_index\":0",
                part: Some(("response.content_part.added", "response.content_part.done")),
            },
            Self::Reasoning(_) => Telling {
                delta: "response.reasoning_summary_text.delta",
                done: "response.reasoning_summary_text.done",
                key: "text",
                beside: ",\"summary_index\":0",
                part: Some((
                    "response.reasoning_summary_part.added",
                    "response.reasoning_summary_part.done",
                )),
            },
            Self::Function => Telling {
                delta: "response.function_call_arguments.delta",
                done: "response.function_call_arguments.done",
                key: "arguments",
                beside: "",
                part: None,
            },
            Self::Custom => Telling {
                delta: "response.custom_tool_call_input.delta",
                done: "response.custom_tool_call_input.done",
                key: "input",
                beside: "",
                part: None,
            },
        }
    }

    /// The part of such an item that is its text.
    fn part(&self, text: &str) -> String {
        let text = quoted(text);
        match self {
            Self::Reasoning(_) => format!("{{\"type\":\"summary_text\",\"text\":{text}}}"),
            Self::Message | Self::Function | Self::Custom => format!(
                "{{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":[],\"text\":{text}}}"
            ),
        }
    }
}

impl Item {
    /// The item as JSON, as far as `text` has come.
    pub(super) fn json(&self, status: &str, text: &str) -> String {
        let id = &self.id;
        let parts = if text.is_empty() && status == "in_progress" {
            String::new()
        } else {
            self.kind.part(text)
        };
        let call_id = &self.call.id;
        let namespace = self
            .call
            .namespace
            .as_ref()
            .map_or_else(String::new, |namespace| {
                format!(",\"namespace\":{}", quoted(namespace))
            });
        let name = quoted(&self.call.name);
        match &self.kind {
            Kind::Message => format!(
                "{{\"id\":\"{id}\",\"type\":\"message\",\"status\":\"{status}\",\
                 \"content\":[{parts}],\"role\":\"assistant\"}}"
            ),
            Kind::Reasoning(sealed) => {
                let sealed = sealed.as_ref().map_or_else(String::new, |sealed| {
                    format!(",\"encrypted_content\":\"{sealed}\"")
                });
                format!("{{\"id\":\"{id}\",\"type\":\"reasoning\"{sealed},\"summary\":[{parts}]}}")
            }
            Kind::Function => format!(
                "{{\"id\":\"{id}\",\"type\":\"function_call\",\"status\":\"{status}\",\
                 \"arguments\":{},\"call_id\":\"{call_id}\",\"name\":{name}{namespace}}}",
                quoted(text)
            ),
            Kind::Custom => format!(
                "{{\"id\":\"{id}\",\"type\":\"custom_tool_call\",\"status\":\"{status}\",\
                 \"call_id\":\"{call_id}\",\"input\":{},\"name\":{name}{namespace}}}",
                quoted(text)
            ),
        }
    }

    /// The events in front of the text.
    pub(super) fn opening(&self) -> Vec<Event> {
        let mut events = vec![self.about("response.output_item.added", "in_progress", "")];
        if let Some((added, _)) = self.kind.telling().part {
            let part = self.kind.part("");
            events.push(self.of_text(added, &format!(",\"part\":{part}")));
        }
        events
    }

    /// The form of the events that carry the text.
    pub(super) fn form(&self) -> Form {
        let telling = self.kind.telling();
        let rest = if matches!(self.kind, Kind::Message) {
            ",\"logprobs\":[]"
        } else {
            ""
        };
        Form {
            name: Some(telling.delta),
            before: format!(
                "{{\"type\":\"{}\"{},\"delta\":",
                telling.delta,
                self.place_of(&telling)
            ),
            after: rest.to_owned(),
            pad: "obfuscation",
        }
    }

    /// The events behind the text.
    pub(super) fn closing(&self, status: &str) -> Vec<Event> {
        let telling = self.kind.telling();
        let text = quoted(&self.text);
        let named = match self.kind {
            Kind::Function => format!(",\"name\":{}", quoted(&self.call.name)),
            Kind::Message => ",\"logprobs\":[]".to_owned(),
            Kind::Reasoning(_) | Kind::Custom => String::new(),
        };
        let whole = format!(",\"{}\":{text}{named}", telling.key);
        let mut events = vec![self.of_text(telling.done, &whole)];
        if let Some((_, done)) = telling.part {
            let part = self.kind.part(&self.text);
            events.push(self.of_text(done, &format!(",\"part\":{part}")));
        }
        events.push(self.about("response.output_item.done", status, &self.text));
        events
    }

    /// All events of an item that comes at once.
    pub(super) fn whole(&self) -> Vec<Event> {
        let form = self.form();
        let delta = Event {
            name: form.name,
            data: format!("{}{}{}}}", form.before, quoted(&self.text), form.after),
        };
        let mut events = self.opening();
        events.push(delta);
        events.extend(self.closing("completed"));
        events
    }

    fn about(&self, name: &'static str, status: &str, text: &str) -> Event {
        let item = self.json(status, text);
        event(
            name,
            &format!(",\"output_index\":{},\"item\":{item}", self.place),
        )
    }

    fn of_text(&self, name: &'static str, rest: &str) -> Event {
        let place = self.place_of(&self.kind.telling());
        event(name, &format!("{place}{rest}"))
    }

    fn place_of(&self, telling: &Telling) -> String {
        format!(
            ",\"item_id\":\"{}\",\"output_index\":{}{}",
            self.id, self.place, telling.beside
        )
    }
}

/// An event whose data say its name, too.
pub(super) fn event(name: &'static str, rest: &str) -> Event {
    Event {
        name: Some(name),
        data: format!("{{\"type\":\"{name}\"{rest}}}"),
    }
}
