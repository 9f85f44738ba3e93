//! Every bound in one place, each with its reason; the code that uses a bound says what happens
//! when it is reached.

/// Most providers one file may declare. Provider ids are `u16`, and per-shard tables are sized by
/// them.
pub const PROVIDERS_MAX: usize = 1_024;
/// Provider ids that one process has: a file that replaces all providers while requests to the
/// former ones are under way finds room. A reload that needs more ids is refused until those
/// requests have ended.
pub const PROVIDER_SEATS_MAX: usize = 2 * PROVIDERS_MAX;
/// Most route groups one file may declare.
pub const GROUPS_MAX: usize = 1_024;
/// Most model names (models, aliases and alias targets) over all providers together.
pub const MODELS_MAX: usize = 65_536;
/// Most origins that one file may list: the origin of a request is compared with each in turn.
pub const ORIGINS_MAX: usize = 256;
/// Most rules of one `request`: each is applied to every request, and looks for its member.
pub const RULES_MAX: usize = 128;
/// Largest `providers[].weight`: the rotation's table has one entry per unit of weight.
pub const WEIGHT_MAX: u32 = 100;
/// Largest configuration file, in bytes. A file is read whole before it is parsed.
pub const CONFIG_BYTES_MAX: u64 = 4 << 20;
/// Deepest nesting of a configuration file; the contract needs six levels.
pub const CONFIG_DEPTH_MAX: usize = 32;
/// Most values (texts, lists and mappings, aliases expanded) one configuration file may hold.
pub const CONFIG_VALUES_MAX: usize = 1_000_000;
/// Most faults, and most warnings, that are told of one configuration file.
pub const FAULTS_MAX: usize = 1_000;
/// Most candidates over all routes together: bounds what many models times many providers may cost.
pub const CANDIDATES_MAX: usize = 1 << 20;
/// Most aliases that may lead from one model name to another.
pub const ALIAS_CHAIN_MAX: usize = 16;
/// Largest list of models that one provider is asked for, all of its pages together, in bytes; a
/// larger one is not read. 80,000 models of 130 bytes are 10 MiB.
pub const LIST_BYTES_MAX: usize = 32 << 20;
/// Most pages of one provider's list of models that are read; further pages are left out.
pub const LIST_PAGES_MAX: usize = 256;
/// Most bytes of all providers' lists of models together; a list that does not fit is not kept.
pub const LISTS_BYTES_MAX: usize = 64 << 20;
/// Most models that are listed to callers. Further models of open providers are left out, there and
/// in routing; those that the configuration names come first.
pub const MODELS_LISTED_MAX: usize = 1 << 18;
/// Lists of models that wait to be read: the coordinator reads one at a time.
pub const LISTS_WAITING_MAX: usize = 64;
const _: () = assert!(MODELS_MAX <= MODELS_LISTED_MAX && LIST_BYTES_MAX <= LISTS_BYTES_MAX);
// Places in the text of all lists, and of the names in front of it, are `u32`.
const _: () = assert!(LISTS_BYTES_MAX + MODELS_MAX * 8 * MODEL_NAME_BYTES_MAX <= u32::MAX as usize);
/// Most kinds of what is left out of requests for responses; each is counted.
pub const LOSSES_MAX: usize = 64;
/// Most codes of errors that infermux itself answers with; each is counted.
pub const ERROR_CODES_MAX: usize = 64;
/// Most bytes of remembered items that one request may refer to, each counted as often as it is
/// referred to: references are short, and what stands in their places is not.
pub const REFERENCED_BYTES_MAX: usize = 4 << 20;
/// Most keys of callers.
pub const CALLER_KEYS_MAX: usize = 100_000;
/// Largest file of keys, in bytes.
pub const KEYS_FILE_BYTES_MAX: u64 = 64 << 20;
/// Most values of a file of keys: a key with limits and a few budgets has 20 to 40.
pub const KEYS_FILE_VALUES_MAX: usize = 40 * CALLER_KEYS_MAX;
/// Most callers with a budget.
pub const BUDGETS_MAX: usize = 10_000;
/// Most budgets of one scope of callers.
pub const BUDGETS_OF_A_SCOPE_MAX: usize = 8;
/// Most entries of a key's `per_model`.
pub const PER_MODEL_MAX: usize = 16;
/// Most changes of keys, and of teams, that are told of one reload; further ones are counted.
pub const KEY_CHANGES_TOLD_MAX: usize = 100;
/// Most teams of callers' keys.
pub const TEAMS_MAX: usize = 10_000;
/// Most `limits` of all keys together, and of their models: half of the ids, so that a file that
/// replaces all of them finds room.
pub const KEYS_LIMITS_MAX: usize = SCOPE_SEATS_MAX / 2 - TEAMS_MAX;
/// Most budgets of all keys together, and of their models, for the same reason.
pub const KEYS_BUDGETS_MAX: usize =
    BUDGET_SEATS_MAX / 2 - TEAMS_MAX * BUDGETS_OF_A_SCOPE_MAX - BUDGETS_MAX;
