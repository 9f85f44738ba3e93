//! Tools, and which of them must or may be called.

use super::messages::Conversation;
use crate::dialect::compose::Composer;
use crate::dialect::fields;
use crate::dialect::unsupported::Unsupported;
use crate::wire::json::{self, Kind, Value};

/// The caller's parameters.
pub(super) struct Asked<'a> {
    pub(super) tools: Option<Value<'a>>,
    pub(super) functions: Option<Value<'a>>,
    pub(super) tool_choice: Option<Value<'a>>,
    pub(super) function_call: Option<Value<'a>>,
    pub(super) parallel: Option<Value<'a>>,
}

/// The tools that are sent.
pub(super) struct Tools<'a> {
    tools: Vec<Tool<'a>>,
    choice: Option<Choice<'a>>,
    is_serial: bool,
}

struct Tool<'a> {
    name: Value<'a>,
    description: Option<&'a [u8]>,
    parameters: Option<Value<'a>>,
    cache: Option<&'a [u8]>,
}

/// Which tool is to be called.
#[derive(Clone, Copy)]
enum Choice<'a> {
    Auto,
    Any,
    None,
    /// The name with its quotes.
    Tool(&'a [u8]),
}

impl<'a> Asked<'a> {
    pub(super) fn read(self, conversation: &Conversation<'a>) -> Result<Tools<'a>, Unsupported> {
        let is_serial = match self.parallel.map(|value| value.kind) {
            None | Some(Kind::True) => false,
            Some(Kind::False) => true,
            Some(Kind::String | Kind::Number | Kind::Object | Kind::Array | Kind::Null) => {
                let why = "is neither true nor false";
                return Err(Unsupported::new("parallel_tool_calls", why));
            }
        };
        let mut tools = Vec::new();
        read_list(self.tools, "tools", read_tool, &mut tools)?;
        read_list(self.functions, "functions", read_function, &mut tools)?;
        if tools.is_empty() {
            return Ok(Tools::of_history(conversation));
        }
        let choice = match (self.tool_choice, self.function_call) {
            (Some(choice), _) => {
                let within = |fault: Unsupported| fault.within("tool_choice");
                Some(read_choice(&choice, &mut tools).map_err(within)?)
            }
            (None, Some(call)) => {
                let within = |fault: Unsupported| fault.within("function_call");
                Some(read_function_choice(&call).map_err(within)?)
            }
            (None, None) => None,
        };
        Ok(Tools {
            tools,
            choice: choice.or(is_serial.then_some(Choice::Auto)),
            is_serial,
        })
    }
}

impl<'a> Tools<'a> {
    /// Without tools the API refuses calls in the history: so the tools of those calls are
    /// declared, and must not be called.
    fn of_history(conversation: &Conversation<'a>) -> Self {
        let names = conversation.called_tools();
        let tools: Vec<_> = names
            .into_iter()
            .map(|text| Tool {
                name: Value {
                    text,
                    at: 0,
                    kind: Kind::String,
                },
                description: None,
                parameters: None,
                cache: None,
            })
            .collect();
        Self {
            choice: (!tools.is_empty()).then_some(Choice::None),
            tools,
            is_serial: false,
        }
    }

    /// Whether the request says which tools to call.
    pub(super) const fn has_choice(&self) -> bool {
        self.choice.is_some()
    }

    /// Whether a tool must be called.
    pub(super) const fn is_forced(&self) -> bool {
        match self.choice {
            Some(Choice::Any | Choice::Tool(_)) => true,
            Some(Choice::Auto | Choice::None) | None => false,
        }
    }

    /// Writes `tools` and `tool_choice`.
    pub(super) fn write(&self, body: &mut Composer<'_>) {
        if self.tools.is_empty() {
            return;
        }
        let mut list = Composer::array(body.member("tools"));
        for tool in &self.tools {
            tool.write(list.element());
        }
        list.end();
        if let Some(choice) = self.choice {
            self.write_choice(choice, body.member("tool_choice"));
        }
    }

    fn write_choice(&self, choice: Choice<'_>, out: &mut Vec<u8>) {
        let mut object = Composer::object(out);
        let (kind, takes_serial) = match choice {
            Choice::Auto => ("auto", true),
            Choice::Any => ("any", true),
            Choice::None => ("none", false),
            Choice::Tool(_) => ("tool", true),
        };
        object.string("type", kind);
        if let Choice::Tool(name) = choice {
            object.raw("name", name);
        }
        if self.is_serial && takes_serial {
            object.raw("disable_parallel_tool_use", b"true");
        }
        object.end();
    }
}

impl Tool<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        let mut tool = Composer::object(out);
        tool.raw("name", self.name.text);
        tool.raw_if("description", self.description);
        write_schema(self.parameters, tool.member("input_schema"));
        tool.raw_if("cache_control", self.cache);
        tool.end();
    }
}

/// The caller's whole schema, with the two keywords that the API requires.
fn write_schema(parameters: Option<Value<'_>>, out: &mut Vec<u8>) {
    let text = parameters.map_or(&b"{}"[..], |parameters| parameters.text);
    let kind = json::member(text, b"type");
    let is_object = kind.is_none_or(|kind| fields::says(&kind.value, "object"));
    let mut schema = Composer::object(out);
    if kind.is_none() {
        schema.string("type", "object");
    }
    if is_object && json::member(text, b"properties").is_none() {
        schema.raw("properties", b"{}");
    }
    let rest = text
        .get(1..text.len().saturating_sub(1))
        .unwrap_or_default();
    if !rest.trim_ascii().is_empty() {
        schema.element().extend_from_slice(rest);
    }
    schema.end();
}

