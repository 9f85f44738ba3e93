//! The items that infermux remembers of its bridged answers, as the reader of a request looks them
//! up (rule I4 of reference/responses-inbound.md).

/// What is remembered of the answers that infermux has given itself.
pub trait Remembered {
    /// The item with this `id`: a JSON object, as it stood in the `output` of its answer.
    fn item(&self, id: &str) -> Option<&[u8]>;
}

/// Nothing is remembered.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nothing;

impl Remembered for Nothing {
    fn item(&self, _id: &str) -> Option<&[u8]> {
        None
    }
}
