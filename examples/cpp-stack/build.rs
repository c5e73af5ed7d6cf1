//! Compiles the stack twice: as it was shipped, and with its fix.

fn main() {
    println!("cargo::rerun-if-changed=cpp");
    for (name, is_fixed) in [("shipped", "false"), ("fixed", "true")] {
        cc::Build::new()
            .cpp(true)
            .std("c++17")
            .file("cpp/stack.cpp")
            .define("STACK_FIXED", is_fixed)
            .define("stack_init", &*format!("{name}_stack_init"))
            .define("stack_push", &*format!("{name}_stack_push"))
            .define("stack_pop", &*format!("{name}_stack_pop"))
            .compile(&format!("{name}_stack"));
    }
}
