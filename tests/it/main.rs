//! System tests: the real binary over real sockets, with the bundled mock as providers.

mod serving;
mod support;
