//! Lists of models on their way to the thread that puts them together.

use std::sync::Arc;

use crate::base::ids::ProviderId;
use crate::link::reports::Reply;

/// A message to the thread that keeps the lists. It gives an empty answer once the message has
/// taken effect.
#[derive(Debug)]
pub struct Said {
    /// The news.
    pub what: What,
    /// Where the answer goes.
    pub done: Arc<Reply>,
}

/// News about lists of models.
#[derive(Debug)]
pub enum What {
    /// A provider has answered with its list of models.
    List {
        /// The provider.
        provider: ProviderId,
        /// The bodies of its answers, one for each page.
        pages: Vec<Vec<u8>>,
    },
    /// Another configuration is published, and takes effect.
    Adopt,
}
