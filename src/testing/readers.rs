//! Everything that reads bytes from outside, for the fuzzer (`fuzz/src/targets`).

pub mod base {
    pub mod digest {
        pub use crate::base::digest::Digest;
    }
    pub mod endpoint {
        pub use crate::base::endpoint::{Dialect, Endpoint};
    }
    pub mod limits {
        pub use crate::base::limits::{
            ANSWER_HEAD_BYTES_MAX, CHUNK_LINE_BYTES_MAX, HEADERS_MAX, REQUEST_HEAD_BYTES_MAX,
            TARGET_BYTES_MAX, TRAILER_BYTES_MAX,
        };
    }
    pub mod money {
        pub use crate::base::money::{NanoUsd, Price};
    }
    pub mod month {
        pub use crate::base::month::Month;
    }
    pub mod period {
        pub use crate::base::period::Period;
    }
    pub mod time {
        pub use crate::base::time::{Instant, WallTime};
    }
    pub mod tokens {
        pub use crate::base::tokens::Tokens;
    }
}
pub mod config {
    pub mod cors {
        pub use crate::config::cors::{Cors, Origins, origin};
    }
    pub use crate::config::{
        Environment, Lookup, Options, Strictness, cores, decimal, duration, listen, load,
        load_keys, moment, patterns, proxy, url,
    };
    pub mod check {
        pub use crate::config::check::keys::Known;
    }
    pub mod convert {
        pub use crate::config::convert::litellm;
    }
    pub mod raw {
        pub use crate::config::raw::{edit, yaml};
    }
}
pub mod coordinator {
    pub mod collector {
        pub use crate::coordinator::collector::judged;
    }
}
pub mod decide {
    pub mod affinity {
        pub use crate::decide::affinity::By;
    }
    pub mod outcome {
        pub use crate::decide::outcome::KeyOwner;
    }
    pub mod pricing {
        pub use crate::decide::pricing::Row;
    }
}
pub mod dialect {
    pub use crate::dialect::{answer_as_stream, errors, overflow, topic};
    pub mod answers {
        pub use crate::dialect::answers::{AnswerPlan, write};
    }
    pub mod ask {
        pub use crate::dialect::ask::{
            Arriving, AskOutlines, RequestEdits, edit_request, read_ask, write_named,
        };
    }
    pub mod chat {
        pub use crate::dialect::chat::inspect::{inspect, seen};
        pub use crate::dialect::chat::provider_error::{
            names_stream_options, without_overload, write_in_shape,
        };
    }
    pub mod messages {
        pub use crate::dialect::messages::estimate::tokens as estimate;
        pub use crate::dialect::messages::inspect::inspect;
        pub use crate::dialect::messages::own_thoughts;
        pub use crate::dialect::messages::read_models::next_page;
    }
    pub mod outlines {
        pub use crate::dialect::outlines::AnswerOutlines;
    }
    pub mod passed_on {
        pub use crate::dialect::passed_on::{asked, inspect, usage_in};
    }
    pub mod request {
        pub use crate::dialect::chat::lessons::{Key, Keys, refused};
        pub use crate::dialect::chat::write_prompt::{Host, Stream};
        pub use crate::dialect::messages::read_prompt::read as read_messages;
        pub use crate::dialect::request::{Destination, Received, write};
        pub use crate::dialect::responses::remembered::Nothing;
    }
    pub mod responses {
        pub use crate::dialect::responses::blame;
        pub use crate::dialect::responses::echo::Echo;
        pub use crate::dialect::responses::estimate::tokens as estimate;
        pub use crate::dialect::responses::inspect::inspect;
        pub use crate::dialect::responses::native_body;
        pub use crate::dialect::responses::references::{
            each, each_made, each_made_in_event, each_own,
        };
    }
    pub mod shell {
        pub use crate::dialect::shell::part::BrokenEnd;
        pub use crate::dialect::shell::plan::{
            IncludeUsage, StreamPlan, Thoughts, UsageChunk, Wanted,
        };
        pub use crate::dialect::shell::{Shell, early_sign};
        pub use crate::dialect::tariff::Tariff;
    }
    pub mod view {
        pub use crate::dialect::view::View;
    }
}
pub mod exchange {
    pub mod affinity {
        pub use crate::exchange::affinity::{Sought, of_body, of_head};
    }
    pub mod attribution {
        pub use crate::exchange::attribution::Attribution;
    }
    pub mod auth {
        pub use crate::exchange::auth::Presented;
    }
    pub mod cors {
        pub use crate::exchange::cors::Cors;
    }
    pub mod door {
        pub use crate::exchange::door::Door;
    }
    pub mod masks {
        pub use crate::exchange::masks::Masks;
    }
    pub mod media {
        pub use crate::exchange::media::{Looks, Media, Stated};
    }
    pub mod model_list {
        pub use crate::exchange::model_list::ModelList;
    }
    pub mod origin {
        pub use crate::exchange::origin::Origin;
    }
    pub mod path_hint {
        pub use crate::exchange::path_hint::served;
    }
    pub mod request {
        pub use crate::exchange::request::Request;
    }
    pub mod target {
        pub use crate::exchange::target::{has_web_socket, read, read_usual};
    }
}
pub mod ledger {
    pub mod shares {
        pub use crate::ledger::shares::message::{AskAnswer, HelloAnswer};
    }
    pub mod state {
        pub use crate::ledger::state::State;
    }
}
pub mod link {
    pub mod store {
        pub use crate::link::store::Said;
    }
}
pub mod sys {
    pub mod http {
        pub use crate::sys::http::Answer;
    }
    pub mod redis {
        pub use crate::sys::redis::said;
    }
}
pub mod wire {
    pub use crate::wire::{draft, field};
    pub mod body {
        pub use crate::wire::body::BodyDecoder;
    }
    pub mod chunked {
        pub use crate::wire::chunked::{Chunked, Piece, Progress, write_chunk_head};
    }
    pub mod head {
        pub use crate::wire::head::{
            Arrival, Asked, Framing, Head, HeadFault, RecentHeads, origin_form,
        };
    }
    pub mod inflate {
        pub use crate::wire::inflate::{Coding, Inflate};
    }
    pub mod json {
        pub use crate::wire::json::{
            Bracket, Kind, Value, Walk, check, elements, member, members, text_len,
        };
    }
    pub mod known {
        pub use crate::wire::known::{Known, Names};
    }
    pub mod multipart {
        pub use crate::wire::multipart::{Event, FormFault, Multipart};
    }
    pub mod path {
        pub use crate::wire::path::Path;
    }
    pub mod provider_error {
        pub use crate::wire::provider_error::ProviderError;
    }
    pub mod retry_after {
        pub use crate::wire::retry_after::{asked, outright, used_up};
    }
    pub mod rules {
        pub use crate::wire::rules::{Rule, Rules};
    }
    pub mod sse {
        pub use crate::wire::sse::{Event, Item, Splitter, write_event};
    }
    pub mod stream_fault {
        pub use crate::wire::stream_fault::StreamFault;
    }
    pub mod trace_context {
        pub use crate::wire::trace_context::{Context, read, write_parent};
    }
}
