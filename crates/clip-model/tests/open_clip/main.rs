//! Equality with open_clip 3.3.0 and transformers, from golden values that `scripts/golden/clip`
//! makes.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod checkpoints;
mod formula;
mod forward;
mod keys;
mod layouts;
