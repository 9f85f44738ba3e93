//! The hot steps of a request, each ready to be run repeatedly; both benches measure them.

mod books;
mod dialects;
mod gates;
mod messages;
mod plan;
mod run;
mod steps;

pub(crate) use run::Run;

/// A step's name, and the function that prepares it.
type Step = (&'static str, fn() -> Run);

/// Every step, in the order in which a request takes them.
pub(crate) const STEPS: [Step; 43] = [
    ("head_parse", steps::head_parse),
    ("request_read", steps::request_read),
    ("ask_250", || steps::ask(250)),
    ("ask_100k", || steps::ask(100_000)),
    ("route_3", || gates::route(3)),
    ("route_30", || gates::route(30)),
    ("gate_free", gates::take_and_leave),
    ("gate_limited", gates::take_and_give),
    ("budget_reserve", gates::reserve),
    ("price_row", steps::price_row),
    ("outbound_head", steps::outbound_head),
    ("edit_request", steps::edit_request),
    ("answer_head_parse", steps::answer_head_parse),
    ("used_up", steps::used_up),
    ("answer", steps::answer),
    ("relay_read", steps::relay_read),
    ("relay_unchanged", steps::relay_unchanged),
    ("relay_usage_null", steps::relay_usage_null),
    ("relay_model", steps::relay_model),
    ("relay_flow_64", steps::relay_flow_64),
    ("anthropic_request", dialects::request),
    ("anthropic_answer", dialects::answer),
    ("anthropic_delta_read", dialects::delta_read),
    ("anthropic_delta", dialects::delta),
    ("messages_edit", dialects::messages_edit),
    ("messages_request", dialects::messages_request),
    ("messages_answer", dialects::messages_answer),
    ("messages_delta_read", dialects::messages_delta_read),
    ("messages_delta", dialects::messages_delta),
    ("messages_relay", dialects::messages_relay),
    ("responses_edit", dialects::responses_edit),
    ("responses_request", dialects::responses_request),
    ("responses_answer", dialects::responses_answer),
    ("responses_delta_read", dialects::responses_delta_read),
    ("responses_delta", dialects::responses_delta),
    ("responses_relay", dialects::responses_relay),
    ("cost", steps::cost),
    ("count", steps::count),
    ("access_line", steps::access_line),
    ("facts_256", books::facts),
    ("books_admitted", books::admitted),
    ("books_success", books::success),
    ("books_failure", books::failure),
];

/// The step of this name, warmed up.
pub(crate) fn step(name: &str) -> Run {
    let found = STEPS.iter().find(|(own, _)| *own == name);
    let (_, make) = found.expect("the name of a step");
    let mut run = make();
    for _ in 0..WARM_RUNS {
        run();
    }
    run
}

/// Runs before the first one that counts: buffers have their size and tables are filled by then.
const WARM_RUNS: u32 = 200;
