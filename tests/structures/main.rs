//! Small structures of users, right ones and broken twins, on the engines: parts of payloads, waits, sixteen processes,
//! patterns of real structures, signals, specs that take long, and what shrinking and the cross-check make of a finding.

mod forked;
mod judging;
mod parts;
mod shapes;
mod shrinking;
mod signals;
mod sixteen;
#[path = "../support/mod.rs"]
mod support;
mod waiting;
