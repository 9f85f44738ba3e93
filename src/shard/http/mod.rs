//! The two ends of a message: a caller's connection and a provider's. No provider's policy is known
//! here.

pub mod addresses;
pub mod body;
pub mod caller;
pub mod connected;
pub mod decode;
pub mod help;
pub mod inflate;
pub mod kind;
pub mod pool;
pub mod receive;
pub mod signs;
pub mod stop;
pub mod tunnel;
pub mod upload;
pub mod upstream;
