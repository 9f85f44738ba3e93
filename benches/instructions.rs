//! Instructions of one run of each hot step, counted by callgrind: figures that do not depend on
//! other work on the machine. `cargo x bench` runs this bench and compares the figures with
//! `benches/instructions.json`.

#![expect(
    missing_docs,
    reason = "gungraun's macros write public items without a sentence"
)]

mod common;

use common::Run;
use gungraun::{library_benchmark, library_benchmark_group, main};

#[library_benchmark(setup = common::step)]
#[bench::head_parse("head_parse")]
#[bench::request_read("request_read")]
#[bench::ask_250("ask_250")]
#[bench::ask_100k("ask_100k")]
#[bench::route_3("route_3")]
#[bench::route_30("route_30")]
#[bench::gate_free("gate_free")]
#[bench::gate_limited("gate_limited")]
#[bench::budget_reserve("budget_reserve")]
#[bench::price_row("price_row")]
#[bench::outbound_head("outbound_head")]
#[bench::edit_request("edit_request")]
#[bench::answer_head_parse("answer_head_parse")]
#[bench::used_up("used_up")]
#[bench::answer("answer")]
#[bench::relay_read("relay_read")]
#[bench::relay_unchanged("relay_unchanged")]
#[bench::relay_usage_null("relay_usage_null")]
#[bench::relay_model("relay_model")]
#[bench::relay_flow_64("relay_flow_64")]
#[bench::anthropic_request("anthropic_request")]
#[bench::anthropic_answer("anthropic_answer")]
#[bench::anthropic_delta_read("anthropic_delta_read")]
#[bench::anthropic_delta("anthropic_delta")]
#[bench::messages_edit("messages_edit")]
#[bench::messages_request("messages_request")]
#[bench::messages_answer("messages_answer")]
#[bench::messages_delta_read("messages_delta_read")]
#[bench::messages_delta("messages_delta")]
#[bench::messages_relay("messages_relay")]
#[bench::responses_edit("responses_edit")]
#[bench::responses_request("responses_request")]
#[bench::responses_answer("responses_answer")]
#[bench::responses_delta_read("responses_delta_read")]
#[bench::responses_delta("responses_delta")]
#[bench::responses_relay("responses_relay")]
#[bench::cost("cost")]
#[bench::count("count")]
#[bench::access_line("access_line")]
#[bench::facts_256("facts_256")]
#[bench::books_admitted("books_admitted")]
#[bench::books_success("books_success")]
#[bench::books_failure("books_failure")]
fn step(mut run: Run) -> Run {
    run();
    // Returned, so that dropping it is not counted.
    run
}

library_benchmark_group!(name = steps, benchmarks = step);
main!(library_benchmark_groups = steps);
