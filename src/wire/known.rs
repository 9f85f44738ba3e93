//! Names of header fields that infermux knows, so that each is recognised once, when its head is
//! read, and is never compared again.

use Known::{
    Accept, Anthropic, AnthropicInputReset, AnthropicInputs, AnthropicOutputReset,
    AnthropicOutputs, AnthropicRatelimit, AnthropicRequests, AnthropicRequestsReset,
    AnthropicTokens, AnthropicTokensReset, AnthropicVersion, AnthropicWorkspaceId, ApiKey,
    ApimRequestId, Authorization, ChatgptAccountId, Connection, ContentEncoding, ContentLength,
    ContentType, Expect, Host, HttpReferer, IdempotencyKey, InfermuxCaller, InfermuxEarlyHead,
    InfermuxEnv, InfermuxProject, InfermuxStreamCost, OpenaiBeta, OpenaiOrganization,
    OpenaiProcessingMs, OpenaiProject, OpenaiVersion, Origin, Other, RatelimitRemaining,
    RatelimitReset, RequestId, RequestsRemaining, RequestsReset, RetryAfter, RetryAfterMs,
    TokensRemaining, TokensReset, Traceparent, Tracestate, TransferEncoding, Upgrade, UserAgent,
    XAmznRequestid, XApiKey, XApp, XClaudeCode, XRatelimit, XRequestId, XShouldRetry, XTitle,
};

/// A field's name, as far as infermux knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Known {
    /// None of the others.
    #[default]
    Other,
    /// `accept`
    Accept,
    /// Any other that begins with `anthropic-`.
    Anthropic,
    /// `anthropic-ratelimit-input-tokens-reset`
    AnthropicInputReset,
    /// `anthropic-ratelimit-input-tokens-remaining`
    AnthropicInputs,
    /// `anthropic-ratelimit-output-tokens-reset`
    AnthropicOutputReset,
    /// `anthropic-ratelimit-output-tokens-remaining`
    AnthropicOutputs,
    /// Any other that begins with `anthropic-ratelimit-`.
    AnthropicRatelimit,
    /// `anthropic-ratelimit-requests-remaining`
    AnthropicRequests,
    /// `anthropic-ratelimit-requests-reset`
    AnthropicRequestsReset,
    /// `anthropic-ratelimit-tokens-remaining`
    AnthropicTokens,
    /// `anthropic-ratelimit-tokens-reset`
    AnthropicTokensReset,
    /// `anthropic-version`
    AnthropicVersion,
    /// `anthropic-workspace-id`
    AnthropicWorkspaceId,
    /// `api-key`
    ApiKey,
    /// `apim-request-id`
    ApimRequestId,
    /// `authorization`
    Authorization,
    /// `chatgpt-account-id`
    ChatgptAccountId,
    /// `connection`
    Connection,
    /// `content-encoding`
    ContentEncoding,
    /// `content-length`
    ContentLength,
    /// `content-type`
    ContentType,
    /// `expect`
    Expect,
    /// `host`
    Host,
    /// `http-referer`
    HttpReferer,
    /// `idempotency-key`
    IdempotencyKey,
    /// `x-infermux-caller`
    InfermuxCaller,
    /// `x-infermux-early-head`
    InfermuxEarlyHead,
    /// `x-infermux-env`
    InfermuxEnv,
    /// `x-infermux-project`
    InfermuxProject,
    /// `x-infermux-stream-cost`
    InfermuxStreamCost,
    /// `openai-beta`
    OpenaiBeta,
    /// `openai-organization`
    OpenaiOrganization,
    /// `openai-processing-ms`
    OpenaiProcessingMs,
    /// `openai-project`
    OpenaiProject,
    /// `openai-version`
    OpenaiVersion,
    /// `origin`
    Origin,
    /// `x-ratelimit-remaining`
    RatelimitRemaining,
    /// `x-ratelimit-reset`
    RatelimitReset,
    /// `request-id`
    RequestId,
    /// `x-ratelimit-remaining-requests`
    RequestsRemaining,
    /// `x-ratelimit-reset-requests`
    RequestsReset,
    /// `retry-after`
    RetryAfter,
    /// `retry-after-ms`
    RetryAfterMs,
    /// `x-ratelimit-remaining-tokens`
    TokensRemaining,
    /// `x-ratelimit-reset-tokens`
    TokensReset,
    /// `traceparent`
    Traceparent,
    /// `tracestate`
    Tracestate,
    /// `transfer-encoding`
    TransferEncoding,
    /// `upgrade`
    Upgrade,
    /// `user-agent`
    UserAgent,
    /// `x-amzn-requestid`
    XAmznRequestid,
    /// `x-api-key`
    XApiKey,
    /// `x-app`
    XApp,
    /// Any that begins with `x-claude-code-`.
    XClaudeCode,
    /// Any other that begins with `x-ratelimit-`.
    XRatelimit,
    /// `x-request-id`
    XRequestId,
    /// `x-should-retry`
    XShouldRetry,
    /// `x-title`
    XTitle,
}

