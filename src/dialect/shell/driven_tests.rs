//! Drives the machine of a stream for its tests, with any split of the stream.

use super::*;

/// How a stream went.
#[derive(Debug, PartialEq)]
pub(super) struct Run {
    pub(super) out: String,
    pub(super) end: Result<(), StreamFault>,
    pub(super) committed: bool,
    pub(super) usage: Option<Usage>,
    pub(super) text_bytes: usize,
    pub(super) error: Option<Vec<u8>>,
    /// What its caller is told where nobody else answers.
    pub(super) last_words: String,
}

/// A stream that the machine had before, whose traces must not show.
#[derive(Clone, Copy)]
pub(super) struct Former<'a> {
    pub(super) plan: StreamPlan<'a>,
    pub(super) bytes: &'a [u8],
}

/// Drives the stream that comes in `reads`; signs of life are dropped, since their number depends
/// on the reads.
pub(super) fn drive(plan: &StreamPlan<'_>, former: &Former<'_>, reads: &[&[u8]]) -> Run {
    let mut shell = Shell::default();
    shell.reset(&former.plan);
    let _ = shell.push(former.bytes, &mut Vec::new());
    shell.reset(plan);
    let (mut out, mut end) = (Vec::new(), Ok(()));
    for read in reads {
        end = end.and_then(|()| shell.push(read, &mut out));
        assert!(shell.is_committed() || out.is_empty());
        // Whatever commits is written to such a caller.
        assert!(plan.caller == Dialect::Chat || shell.is_committed() != out.is_empty());
    }
    end = end.and_then(|()| shell.finish(&mut out));
    assert_eq!(shell.is_done(), end.is_ok());
    let is_error = matches!(end, Err(StreamFault::Error | StreamFault::ErrorRelayed));
    if plan.provider == Dialect::Responses {
        // There, an error alone does not end a stream.
        assert!(shell.error().is_some() || !is_error);
        assert!(shell.error().is_none() || end.is_err());
    } else {
        assert_eq!(shell.error().is_some(), is_error);
    }
    // Whoever drives the machine has such a stream ended.
    if let Err(fault) = end
        && fault != StreamFault::ErrorRelayed
        && shell.is_committed()
        && shell.ends_broken_bodies()
        && plan.provider != Dialect::Responses
    {
        let reason = "upstream closed the stream before completion";
        assert_eq!(shell.break_off(reason, &mut out), BrokenEnd::Told);
    }
    let out = match (plan.caller, plan.provider) {
        // What is relayed unread may be no text.
        (Dialect::Chat, Dialect::Chat) => String::from_utf8_lossy(&out).into_owned(),
        (_, _) => String::from_utf8(out).unwrap(),
    };
    Run {
        out: without_signs(plan, &out),
        end,
        committed: shell.is_committed(),
        usage: shell.usage(),
        text_bytes: shell.text_bytes(),
        error: shell.error().map(<[u8]>::to_vec),
        last_words: String::from_utf8(shell.last_words().to_vec()).unwrap(),
    }
}

fn without_signs(plan: &StreamPlan<'_>, out: &str) -> String {
    if plan.caller == Dialect::Responses {
        return without_keepalives(plan, out);
    }
    let sign = std::str::from_utf8(early_sign(plan.caller)).unwrap();
    // As providers write it.
    let spaced = sign.replace(":\"", ": \"");
    out.replace(sign, "").replace(&spaced, "")
}

/// The events without signs of life. Where those are counted, the others get the numbers that they
/// would have without them.
fn without_keepalives(plan: &StreamPlan<'_>, out: &str) -> String {
    const NUMBER: &str = "\"sequence_number\":";
    let (mut kept, mut text) = (0, String::new());
    for (number, event) in out.split_inclusive("\n\n").enumerate() {
        let is_sign = event.starts_with("event: keepalive\n");
        if plan.provider == Dialect::Responses {
            // Providers write theirs with a space.
            let is_sign = is_sign && event.contains("{\"type\":\"keepalive\",\"s");
            text.push_str(if is_sign { "" } else { event });
            continue;
        }
        let at = event.rfind(NUMBER).unwrap() + NUMBER.len();
        let digits = event[at..].trim_end_matches("}\n\n");
        assert_eq!(digits, number.to_string(), "{event}");
        if !is_sign {
            text.push_str(&format!("{}{kept}}}\n\n", &event[..at]));
            kept += 1;
        }
    }
    text
}

/// Drives `stream` whole, and makes sure that no split makes a difference.
pub(super) fn run(plan: &StreamPlan<'_>, former: &Former<'_>, stream: &str) -> Run {
    let stream = stream.as_bytes();
    let whole = drive(plan, former, &[stream]);
    let single: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(drive(plan, former, &single), whole);
    for at in 0..=stream.len() {
        let halves = [&stream[..at], &stream[at..]];
        assert_eq!(drive(plan, former, &halves), whole, "split at {at}");
    }
    whole
}
