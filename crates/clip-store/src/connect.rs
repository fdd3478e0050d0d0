//! The clients of object storage, one for each bucket, with credentials from the environment.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::{Error, ObjectStore};

type Client = Arc<dyn ObjectStore>;

/// The client of a bucket. It is made once: making it reads certificates and opens connections.
pub(crate) fn client(scheme: &str, bucket: &str) -> io::Result<Client> {
    static CLIENTS: LazyLock<Mutex<HashMap<String, Client>>> = LazyLock::new(Mutex::default);
    let mut clients = CLIENTS.lock().unwrap_or_else(PoisonError::into_inner);
    let name = format!("{scheme}://{bucket}");
    if let Some(client) = clients.get(&name) {
        return Ok(client.clone());
    }
    crate::http::provider();
    let client = match scheme {
        "s3" => s3(bucket).map_err(io_error)?,
        "gs" => gs(bucket)?,
        "az" => az(bucket)?,
        _ => file(bucket)?,
    };
    clients.insert(name, client.clone());
    Ok(client)
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Whether the environment says who asks S3.
pub(crate) fn signs() -> bool {
    [
        "AWS_ACCESS_KEY_ID",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_SKIP_SIGNATURE",
    ]
    .iter()
    .any(|name| variable(name).is_some())
}

fn s3(bucket: &str) -> object_store::Result<Client> {
    let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
    if variable("AWS_ENDPOINT_URL").is_some_and(|url| url.starts_with("http://")) {
        builder = builder.with_allow_http(true);
    }
    if !signs() {
        // Otherwise the machine's metadata service would be asked, which most machines do not have.
        builder = builder.with_skip_signature(true);
    }
    Ok(Arc::new(builder.build()?))
}

#[cfg(feature = "gcs")]
fn gs(bucket: &str) -> io::Result<Client> {
    let builder = object_store::gcp::GoogleCloudStorageBuilder::from_env();
    Ok(Arc::new(builder.with_bucket_name(bucket).build().map_err(io_error)?))
}

#[cfg(not(feature = "gcs"))]
fn gs(_: &str) -> io::Result<Client> {
    Err(lacks("gcs"))
}

#[cfg(feature = "azure")]
fn az(container: &str) -> io::Result<Client> {
    let builder = object_store::azure::MicrosoftAzureBuilder::from_env();
    Ok(Arc::new(builder.with_container_name(container).build().map_err(io_error)?))
}

#[cfg(not(feature = "azure"))]
fn az(_: &str) -> io::Result<Client> {
    Err(lacks("azure"))
}

#[cfg(not(all(feature = "gcs", feature = "azure")))]
fn lacks(feature: &str) -> io::Error {
    let hint = format!("hint: `cargo build --release --workspace --features clip-store/{feature}`");
    io::Error::new(
        io::ErrorKind::Unsupported,
        format!("this executable was built without it\n{hint}"),
    )
}

fn file(folder: &str) -> io::Result<Client> {
    std::fs::create_dir_all(folder)?;
    Ok(Arc::new(LocalFileSystem::new_with_prefix(folder).map_err(io_error)?))
}

/// The deepest reasons, without what follows `?` in a URL: it may hold a key.
pub(crate) fn io_error(error: Error) -> io::Error {
    let kind = match &error {
        Error::NotFound { .. } => io::ErrorKind::NotFound,
        Error::AlreadyExists { .. } => io::ErrorKind::AlreadyExists,
        Error::Precondition { .. } => io::ErrorKind::ResourceBusy,
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
            io::ErrorKind::PermissionDenied
        }
        Error::NotSupported { .. } | Error::NotImplemented { .. } => io::ErrorKind::Unsupported,
        _ => io::ErrorKind::Other,
    };
    // A server's own answer to that is a page of XML.
    let text = match kind {
        io::ErrorKind::NotFound => "there is no such object".to_owned(),
        // It may contain what was signed.
        io::ErrorKind::PermissionDenied => "access is denied".to_owned(),
        _ => without_queries(&error.to_string()),
    };
    io::Error::new(kind, text)
}

fn without_queries(text: &str) -> String {
    let words = text.split_inclusive(char::is_whitespace).map(|word| {
        let query = word.contains("://").then(|| word.find('?')).flatten();
        query.map_or_else(|| word.to_owned(), |at| format!("{}?… ", &word[..at]))
    });
    words.collect::<String>().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_message_holds_a_signed_url() {
        let text = "error for url (https://host/a?sig=SECRET): no answer? none";
        assert_eq!(without_queries(text), "error for url (https://host/a?… no answer? none");
    }
}
