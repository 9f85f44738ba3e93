//! Tools, and which of them must or may be called (rules B6 and B8).

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::Display;

use super::items::Added;
use super::naming::{Called, Naming};
use crate::dialect::compose::between_quotes;
use crate::dialect::fields;
use crate::dialect::names::ToolKind;
use crate::dialect::prompt::{Choice, Tool};
use crate::dialect::unsent::Given;
use crate::dialect::unsupported::Unsupported;
use crate::wire::json::{Kind, Value};

/// The tools of a request.
#[derive(Default)]
pub(super) struct Tools<'a> {
    /// Those that the model may call.
    pub(super) all: Vec<Tool<'a>>,
    /// The namespace of each of them.
    namespaces: Vec<Option<Value<'a>>>,
    /// Where the first tool stands that only its vendor has and that was left out.
    hosted: Option<String>,
}

/// The members of a tool that are known.
struct Members<'a> {
    kind: Value<'a>,
    name: Option<Value<'a>>,
    description: Option<Value<'a>>,
    parameters: Option<Value<'a>>,
    strict: Option<Value<'a>>,
    format: Option<Value<'a>>,
    tools: Option<Value<'a>>,
    callers: Option<Value<'a>>,
}

impl<'a> Tools<'a> {
    /// Reads `tools`, and behind them those that items of the input have `added`.
    pub(super) fn read(
        &mut self,
        tools: Option<Value<'a>>,
        added: &[Added<'a>],
        naming: &mut Naming<'a>,
        given: &mut Given,
    ) -> Result<(), Unsupported> {
        if let Some(tools) = tools {
            self.read_list(&tools, naming, given, &"tools")?;
        }
        for one in added {
            let place = format!("input[{}].tools", one.item);
            self.read_list(&one.tools, naming, given, &place)?;
        }
        match self.hosted.take() {
            // Who sends nothing else wants just that.
            Some(place) if self.all.is_empty() => Err(Unsupported::new(
                &place,
                "is a tool that only its vendor has",
            )),
            Some(_) | None => Ok(()),
        }
    }

    fn read_list(
        &mut self,
        list: &Value<'a>,
        naming: &mut Naming<'a>,
        given: &mut Given,
        place: &dyn Display,
    ) -> Result<(), Unsupported> {
        let list = fields::list(list).map_err(|fault| fault.within(place))?;
        for (index, tool) in list.iter().enumerate() {
            let read = self.read_tool(tool, naming, given).map_err(|fault| {
                let place = format!("{place}[{index}]");
                fault.within(place)
            })?;
            if let Found::Hosted = read {
                self.hosted
                    .get_or_insert_with(|| format!("{place}[{index}].type"));
            }
        }
        Ok(())
    }

    fn read_tool(
        &mut self,
        tool: &Value<'a>,
        naming: &mut Naming<'a>,
        given: &mut Given,
    ) -> Result<Found, Unsupported> {
        let members = Members::read(tool)?;
        let kind = members.kind.word();
        if *kind == *b"namespace" {
            let namespace = fields::required(members.name, ".name")?;
            let inner = members.tools.map(|tools| fields::list(&tools)).transpose();
            let inner = inner.map_err(|fault| fault.within(".tools"))?;
            for (index, tool) in inner.into_iter().flatten().enumerate() {
                Members::read(&tool)
                    .and_then(|members| self.offer(&members, Some(namespace), naming, given))
                    .map_err(|fault| fault.within(format_args!(".tools[{index}]")))?;
            }
            return Ok(Found::Offered);
        }
        match hosted(&kind) {
            Some(name) => {
                given.lose(name);
                Ok(Found::Hosted)
            }
            None => self.offer(&members, None, naming, given),
        }
    }

    /// Offers a function or a custom tool to the model, unless it is there, or must not be called.
    fn offer(
        &mut self,
        members: &Members<'a>,
        namespace: Option<Value<'a>>,
        naming: &mut Naming<'a>,
        given: &mut Given,
    ) -> Result<Found, Unsupported> {
        let kind = match &*members.kind.word() {
            b"function" => ToolKind::Function,
            b"custom" => ToolKind::Custom,
            _ => return Err(Unsupported::new(".type", "cannot be expressed")),
        };
        let name = fields::required(members.name, ".name")?;
        let tool = match kind {
            ToolKind::Function => members.function()?,
            ToolKind::Custom => members.custom()?,
        };
        if !members.is_for_the_model()? {
            given.lose("allowed_callers");
            return Ok(Found::Offered);
        }
        let called = Called {
            namespace,
            name,
            kind,
        };
        if let Some(name) = naming.offer(called) {
            self.all.push(Tool { name, ..tool });
            self.namespaces.push(namespace);
        }
        Ok(Found::Offered)
    }

    /// Reads `tool_choice`; if it allows only some tools, the others are removed.
    pub(super) fn choose(
        &mut self,
        choice: Option<Value<'a>>,
        naming: &mut Naming<'a>,
    ) -> Result<Option<Choice<'a>>, Unsupported> {
        let Some(choice) = choice else {
            return Ok(None);
        };
        let choice = self
            .read_choice(&choice, naming)
            .map_err(|fault| fault.within("tool_choice"))?;
        Ok(Some(choice).filter(|_| !self.all.is_empty()))
    }

