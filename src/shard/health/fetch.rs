//! Requests of infermux itself to providers: one GET, on a connection of its own.

use std::io;

use crate::base::ids::ProviderId;
use crate::base::limits::LIST_BYTES_MAX;
use crate::base::time::Instant;
use crate::decide::outcome::{Failure, Outcome};
use crate::link::buffered::Held;
use crate::shard::http::receive::{self, Stop};
use crate::shard::http::upstream::{Itself, Upstream};
use crate::shard::net::io::Io;
use crate::shard::net::part::Part;
use crate::shard::net::timers::Cut;
use crate::shard::request::connect;
use crate::shard::state::shard::Shard;

/// An answer whose head has arrived.
pub struct Answer {
    up: Upstream,
}

/// Asks the provider `id` for `target`.
///
/// # Errors
///
/// There is no answer before `deadline`; the reason.
pub async fn get(
    shard: &Shard,
    id: ProviderId,
    target: &str,
    deadline: Instant,
) -> Result<Answer, String> {
    let connected = connect::connect(shard, id, deadline).await;
    let mut up =
        connected.map_err(|fault| format!("the provider {}", Outcome::ConnectFailed(fault)))?;
    up.socket.deadline.set(deadline, Cut::Both);
    let mut out = Vec::new();
    let provider = shard.plan.provider(id);
    shard.era.prefixes(id).write_own(provider, target, &mut out);
    let sent = up.socket.writer.write(Part::own(out)).await.0;
    let mut waiter = Itself::default();
    match up.read_head(&mut waiter).await {
        Ok(()) => Ok(Answer { up }),
        Err(outcome) => Err(no_answer(outcome, waiter.fault.or(sent.err()))),
    }
}

/// Why there is no answer. The `fault` of the connection is more specific than the outcome.
fn no_answer(outcome: Outcome, fault: Option<io::Error>) -> String {
    match (outcome, fault) {
        (Outcome::TimedOut(_), _) => "no answer in time".into(),
        (Outcome::Failed(Failure::Malformed), _) => "the answer is malformed".into(),
        (Outcome::ConnectFailed(_), _) => format!("the provider {outcome}"),
        (_, Some(fault)) => fault.to_string(),
        (_, None) => "the connection was closed without an answer".into(),
    }
}

impl Answer {
    /// Its status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.up.head.status
    }

    /// Reads the body to its end; returns it with what counts it in memory. `before` bytes of the
    /// same list are held already.
    ///
    /// # Errors
    ///
    /// The body does not arrive whole before the deadline, or is larger than may be held; the
    /// reason.
    pub async fn read(mut self, io: &Io, before: usize) -> Result<(Vec<u8>, Held), String> {
        let limit = LIST_BYTES_MAX.saturating_sub(before);
        match receive::read(io, &mut Itself::default(), &mut self.up, limit).await {
            Ok(()) => Ok(self.up.into_body()),
            Err(Stop::Overloaded) => Err("infermux holds as many bytes as it may".into()),
            Err(Stop::Outcome(Outcome::Failed(Failure::Malformed))) => Err(format!(
                "it is malformed, or has over {LIST_BYTES_MAX} bytes"
            )),
            Err(Stop::Outcome(outcome)) => Err(format!("the provider {outcome}")),
        }
    }
}
