//! The publications on engines: whether suites notice weaker orderings of them, and bounds on the steps of an operation.
#![forbid(unsafe_code)]

mod adequacy;
mod progress;
#[path = "../support/mod.rs"]
mod support;