    fn read_choice(
        &mut self,
        choice: &Value<'a>,
        naming: &mut Naming<'a>,
    ) -> Result<Choice<'a>, Unsupported> {
        if choice.kind == Kind::String {
            return mode(choice);
        }
        let names = ["type", "name", "namespace", "mode", "tools"];
        let [kind, name, namespace, how, allowed] = fields::read(choice, names)?;
        let kind = fields::required(kind, ".type")?;
        if let Some(kind) = tool_kind(&kind) {
            return Ok(Choice::Tool(naming.of(Called {
                namespace: optional(namespace, ".namespace")?,
                name: fields::required(name, ".name")?,
                kind,
            })));
        }
        if !kind.says("allowed_tools") {
            return Err(Unsupported::new(".type", "cannot be expressed"));
        }
        let how = match how {
            Some(how) => mode(&how).map_err(|fault| fault.within(".mode"))?,
            None => Choice::Auto,
        };
        let allowed = allowed.ok_or_else(|| Unsupported::new(".tools", "is missing"))?;
        let allowed = fields::list(&allowed).map_err(|fault| fault.within(".tools"))?;
        self.retain(&allowed, naming)?;
        Ok(how)
    }

    /// Removes all tools that are not `allowed`.
    fn retain(
        &mut self,
        allowed: &[Value<'a>],
        naming: &mut Naming<'a>,
    ) -> Result<(), Unsupported> {
        let (mut sent, mut groups) = (HashSet::new(), HashSet::new());
        for (index, one) in allowed.iter().enumerate() {
            let within = |fault: Unsupported| fault.within(format_args!(".tools[{index}]"));
            let [kind, name, namespace] =
                fields::read(one, ["type", "name", "namespace"]).map_err(within)?;
            let kind = fields::required(kind, ".type").map_err(within)?;
            if let Some(kind) = tool_kind(&kind) {
                let called = Called {
                    namespace: optional(namespace, ".namespace").map_err(within)?,
                    name: fields::required(name, ".name").map_err(within)?,
                    kind,
                };
                sent.insert(naming.of(called));
            } else if kind.says("namespace") {
                groups.insert(fields::required(name, ".name").map_err(within)?.word());
            }
        }
        let mut namespaces = std::mem::take(&mut self.namespaces).into_iter();
        self.all.retain(|tool| {
            let group = namespaces.next().flatten().map(|group| group.word());
            group.is_some_and(|group| groups.contains(&group)) || sent.contains(&tool.name)
        });
        // A request without any tools would mean something else.
        if self.all.is_empty() {
            return Err(Unsupported::new(".tools", "names no tool of the request"));
        }
        Ok(())
    }
}

/// What a tool of the caller's has become.
enum Found {
    /// The model may call it, or there was a reason not to offer it.
    Offered,
    /// Only its vendor has it.
    Hosted,
}

impl<'a> Members<'a> {
    fn read(tool: &Value<'a>) -> Result<Self, Unsupported> {
        let [
            kind,
            name,
            description,
            parameters,
            strict,
            format,
            tools,
            callers,
        ] = fields::read(tool, NAMES)?;
        Ok(Self {
            kind: fields::required(kind, ".type")?,
            name,
            description: optional(description, ".description")?.filter(|text| !text.is_blank()),
            parameters,
            strict,
            format,
            tools,
            callers,
        })
    }

