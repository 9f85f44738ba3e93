//! The way of one request, from its head to its settlement.

pub mod after;
pub mod answer_head;
pub mod ask;
pub mod attempt;
pub mod bridged;
pub mod check;
pub mod choose;
pub mod conclude;
pub mod connect;
pub mod connection;
pub mod count;
pub mod drive;
pub mod early;
pub mod error;
pub mod job;
pub mod kept;
pub mod local;
pub mod lost;
pub mod manage;
#[cfg(debug_assertions)]
mod mishap;
pub mod models;
pub mod outage;
pub mod perform;
pub mod permit;
pub mod place;
pub mod record;
pub mod refuse;
pub mod reservation;
pub mod retold;
pub mod spend;
pub mod stream;
pub mod translated;
pub mod used;
pub mod whole;
pub mod words;
