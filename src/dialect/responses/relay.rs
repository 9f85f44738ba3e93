//! Relays a stream of Responses to a caller who reads the same (rules N of
//! reference/responses-inbound.md).

use crate::dialect::shell::flow::{Arrived, Flow};
use crate::dialect::shell::part::{BrokenEnd, Relay, Said};
use crate::dialect::shell::plan::StreamPlan;
use crate::dialect::shell::sign::Sign;
use crate::wire::stream_fault::StreamFault;

/// Relays one stream. Kept and reset for the next, it allocates nothing.
#[derive(Debug, Default)]
pub struct ResponsesRelay {
    caller_model: Vec<u8>,
}

impl Relay for ResponsesRelay {
    fn reset(&mut self, plan: &StreamPlan<'_>) {
        self.caller_model.clear();
        self.caller_model.extend_from_slice(plan.caller_model);
    }

    fn relay(
        &mut self,
        _arrived: &Arrived<'_>,
        _flow: &mut Flow,
        _out: &mut Vec<u8>,
    ) -> Result<Said, StreamFault> {
        Err(StreamFault::NoContent)
    }

    fn write_end(&mut self, _out: &mut Vec<u8>) {}

    fn is_finished(&self) -> bool {
        false
    }

    fn is_usage_final(&self) -> bool {
        false
    }

    fn is_whole(&self) -> bool {
        false
    }

    fn break_off(&mut self, _: &str, _: &mut Vec<u8>) -> BrokenEnd {
        BrokenEnd::Untold
    }

    fn sign(&self) -> Sign {
        Sign::Numbered { number: 0, step: 0 }
    }
}
