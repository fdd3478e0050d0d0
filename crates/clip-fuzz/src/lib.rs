//! The bodies of the fuzz targets, as plain functions of bytes.
//!
//! Each hands its bytes to the function that the toolkit itself uses, and asserts what must hold of
//! any input beside that nothing panics. libFuzzer calls them from `fuzz/`, a workspace of its own;
//! `tests/replay.rs` calls them with the committed corpora and mutations of them.
//!
//! Without the features `corpus` and `torch` a fuzz build compiles neither Arrow and Parquet nor
//! libtorch.

mod image;
#[cfg(feature = "corpus")]
mod lists;
pub mod mutate;
mod scratch;
#[cfg(feature = "corpus")]
mod sets;
#[cfg(feature = "corpus")]
mod settings;
#[cfg(feature = "corpus")]
mod shards;
mod text;
#[cfg(feature = "corpus")]
mod web;
#[cfg(feature = "torch")]
mod weights;

pub use image::{exif, image};
#[cfg(feature = "corpus")]
pub use lists::{delimited, json, list, parquet, source};
#[cfg(feature = "corpus")]
pub use sets::{eval_table, hdf5, idx, mat, npy, pickle};
#[cfg(feature = "corpus")]
pub use settings::{manifest, pipeline, queries, wikitext};
#[cfg(feature = "corpus")]
pub use shards::{subset, tar};
pub use text::{caption, fasttext, tokenizer};
#[cfg(feature = "corpus")]
pub use web::{html, http, robots, sitemap, warc, wat};
#[cfg(feature = "torch")]
pub use weights::{pt, pt_pickle, safetensors};

/// The body of a target.
pub type Body = fn(&[u8]);

/// Every target by its name, which is that of its executable and of the folder of its corpus.
pub const TARGETS: &[(&str, Body)] = &[
    ("caption", caption),
    ("exif", exif),
    ("fasttext", fasttext),
    ("image", image),
    ("tokenizer", tokenizer),
    #[cfg(feature = "corpus")]
    ("delimited", delimited),
    #[cfg(feature = "corpus")]
    ("eval_table", eval_table),
    #[cfg(feature = "corpus")]
    ("hdf5", hdf5),
    #[cfg(feature = "corpus")]
    ("html", html),
    #[cfg(feature = "corpus")]
    ("http", http),
    #[cfg(feature = "corpus")]
    ("idx", idx),
    #[cfg(feature = "corpus")]
    ("json", json),
    #[cfg(feature = "corpus")]
    ("list", list),
    #[cfg(feature = "corpus")]
    ("manifest", manifest),
    #[cfg(feature = "corpus")]
    ("mat", mat),
    #[cfg(feature = "corpus")]
    ("npy", npy),
    #[cfg(feature = "corpus")]
    ("parquet", parquet),
    #[cfg(feature = "corpus")]
    ("pickle", pickle),
    #[cfg(feature = "corpus")]
    ("pipeline", pipeline),
    #[cfg(feature = "corpus")]
    ("queries", queries),
    #[cfg(feature = "corpus")]
    ("robots", robots),
    #[cfg(feature = "corpus")]
    ("sitemap", sitemap),
    #[cfg(feature = "corpus")]
    ("source", source),
    #[cfg(feature = "corpus")]
    ("subset", subset),
    #[cfg(feature = "corpus")]
    ("tar", tar),
    #[cfg(feature = "corpus")]
    ("warc", warc),
    #[cfg(feature = "corpus")]
    ("wat", wat),
    #[cfg(feature = "corpus")]
    ("wikitext", wikitext),
    #[cfg(feature = "torch")]
    ("pt", pt),
    #[cfg(feature = "torch")]
    ("pt_pickle", pt_pickle),
    #[cfg(feature = "torch")]
    ("safetensors", safetensors),
];

/// What must not fail: the harness itself, or a property that the input cannot change.
#[track_caller]
pub(crate) fn must<T, E: std::fmt::Display>(result: Result<T, E>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{error}"),
    }
}

/// The first byte, which chooses among formats, and what follows it.
pub(crate) fn choice(data: &[u8]) -> (usize, &[u8]) {
    data.split_first().map_or((0, data), |(first, rest)| (usize::from(*first), rest))
}