/// Ids of limits that one process has, for the same reason as [`PROVIDER_SEATS_MAX`].
pub const SCOPE_SEATS_MAX: usize = 4 * CALLER_KEYS_MAX;
/// Budget ids that one process has, for the same reason.
pub const BUDGET_SEATS_MAX: usize = 8 * CALLER_KEYS_MAX;
/// Largest budget, in US dollars: its balance has to fit into a published word.
pub const BUDGET_USD_MAX: u32 = 100_000_000;
/// Largest core number, and most cores, that shards can be pinned to.
pub const CORES_MAX: usize = 4_096;
/// Most shards one process runs.
pub const SHARDS_MAX: usize = 256;

/// Largest head of a caller's request, in bytes; a larger one is answered with 431.
pub const REQUEST_HEAD_BYTES_MAX: usize = 32 << 10;
/// Most header fields of one head, on either side; a caller's head with more is answered with 431.
pub const HEADERS_MAX: usize = 100;
/// Longest request target, in bytes; a longer one is answered with 414.
pub const TARGET_BYTES_MAX: usize = 8 << 10;
/// Most informational heads (1xx) before a provider's answer; with one more, the attempt fails.
pub const INFORMATIONAL_MAX: u32 = 1_024;
/// Largest head of a provider's answer, in bytes.
pub const ANSWER_HEAD_BYTES_MAX: usize = 64 << 10;
/// Longest line that gives a chunk's size, extensions included, in bytes.
pub const CHUNK_LINE_BYTES_MAX: usize = 4 << 10;
/// Largest trailer section of a chunked body, in bytes.
pub const TRAILER_BYTES_MAX: usize = 16 << 10;
/// Longest head of a part of a form, in bytes.
pub const PART_HEAD_BYTES_MAX: usize = 8 << 10;
/// Most parts of a form.
pub const PARTS_MAX: usize = 256;
/// How many bytes of a short field of a form are read.
pub const FIELD_BYTES_MAX: usize = 64;
/// Most bytes of a request with files that are held; more is sent on as it arrives.
pub const UPLOAD_HELD_BYTES_MAX: usize = 1 << 20;
/// How many bytes of such a request must be there before its provider is chosen: its model must be
/// among them.
pub const UPLOAD_START_BYTES: usize = 64 << 10;
const _: () = assert!(UPLOAD_START_BYTES < UPLOAD_HELD_BYTES_MAX);
/// Longest model name a request may carry, in bytes.
pub const MODEL_NAME_BYTES_MAX: usize = 512;
/// Longest event, both as it came and as it was written, that a stream keeps as the form of later
/// events.
pub const FORM_BYTES_MAX: usize = 2 << 10;
/// Longest head of a request that is kept, so that it is known when it comes again.
pub const RECENT_HEAD_BYTES_MAX: usize = 4 << 10;
/// Most heads that one event loop keeps for that.
pub const RECENT_HEADS_MAX: usize = 16;
/// Longest request or answer whose outline is learned.
pub const OUTLINED_BYTES_MAX: usize = 128 << 10;
/// Most bytes that stay the same in those whose outline is kept.
pub const OUTLINE_BYTES_MAX: usize = 2 << 10;
/// Most strings, numbers and places that change in them.
pub const OUTLINE_GAPS_MAX: usize = 64;
/// Most bytes of a stream held back before its first content.
pub const HELD_BACK_BYTES_MAX: usize = 256 << 10;
/// Most capacity that a buffer of a stream's machine keeps for the next stream, in bytes.
pub const KEPT_BUFFER_BYTES_MAX: usize = 16 << 10;
/// Most machines of ended streams that a shard keeps for later ones.
pub const RELAYS_KEPT_MAX: usize = 256;
/// Most content blocks of one answer that are open at the same time; one more fails the stream.
pub const OPEN_BLOCKS_MAX: usize = 256;
/// Most bytes of content blocks that wait for the end of an earlier one, where the caller's dialect
/// has one open at a time; more of them fail the stream.
pub const WAITING_BLOCKS_BYTES_MAX: usize = 1 << 20;
/// Most bytes of an answer and its request that a stream repeats at its end, where the caller's
/// dialect does; more of them fail the stream. Every request fits.
pub const REPEATED_BYTES_MAX: usize = 1 << 30;
/// Largest answer that is not streamed, in bytes: 10,000 embeddings of 3,072 floats fit.
pub const ANSWER_BODY_BYTES_MAX: usize = 512 << 20;
/// Longest message made of a provider's error that has another shape than OpenAI's, in bytes.
pub const ERROR_MESSAGE_BYTES_MAX: usize = 2 << 10;
/// Longest text of a provider's error that a log line has, in bytes.
pub const LOGGED_ERROR_BYTES_MAX: usize = 500;
/// Longest path of a request that a log line has, in bytes.
pub const LOGGED_PATH_BYTES_MAX: usize = 256;
/// Longest method of a request that a log line has, in bytes.
pub const LOGGED_METHOD_BYTES_MAX: usize = 16;
/// Longest value of an attribution header or request id that is kept, in bytes.
pub const LABEL_BYTES_MAX: usize = 256;
/// Longest request id that is taken from a caller, in bytes; a longer one is replaced.
pub const REQUEST_ID_BYTES_MAX: usize = 128;
/// Most bytes of a name from outside that an error message repeats.
pub const QUOTED_BYTES_MAX: usize = 128;
/// Longest message or value in a log line, in bytes; the rest is left out.
pub const LOG_VALUE_BYTES_MAX: usize = 4 << 10;

