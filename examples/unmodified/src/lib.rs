//! Nothing of its own: tests/published.rs checks published crates as they are.
//! `cargo forkcheck test --manifest-path examples/unmodified/Cargo.toml` finds the releases with a defect, and passes the others.
