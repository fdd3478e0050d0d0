//! Passes what `scripts/release` wants of the linker on to it; other builds want nothing.

fn main() {
    println!("cargo:rerun-if-env-changed=CLIP_DATA_LINK_ARGS");
    let args = std::env::var("CLIP_DATA_LINK_ARGS").unwrap_or_default();
    for arg in args.lines() {
        println!("cargo:rustc-link-arg-bins={arg}");
    }
}
