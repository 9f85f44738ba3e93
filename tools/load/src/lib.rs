//! How measurements are shown: a page of its own with plots that need nothing from elsewhere.
#![forbid(unsafe_code)]

pub mod chart;
pub mod page;
pub mod scale;
