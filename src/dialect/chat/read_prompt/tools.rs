//! Tools, and which of them must or may be called.

use std::borrow::Cow;

use crate::dialect::fields;
use crate::dialect::prompt::{Choice, Tool};
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

/// The tools of a request.
pub(super) struct Tools<'a> {
    pub(super) tools: Vec<Tool<'a>>,
    pub(super) choice: Option<Choice<'a>>,
    pub(super) is_serial: bool,
}

impl<'a> Asked<'a> {
    pub(super) fn read(self) -> Result<Tools<'a>, Unsupported> {
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
        let choice = match (self.tool_choice, self.function_call) {
            _ if tools.is_empty() => None,
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
            choice,
            is_serial,
        })
    }
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
        name: Cow::Borrowed(fields::required(name, ".name")?.text),
        description: description
            .filter(|text| !text.is_blank())
            .map(|text| Cow::Borrowed(text.text)),
        parameters,
        is_strict: false,
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
    let name = fields::required(name, ".name")?;
    Ok(Choice::Tool(Cow::Borrowed(name.text)))
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
        names.insert(name.word());
    }
    tools.retain(|tool| names.contains(&json::word(&tool.name)));
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
