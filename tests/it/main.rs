//! System tests: the real binary over real sockets.
