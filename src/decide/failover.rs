//! What an attempt's end means, and whether another provider may be tried.
