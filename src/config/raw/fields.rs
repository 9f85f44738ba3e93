//! Reading single fields by the list of keys: types, bounds, defaults, unknown fields.
//!
//! A reader never fails: it notes the fault and goes on with the default, so that one wrong field
//! hides no other.

use crate::config::faults::{Findings, below};
use crate::config::raw::keys::{self, Fallback, Key, Kind, TextKind};
use crate::config::raw::texts::{flaw, shown};
use crate::config::raw::{Node, Origin, Scalar};

/// One mapping of the file, and what is known about its keys.
pub struct Block<'a> {
    entries: &'a [(String, Node)],
    path: String,
    section: &'static str,
    defaults: Defaults,
    findings: &'a Findings,
}

/// Whether an absent field has the default that the list of keys gives.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Defaults {
    /// It has the listed default.
    Listed,
    /// It has no default: the block overrides another one, field by field.
    None,
}

impl<'a> Block<'a> {
    /// The top level.
    #[must_use]
    pub fn root(entries: &'a [(String, Node)], findings: &'a Findings) -> Self {
        Self::new(entries, String::new(), "", findings)
    }

    /// The top level of a file that holds fields of `section`.
    #[must_use]
    pub fn root_of(
        section: &'static str,
        entries: &'a [(String, Node)],
        findings: &'a Findings,
    ) -> Self {
        Self::new(entries, String::new(), section, findings)
    }

    fn new(
        entries: &'a [(String, Node)],
        path: String,
        section: &'static str,
        findings: &'a Findings,
    ) -> Self {
        let block = Self {
            entries,
            path,
            section,
            defaults: Defaults::Listed,
            findings,
        };
        block.doubt_unknown_fields();
        block
    }

    /// A mapping within a list of this block, with the keys of `section`.
    pub(super) fn sibling(
        &self,
        entries: &'a [(String, Node)],
        path: String,
        section: &'static str,
    ) -> Self {
        Self::new(entries, path, section, self.findings)
    }

    fn doubt_unknown_fields(&self) {
        for (name, _) in self.entries {
            if keys::find(self.section, name).is_none() {
                let hint = self.hint(name, keys::names(self.section));
                self.findings
                    .doubt(&below(&self.path, name), format!("unknown field{hint}"));
            }
        }
    }

    /// The same block with other defaults.
    #[must_use]
    pub fn with(self, defaults: Defaults) -> Self {
        Self { defaults, ..self }
    }

