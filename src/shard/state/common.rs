//! What all shards of a process share.

use std::sync::Arc;

use rustls::ClientConfig;

use crate::base::secret::Secret;
use crate::config::plan::Server;
use crate::exchange::callers::Callers;
use crate::exchange::catalogue::Catalogue;
use crate::exchange::remembered::Items;
use crate::exchange::unsettled::AllUnsettled;
use crate::link::addresses::Addresses;
use crate::link::buffered::Pool;
use crate::link::gate::Process;
use crate::link::helpers::Helpers;
use crate::link::latest::Latest;
use crate::link::lists::Said;
use crate::link::owners::Owners;
use crate::link::progress::Progress;
use crate::link::queue::Giver;
use crate::link::reloads::ReloadSender;
use crate::link::retries::Retries;
use crate::shard::state::era::Era;

/// What all shards of a process share: one copy.
pub struct Common {
    /// The era that is in force, or comes into force when the bells ring.
    pub era: Latest<Era>,
    /// Threads, limits and deadlines of the callers' side.
    pub server: Server,
    /// The published words of the process.
    pub process: Arc<Process>,
    /// Requests and extra attempts of the last seconds.
    pub retries: Retries,
    /// Whose ids are.
    pub owners: Arc<Owners>,
    /// Items of translated answers.
    pub items: Arc<Items>,
    /// Responses whose usage is still to come.
    pub unsettled: Arc<AllUnsettled>,
    /// Bodies held in memory.
    pub buffered: Arc<Pool>,
    /// Connections to providers that a shard may have before it closes idle ones.
    pub upstream_room: usize,
    /// The providers' addresses.
    pub addresses: Arc<Addresses>,
    /// The list of models for callers, with the providers that list each.
    pub catalogue: Arc<Latest<Catalogue>>,
    /// Callers' keys, limits and budgets.
    pub callers: Arc<Latest<Callers>>,
    /// Takes lists for the thread that puts them together.
    pub lists: Giver<Said>,
    /// How far the shards have reported.
    pub progress: Arc<Progress>,
    /// Takes long computations for helper threads.
    pub helpers: Helpers,
    /// Takes wishes for the thread that reloads the configuration.
    pub reloads: ReloadSender,
    /// The token that operators must present.
    pub management_token: Option<Secret>,
    /// TLS towards providers.
    pub tls_connect: Arc<ClientConfig>,
}
