//! Lists of models on their way to who puts them together.

use std::sync::Arc;

use crate::base::ids::ProviderId;
use crate::link::reports::Reply;

/// What is said to who keeps the lists. Each is answered, with nothing, once it is in force.
#[derive(Debug)]
pub struct Said {
    /// What.
    pub what: What,
    /// Where the answer goes.
    pub done: Arc<Reply>,
}

/// News about lists of models.
#[derive(Debug)]
pub enum What {
    /// A provider has told its models.
    List {
        /// Which provider.
        provider: ProviderId,
        /// The bodies of its answers, one for each page.
        pages: Vec<Vec<u8>>,
    },
    /// There is another configuration to go by.
    Adopt,
}