fn read_list<'a>(
    list: Option<Value<'a>>,
    name: &str,
    read: fn(&Value<'a>) -> Result<Tool<'a>, Unsupported>,
    tools: &mut Vec<Tool<'a>>,
) -> Result<(), Unsupported> {
    let Some(list) = list else {
        return Ok(());
    };
    let list = fields::list(&list).map_err(|fault| fault.within(name))?;
    for (index, tool) in list.iter().enumerate() {
        let tool = read(tool).map_err(|fault| fault.within(format_args!("{name}[{index}]")))?;
        tools.push(tool);
    }
    Ok(())
}

fn read_tool<'a>(tool: &Value<'a>) -> Result<Tool<'a>, Unsupported> {
    let [kind, function, cache] = fields::read(tool, ["type", "function", "cache_control"])?;
    if kind.is_some_and(|kind| !fields::says(&kind, "function")) {
        return Err(Unsupported::new(".type", "is not `function`"));
    }
    let function = function.ok_or_else(|| Unsupported::new(".function", "is missing"))?;
    let read = read_function(&function).map_err(|fault| fault.within(".function"))?;
    Ok(Tool {
        cache: fields::cache_control(cache)?.or(read.cache),
        ..read
    })
}

fn read_function<'a>(function: &Value<'a>) -> Result<Tool<'a>, Unsupported> {
    let names = ["name", "description", "parameters", "cache_control"];
    let [name, description, parameters, cache] = fields::read(function, names)?;
    let description = match description {
        Some(text) => Some(fields::required(Some(text), ".description")?),
        None => None,
    };
    if parameters.is_some_and(|parameters| parameters.kind != Kind::Object) {
        return Err(Unsupported::new(".parameters", "is not an object"));
    }
    Ok(Tool {
        name: fields::required(name, ".name")?,
        description: description
            .filter(|text| !text.is_blank())
            .map(|text| text.text),
        parameters,
        cache: fields::cache_control(cache)?,
    })
}

/// Reads `tool_choice`; if it allows only some tools, the others are removed.
fn read_choice<'a>(
    choice: &Value<'a>,
    tools: &mut Vec<Tool<'a>>,
) -> Result<Choice<'a>, Unsupported> {
    if choice.kind == Kind::String {
        return mode(choice);
    }
    let names = ["type", "function", "allowed_tools"];
    let [kind, function, allowed] = fields::read(choice, names)?;
    let kind = fields::required(kind, ".type")?;
    match &*fields::text_of(&kind) {
        "function" => {
            let function = function.ok_or_else(|| Unsupported::new(".function", "is missing"))?;
            named(&function).map_err(|fault| fault.within(".function"))
        }
        "allowed_tools" => {
            let missing = || Unsupported::new(".allowed_tools", "is missing");
            let allowed = allowed.ok_or_else(missing)?;
            only_allowed(&allowed, tools).map_err(|fault| fault.within(".allowed_tools"))
        }
        _ => Err(Unsupported::new(".type", "cannot be expressed")),
    }
}

fn read_function_choice<'a>(choice: &Value<'a>) -> Result<Choice<'a>, Unsupported> {
    match choice.kind {
        Kind::String => mode(choice),
        Kind::Object | Kind::Array | Kind::Number | Kind::True | Kind::False | Kind::Null => {
            named(choice)
        }
    }
}

fn mode<'a>(choice: &Value<'_>) -> Result<Choice<'a>, Unsupported> {
    match &*fields::text_of(choice) {
        "auto" => Ok(Choice::Auto),
        "required" => Ok(Choice::Any),
        "none" => Ok(Choice::None),
        _ => Err(Unsupported::new("", "is not a known choice")),
    }
}

fn named<'a>(function: &Value<'a>) -> Result<Choice<'a>, Unsupported> {
    let [name] = fields::read(function, ["name"])?;
    Ok(Choice::Tool(fields::required(name, ".name")?.text))
}

fn only_allowed<'a>(
    allowed: &Value<'a>,
    tools: &mut Vec<Tool<'a>>,
) -> Result<Choice<'a>, Unsupported> {
    let [how, listed] = fields::read(allowed, ["mode", "tools"])?;
    let how = match how {
        Some(how) => mode(&how).map_err(|fault| fault.within(".mode"))?,
        None => Choice::Auto,
    };
    let listed = listed.ok_or_else(|| Unsupported::new(".tools", "is missing"))?;
    let mut names = std::collections::HashSet::new();
    for (index, tool) in fields::list(&listed)
        .map_err(|fault| fault.within(".tools"))?
        .iter()
        .enumerate()
    {
        let name =
            allowed_name(tool).map_err(|fault| fault.within(format_args!(".tools[{index}]")))?;
        names.insert(fields::text_of(&name));
    }
    tools.retain(|tool| names.contains(&fields::text_of(&tool.name)));
    // A request without any tools would mean something else.
    if tools.is_empty() {
        return Err(Unsupported::new(".tools", "names no tool of the request"));
    }
    Ok(how)
}

fn allowed_name<'a>(tool: &Value<'a>) -> Result<Value<'a>, Unsupported> {
    let [kind, function] = fields::read(tool, ["type", "function"])?;
    if kind.is_some_and(|kind| !fields::says(&kind, "function")) {
        return Err(Unsupported::new(".type", "is not `function`"));
    }
    let function = function.ok_or_else(|| Unsupported::new(".function", "is missing"))?;
    let [name] = fields::read(&function, ["name"])?;
    fields::required(name, ".function.name")
}
