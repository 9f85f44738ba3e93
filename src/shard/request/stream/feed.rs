//! What is read of a stream, on its way into the relay.

use crate::base::limits::{STREAM_READ_BYTES, UPSTREAM_READ_BYTES};
use crate::shard::request::stream::broken::Broken;
use crate::shard::request::stream::{Fed, ProviderEnd, Stream};
use crate::wire::chunked::Piece;

impl Stream<'_, '_, '_> {
    /// Takes in what was read.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<Fed, Broken> {
        let shard = self.attempt.job.shard;
        self.spare.make_room(bytes.len(), &shard.io.buffers);
        self.spare.begin_read();
        let mut at = 0;
        loop {
            match self
                .body
                .next(bytes, &mut at)
                .map_err(|_| Broken::MALFORMED)?
            {
                Piece::Payload(range) => {
                    self.push(&bytes[range])?;
                }
                Piece::More if self.spare.stream().is_done() => return Ok(Fed::Complete),
                Piece::More => return self.hold().map(|()| Fed::More),
                Piece::End(end) => {
                    self.provider_end = if end == bytes.len() {
                        ProviderEnd::Clean
                    } else {
                        ProviderEnd::Surplus
                    };
                    return self.finish();
                }
            }
        }
    }

    /// Takes in a part of the body.
    fn push(&mut self, mut payload: &[u8]) -> Result<(), Broken> {
        let Some(mut inflate) = self.inflate.take() else {
            let pushed = self.spare.push(payload);
            return pushed.map_err(|fault| self.broken(fault));
        };
        while !payload.is_empty() {
            let taken = inflate.step(payload, &mut self.decoded);
            let taken = taken.map_err(|_| Broken::MALFORMED)?;
            payload = payload.split_at(taken).1;
            self.push_decoded()?;
        }
        let flushed = inflate.flush(&mut self.decoded);
        flushed.map_err(|_| Broken::MALFORMED)?;
        self.inflate = Some(inflate);
        self.push_decoded()
    }

    fn push_decoded(&mut self) -> Result<(), Broken> {
        let pushed = self.spare.push(&self.decoded);
        self.decoded.clear();
        pushed.map_err(|fault| self.broken(fault))
    }

    /// Counts what it holds of an event that is longer than a read.
    fn hold(&mut self) -> Result<(), Broken> {
        match self.spare.kept() {
            0 => {
                self.held.clear();
                Ok(())
            }
            kept if self.held.grow_to(kept) => Ok(()),
            _ => Err(Broken::TOO_LARGE),
        }
    }

    pub(super) fn finish(&mut self) -> Result<Fed, Broken> {
        if let Some(mut inflate) = self.inflate.take() {
            // `[DONE]` may have come before the coding's own end.
            let stream = self.spare.stream();
            let has_all = stream.is_done() || stream.awaits_end();
            if inflate.finish(&mut self.decoded).is_err() && !has_all {
                return Err(Broken::CUT);
            }
            self.push_decoded()?;
        }
        let finished = self.spare.finish();
        finished.map_err(|fault| self.broken(fault))?;
        Ok(Fed::Complete)
    }

    /// Room for the next read: much more may come out of compressed bytes.
    pub(super) const fn room(&self) -> usize {
        match self.inflate {
            None => STREAM_READ_BYTES,
            Some(_) => UPSTREAM_READ_BYTES,
        }
    }
}
