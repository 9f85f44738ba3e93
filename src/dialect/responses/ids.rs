//! The ids of a response and its items (rule I5 of reference/responses-inbound.md).

use crate::dialect::fresh::{self, Fresh};

/// The random part of all ids of one response.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ids([u8; 32]);

impl Ids {
    /// Ids made of the next numbers of `fresh`.
    pub(super) fn new(fresh: &mut Fresh) -> Self {
        Self(fresh.hex())
    }

    /// Appends the id of the response.
    pub(super) fn write_response(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(RESPONSE);
        out.extend_from_slice(&self.0);
    }

    /// Appends the id of the item at `index` of the output, which begins with `prefix`.
    pub(super) fn write_item(&self, prefix: &[u8], index: u32, out: &mut Vec<u8>) {
        out.extend_from_slice(prefix);
        out.extend_from_slice(&self.0);
        match u8::try_from(index) {
            Ok(byte) => out.extend_from_slice(&fresh::hex(byte)),
            Err(_) => out.extend_from_slice(format!("{index:x}").as_bytes()),
        }
    }
}

/// A fresh id for a call.
pub(super) fn call(fresh: &mut Fresh) -> String {
    let mut id = b"call_ifx_".to_vec();
    id.extend_from_slice(&fresh.hex());
    String::from_utf8_lossy(&id).into_owned()
}

/// How the id of a response begins.
const RESPONSE: &[u8] = b"resp_ifx_";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ids_of_an_answer_share_their_digits() {
        let mut fresh = Fresh::new([1, 2]);
        let ids = Ids::new(&mut fresh);
        let (mut response, mut item) = (Vec::new(), Vec::new());
        ids.write_response(&mut response);
        ids.write_item(b"msg_ifx_", 10, &mut item);
        let mut far = Vec::new();
        ids.write_item(b"", 0x123, &mut far);
        assert!(far.ends_with(b"123") && far.len() == 35);
        let digits = response.strip_prefix(b"resp_ifx_").unwrap();
        assert_eq!(digits.len(), 32);
        assert!(
            digits
                .iter()
                .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
        );
        assert_eq!(item, [b"msg_ifx_", digits, b"0a"].concat());
        assert_ne!(call(&mut fresh), call(&mut fresh));
    }
}
