//! Compiles the C++ shim against the libtorch that torch-sys found.

use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=shim");
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    // torch-sys (links = "tch") exports where its libraries are.
    let Ok(lib) = std::env::var("DEP_TCH_LIBTORCH_LIB") else {
        println!("cargo:warning=torch-sys found no libtorch; run scripts/setup and set LIBTORCH");
        return;
    };
    let include = Path::new(&lib).join("../include");
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .warnings(false)
        .define("USE_C10D_GLOO", None)
        .include("shim/gloo_headers")
        .include(&include)
        .include(include.join("torch/csrc/api/include"))
        .files(["shim/shim.cpp", "shim/packed.cpp", "shim/dist.cpp", "shim/old_libstdcxx.cpp"])
        .compile("clip_torch_shim");
    // Only what is used is needed at run time, so that one binary serves with and without CUDA.
    println!("cargo:rustc-link-arg=-Wl,--as-needed");
    println!("cargo:rustc-link-arg=-Wl,--allow-shlib-undefined");
}