    /// Takes what is found in the file.
    #[must_use]
    pub const fn findings(&self) -> &'a Findings {
        self.findings
    }

    /// The path of the block.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The path of its field `name`.
    #[must_use]
    pub fn at(&self, name: &str) -> String {
        below(&self.path, name)
    }

    /// Notes a fault of the field `name`.
    pub fn fault(&self, name: &str, message: impl Into<String>) {
        self.findings.fault(&self.at(name), message);
    }

    /// Notes a warning about the field `name`.
    pub fn warn(&self, name: &str, message: impl Into<String>) {
        self.findings.warn(&self.at(name), message);
    }

    /// Notes a warning about the field `name`, which strictness makes a fault.
    pub fn doubt(&self, name: &str, message: impl Into<String>) {
        self.findings.doubt(&self.at(name), message);
    }

    /// `, did you mean …?`, or nothing.
    pub fn hint<'b>(&self, word: &str, known: impl IntoIterator<Item = &'b str>) -> String {
        self.findings.hint(word, known)
    }

    /// Notes that the field `name` is missing, and the variable or file that gave nothing for it.
    pub fn missing(&self, name: &str, message: &str) {
        let reason = match self.node(name) {
            Some(Node::Scalar(Scalar {
                origin:
                    Origin::References {
                        empty: Some(empty), ..
                    },
                ..
            })) => {
                let noted = format!("{empty} is not set");
                self.findings.take_back(&self.at(name), &noted);
                format!(", and {empty} gives nothing")
            }
            Some(Node::Null | Node::Scalar(_) | Node::List(_) | Node::Map(_)) | None => {
                String::new()
            }
        };
        self.fault(name, format!("{message}{reason}"));
    }

    /// The file's value for `name`; `None` where there is none, or an empty one.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<&'a Node> {
        let (_, node) = self.entries.iter().find(|(key, _)| key == name)?;
        (*node != Node::Null).then_some(node)
    }

    /// Whether the field is there, even without a value.
    #[must_use]
    pub fn mentions(&self, name: &str) -> bool {
        self.entries.iter().any(|(key, _)| key == name)
    }

    /// Notes a fault where the field is there and empty, and absence would mean another thing.
    pub fn refuse_empty(&self, name: &str) {
        if self.mentions(name) && !self.has(name) {
            self.fault(name, "is empty: leave it out, or give it a value");
        }
    }

    /// Notes a fault where the field is there and has no value, or a list without items; `rest` is
    /// what the latter would mean, or what to do.
    pub fn refuse_empty_list(&self, name: &str, rest: &str) {
        self.refuse_empty(name);
        if matches!(self.node(name), Some(Node::List(items)) if items.is_empty()) {
            self.fault(name, format!("is empty: {rest}"));
        }
    }

    /// Whether the field is set: neither absent nor empty.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.node(name)
            .is_some_and(|node| !matches!(node, Node::Scalar(s) if s.text.is_empty()))
    }

    /// Whether the field has variables that were not looked up.
    #[must_use]
    pub fn is_unresolved(&self, name: &str) -> bool {
        matches!(self.node(name), Some(Node::Scalar(s)) if s.origin == Origin::Unresolved)
    }

    /// How many items the list below `name` has; 0 where it is no list.
    #[must_use]
    pub fn count(&self, name: &str) -> usize {
        if let Some(Node::List(items)) = self.node(name) {
            items.len()
        } else {
            0
        }
    }

    pub(super) fn key(&self, name: &str) -> Option<&'static Key> {
        let key = keys::find(self.section, name);
        debug_assert!(
            key.is_some(),
            "{}.{name} is not in the list of keys",
            self.section
        );
        key
    }

    /// The single value of a field.
    fn scalar(&self, name: &str) -> Option<&'a Scalar> {
        match self.node(name)? {
            Node::Scalar(scalar) if scalar.text.is_empty() => None,
            Node::Scalar(scalar) => Some(scalar),
            Node::Null => None,
            other @ (Node::List(_) | Node::Map(_)) => {
                self.fault(
                    name,
                    format!("is {}, a single value is wanted", other.describe()),
                );
                None
            }
        }
    }

    /// Reads a field with the type that its key has; the default where the field is absent, faulty
    /// or not known yet.
    pub fn read<T>(
        &self,
        name: &str,
        parse: impl Fn(Kind, &str) -> Result<T, String>,
    ) -> Option<T> {
        let key = self.key(name)?;
        if let Some(scalar) = self.scalar(name)
            && scalar.origin != Origin::Unresolved
        {
            match parse(key.kind, &scalar.text) {
                Ok(value) => return Some(value),
                Err(problem) => {
                    self.fault(name, format!("{} {problem}", shown(key.kind, scalar)));
                }
            }
        } else if key.default == Fallback::Required && !self.has(name) && self.node_is_single(name)
        {
            self.missing(name, "is required");
        }
        match (self.defaults, key.default) {
            (Defaults::Listed, Fallback::Value(text)) => parse(key.kind, text).ok(),
            (Defaults::None, Fallback::Value(_))
            | (_, Fallback::Nothing | Fallback::Required | Fallback::Rule(_)) => None,
        }
    }

    /// Whether the value is a single one. A wrong shape has a fault of its own and needs no second
    /// one.
    fn node_is_single(&self, name: &str) -> bool {
        !matches!(self.node(name), Some(Node::List(_) | Node::Map(_)))
    }

    /// A text; where variables are not looked up, as it is written in the file.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        let key = self.key(name)?;
        let scalar = self.scalar(name);
        if scalar.is_none() && key.default == Fallback::Required && self.node_is_single(name) {
            self.missing(name, "is required");
        }
        self.checked(key.kind, scalar?, &self.at(name))
    }

    /// A text with a default.
    pub fn text_or_default(&self, name: &str) -> Box<str> {
        match (self.text(name), self.key(name).map(|key| key.default)) {
            (Some(text), _) => text.into(),
            (None, Some(Fallback::Value(text))) => text.into(),
            (None, Some(Fallback::Nothing | Fallback::Required | Fallback::Rule(_)) | None) => {
                Box::default()
            }
        }
    }

    fn checked(&self, kind: Kind, scalar: &'a Scalar, path: &str) -> Option<&'a str> {
        let of = match kind {
            Kind::Text(of) | Kind::Texts(of) => of,
            Kind::Words(_) => TextKind::Name,
            _ => {
                debug_assert!(false, "{path} is not a text");
                return None;
            }
        };
        let text = match of {
            TextKind::Secret | TextKind::HeaderValue => scalar.text.trim(),
            TextKind::Name
            | TextKind::Label
            | TextKind::Model
            | TextKind::Path
            | TextKind::Origin
            | TextKind::Parameter
            | TextKind::Header => &scalar.text,
        };
        if scalar.origin == Origin::Unresolved {
            return Some(text);
        }
        match flaw(of, text) {
            None => Some(text),
            Some(flaw) => {
                self.findings
                    .fault(path, format!("{} {flaw}", shown(kind, scalar)));
                None
            }
        }
    }

    /// A list of texts, each with its place in the list; texts that are not known yet are left out.
    pub fn texts(&self, name: &str) -> Vec<(usize, &'a str)> {
        let Some(key) = self.key(name) else {
            return Vec::new();
        };
        let mut texts = Vec::new();
        for (i, item) in self.items(name).iter().enumerate() {
            let path = format!("{}[{i}]", self.at(name));
            texts.extend(self.text_of(key.kind, item, &path).map(|text| (i, text)));
        }
        texts
    }

    /// The text that an item of a list is; `None` where it is not known yet.
    pub(super) fn text_of(&self, kind: Kind, item: &'a Node, path: &str) -> Option<&'a str> {
        match item {
            Node::Scalar(scalar) if scalar.origin == Origin::Unresolved => return None,
            Node::Scalar(scalar) if !scalar.text.is_empty() => {
                return self.checked(kind, scalar, path);
            }
            Node::Scalar(_) | Node::Null => self.findings.fault(path, "is empty"),
            Node::List(_) | Node::Map(_) => {
                let problem = format!("is {}, a text is wanted", item.describe());
                self.findings.fault(path, problem);
            }
        }
        None
    }

    /// A mapping of names to names.
    pub fn names(&self, name: &str) -> Vec<(&'a str, &'a str)> {
        self.pairs(name, TextKind::Model, TextKind::Model)
    }

    /// A mapping of header names to values.
    pub fn headers(&self, name: &str) -> Vec<(&'a str, &'a str)> {
        self.pairs(name, TextKind::Header, TextKind::HeaderValue)
    }

    fn pairs(&self, name: &str, of_key: TextKind, of_value: TextKind) -> Vec<(&'a str, &'a str)> {
        let mut pairs = Vec::new();
        for (key, value) in self.fields(name) {
            let path = below(&self.at(name), key);
            if let Some(flaw) = flaw(of_key, key) {
                self.findings.fault(&path, format!("the name {flaw}"));
            }
            match value {
                Node::Scalar(scalar) if !scalar.text.is_empty() => {
                    let text = self.checked(Kind::Text(of_value), scalar, &path);
                    pairs.extend(text.map(|text| (key.as_str(), text)));
                }
                Node::Scalar(_) | Node::Null => self.findings.fault(&path, "is empty"),
                Node::List(_) | Node::Map(_) => {
                    let problem = format!("is {}, a text is wanted", value.describe());
                    self.findings.fault(&path, problem);
                }
            }
        }
        pairs
    }

    /// The mapping below `name`; an empty one where it is absent.
    #[must_use]
    pub fn block(&self, name: &str) -> Self {
        let kind = self.key(name).map(|key| key.kind);
        let section = if let Some(Kind::Block(section)) = kind {
            section
        } else {
            self.section
        };
        Self::new(self.fields(name), self.at(name), section, self.findings)
    }

    /// The mappings below `name` with the keys of `section`, each with its own name.
    pub fn named_blocks(&self, name: &str, section: &'static str) -> Vec<(&'a str, Self)> {
        let blocks = self.fields(name).iter().map(|(key, node)| {
            let path = below(&self.at(name), key);
            let entries = self.entries_of(node, &path);
            (key.as_str(), self.sibling(entries, path, section))
        });
        blocks.collect()
    }

    /// The mappings in the list below `name`.
    pub fn blocks(&self, name: &str) -> Vec<Self> {
        let Some(Kind::Blocks(section)) = self.key(name).map(|key| key.kind) else {
            return Vec::new();
        };
        self.blocks_of(name, section)
    }

    /// The mappings in the list below `name`, with the keys of `section`.
    pub fn blocks_of(&self, name: &str, section: &'static str) -> Vec<Self> {
        let mut blocks = Vec::new();
        for (i, item) in self.items(name).iter().enumerate() {
            let path = format!("{}[{i}]", self.at(name));
            if let Node::Map(entries) = item {
                blocks.push(Self::new(entries, path, section, self.findings));
            } else {
                let problem = format!("is {}, a mapping is wanted", item.describe());
                self.findings.fault(&path, problem);
            }
        }
        blocks
    }

    /// The mappings two levels below `name`, with the keys of `section`; the keys of both levels
    /// are names.
    pub fn table(&self, name: &str, section: &'static str) -> Vec<(&'a str, Vec<(&'a str, Self)>)> {
        let mut rows = Vec::new();
        for (row, columns) in self.fields(name) {
            let path = below(&self.at(name), row);
            let mut cells = Vec::new();
            for (column, cell) in self.entries_of(columns, &path) {
                let path = below(&path, column);
                let block = Self::new(self.entries_of(cell, &path), path, section, self.findings);
                cells.push((column.as_str(), block));
            }
            rows.push((row.as_str(), cells));
        }
        rows
    }

    /// Notes that a required list is absent or empty; any other shape has a fault of its own.
    pub fn require_items(&self, name: &str, message: &str) {
        match self.node(name) {
            None => self.missing(name, message),
            Some(Node::List(items)) if items.is_empty() => self.fault(name, message),
            Some(Node::Null | Node::Scalar(_) | Node::List(_) | Node::Map(_)) => {}
        }
    }

    /// Whether the field `name` is a list without elements.
    pub fn is_empty_list(&self, name: &str) -> bool {
        matches!(self.node(name), Some(Node::List(items)) if items.is_empty())
    }

    pub(super) fn items(&self, name: &str) -> &'a [Node] {
        match self.node(name) {
            Some(Node::List(items)) => items,
            Some(other @ (Node::Null | Node::Scalar(_) | Node::Map(_))) => {
                self.fault(name, format!("is {}, a list is wanted", other.describe()));
                &[]
            }
            None => &[],
        }
    }

    pub(super) fn fields(&self, name: &str) -> &'a [(String, Node)] {
        self.node(name)
            .map_or(&[], |node| self.entries_of(node, &self.at(name)))
    }

    fn entries_of(&self, node: &'a Node, path: &str) -> &'a [(String, Node)] {
        match node {
            Node::Map(entries) => entries,
            Node::Null => &[],
            Node::Scalar(_) | Node::List(_) => {
                let problem = format!("is {}, a mapping is wanted", node.describe());
                self.findings.fault(path, problem);
                &[]
            }
        }
    }
}