impl Known {
    /// What infermux knows `name` as, which must be a token, in any case.
    #[expect(
        clippy::inline_always,
        reason = "a call would cost a head's walk its registers"
    )]
    #[inline(always)]
    #[must_use]
    pub fn of(name: &[u8]) -> Self {
        let Some(ends) = Ends::of(name) else {
            return Other;
        };
        let row = ROWS.get(usize::from(SLOTS[ends.slot(SPREAD)]));
        if let Some(row) = row
            && row.ends == ends
            && (name.len() <= 2 * WORD || Middle::of(name) == row.middle)
            && (name.len() <= 4 * WORD || has_rest(name, row.name))
        {
            return row.known;
        }
        match ends.first {
            RATELIMIT | ANTHROPIC | CLAUDE_CODE => prefixed(name),
            _ => Other,
        }
    }
}

/// Whether names of the same length whose ends and middles are the same are so between those.
#[cold]
fn has_rest(name: &[u8], known: &[u8]) -> bool {
    name.eq_ignore_ascii_case(known)
}

/// The names that begin like others.
#[cold]
fn prefixed(name: &[u8]) -> Known {
    let mut kinds = PREFIXES.iter();
    let begins = |prefix: &[u8]| {
        let mut pairs = name.iter().zip(prefix);
        pairs.all(|(own, known)| own | b' ' == *known)
    };
    let kind = kinds.find(|(prefix, least, _)| name.len() >= *least && begins(prefix));
    kind.map_or(Other, |(_, _, known)| *known)
}

/// A set of known names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Names(u64);

impl Names {
    /// No name.
    pub const NONE: Self = Self(0);

    /// Of the limits that providers state, those whose name begins with `anthropic-ratelimit-`.
    pub const ANTHROPIC_LIMITS: Self = Self::of(&[
        AnthropicInputReset,
        AnthropicInputs,
        AnthropicOutputReset,
        AnthropicOutputs,
        AnthropicRatelimit,
        AnthropicRequests,
        AnthropicRequestsReset,
        AnthropicTokens,
        AnthropicTokensReset,
    ]);

    /// The limits that providers state.
    pub const LIMITS: Self = Self::ANTHROPIC_LIMITS.and(Self::of(&[
        RatelimitRemaining,
        RatelimitReset,
        RequestsRemaining,
        RequestsReset,
        TokensRemaining,
        TokensReset,
        XRatelimit,
    ]));

    /// The set of these names.
    #[must_use]
    pub const fn of(names: &[Known]) -> Self {
        let (mut set, mut at) = (0, 0);
        while at < names.len() {
            set |= bit(names[at]);
            at += 1;
        }
        Self(set)
    }

    /// The names of both sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether a name belongs to it.
    #[inline]
    #[must_use]
    pub const fn has(self, name: Known) -> bool {
        self.0 & bit(name) != 0
    }

    /// The names of this set that are not in the other.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether the sets have a name in common.
    #[must_use]
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Adds a name.
    #[inline]
    pub const fn add(&mut self, name: Known) {
        self.0 |= bit(name);
    }
}

