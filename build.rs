//! Tells the library, as `cfg(leak_checked)`, that it is built with a sanitizer that looks for leaks: memory that
//! is mapped from the system is none that they look into (DESIGN.md, section 3).

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Of `-Zsanitizer=…`; empty where there is none.
    let sanitizers = std::env::var("CARGO_CFG_SANITIZE").unwrap_or_default();
    let looks_for_leaks = |sanitizer| matches!(sanitizer, "address" | "hwaddress" | "leak");
    if sanitizers.split(',').any(looks_for_leaks) {
        println!("cargo::rustc-cfg=leak_checked");
    }
}
