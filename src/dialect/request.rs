//! A request of a caller in the words of a provider: the one's reader and the other's writer.

use crate::dialect::ask::Ask;
use crate::dialect::chat;
use crate::dialect::messages::write_prompt::{self, Upstream};
use crate::dialect::unsent::Dropped;
use crate::dialect::unsupported::Unsupported;

/// Appends the Messages request for the chat completions request `body`, from which `ask` was read.
///
/// # Errors
/// A part of the request that shapes the answer has no equivalent, or is malformed; nothing has
/// been appended.
pub fn write(
    body: &[u8],
    ask: &Ask<'_>,
    upstream_model: &str,
    out: &mut Vec<u8>,
) -> Result<Dropped, Unsupported> {
    let (prompt, given) = chat::read_prompt::read(body)?;
    let upstream = Upstream {
        model: upstream_model,
        is_streamed: ask.stream,
    };
    let sent = write_prompt::write(prompt, upstream, out)?;
    Ok(given.dropped(sent))
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "request_properties_tests.rs"]
mod properties;
