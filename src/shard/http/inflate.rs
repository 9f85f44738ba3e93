//! Decodes compressed bodies, in steps between which the loop does other things. What comes out
//! counts against the process's bound as it grows.

use crate::link::buffered::Held;
use crate::shard::net::sleep::pause;
use crate::wire::inflate::Inflate;

/// Why a body is not decoded.
pub enum Fault {
    /// It is not what its coding says.
    Corrupt,
    /// More comes out than may.
    TooLarge,
    /// More comes out than may be held now.
    NoMemory,
}

/// Appends what `input` says to `out`, which may grow by the limit; `held` counts all of `out`.
///
/// # Errors
/// It cannot be decoded, or comes to more than may be held.
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

/// What is decoded between two pauses, in bytes: a few hundred microseconds' work.
const UNPAUSED_BYTES: usize = 128 << 10;
