//! Writes the durable state, on a thread of its own because it blocks.

use std::sync::Arc;
use std::time::Duration;

use crate::coordinator::notices::Notices;
use crate::coordinator::state_file::StateFile;
use crate::ledger::state::State;
use crate::link::states::{Received, StateReceiver};
use crate::sys::clock;

/// Writes every state that comes, until no sender is left. A failing disk is reported once, and
/// once more when it has recovered; meanwhile writing is tried again, and requests go on.
pub fn run(file: &StateFile, states: &StateReceiver<Arc<State>>, notices: &Notices) {
    let mut unwritten: Option<String> = None;
    loop {
        let failing = unwritten.is_some();
        let next = states.next(unwritten.as_ref().map(|_| RETRY));
        let start = clock::now();
        let (text, last) = match next {
            // Nobody waits for the text here: the rows of tens of thousands of scopes take long.
            Received::State(state) => (text(&state), false),
            Received::Nothing => (unwritten.take().unwrap_or_default(), false),
            Received::Never => match unwritten.take() {
                Some(text) => (text, true),
                None => return,
            },
        };
        let written = file.write(&text);
        states.tell(clock::now().since(start));
        if written.is_err() {
            states.count_failure();
        }
        match (&written, failing) {
            (Ok(()), false) | (Err(_), true) => {}
            (Ok(()), true) => {
                notices.state_file(None);
                tracing::info!("the state file is written again");
            }
            (Err(fault), false) => {
                notices.state_file(Some(fault));
                tracing::error!(%fault, "the state file cannot be written: spend may be lost");
            }
        }
        unwritten = written.is_err().then_some(text);
        if last {
            return;
        }
    }
}

fn text(state: &State) -> String {
    // Writing a state cannot fail: its keys are strings, its numbers are whole.
    state.to_json().unwrap_or_default()
}

/// Pause before a state that could not be written is tried again.
const RETRY: Duration = Duration::from_secs(1);
