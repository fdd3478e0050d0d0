//! Local web pages over runs, shards, tables, training runs and reports.
//!
//! The server listens on 127.0.0.1 alone, asks each request for its token, and shows nothing but
//! what is below the paths that it was given. Pages are HTML that is made here, with every text
//! escaped; style and script are inside the executable, and nothing comes from the network.
//!
//! ```
//! use clip_serve::{Options, Server};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
//! let options = Options { paths: vec![folder.path().to_path_buf()], ..Options::default() };
//! let server = runtime.block_on(Server::bind(options))?;
//! assert!(server.url().starts_with("http://127.0.0.1:"));
//! // It answers until this is ready.
//! runtime.block_on(server.run(async {}))?;
//! # Ok(())
//! # }
//! ```

mod corpus;
mod decisions;
mod error;
mod guard;
mod http;
mod neighbours;
mod page;
mod pages;
mod review;
mod roots;
mod server;
mod stages;
mod state;
mod training_log;

pub use error::{Error, Result};
pub use neighbours::TextEncoder;
pub use server::{Options, Server};
pub use state::{Encoder, Queries};
