//! Compiles the ring twice: as it was shipped, and with its fix.

fn main() {
    println!("cargo::rerun-if-changed=c");
    cc::Build::new().file("c/ring.c").compile("ring");
    cc::Build::new()
        .file("c/ring.c")
        .define("RING_FIXED", None)
        .define("ring_init", "fixed_ring_init")
        .define("ring_push", "fixed_ring_push")
        .define("ring_pop", "fixed_ring_pop")
        .compile("fixed_ring");
}