#[inline]
const fn bit(name: Known) -> u64 {
    1 << name as u8
}

/// Each name, in lower case.
const NAMES: &[(&str, Known)] = &[
    ("host", Host),
    ("x-app", XApp),
    ("accept", Accept),
    ("expect", Expect),
    ("origin", Origin),
    ("api-key", ApiKey),
    ("upgrade", Upgrade),
    ("x-title", XTitle),
    ("x-api-key", XApiKey),
    ("connection", Connection),
    ("user-agent", UserAgent),
    ("request-id", RequestId),
    ("tracestate", Tracestate),
    ("retry-after", RetryAfter),
    ("traceparent", Traceparent),
    ("openai-beta", OpenaiBeta),
    ("content-type", ContentType),
    ("x-request-id", XRequestId),
    ("http-referer", HttpReferer),
    ("authorization", Authorization),
    ("content-length", ContentLength),
    ("openai-version", OpenaiVersion),
    ("openai-project", OpenaiProject),
    ("x-infermux-env", InfermuxEnv),
    ("retry-after-ms", RetryAfterMs),
    ("x-should-retry", XShouldRetry),
    ("apim-request-id", ApimRequestId),
    ("idempotency-key", IdempotencyKey),
    ("content-encoding", ContentEncoding),
    ("x-amzn-requestid", XAmznRequestid),
    ("transfer-encoding", TransferEncoding),
    ("anthropic-version", AnthropicVersion),
    ("x-infermux-caller", InfermuxCaller),
    ("x-ratelimit-reset", RatelimitReset),
    ("x-infermux-project", InfermuxProject),
    ("chatgpt-account-id", ChatgptAccountId),
    ("openai-organization", OpenaiOrganization),
    ("openai-processing-ms", OpenaiProcessingMs),
    ("x-infermux-early-head", InfermuxEarlyHead),
    ("x-ratelimit-remaining", RatelimitRemaining),
    ("anthropic-workspace-id", AnthropicWorkspaceId),
    ("x-infermux-stream-cost", InfermuxStreamCost),
    ("x-ratelimit-reset-tokens", TokensReset),
    ("x-ratelimit-reset-requests", RequestsReset),
    ("x-ratelimit-remaining-tokens", TokensRemaining),
    ("x-ratelimit-remaining-requests", RequestsRemaining),
    ("anthropic-ratelimit-tokens-reset", AnthropicTokensReset),
    ("anthropic-ratelimit-requests-reset", AnthropicRequestsReset),
    ("anthropic-ratelimit-tokens-remaining", AnthropicTokens),
    ("anthropic-ratelimit-requests-remaining", AnthropicRequests),
    (
        "anthropic-ratelimit-input-tokens-reset",
        AnthropicInputReset,
    ),
    (
        "anthropic-ratelimit-output-tokens-reset",
        AnthropicOutputReset,
    ),
    (
        "anthropic-ratelimit-input-tokens-remaining",
        AnthropicInputs,
    ),
    (
        "anthropic-ratelimit-output-tokens-remaining",
        AnthropicOutputs,
    ),
];

/// What other names begin with, and the bytes that such a name has at least.
const PREFIXES: [(&[u8], usize, Known); 4] = [
    (b"x-ratelimit-", 13, XRatelimit),
    (b"anthropic-ratelimit-", 20, AnthropicRatelimit),
    (b"anthropic-", 10, Anthropic),
    (b"x-claude-code-", 14, XClaudeCode),
];
/// How they begin.
const RATELIMIT: u64 = u64::from_le_bytes(*b"x-rateli");
const ANTHROPIC: u64 = u64::from_le_bytes(*b"anthropi");
const CLAUDE_CODE: u64 = u64::from_le_bytes(*b"x-claude");

/// A name's length, and its first and last eight bytes in lower case, or its first and last four
/// where it has less than eight: they overlap in a name of less than sixteen.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Ends {
    length: usize,
    first: u64,
    last: u64,
}

