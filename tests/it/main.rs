//! System tests: the real binary over real sockets, with the bundled mock as providers.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    unreachable_pub,
    reason = "tests start threads, share memory and look at the clock; modules of one binary"
)]

mod failover;
mod hangup;
mod headers;
mod logging;
mod raw;
mod routing;
mod serving;
mod shutdown;
mod start;
mod streams;
mod validate;

mod support;
