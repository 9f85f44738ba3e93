//! Requests that are forms: what the router reads of them, and the model that a provider gets.

use std::ops::Range;

use crate::base::limits::{FIELD_BYTES_MAX, MODEL_NAME_BYTES_MAX};
use crate::decide::units::Units;
use crate::dialect::ask::{self, Ask, AskFault};
use crate::dialect::passed_on;
use crate::wire::multipart::{Event, FormFault, Multipart, Part};
use crate::wire::splice::Splice;

/// A form that is being read, from pieces split anywhere.
#[derive(Clone, Debug)]
pub struct Reading {
    form: Multipart,
    read: Read,
}

/// What was read of a form.
#[derive(Clone, Debug, Default)]
struct Read {
    /// The part that is being read.
    field: Option<Field>,
    /// Its content, or the beginning of it.
    content: Vec<u8>,
    model: Option<Model>,
    is_model_open: bool,
    n: Vec<u8>,
    size: Vec<u8>,
    quality: Vec<u8>,
    /// Bytes of text in parts that are no files.
    text_bytes: usize,
    /// Bytes of files.
    file_bytes: u64,
}

/// The part `model`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Model {
    name: String,
    at: Range<usize>,
}

/// What a part is, as far as the router must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    /// `model`, whose content begins there, once some of it has come.
    Model(Option<usize>),
    N,
    Size,
    Quality,
    /// Another one that is no file.
    Text,
    File,
}

/// What a form asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    boundary: Box<[u8]>,
    /// Where the name of the model stands; `None`: the form names none.
    model_at: Option<Range<usize>>,
}

/// Why a form is refused as a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is no form that all readers read alike.
    #[error("{0}")]
    Form(#[from] FormFault),
    /// What it asks for is wrong.
    #[error("{0}")]
    Ask(#[from] AskFault),
    /// The model comes too late.
    #[error("the part `model` does not come within the first 64 KiB of the form")]
    ModelTooLate,
}

impl Fault {
    /// What the caller is told where no text can be made up.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Ask(AskFault::Twice(_)) => "the form has a second part `model`",
            Self::Ask(_) | Self::ModelTooLate => "a part `model` of the form is malformed",
            Self::Form(fault) => fault.sentence(),
        }
    }
}

impl Reading {
    /// A reader of the form whose `Content-Type` this is.
    ///
    /// # Errors
    /// It names no boundary.
    pub fn new(content_type: &[u8]) -> Result<Self, Fault> {
        Ok(Self {
            form: Multipart::new(content_type)?,
            read: Read::default(),
        })
    }

    /// Reads on.
    ///
    /// # Errors
    /// The form is malformed, or names its model twice. Nothing may be pushed behind that.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let Self { form, read } = self;
        form.push(bytes, |event| read.take_in(event))
    }

    /// Says that nothing more comes.
    ///
    /// # Errors
    /// The form has not ended.
    pub fn finish(&self) -> Result<(), Fault> {
        Ok(self.form.finish()?)
    }

    /// Whether the whole of the model's name was read.
    #[must_use]
    pub const fn has_model(&self) -> bool {
        self.read.model.is_some()
    }

    /// What the form asks for, as far as it was read, and what it is expected to bring: its files
    /// have `file_bytes` in all. `named` is the model that the path names, which serves a form that
    /// names none.
    ///
    /// # Errors
    /// Nobody names a model.
    pub fn asks(&mut self, named: Option<&str>) -> Result<(Ask<'static>, Form), Fault> {
        // From here on the model is what it is.
        self.read.is_model_open = true;
        let (name, at) = match (&self.read.model, named) {
            (Some(model), _) => (&*model.name, Some(model.at.clone())),
            (None, Some(named)) => {
                ask::check_model(named)?;
                (named, None)
            }
            (None, None) => return Err(Fault::Ask(AskFault::NoModel)),
        };
        let ask = Ask::of_form(name, self.read.text_bytes);
        let form = Form {
            boundary: self.form.boundary().into(),
            model_at: at,
        };
        Ok((ask, form))
    }

    /// What the form asks for besides, where its files have as many bytes.
    #[must_use]
    pub fn units(&self, file_bytes: u64) -> Units {
        let images = passed_on::images(&self.read.n, &self.read.size, &self.read.quality);
        let millis = file_bytes.saturating_mul(1_000) / SOUND_BYTES_PER_SECOND;
        Units {
            millis: Some(millis),
            ..images
        }
    }

    /// Bytes of files so far.
    #[must_use]
    pub const fn file_bytes(&self) -> u64 {
        self.read.file_bytes
    }
}

