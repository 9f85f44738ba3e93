//! Numbers to text: the log, what the management API shows, and tables for terminals.

pub mod access_line;
pub mod allowance;
pub mod changes;
pub mod costs;
pub mod dollars;
pub mod escape;
pub mod explained;
pub mod explained_text;
pub mod exposition;
pub mod family;
pub mod keys;
pub mod latency;
pub mod line;
pub mod metrics;
pub mod notice;
pub mod otlp;
pub mod overview;
pub mod page;
pub mod providers;
pub mod recent;
pub mod reloaded;
pub mod requests;
pub mod requests_seen;
pub mod status;
pub mod table;
pub mod usage_record;
