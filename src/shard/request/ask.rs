//! What a request asks a provider for: read of its body, or of the beginning of a body that is sent
//! on while it arrives.

use std::cell::OnceCell;
use std::rc::Rc;

use crate::base::endpoint::{Dialect, Endpoint};
use crate::base::limits::LARGE_SPARE_BYTES;
use crate::dialect::ask::{Ask, AskFault, read_ask};
use crate::exchange::refusal::Refusal;
use crate::exchange::target::Target;
use crate::shard::http::body::{Body, Judged};
use crate::shard::http::caller::Caller;
use crate::shard::http::help;
use crate::shard::request::parcel::{self, Parcel};
use crate::shard::request::unserved::Unserved;
use crate::shard::state::event_loop::Loop;

/// What is kept of a request to its end, whatever becomes of the caller's bytes.
pub(super) struct Kept {
    /// The message, if it is judged and small.
    message: Option<Rc<Vec<u8>>>,
    /// Otherwise the head, where anything is asked for.
    head: Vec<u8>,
    /// What is known of a request that is passed on as it is, besides what every request says.
    parcel: OnceCell<Parcel>,
}

impl Kept {
    /// What is kept of a request with this `body`.
    #[inline]
    pub(super) fn of(caller: &Caller, body: &Body) -> Self {
        let (message, head) = match body.label.judged {
            Judged::AsItArrives(_) if body.at.len() < LARGE_SPARE_BYTES => {
                (Some(Rc::clone(&caller.bytes)), Vec::new())
            }
            // The body is let go of before the request ends, and its head is not.
            Judged::AsItArrives(_) | Judged::OnTheWay => {
                (None, caller.bytes[..body.at.start].to_vec())
            }
            Judged::Never => (None, Vec::new()),
        };
        Self {
            message,
            head,
            parcel: OnceCell::new(),
        }
    }

    /// The caller's bytes up to the body at least.
    pub(super) fn head(&self) -> &[u8] {
        self.message.as_ref().map_or(&*self.head, |message| message)
    }

    /// What is known besides, if the request is passed on as it is.
    pub(super) fn parcel(&self) -> Option<&Parcel> {
        self.parcel.get()
    }
}

/// Reads what a request for `target` asks for; `None`: it asks nothing of a provider's models.
///
/// # Errors
///
/// The body cannot be read, or too much work waits for the helper threads.
pub(super) async fn read<'m>(
    shard: &Loop,
    caller: &mut Caller,
    target: &Target,
    body: Body,
    kept: &'m Kept,
) -> Result<Option<(Endpoint, Ask<'m>)>, Unserved<'static>> {
    let (at, is_form) = (body.at.clone(), body.label.judged == Judged::OnTheWay);
    match target {
        Target::Infer(endpoint, named) if is_form => {
            // In a box of its own: few requests need the room.
            let read = Box::pin(parcel::read_form(caller, at, named.as_deref())).await;
            let (ask, parcel) = read.map_err(|fault| Unserved::Invalid(fault.to_string()))?;
            kept.parcel.get_or_init(|| parcel);
            Ok(Some((*endpoint, ask)))
        }
        Target::Infer(endpoint, _) => {
            let read = match &kept.message {
                Some(message) => {
                    let mut asks = shard.asks.borrow_mut();
                    asks.read_ask(endpoint.dialect(), &message[at.clone()])
                }
                None => read_large(shard, caller, endpoint.dialect(), body).await?,
            };
            let mut ask = match read {
                Ok(ask) => ask,
                Err(fault) => return Err(Unserved::Invalid(fault.to_string())),
            };
            if endpoint.is_passed_on() {
                let reading = parcel::read(shard, caller, (*endpoint, at), &mut ask);
                let parcel = Box::pin(reading).await?;
                kept.parcel.get_or_init(|| parcel);
            }
            Ok(Some((*endpoint, ask)))
        }
        Target::Passed(passed) => {
            kept.parcel.get_or_init(|| Parcel::of_passed(passed));
            Ok(Some((passed.endpoint, Ask::of_form("", 0))))
        }
        Target::Root
        | Target::Preflight(_)
        | Target::Models
        | Target::Model(_)
        | Target::Stored(_)
        | Target::Manage(_) => Ok(None),
    }
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