impl Ends {
    /// Those of `name`; `None` where it has less than four bytes.
    #[inline]
    const fn of(name: &[u8]) -> Option<Self> {
        let length = name.len();
        if let (Some(first), Some(last)) = (name.first_chunk(), name.last_chunk()) {
            let (first, last) = (lower(*first), lower(*last));
            return Some(Self {
                length,
                first,
                last,
            });
        }
        let (Some([a, b, c, d]), Some([e, f, g, h])) = (name.first_chunk(), name.last_chunk())
        else {
            return None;
        };
        let (first, last) = (
            lower([*a, *b, *c, *d, 0, 0, 0, 0]),
            lower([*e, *f, *g, *h, 0, 0, 0, 0]),
        );
        Some(Self {
            length,
            first,
            last,
        })
    }

    /// Where a name with these ends is looked for.
    #[inline]
    const fn slot(self, spread: u64) -> usize {
        let mixed = (self.first ^ self.last.rotate_left(32)).wrapping_add(self.length as u64);
        (mixed.wrapping_mul(spread) >> (u64::BITS - SLOT_BITS)) as usize
    }
}

/// The eight bytes behind a name's first eight, and those before its last, in lower case; nothing
/// where it has no more than sixteen bytes. They overlap in a name of less than thirty-two.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Middle(u64, u64);

impl Middle {
    #[inline]
    const fn of(name: &[u8]) -> Self {
        if let Some((_, behind)) = name.split_first_chunk::<WORD>()
            && let Some((before, _)) = name.split_last_chunk::<WORD>()
            && let (Some(second), Some(last_but_one)) = (behind.first_chunk(), before.last_chunk())
        {
            return Self(lower(*second), lower(*last_but_one));
        }
        Self(0, 0)
    }
}

/// Eight bytes of a token in lower case: one bit tells upper from lower. What else it changes is no
/// letter and no hyphen before, and none afterwards.
#[inline]
const fn lower(word: [u8; WORD]) -> u64 {
    u64::from_le_bytes(word) | LOWER
}

const WORD: usize = size_of::<u64>();
/// The bit that lower case has, in each byte.
const LOWER: u64 = u64::from_le_bytes([b' '; WORD]);

/// One of [`NAMES`], made ready to be compared.
#[derive(Clone, Copy)]
struct Row {
    ends: Ends,
    middle: Middle,
    name: &'static [u8],
    known: Known,
}

const ALL: [Row; NAMES.len()] = {
    let none = Row {
        ends: Ends {
            length: 0,
            first: 0,
            last: 0,
        },
        middle: Middle(0, 0),
        name: b"",
        known: Other,
    };
    let (mut rows, mut at) = ([none; NAMES.len()], 0);
    while at < NAMES.len() {
        let (name, known) = (NAMES[at].0.as_bytes(), NAMES[at].1);
        // A name that is too short for it would never be found, which a test would tell.
        if let Some(ends) = Ends::of(name) {
            let middle = Middle::of(name);
            rows[at] = Row {
                ends,
                middle,
                name,
                known,
            };
        }
        at += 1;
    }
    rows
};

static ROWS: [Row; NAMES.len()] = ALL;

/// The row of each slot; the others have none.
static SLOTS: [u8; SLOT_COUNT] = match slots(SPREAD) {
    Some(slots) => slots,
    None => [NO_ROW; SLOT_COUNT],
};

const SLOT_BITS: u32 = 10;
const SLOT_COUNT: usize = 1 << SLOT_BITS;
const NO_ROW: u8 = u8::MAX;
const _: () = assert!(NAMES.len() < NO_ROW as usize);

/// A factor that gives each name a slot of its own: one in five does.
const SPREAD: u64 = {
    let mut spread = 0x9e37_79b9_7f4a_7c15_u64;
    while slots(spread).is_none() {
        spread = spread.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(2);
    }
    spread
};

