//! Notes a request that failed, was refused or was slow, for operators.

use crate::base::limits::LABEL_BYTES_MAX;
use crate::exchange::request::Request;
use crate::link::noted::{CALLER_GONE, Form, Noted, NotedRequest, Trouble};
use crate::report::access_line::Access;
use crate::report::escape::bounded;
use crate::sys::clock;

/// A request that an operator may want to see.
pub(super) struct Notable<'a> {
    /// The request.
    pub request: &'a Request,
    /// What its access line says.
    pub told: Access<'a>,
    /// The provider's name for the model.
    pub provider_model: Option<&'a str>,
    /// Whether its caller waited longer for the answer than is usual.
    pub is_slow: bool,
}

/// Notes it, if it is one that operators want to see.
#[cold]
pub(super) fn note(noted: &Noted, one: &Notable<'_>) {
    let Notable { request, told, .. } = one;
    let form = match told.stream {
        Some(true) => Form::Stream,
        Some(false) | None => Form::Whole,
    };
    // A caller that has left without an answer has perhaps waited too long.
    let is_left = told.status == CALLER_GONE && told.first_byte.is_none();
    let waited = clock::now().since(request.ready);
    let is_slow = one.is_slow || is_left && waited > noted.slow_from(form);
    let has_error = told.error.is_some();
    let Some(trouble) = Trouble::of(told.status, told.attempts, has_error, is_slow) else {
        return;
    };
    let name = |name| bounded(name, LABEL_BYTES_MAX).into();
    noted.add(NotedRequest {
        time: clock::wall(),
        trouble,
        id: request.id.as_str().into(),
        upstream_id: told.upstream_request_id.map(name),
        endpoint: request.origin.endpoint,
        caller: told.caller.map(name),
        key: told.key.map(name),
        team: told.team.map(name),
        model: told.model.map(name),
        provider: told.provider.map(name),
        provider_model: one.provider_model.map(name),
        status: told.status,
        error: told.error,
        stream: told.stream,
        attempts: told.attempts,
        duration: told.latency,
        first_byte: told.first_byte,
        cost: told.cost,
        failed_cost: told.failed_cost,
    });
}
