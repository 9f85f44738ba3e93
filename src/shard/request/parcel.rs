//! What is known of a request that is passed on as it is, besides what every request says.

use std::cell::{Cell, RefCell};
use std::ops::Range;

use crate::base::endpoint::Endpoint;
use crate::base::limits::AT_ONCE_BYTES_MAX;
use crate::decide::units::Units;
use crate::dialect::ask::Ask;
use crate::dialect::form::{Fault, Form, Reading};
use crate::dialect::passed_on;
use crate::exchange::passed::{Cost, Passed};
use crate::exchange::refusal::Refusal;
use crate::shard::http::caller::Caller;
use crate::shard::http::help;
use crate::shard::net::sleep::pause;
use crate::shard::state::event_loop::Loop;
use crate::wire::body::BodyDecoder;
use crate::wire::known::Known;

/// What is known of such a request.
#[derive(Debug, Default)]
pub struct Parcel {
    /// What it asks for.
    pub asked: Units,
    /// What it says as a form, if it is one.
    pub form: Option<Form>,
    /// What it is about, if it names no model.
    pub passed: Option<Passed>,
    /// What its answer has brought.
    told: Cell<Units>,
    /// Reads on in a form whose rest is sent on as it arrives.
    reading: RefCell<Option<Reading>>,
    /// Whether a provider was sent what no other one can be sent.
    is_begun: Cell<bool>,
}

/// Reads the JSON body of a request for `endpoint`, which stands `at` there. A helper thread reads
/// a large one.
///
/// # Errors
/// Too much work waits for the helper threads.
pub async fn read(
    shard: &Loop,
    caller: &mut Caller,
    (endpoint, at): (Endpoint, Range<usize>),
    ask: &mut Ask<'_>,
) -> Result<Parcel, Refusal<'static>> {
    let length = at.len();
    let asked = help::look(&shard.helpers, caller, at, move |body| {
        passed_on::asked(endpoint, body)
    })
    .await?;
    Ok(Parcel::of_json(asked, ask, length))
}

/// Reads a form, or its beginning, which stands `at` there. `named` is the model that the path
/// names.
///
/// # Errors
/// The form is malformed, or its model is missing or comes too late.
pub async fn read_form(
    caller: &Caller,
    at: Range<usize>,
    named: Option<&str>,
) -> Result<(Ask<'static>, Parcel), Fault> {
    let label = caller.head.value_of(&caller.bytes, Known::ContentType);
    let mut reading = Reading::new(label.unwrap_or_default())?;
    let form = caller.bytes.get(at).unwrap_or_default();
    for piece in form.chunks(AT_ONCE_BYTES_MAX) {
        reading.push(piece)?;
        if form.len() > AT_ONCE_BYTES_MAX {
            pause().await;
        }
    }
    let left = match caller.upload.as_deref().map(|upload| &upload.body) {
        None => {
            reading.finish()?;
            0
        }
        Some(_) if !reading.has_model() && named.is_none() => return Err(Fault::ModelTooLate),
        Some(BodyDecoder::Length(left)) => *left,
        Some(BodyDecoder::Chunked(_) | BodyDecoder::Close) => 0,
    };
    let (ask, mut parcel) = read_of(&mut reading, left, named)?;
    parcel.reading = RefCell::new(caller.upload.is_some().then_some(reading));
    Ok((ask, parcel))
}

/// Reads a whole form whose `Content-Type` is this.
///
/// # Errors
/// The form is malformed, or names no model.
pub fn read_whole_form(content_type: &[u8], form: &[u8]) -> Result<(Ask<'static>, Parcel), Fault> {
    let mut reading = Reading::new(content_type)?;
    reading.push(form)?;
    reading.finish()?;
    read_of(&mut reading, 0, None)
}

/// What a form asks for, of which `left` bytes are to come.
fn read_of(
    reading: &mut Reading,
    left: u64,
    named: Option<&str>,
) -> Result<(Ask<'static>, Parcel), Fault> {
    let (ask, form) = reading.asks(named)?;
    let parcel = Parcel {
        asked: reading.units(reading.file_bytes().saturating_add(left)),
        form: Some(form),
        ..Parcel::default()
    };
    Ok((ask, parcel))
}

impl Parcel {
    /// A request whose JSON body has this length, and is for these units.
    #[must_use]
    pub fn of_json(asked: Units, ask: &mut Ask<'_>, length: usize) -> Self {
        if ask.prompt_bytes == 0 {
            // What is to be read stands under other names than in prompts.
            ask.prompt_bytes = length;
        }
        Self {
            asked,
            ..Self::default()
        }
    }

    /// A request that names no model.
    #[must_use]
    pub fn of_passed(passed: &Passed) -> Self {
        Self {
            passed: Some(passed.clone()),
            ..Self::default()
        }
    }

    /// Whether its body is no JSON that anything is changed in.
    #[must_use]
    pub const fn is_carried(&self) -> bool {
        self.form.is_some() || self.passed.is_some()
    }

    /// Whether it names no model, and costs nothing.
    #[must_use]
    pub fn is_free(&self) -> bool {
        let passed = self.passed.as_ref();
        passed.is_some_and(|passed| passed.cost == Cost::Nothing)
    }

    /// From here on no other provider can be sent the request.
    pub fn begin(&self) {
        self.is_begun.set(true);
    }

    /// Whether no other provider can be sent the request.
    #[must_use]
    pub fn is_begun(&self) -> bool {
        self.is_begun.get()
    }

    /// Takes note of what an answer has brought.
    pub fn tell(&self, units: Units) {
        self.told.set(units);
    }

    /// What is billed: what the answer has brought, and where it does not say, what was asked for.
    #[must_use]
    pub fn billed(&self) -> Units {
        self.told.get().or(self.asked)
    }

    /// Reads on in the form, before the provider gets these bytes of it: nothing in them may be
    /// read differently by the provider.
    ///
    /// # Errors
    /// The form is malformed, or names another model.
    pub fn read_on(&self, bytes: &[u8]) -> Result<(), Refusal<'static>> {
        match &mut *self.reading.borrow_mut() {
            Some(reading) => reading.push(bytes).map_err(refusal),
            None => Ok(()),
        }
    }

    /// Says that the form has ended, before the provider gets its last bytes.
    ///
    /// # Errors
    /// The form has not ended.
    pub fn finish(&self) -> Result<(), Refusal<'static>> {
        match &*self.reading.borrow() {
            Some(reading) => reading.finish().map_err(refusal),
            None => Ok(()),
        }
    }
}

/// The refusal of a form that turns out to be wrong while it is being sent on.
fn refusal(fault: Fault) -> Refusal<'static> {
    Refusal::InvalidRequest(fault.sentence())
}
