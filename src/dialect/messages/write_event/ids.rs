//! The ids of an answer and of its calls (rules MA1, MA4).

use std::collections::HashSet;

use crate::dialect::fresh::Fresh;
use crate::dialect::signature;
use crate::wire::json;

/// Gives ids that are legal, and each to one call alone.
#[derive(Debug, Default)]
pub(in crate::dialect::messages) struct Ids {
    fresh: Fresh,
    /// The ids of all calls so far.
    given: HashSet<Box<str>>,
}

impl Ids {
    pub(in crate::dialect::messages) fn reset(&mut self, fresh: Fresh) {
        self.fresh = fresh;
        self.given = HashSet::new();
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
        let signature = signature.map(decoded);
        let carrying = |id: &str| signature::carrying(id, signature.as_deref());
        let own = id
            .map(|id| carrying(&decoded(id)))
            .filter(|id| !id.is_empty());
        let id = own
            .filter(|id| !self.given.contains(&**id))
            .unwrap_or_else(|| {
                let mut fresh = Vec::new();
                self.fresh.write(b"toolu_", &mut fresh);
                carrying(&String::from_utf8_lossy(&fresh))
            });
        out.extend_from_slice(id.as_bytes());
        self.given.insert(id.into_boxed_str());
    }
}

/// What the inside of a JSON string says.
fn decoded(inner: &[u8]) -> String {
    let quoted = [b"\"", inner, b"\""].concat();
    String::from_utf8_lossy(&json::word(&quoted)).into_owned()
}
