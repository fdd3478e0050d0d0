//! Files behind URLs: object storage, read and written, and `https`, read.
//!
//! `s3://bucket/key`, `file:///folder/key` and, by feature, `gs://bucket/key` and
//! `az://container/key` are [`Store`]s. Credentials come from the environment alone, under the
//! names that each provider's own tools use, and are in no message. Every failure is a
//! [`std::io::Error`]; the caller knows the URL and names it.
//!
//! ```
//! assert!(clip_store::is_remote("s3://bucket/shards/"));
//! // What is printed shows neither passwords nor signatures.
//! let shown = clip_store::redacted("https://user:secret@example.org/a.jpg");
//! assert!(!shown.contains("secret"));
//! ```

mod connect;
mod disk_cache;
mod http;
mod reader;
mod redact;
mod remote;
mod runtime;
mod store;
mod wildcard;

pub use disk_cache::DiskCache;
pub use reader::{Reader, copy, length, open};
pub use redact::redacted;
pub use remote::is_remote;
pub use store::{Body, Store, Version};
pub use wildcard::names;
