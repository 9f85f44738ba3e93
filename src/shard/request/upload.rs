//! Sends the rest of a request on while it arrives: what cannot be held is not, and no other
//! provider can take over.

use std::future::poll_fn;
use std::task::Poll;

use crate::decide::outcome::{Outcome, Waiting};
use crate::exchange::refusal::Refusal;
use crate::shard::http::caller::Caller;
use crate::shard::http::upload::Upload;
use crate::shard::http::upstream::Upstream;
use crate::shard::net::part::Part;
use crate::shard::net::timers::Cut;
use crate::shard::request::attempt::Attempt;
use crate::shard::request::parcel::Parcel;
use crate::shard::request::record::Record;
use crate::shard::request::send::send_part;
use crate::sys::clock;
use crate::wire::body::BodyDecoder;
use crate::wire::chunked::{Piece, write_chunk_head};

/// Why the rest was not sent on.
pub enum Stop {
    /// The attempt has this outcome.
    Outcome(Outcome),
    /// The caller is refused.
    Refused(Refusal<'static>),
}

/// What was waited for.
enum Came {
    /// More of the request, or its caller's end.
    More,
    /// The provider's answer.
    Answer,
}

/// Sends the rest of the caller's request, whose beginning the provider has been sent. Where the
/// provider answers before it has all of it, the rest stays with the caller.
///
/// # Errors
/// The caller has left, or is too slow, or what it sends is refused.
pub async fn pump(
    attempt: &mut Attempt<'_, '_>,
    caller: &mut Caller,
    record: &mut Record<'_>,
    up: &mut Upstream,
) -> Result<(), Stop> {
    let Some(mut upload) = caller.upload.take() else {
        return Ok(());
    };
    if up.has_arrived() {
        caller.upload = Some(upload);
        return Ok(());
    }
    let parcel = attempt.job.parcel;
    if let Some(parcel) = parcel {
        parcel.begin();
    }
    caller.let_go_of_start();
    let sent = pass_on(attempt, caller, up, (&mut upload, parcel)).await;
    caller.socket.deadline.clear();
    if let Ok(Piece::End(_)) = sent {
        record.connection = upload.connection;
    } else {
        caller.upload = Some(upload);
    }
    // How long the caller has taken is not the provider's time.
    attempt.sent_at = clock::now();
    let until = attempt.sent_at + attempt.provider.timeout;
    attempt.overall = attempt.overall.max(until);
    up.socket.deadline.set(until, Cut::Both);
    sent.map(|_| ())
}

/// Sends what comes until all has come; `Piece::More`: the provider answers before.
async fn pass_on(
    attempt: &Attempt<'_, '_>,
    caller: &mut Caller,
    up: &mut Upstream,
    (upload, parcel): (&mut Upload, Option<&Parcel>),
) -> Result<Piece, Stop> {
    loop {
        caller.take_in_ahead();
        let (out, came) = take(caller, upload, parcel).map_err(Stop::Refused)?;
        if !out.is_empty() {
            let began = clock::now();
            let until = began + attempt.provider.timeout;
            up.socket.deadline.set(until, Cut::Both);
            caller.socket.deadline.clear();
            let sent = send_part(caller, up, Part::own(out)).await;
            caller.give_room_back();
            let now = clock::now();
            upload.pace().excuse(now.since(began));
            match sent {
                Ok(()) => {}
                Err(_) if caller.is_gone() => return Err(Stop::Outcome(Outcome::CallerGone)),
                Err(_) if !up.has_arrived() && up.socket.deadline.is_overdue() => {
                    return Err(Stop::Outcome(Outcome::TimedOut(Waiting::Head)));
                }
                // A provider that refuses a request may answer, and close, before it has all of it.
                Err(_) => return Ok(Piece::More),
            }
        }
        match came {
            Piece::End(end) => return Ok(Piece::End(end)),
            Piece::Payload(_) => continue,
            Piece::More => {}
        }
        up.socket.deadline.clear();
        let deadline = upload.pace().deadline(clock::now());
        caller.socket.deadline.set(deadline, Cut::Read);
        match wait(caller, up).await {
            Came::Answer => return Ok(Piece::More),
            Came::More if caller.has_more() => {}
            Came::More if caller.socket.deadline.is_overdue() => {
                return Err(Stop::Refused(Refusal::RequestTimeout));
            }
            Came::More => return Err(Stop::Outcome(Outcome::CallerGone)),
        }
    }
}

/// Takes what has come, as the provider is to be sent it, and says whether more comes.
fn take(
    caller: &mut Caller,
    upload: &mut Upload,
    parcel: Option<&Parcel>,
) -> Result<(Vec<u8>, Piece), Refusal<'static>> {
    let (mut out, mut at) = (caller.take_room(), 0);
    let is_chunked = matches!(upload.body, BodyDecoder::Chunked(_));
    if !std::mem::replace(&mut upload.is_begun, true) && is_chunked {
        // The end of the chunk that the beginning was.
        out.extend_from_slice(b"\r\n");
    }
    let mut count = 0;
    let came = loop {
        let next = upload.body.next(&caller.bytes, &mut at);
        match next.map_err(|fault| Refusal::Malformed(fault.sentence()))? {
            Piece::Payload(range) => {
                let payload = caller.bytes.get(range).unwrap_or_default();
                count += payload.len();
                if let Some(parcel) = parcel {
                    parcel.read_on(payload)?;
                }
                if is_chunked {
                    write_chunk_head(payload.len(), &mut out);
                }
                out.extend_from_slice(payload);
                if is_chunked {
                    out.extend_from_slice(b"\r\n");
                }
            }
            came @ (Piece::More | Piece::End(_)) => break came,
        }
    };
    caller.bytes_mut().drain(..at);
    upload.pace().note(count);
    let limit = upload.limit;
    let room = upload.room.checked_sub(count);
    upload.room = room.ok_or(Refusal::RequestTooLarge { limit })?;
    if let Piece::End(_) = came {
        if let Some(parcel) = parcel {
            parcel.finish()?;
        }
        if is_chunked {
            out.extend_from_slice(b"0\r\n\r\n");
        }
    }
    Ok((out, came))
}

/// Waits until more has come, the caller has left, or the provider answers.
async fn wait(caller: &mut Caller, up: &mut Upstream) -> Came {
    poll_fn(|context| {
        if caller.poll_more(context).is_ready() {
            return Poll::Ready(Came::More);
        }
        up.poll_answer(context).map(|()| Came::Answer)
    })
    .await
}
