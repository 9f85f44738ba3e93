//! Starts what an instance needs to share limits and budgets with others.

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;

use crate::cli::not_started::NotStarted;
use crate::cli::threads;
use crate::config::plan::Plan;
use crate::config::shared::Shared;
use crate::coordinator::calls::{nonce, random_identity};
use crate::coordinator::fleet::Fleet;
use crate::coordinator::notices::Notices;
use crate::coordinator::store::Store;
use crate::coordinator::told::Told;
use crate::ledger::shares::quota::{Identity, Kept, State as Standing};
use crate::ledger::state::State;
use crate::link::events::{Event, EventSender};
use crate::link::queue;
use crate::link::reports::Reporter;
use crate::sys::tls::{self, Own};

/// Who hears of how the instance stands with its store.
#[derive(Clone, Copy)]
pub struct Hearers<'a> {
    /// The main thread.
    pub events: &'a EventSender,
    /// Webhooks.
    pub notices: &'a Notices,
}

/// Starts the thread of the store that `plan` shares; `None`: it shares none. The instance has the
/// name in `state`, which is new where there was none, and which a state file `keeps`.
///
/// # Errors
///
/// The files for TLS cannot be used, or the thread cannot be started.
pub fn join(
    plan: &Plan,
    (state, keeps): (&mut State, bool),
    reporter: &Reporter,
    Hearers { events, notices }: Hearers<'_>,
) -> Result<Option<Fleet>, NotStarted> {
    let Some(shared) = &plan.shared else {
        return Ok(None);
    };
    let store = Store::new(shared, tls_of(shared).map_err(NotStarted::Failed)?);
    // One batch is under way at a time.
    let (giver, errands) = queue::queue(1);
    threads::start_store(store, errands, reporter.clone(), events)?;
    let (events, notices) = (events.clone(), notices.clone());
    let namespace = shared.namespace.clone();
    let was_well = Cell::new(false);
    let tell = move |told| {
        let state = match told {
            Told::Connected => return events.send(Event::StoreConnected),
            Told::Taken => return events.send(Event::NameTaken),
            Told::Stands(state) => state,
        };
        if state == Standing::Ok {
            events.send(Event::StoreReady);
            was_well.set(true);
        }
        // A store that is new has no data to begin with.
        if state != Standing::Learning || was_well.get() {
            notices.shared_state(&namespace, state);
        }
    };
    let identity = identity(state, keeps);
    Ok(Some(Fleet::new(shared, identity, giver, Box::new(tell))))
}

fn identity(state: &mut State, keeps: bool) -> Identity {
    let random = random_identity();
    if !keeps {
        return random;
    }
    let id: Box<str> = match state.instance() {
        Some(id) => id.into(),
        None => (&*random.id).into(),
    };
    state.set_instance(&id);
    Identity {
        id: Arc::from(id),
        kept: Kept::Yes,
        nonce: nonce(),
    }
}

/// What the store's certificate is verified with; `None`: no node is asked within TLS.
///
/// # Errors
///
/// The files cannot be used; a sentence that says why.
pub fn tls_of(shared: &Shared) -> Result<Option<Arc<ClientConfig>>, String> {
    if !shared.nodes.iter().any(|node| node.tls) {
        return Ok(None);
    }
    let files = &shared.tls;
    let ca_file = files.ca_file.as_deref().map(Path::new);
    let own = files.own.as_ref();
    let own = own.map(|(cert, key)| Own {
        cert_file: Path::new(&**cert),
        key_file: Path::new(&**key),
    });
    let config = tls::store(ca_file, own);
    let named = |fault| format!("cannot use the files of shared.tls: {fault}");
    Ok(Some(config.map_err(named)?))
}
