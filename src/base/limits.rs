//! Every bound in one place, each with its reason; what happens at the bound stands at its user.

/// Most providers one file may declare. Provider ids are `u16`, and per-shard tables are sized by this.
pub const PROVIDERS_MAX: usize = 1_024;
/// Most route groups one file may declare.
pub const GROUPS_MAX: usize = 1_024;
/// Most model names (models, aliases and alias targets) over all providers together.
pub const MODELS_MAX: usize = 65_536;
/// Largest `providers[].weight`: the rotation's table has one entry per unit of weight.
pub const WEIGHT_MAX: u32 = 100;
/// Largest configuration file, in bytes. A file is read whole before it is parsed.
pub const CONFIG_BYTES_MAX: u64 = 4 << 20;
/// Deepest nesting of a configuration file; the contract needs six levels.
pub const CONFIG_DEPTH_MAX: usize = 32;
/// Most shards one process runs.
pub const SHARDS_MAX: usize = 256;

/// Largest head of a caller's request, in bytes (431 beyond).
pub const REQUEST_HEAD_BYTES_MAX: usize = 32 << 10;
/// Most header fields of one head, on either side (431 beyond on the caller's side).
pub const HEADERS_MAX: usize = 100;
/// Longest request target, in bytes (414 beyond).
pub const TARGET_BYTES_MAX: usize = 8 << 10;
/// Largest head of a provider's answer, in bytes.
pub const ANSWER_HEAD_BYTES_MAX: usize = 64 << 10;
/// Longest line that gives a chunk's size, extensions included, in bytes.
pub const CHUNK_LINE_BYTES_MAX: usize = 4 << 10;
/// Largest trailer section of a chunked body, in bytes.
pub const TRAILER_BYTES_MAX: usize = 16 << 10;
/// Longest model name a request may carry, in bytes.
pub const MODEL_NAME_BYTES_MAX: usize = 512;
/// Largest single event of a stream, in bytes; a longer one fails the stream.
pub const EVENT_BYTES_MAX: usize = 1 << 20;
/// Most bytes of a stream held back before its first content.
pub const HELD_BACK_BYTES_MAX: usize = 256 << 10;
/// Most capacity that a buffer of a stream's machine keeps for the next stream, in bytes.
pub const KEPT_BUFFER_BYTES_MAX: usize = 16 << 10;
/// Largest answer that is not streamed, in bytes: 10,000 embeddings of 3,072 floats fit.
pub const ANSWER_BODY_BYTES_MAX: usize = 512 << 20;
/// Longest message made of a provider's error that has another shape than OpenAI's, in bytes.
pub const ERROR_MESSAGE_BYTES_MAX: usize = 2 << 10;
/// Longest value of an attribution header or request id that is kept, in bytes.
pub const LABEL_BYTES_MAX: usize = 256;

const _: () = assert!(PROVIDERS_MAX <= u16::MAX as usize);
const _: () = assert!(GROUPS_MAX <= u16::MAX as usize);
const _: () = assert!(TARGET_BYTES_MAX < REQUEST_HEAD_BYTES_MAX);
