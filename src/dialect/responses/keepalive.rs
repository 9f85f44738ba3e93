//! The event that shows a caller of Responses that its stream lives (rule V7 of
//! reference/responses-inbound.md).

/// Appends the event with this number.
pub fn write(number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: keepalive\ndata: {\"type\":\"keepalive\",\"sequence_number\":");
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    out.extend_from_slice(b"}\n\n");
}
