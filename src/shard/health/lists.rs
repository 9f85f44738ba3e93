//! Reads the lists of providers that may serve models which the file does not name, after their
//! health checks, and hands them on.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::base::endpoint::Dialect;
use crate::base::ids::ProviderId;
use crate::base::limits::LIST_PAGES_MAX;
use crate::base::time::Instant;
use crate::config::plan::Provider;
use crate::dialect::messages::read_models;
use crate::exchange::outbound;
use crate::link::buffered::Held;
use crate::link::lists::{Said, What};
use crate::link::reports::Reply;
use crate::shard::health::fetch::{self, Answer};
use crate::shard::net::sleep::sleep;
use crate::shard::state::shard::Shard;
use crate::sys::clock;

/// Reads the list of such a provider, and waits until it has taken effect. `answer` is that of the
/// health check. If anything fails, the former list stays.
pub async fn learn(shard: &Rc<Shard>, id: ProviderId, answer: Answer) {
    let provider = shard.plan.provider(id);
    if !provider.has_unnamed() {
        return;
    }
    let until = clock::now() + provider.health_check.timeout;
    match read(shard, provider, answer, until).await {
        Ok((pages, _held)) => hand_on(shard, id, pages).await,
        Err(why) => {
            let provider = &*provider.name;
            tracing::debug!(provider, why, "the list of models cannot be read");
        }
    }
}

/// All pages of the list, and what counts them in memory.
async fn read(
    shard: &Rc<Shard>,
    provider: &Provider,
    answer: Answer,
    until: Instant,
) -> Result<(Vec<Vec<u8>>, Vec<Held>), String> {
    let target = outbound::list_target(provider);
    let mut answer = match &provider.health_check.path {
        None => answer,
        // The health check has asked for something else.
        Some(_) => fetch::get(shard, provider.id, &target, until).await?,
    };
    let (mut pages, mut held, mut bytes) = (Vec::new(), Vec::new(), 0);
    loop {
        if !(200..300).contains(&answer.status()) {
            return Err(format!("status {}", answer.status()));
        }
        let (page, counted) = answer.read(&shard.io, bytes).await?;
        bytes += page.len();
        held.push(counted);
        let next = match provider.vendor.dialect {
            Dialect::Messages => read_models::next_page(&page),
            Dialect::Chat | Dialect::Responses => None,
        };
        pages.push(page);
        match next.filter(|_| pages.len() < LIST_PAGES_MAX) {
            None => return Ok((pages, held)),
            Some(next) => {
                let target = format!("{target}{next}");
                answer = fetch::get(shard, provider.id, &target, until).await?;
            }
        }
    }
}

/// Hands a list on, and waits until it has taken effect. Without room, the next check brings it
/// again.
async fn hand_on(shard: &Shard, provider: ProviderId, pages: Vec<Vec<u8>>) {
    let done = Arc::<Reply>::default();
    let said = Said {
        what: What::List { provider, pages },
        done: Arc::clone(&done),
    };
    let until = clock::now() + PATIENCE;
    if shard.lists.give(said) {
        while done.taken().is_none() && clock::now() < until {
            sleep(Duration::from_millis(2)).await;
        }
    }
}

/// Longest wait for a list to take effect; a large one needs about 50 ms.
const PATIENCE: Duration = Duration::from_secs(10);
