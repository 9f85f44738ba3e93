//! What a request asks of a model, in no dialect's words: readers make it, writers send it.
//!
//! Everything is borrowed from the caller's body where it can be. A *string* here is the text of a
//! JSON string with its quotes, escapes as the caller wrote them, and a *value* the text of valid
//! JSON: so numbers, escapes and the order of keys survive.
//!
//! A prompt holds what the caller asks for. What the upstream model takes of it is its writer's to
//! decide, and [`unsent`](super::unsent) tells the caller's names of what is left out.

use std::borrow::Cow;

use crate::wire::json::Value;

/// A request for an answer in a conversation.
#[derive(Default)]
pub struct Prompt<'a> {
    /// What holds for the whole conversation: text blocks alone, none of them blank.
    pub system: Vec<Block<'a>>,
    /// The conversation. Neighbours have different speakers, and no text is blank. Somebody else
    /// than the system speaks in it, unless the reader's dialect knows such requests.
    pub turns: Vec<Turn<'a>>,
    /// The tools that the model may call.
    pub tools: Vec<Tool<'a>>,
    /// Which of them it is to call; `None`: the request does not say, or has no tools.
    pub choice: Option<Choice<'a>>,
    /// Whether it may make one call at a time.
    pub is_serial: bool,
    /// Most tokens of the answer, a JSON number.
    pub max_tokens: Option<&'a [u8]>,
    /// A JSON number.
    pub temperature: Option<&'a [u8]>,
    /// A JSON number.
    pub top_p: Option<&'a [u8]>,
    /// A JSON number.
    pub top_k: Option<&'a [u8]>,
    /// Texts at which the answer ends: strings, none of them empty.
    pub stop: Vec<&'a [u8]>,
    /// How much the model is to think.
    pub thinking: Thinking<'a>,
    /// Whether the caller is to see what the model thinks.
    pub shows_thoughts: bool,
    /// The form that the answer must have.
    pub format: Format<'a>,
    /// The end user, as the caller names him.
    pub user: Option<Cow<'a, str>>,
    /// The marker of Anthropic's cache for the whole request, a JSON object.
    pub cache: Option<&'a [u8]>,
    /// Whether the answer is to tell how probable its tokens were.
    pub logprobs: Option<Logprobs<'a>>,
}

/// What an answer tells of the probability of its tokens.
#[derive(Clone, Copy, Debug, Default)]
pub struct Logprobs<'a> {
    /// How many alternatives of each token it tells, a JSON number.
    pub alternatives: Option<&'a [u8]>,
}

/// Consecutive content of one speaker.
pub struct Turn<'a> {
    /// Who speaks.
    pub speaker: Speaker,
    /// What is said: one block at least.
    pub blocks: Vec<Block<'a>>,
}

/// Who speaks in a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// Whoever runs the application, in the middle of the conversation.
    System,
    /// The user, and the tools.
    User,
    /// The model.
    Assistant,
}

/// A block of content.
pub struct Block<'a> {
    /// What it holds.
    pub content: Content<'a>,
    /// The marker of Anthropic's cache on it, a JSON object.
    pub cache: Option<&'a [u8]>,
    /// Where it stands in the caller's request, such as `messages[1].content[0]`, where a writer
    /// may have to refuse it; empty where none does.
    pub place: String,
}

