//! Tools: those that the request declares, and how its messages change them (rules MR2 and MR7).

use std::borrow::Cow;
use std::collections::HashMap;

use crate::dialect::fields;
use crate::dialect::prompt::{Choice, Tool};
use crate::dialect::unsupported::Unsupported;
use crate::wire::json::{Kind, Value, word};

use super::members;

/// The tools of a request while its messages are read.
#[derive(Default)]
pub(super) struct Tools<'a> {
    all: Vec<Declared<'a>>,
    /// The places of the tools by name, once a name had to be looked up.
    places: Option<HashMap<Cow<'a, [u8]>, usize>>,
    /// How many tools are deferred.
    deferred: usize,
}

struct Declared<'a> {
    tool: Tool<'a>,
    /// The tool's name, a string.
    name: &'a [u8],
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// The model may call it.
    Offered,
    /// The model does not know it until it is named.
    Deferred,
    /// It has been taken away.
    Removed,
}

/// What `tool_choice` says.
#[derive(Default)]
pub(super) struct Chosen<'a> {
    pub(super) choice: Option<Choice<'a>>,
    pub(super) is_serial: bool,
}

impl<'a> Tools<'a> {
    /// Reads `tools`.
    pub(super) fn read(list: Option<Value<'a>>) -> Result<Self, Unsupported> {
        let mut tools = Self::default();
        let Some(list) = list else {
            return Ok(tools);
        };
        let list = fields::list(&list).map_err(|fault| fault.within("tools"))?;
        tools.all.reserve_exact(list.len());
        for (index, tool) in list.iter().enumerate() {
            let declared =
                read_tool(tool).map_err(|fault| fault.within(format_args!("tools[{index}]")))?;
            tools.deferred += usize::from(declared.state == State::Deferred);
            tools.all.push(declared);
        }
        Ok(tools)
    }

    /// Notes which tool is to be called.
    pub(super) fn choose(&mut self, choice: Option<&Choice<'a>>) {
        match choice {
            Some(Choice::Tool(name)) => self.name(name),
            Some(Choice::Auto | Choice::Any | Choice::None) | None => {}
        }
    }

    /// Notes that the conversation names a tool, with its quotes: if it was deferred, the model
    /// knows it now.
    pub(super) fn name(&mut self, name: &[u8]) {
        if self.deferred == 0 {
            return;
        }
        if let Some(declared) = self.find(name)
            && declared.state == State::Deferred
        {
            declared.state = State::Offered;
            self.deferred -= 1;
        }
    }

    /// Reads the `tool` of a `tool_addition`.
    pub(super) fn add(&mut self, tool: &Value<'a>) -> Result<(), Unsupported> {
        let [kind, name, definition] = fields::read(tool, ["type", "name", "definition"])?;
        let kind = fields::required(kind, ".type")?;
        match &*kind.word() {
            b"tool_reference" => {
                let name = fields::required(name, ".name")?;
                self.set(name.text, State::Offered);
                Ok(())
            }
            b"tool_definition" => {
                let definition =
                    definition.ok_or_else(|| Unsupported::new(".definition", "is missing"))?;
                let declared =
                    read_tool(&definition).map_err(|fault| fault.within(".definition"))?;
                self.define(declared);
                Ok(())
            }
            kind if kind.starts_with(b"mcp_") => Ok(()),
            _ => Err(Unsupported::new(".type", "is not a known kind of tool")),
        }
    }

    /// Reads the `tool` of a `tool_removal`.
    pub(super) fn remove(&mut self, tool: &Value<'a>) -> Result<(), Unsupported> {
        let [name] = fields::read(tool, ["name"])?;
        if let Some(name) = name.filter(|name| name.kind == Kind::String) {
            self.set(name.text, State::Removed);
        }
        Ok(())
    }

    /// The tools that the model may call.
    pub(super) fn offered(self) -> Vec<Tool<'a>> {
        let offered = self.all.into_iter();
        offered
            .filter(|declared| declared.state == State::Offered)
            .map(|declared| declared.tool)
            .collect()
    }

    fn set(&mut self, name: &[u8], state: State) {
        if let Some(declared) = self.find(name) {
            let former = std::mem::replace(&mut declared.state, state);
            self.deferred -= usize::from(former == State::Deferred);
        }
    }

    fn define(&mut self, defined: Declared<'a>) {
        let name = defined.name;
        self.set(name, State::Offered);
        if let Some(declared) = self.find(name) {
            declared.tool = defined.tool;
            return;
        }
        if let Some(places) = &mut self.places {
            places.insert(word(name), self.all.len());
        }
        self.all.push(Declared {
            state: State::Offered,
            ..defined
        });
    }

    fn find(&mut self, name: &[u8]) -> Option<&mut Declared<'a>> {
        let places = self.places.get_or_insert_with(|| {
            let tools = self.all.iter().enumerate();
            tools
                .map(|(place, declared)| (word(declared.name), place))
                .collect()
        });
        let place = *places.get(&*word(name))?;
        self.all.get_mut(place)
    }
}

fn read_tool<'a>(tool: &Value<'a>) -> Result<Declared<'a>, Unsupported> {
    let [kind, name, description, schema, deferred, cache] = fields::read(
        tool,
        [
            "type",
            "name",
            "description",
            "input_schema",
            "defer_loading",
            "cache_control",
        ],
    )?;
    // Without the tool, the model would make its results up.
    if kind.is_some_and(|kind| !kind.says("custom")) {
        let why = "is a tool that only its vendor has";
        return Err(Unsupported::new(".type", why));
    }
    let name = fields::required(name, ".name")?;
    if let Some(description) = description {
        fields::required(Some(description), ".description")?;
    }
    if schema.is_some_and(|schema| schema.kind != Kind::Object) {
        return Err(Unsupported::new(".input_schema", "is not an object"));
    }
    let description = description.filter(|text| !fields::is_blank_string(text));
    Ok(Declared {
        tool: Tool {
            name: Cow::Borrowed(name.text),
            description: description.map(|text| Cow::Borrowed(text.text)),
            parameters: schema,
            is_strict: false,
            cache: members::cache(cache),
        },
        name: name.text,
        state: match deferred.map(|deferred| deferred.kind) {
            Some(Kind::True) => State::Deferred,
            _ => State::Offered,
        },
    })
}

/// Reads `tool_choice`.
pub(super) fn read_choice<'a>(value: Option<Value<'a>>) -> Result<Chosen<'a>, Unsupported> {
    let Some(value) = value else {
        return Ok(Chosen::default());
    };
    let within = |fault: Unsupported| fault.within("tool_choice");
    let [kind, name, serial] =
        fields::read(&value, ["type", "name", "disable_parallel_tool_use"]).map_err(within)?;
    let kind = fields::required(kind, ".type").map_err(within)?;
    let choice = match &*kind.word() {
        b"auto" => Choice::Auto,
        b"any" => Choice::Any,
        b"none" => Choice::None,
        b"tool" => {
            let name = fields::required(name, ".name").map_err(within)?;
            Choice::Tool(Cow::Borrowed(name.text))
        }
        _ => {
            return Err(Unsupported::new(
                "tool_choice.type",
                "is not a known choice",
            ));
        }
    };
    Ok(Chosen {
        choice: Some(choice),
        is_serial: serial.is_some_and(|serial| serial.kind == Kind::True),
    })
}
