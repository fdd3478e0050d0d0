//! A small web of open emoji for the demo and the tests, and the evaluation set that goes with it.
//!
//! Seven styles are drawn on pages with captions in plain words, beside the noise of a real web;
//! the eighth, twemoji, is the evaluation set. Everything follows from names and seeds: two sites
//! give the same bytes.

pub mod captions;
pub mod copies;
pub mod dns;
pub mod evaluation;
pub mod faults;
pub mod files;
pub mod hosts;
pub mod limited;
mod listen;
pub mod pages;
pub mod pairs;
pub mod photos;
pub mod ports;
pub mod proxy;
pub mod server;
pub mod site;
pub mod socks;
pub mod styles;
pub mod tls;
