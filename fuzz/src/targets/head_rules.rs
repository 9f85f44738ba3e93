//! The rules of heads, as the tests of the parser have them.

#![expect(clippy::unwrap_used, reason = "it belongs to the tests of the parser")]

use infermux::testing::readers::base::limits::{
    ANSWER_HEAD_BYTES_MAX, HEADERS_MAX, REQUEST_HEAD_BYTES_MAX, TARGET_BYTES_MAX,
};
use infermux::testing::readers::wire::field;
use infermux::testing::readers::wire::head::{
    Arrival, Asked, Framing, Head, HeadFault, origin_form,
};
use infermux::testing::readers::wire::known::{Known, Names};

pub(super) use reference::{KINDS, check, check_split, own, reference};

#[path = "../../../src/wire/head/reference_tests.rs"]
mod reference;
