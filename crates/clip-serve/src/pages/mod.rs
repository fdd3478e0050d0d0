//! The pages, one file each: functions from what is served and a request to a reply.

mod assets;
mod build;
mod contamination;
mod duplicates;
mod hosts;
mod index;
mod pair;
mod rows;
mod search;
mod static_page;
mod training;

pub(crate) use assets::{script, style};
pub(crate) use build::build;
pub(crate) use contamination::{contamination, decide, pair_image};
pub(crate) use duplicates::duplicates;
pub(crate) use hosts::hosts;
pub(crate) use index::index;
pub(crate) use pair::pair;
pub(crate) use rows::{image, rows};
pub(crate) use search::search;
pub(crate) use static_page::static_page;
pub(crate) use training::training;
