//! What a request asks a provider for: read of its body, or of the beginning of a body that is sent
//! on while it arrives.

use std::borrow::Cow;
use std::ops::Range;

use crate::base::endpoint::{Dialect, Endpoint};
use crate::dialect::ask::{Ask, AskFault, read_ask};
use crate::exchange::refusal::Refusal;
use crate::exchange::target::Target;
use crate::shard::http::body::{Body, Judged};
use crate::shard::http::caller::Caller;
use crate::shard::http::help;
use crate::shard::request::parcel::{self, Parcel};
use crate::shard::request::unserved::Unserved;
use crate::shard::state::event_loop::Loop;

/// What a request asks for.
pub(super) struct Asked<'m> {
    /// What it is for.
    pub(super) endpoint: Endpoint,
    /// The caller's bytes up to the body at least.
    pub(super) head: Cow<'m, [u8]>,
    /// Where the body stands in the caller's bytes.
    pub(super) at: Range<usize>,
    /// What the body says.
    pub(super) ask: Ask<'m>,
    /// What is known besides, if it is passed on as it is.
    pub(super) parcel: Option<Parcel>,
}

/// Reads what a request for `target` asks for, whose `message` may be kept to its end;
/// `None`: it asks nothing of a provider's models.
///
/// # Errors
///
/// The body cannot be read, or too much work waits for the helper threads.
pub(super) async fn read<'m>(
    shard: &Loop,
    caller: &mut Caller,
    target: &Target,
    message: Option<&'m [u8]>,
    body: Body,
) -> Result<Option<Asked<'m>>, Unserved<'static>> {
    let (at, is_form) = (body.at.clone(), body.label.judged == Judged::OnTheWay);
    let head = match message {
        Some(message) => Cow::Borrowed(message),
        // The body is let go of before the request ends, and its head is not.
        None => Cow::Owned(caller.bytes[..at.start].to_vec()),
    };
    let (endpoint, ask, parcel) = match target {
        Target::Infer(endpoint, named) if is_form => {
            // In a box of its own: few requests need the room.
            let read = Box::pin(parcel::read_form(caller, at.clone(), named.as_deref())).await;
            let (ask, parcel) = read.map_err(|fault| Unserved::Invalid(fault.to_string()))?;
            (*endpoint, ask, Some(parcel))
        }
        Target::Infer(endpoint, _) => {
            let read = match message {
                Some(message) => {
                    let mut asks = shard.asks.borrow_mut();
                    asks.read_ask(endpoint.dialect(), &message[at.clone()])
                }
                None => read_large(shard, caller, endpoint.dialect(), body).await?,
            };
            let mut ask = read.map_err(|fault| Unserved::Invalid(fault.to_string()))?;
            let mut parcel = None;
            if endpoint.is_passed_on() {
                let reading = parcel::read(shard, caller, (*endpoint, at.clone()), &mut ask);
                parcel = Some(Box::pin(reading).await?);
            }
            (*endpoint, ask, parcel)
        }
        Target::Passed(passed) => {
            let parcel = Parcel::of_passed(passed);
            (passed.endpoint, Ask::of_form("", 0), Some(parcel))
        }
        Target::Root
        | Target::Preflight(_)
        | Target::Models
        | Target::Model(_)
        | Target::Stored(_)
        | Target::Manage(_) => return Ok(None),
    };
    Ok(Some(Asked {
        endpoint,
        head,
        at,
        ask,
        parcel,
    }))
}

/// What a large request asks for, as a copy: the body is dropped before the request ends. It was
/// read as it arrived, or a helper thread reads it.
///
/// # Errors
///
/// The body is unusual or wrong, and too much work waits for the helper threads to judge it.
async fn read_large(
    shard: &Loop,
    caller: &mut Caller,
    dialect: Dialect,
    body: Body,
) -> Result<Result<Ask<'static>, AskFault>, Refusal<'static>> {
    let at = body.at;
    let Some(arriving) = body.arriving else {
        return Ok(read_ask(dialect, &caller.bytes[at]).map(Ask::into_owned));
    };
    if let Some(read) = arriving.finish(&caller.bytes[at.clone()]) {
        return Ok(read);
    }
    // The reader that knows all of JSON takes its time: 31 MiB take it a tenth of a second.
    let judge = move |message: &[u8]| read_ask(dialect, &message[at]).map(Ask::into_owned);
    help::make_of_message(&shard.helpers, caller, judge).await
}