const _: () = assert!(PROVIDER_SEATS_MAX <= u16::MAX as usize);
const _: () = assert!(BUDGET_SEATS_MAX <= u32::MAX as usize);
const _: () = assert!(GROUPS_MAX <= u16::MAX as usize);
const _: () = assert!(TARGET_BYTES_MAX < REQUEST_HEAD_BYTES_MAX);
/// Most connections that a shard keeps for later requests, to all providers together; when there is
/// one more, the connection that has waited longest is closed. Each takes about 6 KiB.
pub const POOL_IDLE_MAX: usize = 4_096;
/// Room for one read from a peer, in bytes: most requests and most events fit.
pub const READ_BYTES: usize = 4 << 10;
/// Most bytes of a caller's next requests that are read while one request is being answered. A
/// connection with more bytes is not watched any longer: that its caller hangs up is noticed only
/// when a write fails.
pub const READ_AHEAD_BYTES_MAX: usize = 16 << 10;
/// Room for one read from a provider, in bytes: most answers fit.
pub const UPSTREAM_READ_BYTES: usize = 4 << 10;
/// Room for one read of a stream, in bytes: a stream in full flow brings hundreds of events at a
/// time, and each read becomes one send.
pub const STREAM_READ_BYTES: usize = 64 << 10;
/// Most small buffers, heads, rooms of requests, and operations that a shard keeps for reuse.
pub const SPARES_MAX: usize = 256;
/// Buffers from this size on are large, in bytes: no connection keeps one between two requests.
pub const LARGE_SPARE_BYTES: usize = 24 << 10;
const _: () = assert!(READ_BYTES < LARGE_SPARE_BYTES && UPSTREAM_READ_BYTES < LARGE_SPARE_BYTES);
/// Most bytes of large buffers that a shard keeps between two requests.
pub const LARGE_SPARES_BYTES_MAX: usize = 8 << 20;
const _: () = assert!(STREAM_READ_BYTES <= LARGE_SPARES_BYTES_MAX);
/// Room for one read of a list of models, in bytes.
pub const READ_LARGE_BYTES: usize = 64 << 10;
/// Bytes that a shard works through at once before other tasks have their turn: bodies up to this
/// size are read and judged whole, larger ones in pieces of this size, which take less than a
/// millisecond.
pub const AT_ONCE_BYTES_MAX: usize = 128 << 10;
const _: () = assert!(STREAM_READ_BYTES <= AT_ONCE_BYTES_MAX);
/// Prompts and answers up to this size are translated by the shard itself, in bytes; larger ones by
/// a helper thread.
pub const TRANSLATED_AT_ONCE_BYTES_MAX: usize = 256 << 10;
/// Answers up to this size, in bytes, are inspected by the shard itself, larger ones by a helper
/// thread. An inspection skips most of the bytes.
pub const INSPECTED_AT_ONCE_BYTES_MAX: usize = 1 << 20;
/// Largest request that is explained to operators, in bytes: a prompt of a million tokens. It is
/// copied on the shard's time.
pub const EXPLAINED_BODY_BYTES_MAX: usize = 4 << 20;
/// Largest error of a provider that is read for what it says, in bytes; a larger body is not taken
/// for an error.
pub const ERROR_BODY_BYTES_MAX: usize = 1 << 20;
/// Pieces of work that wait for a helper thread; each has a large body, which counts as held.
pub const HELP_WAITING_MAX: usize = 64;
/// Most helper threads.
pub const HELPERS_MAX: usize = 4;
/// Bodies up to this size are sent together with their head, in one send.
pub const ONE_SEND_BYTES_MAX: usize = 64 << 10;
/// Most bytes that are sent without waiting for the send: an empty send buffer has room for them
/// (tcp(7), `tcp_wmem`: 16 KiB to begin with), so that they usually leave at once.
pub const UNATTENDED_BYTES_MAX: usize = 16 << 10;
const _: () = assert!(UNATTENDED_BYTES_MAX <= ONE_SEND_BYTES_MAX);
/// Access lines a shard gathers before it hands them over, in bytes.
pub const LOG_HANDOVER_BYTES: usize = 32 << 10;
/// Most bytes of a refused request that are read and dropped, so that its sender sees the answer.
pub const LINGER_BYTES_MAX: usize = 1 << 20;
/// Most addresses of one provider that are kept, the first ones in the resolver's order.
pub const ADDRESSES_MAX: usize = 64;
/// Log lines that are written with one call, in bytes; the lines of one more command may come on
/// top.
pub const LOG_BATCH_BYTES: usize = 256 << 10;
/// Open files kept for infermux itself and for operators' connections; where the process may open
/// few files, an eighth of them.
pub const OPEN_FILES_RESERVE: u64 = 1_024;
/// Operators' connections at once, in the whole process; where the process may open few files, a
/// quarter of the files that are kept. Probes, scrapes, pages and commands of a large team need a
/// few dozen.
pub const OPERATORS_MAX: usize = 256;
const _: () = assert!(OPERATORS_MAX as u64 <= OPEN_FILES_RESERVE / 4);
/// Facts that a shard gathers before it hands them over: those of 256 requests, each of which is
/// admitted, ended and settled.
pub const FACTS_PER_BATCH: usize = 3 * 256;
/// Facts that a shard holds while the coordinator does not read; when there are more, successes are
/// forgotten.
pub const FACTS_HELD_MAX: usize = 65_536;
/// Rows of a provider's failures that are remembered while later rows are known: the coordinator
/// hears of a failure within a millisecond, unless the failure's shard is stuck.
pub const ROWS_KEPT_MAX: usize = 16;
/// Most changes of circuits that wait for the log: every provider's, twice over.
pub const CIRCUIT_CHANGES_MAX: usize = 2 * PROVIDERS_MAX;
/// Most changes of circuits that are kept for operators; the oldest are dropped.
pub const CHANGES_KEPT_MAX: usize = 64;
/// Most requests that failed, that were refused and that were slow, of each so many, that are kept
/// for operators: each takes half a KiB, and 2 KiB where all of its names are as long as they may
/// be.
pub const NOTED_KEPT_MAX: usize = 200;
/// Largest state file that is read, in bytes: 10,000 callers with a few months each need 2 MiB, and
/// callers that had a budget within the last year come on top.
pub const STATE_BYTES_MAX: u64 = 64 << 20;
/// Deepest nesting of a JSON schema that is rewritten for a provider; a deeper one is refused.
pub const SCHEMA_DEPTH_MAX: usize = 64;
/// Most models of one provider of which an event loop remembers which keys they refuse.
pub const LESSONS_MAX: usize = 64;
/// Most names of parameters that a translation left out which are written to the log.
pub const DROPPED_NAMES_MAX: usize = 32;
/// Most webhooks that one file may have; each may have a thread under way.
pub const WEBHOOKS_MAX: usize = 16;
/// Most notices that wait for one webhook; further ones are dropped and counted.
pub const NOTICES_WAITING_MAX: usize = 256;
/// Most subjects of which one webhook's deliveries are remembered for an hour; notices about
/// further ones are dropped and counted.
pub const NOTICES_REMEMBERED_MAX: usize = 16_384;
/// Most notices and outcomes on their way to the thread of webhooks.
pub const NOTICES_ON_THE_WAY_MAX: usize = 1_024;
/// Most wishes to reload the configuration that wait; each of them would read the same file.
pub const RELOADS_MAX: usize = 16;
/// Most bytes of the shared store's answers to what is sent to it together: an answer about a quota
/// has 200 at most.
pub const STORE_ANSWER_BYTES_MAX: usize = 8 << 20;
/// Largest answer of a router that a command of an operator reads, in bytes: 1,024 providers with
/// 65,536 models of 256 bytes fit, and so do 50,000 keys with a dozen limits and budgets each.
pub const REPORT_BYTES_MAX: usize = 128 << 20;
/// Most names of callers that are counted apart, and of projects, environments, keys and teams;
/// further names are counted together. Names with a budget come on top.
pub const PARTIES_MAX: usize = 10_000;
/// Most scopes with limits or budgets that have series of their own in the metrics, of teams and of
/// keys each, where an entry of a key's `per_model` counts like a key; the first of the files have
/// them. What is counted of the others is added up.
pub const SCOPE_SERIES_MAX: usize = 10_000;
/// Most pairs of provider and model that no configuration names and that are counted apart.
pub const OPEN_SERIES_MAX: usize = 1_000;
/// Most reports that wait to be written; a request for one more is refused.
pub const REPORTS_MAX: usize = 64;
/// Ids and sealed contents of which the process remembers which provider has made them. Each takes
/// a word of 8 bytes; whoever has as many forgets those that were not used for the longest time.
pub const OWNED_IDS_MAX: usize = 1 << 18;
/// Items of translated answers that are remembered for callers who refer to them; the oldest are
/// forgotten first.
pub const REMEMBERED_ITEMS_MAX: usize = 1 << 16;
/// Responses in the background whose cost is still an estimate and that are remembered for the day
/// when their usage is told; the oldest are forgotten first, and keep their estimate.
pub const UNSETTLED_RESPONSES_MAX: usize = 1 << 12;
// An index leads to a place among them with 16 bits.
const _: () = assert!(REMEMBERED_ITEMS_MAX <= 1 << 16 && UNSETTLED_RESPONSES_MAX <= 1 << 16);
/// Items with sealed contents of one request whose makers are looked up; further ones are sent as
/// they are.
pub const SEALED_ITEMS_MAX: usize = 1 << 14;
/// Longest id of a stored response in a path, in bytes; OpenAI's have 55.
pub const RESPONSE_ID_BYTES_MAX: usize = 256;
/// Entries of requests on their way to a thread that records them; where there are more, they are
/// dropped. Each takes about 1 KiB, and a second of the fastest shards has as many.
pub const ENTRIES_WAITING_MAX: usize = 1 << 15;
/// Most bytes of usage records that are written at once; the lines of one more batch may come on
/// top.
pub const USAGE_AT_ONCE_BYTES_MAX: usize = 256 << 10;
/// Most bytes of usage records that are held while the disk does not take them: those of about
/// 10,000 requests. Further ones are dropped.
pub const USAGE_HELD_BYTES_MAX: usize = 16 << 20;
/// Entries that a shard gathers before it hands them over.
pub const ENTRIES_PER_BATCH: usize = 64;
/// Most attributes of the process that the environment may give to be told with its traces.
pub const RESOURCE_ATTRIBUTES_MAX: usize = 64;
/// Most bytes of spans, as they are sent, that wait for a collector; more are dropped. A request
/// with one attempt has about 3 KiB.
pub const DELIVERY_BYTES_MAX: usize = 32 << 20;
/// Most bytes of spans in one request to a collector, unless those of one request alone have more.
pub const DELIVERY_BATCH_BYTES: usize = 4 << 20;
/// Most spans in one request to a collector, by the same rule.
pub const DELIVERY_BATCH_SPANS: u64 = 2_048;
/// Largest answer of a collector that is read, in bytes: it says how many spans it refuses.
pub const COLLECTOR_ANSWER_BYTES_MAX: usize = 64 << 10;
