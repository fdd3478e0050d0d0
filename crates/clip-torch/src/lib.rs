//! The C++ shim over libtorch: what tch lacks for training CLIP.