impl Read {
    fn take_in(&mut self, event: Event<'_>) -> Result<(), Fault> {
        match event {
            Event::Part(part) => {
                self.content.clear();
                self.field = Some(self.field_of(part)?);
            }
            Event::Content(at, bytes) => self.add(at, bytes)?,
            Event::PartEnd => self.end()?,
        }
        Ok(())
    }

    fn field_of(&mut self, part: Part<'_>) -> Result<Field, Fault> {
        if part.name != b"model" && part.name.eq_ignore_ascii_case(b"model") {
            return Err(Fault::Ask(AskFault::OtherCase("model")));
        }
        Ok(match (part.name, part.is_file) {
            (b"model", true) => return Err(Fault::Ask(AskFault::ModelNotAString)),
            (b"model", false) => {
                if std::mem::replace(&mut self.is_model_open, true) {
                    return Err(Fault::Ask(AskFault::Twice("model")));
                }
                Field::Model(None)
            }
            (_, true) => Field::File,
            (b"n", false) => Field::N,
            (b"size", false) => Field::Size,
            (b"quality", false) => Field::Quality,
            (_, false) => Field::Text,
        })
    }

    fn add(&mut self, at: usize, bytes: &[u8]) -> Result<(), Fault> {
        match &mut self.field {
            None => {}
            Some(Field::File) => {
                self.file_bytes = self.file_bytes.saturating_add(bytes.len() as u64);
            }
            Some(Field::Text) => self.text_bytes = self.text_bytes.saturating_add(bytes.len()),
            Some(Field::Model(start)) => {
                start.get_or_insert(at);
                if self.content.len() + bytes.len() > MODEL_NAME_BYTES_MAX {
                    return Err(Fault::Ask(AskFault::ModelTooLong));
                }
                self.content.extend_from_slice(bytes);
            }
            Some(Field::N | Field::Size | Field::Quality) => {
                let room = FIELD_BYTES_MAX.saturating_sub(self.content.len());
                let bytes = bytes.get(..room).unwrap_or(bytes);
                self.content.extend_from_slice(bytes);
            }
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Fault> {
        let content = std::mem::take(&mut self.content);
        match self.field.take() {
            None | Some(Field::Text | Field::File) => {}
            Some(Field::Model(start)) => {
                let name = String::from_utf8(content);
                let name = name.map_err(|_| Fault::Ask(AskFault::ModelNotAString))?;
                ask::check_model(&name)?;
                let start = start.unwrap_or_default();
                let at = start..start + name.len();
                self.model = Some(Model { name, at });
            }
            Some(Field::N) => self.n = content,
            Some(Field::Size) => self.size = content,
            Some(Field::Quality) => self.quality = content,
        }
        Ok(())
    }
}

impl Form {
    /// The form as one provider is to get it, with its own name for the model; `None`: the caller's
    /// will do. `body` is the form, or its beginning.
    #[must_use]
    pub fn edit<'a>(&'a self, body: &'a [u8], model: Option<&'a str>) -> Splice<'a> {
        let mut splice = Splice::new(body);
        match (model, &self.model_at) {
            (None, _) => {}
            (Some(model), Some(at)) => splice.replace(at.clone(), model.as_bytes()),
            (Some(model), None) => {
                for piece in [b"--", &*self.boundary, NAMED, model.as_bytes(), b"\r\n"] {
                    splice.insert(0, piece);
                }
            }
        }
        splice
    }

    /// Whether the form names its model.
    #[must_use]
    pub const fn names_model(&self) -> bool {
        self.model_at.is_some()
    }
}

/// The head of a part with the model, behind the boundary.
const NAMED: &[u8] = b"\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n";
/// How many bytes of a file are taken for a second of sound, until its true length is told: those
/// of 128 kbit/s.
const SOUND_BYTES_PER_SECOND: u64 = 16_000;

#[cfg(test)]
#[path = "form_tests.rs"]
mod tests;