/// The row of each slot; `None` where two names would have the same.
const fn slots(spread: u64) -> Option<[u8; SLOT_COUNT]> {
    let (mut slots, mut row) = ([NO_ROW; SLOT_COUNT], 0_u8);
    while (row as usize) < NAMES.len() {
        let slot = ALL[row as usize].ends.slot(spread);
        if slots[slot] != NO_ROW {
            return None;
        }
        slots[slot] = row;
        row += 1;
    }
    Some(slots)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::field;

    /// What `name` is known as, name by name.
    fn slowly(name: &[u8]) -> Known {
        let mut names = NAMES.iter();
        let is = |one: &&(&str, Known)| one.0.as_bytes().eq_ignore_ascii_case(name);
        names.find(is).map_or_else(|| prefixed(name), |one| one.1)
    }

    #[test]
    fn each_name_is_known_in_any_case_and_nothing_like_it() {
        for (name, known) in NAMES {
            assert_eq!(Known::of(name.as_bytes()), *known, "{name}");
            assert_eq!(
                Known::of(name.to_ascii_uppercase().as_bytes()),
                *known,
                "{name}"
            );
            for at in 0..name.len() {
                for byte in (0..=u8::MAX).filter(|byte| field::is_name(&[*byte])) {
                    let mut other = name.as_bytes().to_vec();
                    other[at] = byte;
                    assert_eq!(Known::of(&other), slowly(&other), "{name}, {at}, {byte}");
                }
                let (short, long) = (&name[at + 1..], format!("{}{name}", &name[..=at]));
                assert_eq!(
                    Known::of(short.as_bytes()),
                    slowly(short.as_bytes()),
                    "{short}"
                );
                assert_eq!(
                    Known::of(long.as_bytes()),
                    slowly(long.as_bytes()),
                    "{long}"
                );
            }
        }
    }

    #[test]
    fn names_that_only_begin_alike_are_told_apart() {
        for (name, known) in [
            ("x-ratelimit-", Other),
            ("X-RateLimit-Limit-Tokens", XRatelimit),
            ("x-ratelimitless", Other),
            ("anthropic", Other),
            ("anthropic-", Anthropic),
            ("Anthropic-Beta", Anthropic),
            ("anthropic-ratelimit-", AnthropicRatelimit),
            ("anthropic-ratelimit", Anthropic),
            ("anthropic-ratelimit-unified-status", AnthropicRatelimit),
            ("x-claude-code", Other),
            ("X-Claude-Code-Session-Id", XClaudeCode),
            ("", Other),
            ("te", Other),
        ] {
            assert_eq!(Known::of(name.as_bytes()), known, "{name}");
        }
    }

    #[test]
    fn no_name_stands_for_two() {
        let mut all = Names::NONE;
        for (_, _, known) in PREFIXES {
            assert!(!all.has(known), "{known:?}");
            all.add(known);
        }
        for (_, known) in NAMES {
            assert!(!all.has(*known), "{known:?}");
            all.add(*known);
        }
        assert!(!all.has(Other));
    }

    #[test]
    fn all_limits_are_known_as_limits() {
        for (name, known) in NAMES {
            let is_anthropics = name.starts_with("anthropic-ratelimit-");
            let is_one = is_anthropics || name.starts_with("x-ratelimit-");
            assert_eq!(Names::LIMITS.has(*known), is_one, "{name}");
            assert_eq!(Names::ANTHROPIC_LIMITS.has(*known), is_anthropics, "{name}");
        }
    }

    #[test]
    fn a_set_has_its_names_and_no_others() {
        let set = Names::of(&[Host, XTitle]);
        assert!(set.has(Host) && set.has(XTitle) && !set.has(Other) && !set.has(Expect));
        assert!(set.meets(Names::of(&[Expect, Host])) && !set.meets(Names::of(&[Expect])));
        assert!(set.and(Names::of(&[Expect])).has(Expect) && !Names::NONE.has(Other));
        assert!(!set.without(Names::of(&[Host, Expect])).has(Host));
    }

    proptest! {
        #[test]
        fn any_token_is_known_as_a_comparison_knows_it(name in "[!-~]{0,50}") {
            if field::is_name(name.as_bytes()) {
                prop_assert_eq!(Known::of(name.as_bytes()), slowly(name.as_bytes()));
            }
        }
    }
}
