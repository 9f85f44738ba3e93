//! The ids of an answer and of its calls (rules MA1, MA4).

use crate::dialect::call_ids::CallIds;
use crate::dialect::fresh::Fresh;
use crate::dialect::signature;
use crate::wire::json;

/// Gives ids that are legal, and each to one call alone.
#[derive(Debug, Default)]
pub(in crate::dialect::messages) struct Ids {
    fresh: Fresh,
    given: CallIds,
}

impl Ids {
    pub(in crate::dialect::messages) fn reset(&mut self, fresh: Fresh) {
        self.fresh = fresh;
        self.given.reset();
    }

    pub(in crate::dialect::messages) fn write_fresh(&mut self, prefix: &[u8], out: &mut Vec<u8>) {
        self.fresh.write(prefix, out);
    }

    /// Appends the start of a call's block. `id`, `signature` and `name` are the insides of JSON
    /// strings.
    pub(in crate::dialect::messages) fn write_call(
        &mut self,
        [id, signature]: [Option<&[u8]>; 2],
        name: &[u8],
        out: &mut Vec<u8>,
    ) {
        out.extend_from_slice(br#"{"type":"tool_use","id":""#);
        self.write_id(id, signature, out);
        out.extend_from_slice(br#"","name":""#);
        out.extend_from_slice(name);
        out.extend_from_slice(br#"","input":{}}"#);
    }

    /// Appends the id of a call, without quotes.
    pub(in crate::dialect::messages) fn write_id(
        &mut self,
        id: Option<&[u8]>,
        signature: Option<&[u8]>,
        out: &mut Vec<u8>,
    ) {
        let signature = signature.map(json::text_inside);
        let carrying = |id: &str| signature::carrying(id, signature.as_deref());
        let own = id.map(|id| carrying(&json::text_inside(id)));
        let fresh = || {
            let mut fresh = Vec::new();
            self.fresh.write(b"toolu_", &mut fresh);
            carrying(&String::from_utf8_lossy(&fresh))
        };
        out.extend_from_slice(self.given.give(own, fresh).as_bytes());
    }
}