    fn function(&self) -> Result<Tool<'a>, Unsupported> {
        let is_object = |value: Value<'_>| value.kind == Kind::Object;
        if !self.parameters.is_none_or(is_object) {
            return Err(Unsupported::new(".parameters", "is not an object"));
        }
        Ok(Tool {
            name: Cow::Borrowed(b""),
            description: self.description.map(|text| Cow::Borrowed(text.text)),
            parameters: self.parameters,
            is_strict: self.strict.is_some_and(|strict| strict.kind == Kind::True),
            cache: None,
        })
    }

    /// A tool that takes a text is a function with one string; a grammar is told in words.
    fn custom(&self) -> Result<Tool<'a>, Unsupported> {
        let within = |fault: Unsupported| fault.within(".format");
        let [kind, syntax, definition] = match self.format {
            Some(format) => {
                fields::read(&format, ["type", "syntax", "definition"]).map_err(within)?
            }
            None => [None; 3],
        };
        let own = self.description.map(|text| text.text);
        let description = match kind {
            None => own.map(Cow::Borrowed),
            Some(kind) if kind.says("text") => own.map(Cow::Borrowed),
            Some(kind) if kind.says("grammar") => {
                let syntax = fields::required(syntax, ".syntax").map_err(within)?;
                let definition = fields::required(definition, ".definition").map_err(within)?;
                let text = described(own, syntax.text, definition.text);
                Some(Cow::Owned(text))
            }
            Some(_) => return Err(within(Unsupported::new(".type", "cannot be expressed"))),
        };
        Ok(Tool {
            name: Cow::Borrowed(b""),
            description,
            parameters: Some(Value {
                text: INPUT,
                at: 0,
                kind: Kind::Object,
            }),
            is_strict: false,
            cache: None,
        })
    }

    /// Whether the model itself may call the tool.
    fn is_for_the_model(&self) -> Result<bool, Unsupported> {
        let Some(callers) = self.callers else {
            return Ok(true);
        };
        let callers = fields::list(&callers).map_err(|fault| fault.within(".allowed_callers"))?;
        Ok(callers.iter().any(|caller| caller.says("direct")))
    }
}

/// The members of a tool that are read.
const NAMES: [&str; 8] = [
    "type",
    "name",
    "description",
    "parameters",
    "strict",
    "format",
    "tools",
    "allowed_callers",
];

/// The description of a tool, if it has one, and the grammar of its text; all are strings.
fn described(own: Option<&[u8]>, syntax: &[u8], definition: &[u8]) -> Vec<u8> {
    let mut text = b"\"".to_vec();
    if let Some(own) = own {
        text.extend_from_slice(between_quotes(own));
        text.extend_from_slice(b"\\n\\n");
    }
    text.extend_from_slice(b"The input must match this ");
    text.extend_from_slice(between_quotes(syntax));
    text.extend_from_slice(b" grammar:\\n");
    text.extend_from_slice(between_quotes(definition));
    text.push(b'"');
    text
}

/// The name of a kind of tool that only its vendor has, and that the model can work without.
fn hosted(kind: &[u8]) -> Option<&'static str> {
    let is_dated = |name: &[u8]| {
        let date = kind
            .strip_prefix(name)
            .and_then(|rest| rest.strip_prefix(b"_"));
        let is_date = |date: &[u8]| date.first().is_some_and(u8::is_ascii_digit);
        kind == name || date.is_some_and(is_date)
    };
    match kind {
        b"image_generation" => Some("image_generation"),
        b"tool_search" => Some("tool_search"),
        _ if is_dated(b"web_search") || is_dated(b"web_search_preview") => Some("web_search"),
        _ => None,
    }
}

fn tool_kind(kind: &Value<'_>) -> Option<ToolKind> {
    if kind.says("function") {
        Some(ToolKind::Function)
    } else {
        kind.says("custom").then_some(ToolKind::Custom)
    }
}

fn mode<'a>(choice: &Value<'_>) -> Result<Choice<'a>, Unsupported> {
    match &*choice.word() {
        b"auto" => Ok(Choice::Auto),
        b"required" => Ok(Choice::Any),
        b"none" => Ok(Choice::None),
        _ => Err(Unsupported::new("", "is not a known choice")),
    }
}

/// A member that is a string where there is one.
fn optional<'a>(value: Option<Value<'a>>, place: &str) -> Result<Option<Value<'a>>, Unsupported> {
    match value {
        None => Ok(None),
        value => fields::required(value, place).map(Some),
    }
}

/// The parameters of a function that stands for a tool that takes a text.
const INPUT: &[u8] = concat!(
    r#"{"type":"object","properties":{"input":{"type":"string","#,
    r#""description":"The raw input text of the tool, not JSON."}},"#,
    r#""required":["input"],"additionalProperties":false}"#,
)
.as_bytes();
