//! Decodes compressed bodies, in steps between which the loop does other things. The decoded bytes
//! count against the process's bound as they grow.

use crate::link::buffered::Held;
use crate::shard::net::sleep::pause;
use crate::wire::inflate::Inflate;

/// Why a body is not decoded.
pub enum Fault {
    /// The bytes do not fit their coding.
    Corrupt,
    /// It becomes larger than its limit.
    TooLarge,
    /// It becomes larger than may be held now.
    NoMemory,
}

/// Appends the decoded `input` to `out`, which may grow by the limit; `held` counts all of `out`.
///
/// # Errors
/// The body cannot be decoded, or becomes larger than may be held.
pub async fn decode(
    mut inflate: Inflate,
    input: &[u8],
    out: &mut Vec<u8>,
    (limit, held): (usize, &mut Held),
) -> Result<(), Fault> {
    let start = out.len();
    let (mut at, mut paused) = (0, start);
    while at < input.len() {
        let rest = input.get(at..).unwrap_or_default();
        at += inflate.step(rest, out).map_err(|_| Fault::Corrupt)?;
        if out.len() - start > limit {
            return Err(Fault::TooLarge);
        }
        if !held.grow_to(out.capacity()) {
            return Err(Fault::NoMemory);
        }
        if out.len() - paused > UNPAUSED_BYTES {
            paused = out.len();
            pause().await;
        }
    }
    inflate.finish(out).map_err(|_| Fault::Corrupt)?;
    if out.len() - start > limit {
        return Err(Fault::TooLarge);
    }
    Ok(())
}

/// Bytes that are decoded between two pauses: a few hundred microseconds' work.
const UNPAUSED_BYTES: usize = 128 << 10;
