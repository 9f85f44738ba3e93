//! One event loop per core: connections, upstream pool, timers; drives exchanges.
