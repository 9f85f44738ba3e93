//! What the coordinator and the thread of the shared store say to each other.

use std::sync::Arc;
use std::time::Duration;

/// Calls of scripts that are sent to the store together. The store carries out each by itself, in
/// their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errand {
    /// Its number, which its answers bear.
    pub number: u64,
    /// The calls; at least one.
    pub calls: Vec<Call>,
}

/// A call of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The script's text.
    pub script: &'static str,
    /// The keys that it touches.
    pub keys: Vec<String>,
    /// Its arguments.
    pub args: Vec<String>,
}

/// A value that the store answers with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// No value.
    Nothing,
    /// A whole number.
    Number(i64),
    /// A text; what is no UTF-8 in it is replaced.
    Text(Box<str>),
    /// A list of values.
    List(Vec<Said>),
    /// The call has failed: what the store says of it.
    Fault(Box<str>),
}

/// News of the store, for the coordinator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// There is a connection. Nothing was sent over it yet.
    Connected(Arc<Server>),
    /// The errand with this number was carried out.
    Done {
        /// Its number.
        number: u64,
        /// What the store said to each of its calls.
        said: Vec<Said>,
        /// How long it took until the last answer had come.
        took: Duration,
    },
    /// Nobody knows whether the errand with this number was carried out; the connection is gone.
    Lost {
        /// Its number.
        number: u64,
    },
}

/// A store that answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Server {
    /// What it calls its own process: another one after each start.
    pub run_id: Box<str>,
    /// The policy by which it drops keys when its memory is full; `None`: it drops none.
    pub evicts: Option<Box<str>>,
}
