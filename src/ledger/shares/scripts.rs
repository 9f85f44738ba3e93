//! The scripts that the store runs: each is atomic, and works on Redis 6 and Valkey 7 or later.

/// What [`Ask`](crate::ledger::shares::message::Ask) is said with; keys: the namespace's, the
/// quota's.
pub const ASK: &str = concat!(include_str!("common.lua"), "\n", include_str!("ask.lua"));
/// What [`Hello`](crate::ledger::shares::message::Hello) is said with; key: the namespace's.
pub const HELLO: &str = concat!(include_str!("common.lua"), "\n", include_str!("hello.lua"));
/// A process that stops is no member any more; key: the namespace's; arguments: id, generation.
pub const LEAVE: &str = concat!(include_str!("common.lua"), "\n", include_str!("leave.lua"));
/// How a namespace stands, for operators; key: the namespace's.
pub const STATUS: &str = concat!(include_str!("common.lua"), "\n", include_str!("status.lua"));
/// What a dead process holds is free at once; keys: the namespace's, and a quota's where it is that
/// one; argument: id.
pub const FORGET: &str = concat!(include_str!("common.lua"), "\n", include_str!("forget.lua"));
