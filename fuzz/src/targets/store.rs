//! What the store of several instances answers.

use infermux::testing::readers::ledger::shares::{AskAnswer, HelloAnswer};
use infermux::testing::readers::link::store::Said;
use infermux::testing::readers::sys::redis::said;

use crate::target::Target;

/// Bytes of the protocol, and what the scripts' answers mean.
pub(super) const STORE: Target = Target {
    name: "store",
    run: store,
    times: RESERVED_BYTES / OPENING_BYTES,
    folders: &[],
    fronts: &[],
};

/// What the package reserves in each list that is open, up to a hundred deep: room for 4,096
/// values.
const RESERVED_BYTES: usize = 4_096 * size_of::<redis::Value>();

/// The shortest opening of a list: `*9` and a line's end.
const OPENING_BYTES: usize = 4;

fn store(bytes: &[u8]) {
    let mut parser = redis::Parser::new();
    let mut rest = bytes;
    for _ in 0..64 {
        let before = rest.len();
        let Ok(value) = parser.parse_value(&mut rest) else {
            break;
        };
        judge(&said(value));
        if rest.is_empty() || rest.len() == before {
            break;
        }
    }
}

fn judge(said: &Said) {
    let Said::List(parts) = said else {
        return;
    };
    let texts: Vec<&str> = parts
        .iter()
        .filter_map(|part| match part {
            Said::Text(text) => Some(&**text),
            _ => None,
        })
        .collect();
    if let Some(HelloAnswer::Welcome(welcome)) = HelloAnswer::read(&texts) {
        assert!(welcome.put_asides.len() <= parts.len());
    }
    let numbers: Vec<i64> = parts
        .iter()
        .filter_map(|part| match part {
            Said::Number(number) => Some(*number),
            _ => None,
        })
        .collect();
    if let Some(AskAnswer::Granted(granted)) = AskAnswer::read(&numbers) {
        let _ = granted.times(1_000);
    }
    parts.iter().for_each(judge);
}