/// The content of a block.
pub enum Content<'a> {
    /// A string.
    Text(Cow<'a, [u8]>),
    /// A picture, and the detail in which it is to be looked at, a string.
    Image(Source<'a>, Option<&'a [u8]>),
    /// A recording, the JSON object that chat completions have for it.
    Audio(&'a [u8]),
    /// A document.
    Document {
        /// Where it is.
        source: Source<'a>,
        /// A string.
        title: Option<&'a [u8]>,
        /// A string: what the model is told of it.
        context: Option<&'a [u8]>,
    },
    /// What the model has thought.
    Thought {
        /// A string.
        text: Cow<'a, [u8]>,
        /// A string: the proof that the text is the model's own, for whoever gave it.
        signature: Option<&'a [u8]>,
        /// Whether every model that takes thoughts may be given it, signed or not.
        is_free: bool,
    },
    /// A call of a tool.
    ToolUse {
        /// The call's id. The writer of Messages needs one that no other call of the prompt has.
        id: Cow<'a, str>,
        /// A string.
        name: Cow<'a, [u8]>,
        /// Its arguments.
        input: CallInput<'a>,
    },
    /// The result of a call.
    ToolResult {
        /// The call's id.
        id: Cow<'a, str>,
        /// What the tool has said.
        said: Said<'a>,
        /// Whether the call has failed.
        is_error: bool,
    },
}

/// Where a picture or document is.
pub enum Source<'a> {
    /// In the request.
    Base64 {
        /// Its media type, in lower case.
        media_type: Cow<'a, str>,
        /// Its bytes, encoded.
        data: Cow<'a, str>,
    },
    /// At an address: a string.
    Url(&'a [u8]),
    /// As a caller of OpenAI's gives it, a string: a data URI, base64 or an address. It has no
    /// meaning for the writer of Messages.
    Given(&'a [u8]),
    /// Its text.
    Plain(Cow<'a, str>),
    /// Texts and pictures.
    Blocks(Vec<Block<'a>>),
}

/// The arguments of a call.
pub enum Input<'a> {
    /// A JSON object.
    Object(Cow<'a, [u8]>),
    /// JSON that is no object.
    Other(Cow<'a, [u8]>),
}

/// The arguments of a call in a prompt.
pub enum CallInput<'a> {
    /// They have been read.
    Parsed(Input<'a>),
    /// A string that holds an object, as a rule. It has no meaning for the writer of Messages.
    Unread(&'a [u8]),
    /// A string: what a tool is given that takes a text, which is its argument `input`.
    Text(&'a [u8]),
}

/// What a tool has said.
pub enum Said<'a> {
    /// A string.
    Text(Cow<'a, [u8]>),
    /// Texts, pictures and documents.
    Blocks(Vec<Block<'a>>),
}

/// A tool that the model may call.
pub struct Tool<'a> {
    /// Its name, a string.
    pub name: Cow<'a, [u8]>,
    /// A string, which is not blank.
    pub description: Option<Cow<'a, [u8]>>,
    /// The JSON Schema of its arguments, an object.
    pub parameters: Option<Value<'a>>,
    /// Whether its calls must keep to the schema.
    pub is_strict: bool,
    /// The marker of Anthropic's cache on it, a JSON object.
    pub cache: Option<&'a [u8]>,
}

/// Which tool is to be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice<'a> {
    /// As the model sees fit.
    Auto,
    /// One of them.
    Any,
    /// None of them.
    None,
    /// This one, a string.
    Tool(Cow<'a, [u8]>),
}

/// How much a model is to think.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Thinking<'a> {
    /// The request does not say.
    #[default]
    Unsaid,
    /// Not at all.
    Off,
    /// With this effort.
    Effort(Effort),
    /// So many tokens at most.
    Budget(u64),
    /// With the effort of this name, a string, of which nothing is known. It has no meaning for the
    /// writer of Messages.
    Named(&'a [u8]),
    /// Anthropic's `thinking` object, as an OpenAI caller may send it to Anthropic's models.
    Given(&'a [u8]),
}

/// The levels of effort, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// `minimal`
    Minimal,
    /// `low`
    Low,
    /// `medium`
    Medium,
    /// `high`
    High,
    /// `xhigh`
    Xhigh,
    /// `max`
    Max,
}

/// The form that an answer must have.
#[derive(Clone, Copy, Debug, Default)]
pub enum Format<'a> {
    /// Any.
    #[default]
    Free,
    /// A JSON object.
    Object,
    /// JSON of a schema.
    Schema {
        /// The JSON Schema, an object.
        schema: Value<'a>,
        /// Where it stands in the caller's request, such as `response_format.json_schema.schema`.
        place: &'static str,
        /// What the caller says of the schema, where its dialect can say it.
        named: Option<Named<'a>>,
    },
}

/// What a caller says of the schema of an answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Named<'a> {
    /// A string.
    pub name: Option<&'a [u8]>,
    /// A string.
    pub description: Option<&'a [u8]>,
    /// Whether the answer must keep to it.
    pub is_strict: bool,
}

impl Thinking<'_> {
    /// What an effort of this name, a JSON value, asks for; `None`: there is none.
    #[must_use]
    pub fn of_effort(level: &Value<'_>) -> Option<Self> {
        if level.says("none") {
            return Some(Self::Off);
        }
        let known = Effort::ALL
            .into_iter()
            .find(|effort| level.says(effort.name()));
        known.map(Self::Effort)
    }
}

impl Effort {
    /// All levels.
    pub const ALL: [Self; 6] = [
        Self::Minimal,
        Self::Low,
        Self::Medium,
        Self::High,
        Self::Xhigh,
        Self::Max,
    ];

    /// The level's name in every dialect.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Xhigh => "xhigh",
            Self::Max => "max",
        }
    }
}

impl<'a> Block<'a> {
    /// A block of this content, without a marker.
    #[must_use]
    pub const fn new(content: Content<'a>) -> Self {
        Self {
            content,
            cache: None,
            place: String::new(),
        }
    }
}
