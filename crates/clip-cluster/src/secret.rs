//! The secret that the members of a cluster share, and the guard before every port that they listen
//! on.
//!
//! Ballista lets its clients be changed in one place only, the connection's endpoint, which can
//! carry one header: `User-Agent`. So every request has `clip-data/TOKEN` there, where the token is
//! a hash of the secret.

use std::fmt;
use std::io::Read;
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::header::{CONTENT_TYPE, USER_AGENT};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use ballista_core::extension::{EndpointOverrideFn, SessionConfigExt};
use datafusion::prelude::SessionConfig;
use tonic::Status;

use crate::{Error, Result};

/// The environment variable that holds the secret where no file is named.
pub const VARIABLE: &str = "CLIP_DATA_CLUSTER_SECRET";
/// Bytes of the shortest secret: what 12 random bytes are in base64.
const SHORTEST: usize = 16;
/// Bytes of the longest.
const LONGEST: u64 = 4096;
/// Permissions of all users of a machine.
const OTHERS: u32 = 0o007;
const AGENT: &str = "clip-data/";
/// What those hear who do not show it.
const WANTED: &str = "this cluster wants its secret";

/// What each member shows to the others, made from their secret.
#[derive(Clone, Copy)]
pub struct Secret(blake3::Hash);

impl Secret {
    /// The secret in `file`, else in [`VARIABLE`], if there is one.
    ///
    /// # Errors
    /// [`Error::Secret`] when it is short or empty, or when every user of this machine may open the
    /// file.
    pub fn find(file: Option<&Path>) -> Result<Option<Self>> {
        match file {
            Some(file) => Self::read(file).map(Some),
            None => {
                let text = std::env::var_os(VARIABLE);
                text.map(|text| Self::new(VARIABLE, text.as_bytes())).transpose()
            }
        }
    }

    fn read(file: &Path) -> Result<Self> {
        let name = file.display().to_string();
        let failed = |e| Error::Secret { name: name.clone(), reason: format!("{e}") };
        let opened = std::fs::File::open(file).map_err(failed)?;
        if opened.metadata().map_err(failed)?.permissions().mode() & OTHERS != 0 {
            let reason = "every user of this machine may open it".to_owned();
            return Err(Error::Secret { name, reason });
        }
        let mut text = Vec::new();
        opened.take(LONGEST).read_to_end(&mut text).map_err(failed)?;
        Self::new(&name, &text)
    }

    fn new(name: &str, text: &[u8]) -> Result<Self> {
        let text = text.trim_ascii();
        if text.len() < SHORTEST {
            let reason = format!("{} bytes; a secret has at least {SHORTEST}", text.len());
            return Err(Error::Secret { name: name.to_owned(), reason });
        }
        Ok(Self(blake3::derive_key("clip-data 2026 cluster token", text).into()))
    }

    /// The value of the header that shows it.
    pub(crate) fn agent(&self) -> String {
        format!("{AGENT}{}", self.0.to_hex())
    }

    /// Whether a request shows it; hashes are compared in constant time.
    fn is_in(&self, headers: &HeaderMap) -> bool {
        let agent = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok());
        let token = agent.and_then(|agent| agent.strip_prefix(AGENT)?.split(' ').next());
        token.and_then(|token| blake3::Hash::from_hex(token).ok()) == Some(self.0)
    }

    /// What makes Ballista's clients show it.
    pub(crate) fn shown(self) -> EndpointOverrideFn {
        Arc::new(move |endpoint| Ok(endpoint.user_agent(self.agent())?))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// Settings of sessions whose connections show the secret.
pub(crate) fn showing(config: SessionConfig, secret: Option<Secret>) -> SessionConfig {
    match secret {
        Some(secret) => config.with_ballista_override_create_grpc_client_endpoint(secret.shown()),
        None => config,
    }
}

/// Answers requests that show the secret, and refuses all others before their body is read.
pub(crate) fn guarded(router: Router, secret: Option<Secret>) -> Router {
    let Some(secret) = secret else { return router };
    router.layer(from_fn(move |request: Request, next: Next| {
        let known = secret.is_in(request.headers());
        async move { if known { next.run(request).await } else { refusal(request.headers()) } }
    }))
}

fn refusal(headers: &HeaderMap) -> Response {
    let kind = headers.get(CONTENT_TYPE).map(|kind| kind.as_bytes());
    if kind.is_some_and(|kind| kind.starts_with(b"application/grpc")) {
        // Its clients take other answers for those of an old scheduler.
        return Status::unauthenticated(WANTED).into_http();
    }
    (StatusCode::UNAUTHORIZED, WANTED).into_response()
}

/// Refuses to listen for other machines without a secret.
///
/// # Errors
/// [`Error::Open`].
pub fn may_listen(address: IpAddr, secret: Option<Secret>) -> Result<()> {
    if secret.is_some() || address.to_canonical().is_loopback() {
        Ok(())
    } else {
        Err(Error::Open { address })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(error: Result<Secret>) -> String {
        error.unwrap_err().to_string()
    }

    #[test]
    fn a_secret_is_long_and_in_a_file_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        let write = |text: &str, mode: u32| {
            std::fs::write(&file, text).unwrap();
            std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
            Secret::read(&file)
        };
        let secret = write("0123456789abcdef\n", 0o600).unwrap();
        // The end of the line is no part of it, and members of a group may share a file.
        assert_eq!(write("0123456789abcdef", 0o640).unwrap().0, secret.0);
        assert_ne!(write("0123456789abcdeg", 0o600).unwrap().0, secret.0);
        assert!(message(write("0123456789abcdef", 0o644)).contains("every user"));
        assert!(message(write("0123456789abcde\n", 0o600)).contains("15 bytes"));
        assert!(message(write("\n", 0o600)).contains("0 bytes"));
        std::fs::remove_file(&file).unwrap();
        let lost = message(Secret::read(&file));
        assert!(lost.contains("secret: No such file") && lost.contains("\nhint: "), "{lost}");
        assert_eq!(format!("{secret:?}"), "Secret(***)");
        assert!(!secret.agent().contains("0123456789abcdef"));
    }

    #[test]
    fn a_request_shows_the_secret_or_not() {
        let mine = Secret::new("test", b"0123456789abcdef").unwrap();
        let other = Secret::new("test", b"another secret of some length").unwrap();
        let headers = |agent: &str| HeaderMap::from_iter([(USER_AGENT, agent.parse().unwrap())]);
        assert!(mine.is_in(&headers(&mine.agent())));
        assert!(mine.is_in(&headers(&format!("{} tonic/0.14.9", mine.agent()))));
        assert!(!mine.is_in(&headers(&other.agent())));
        assert!(!mine.is_in(&HeaderMap::new()));
        let mut cut = mine.agent();
        cut.pop();
        for agent in ["", "curl/8.5.0", "clip-data/", "clip-data/0123456789abcdef", cut.as_str()] {
            assert!(!mine.is_in(&headers(agent)), "{agent}");
        }
    }

    #[test]
    fn other_machines_need_a_secret() {
        let secret = Secret::new("test", b"0123456789abcdef").ok();
        for address in ["127.0.0.1", "127.0.1.1", "::1", "::ffff:127.0.0.1"] {
            may_listen(address.parse().unwrap(), None).unwrap();
        }
        for address in ["0.0.0.0", "::", "10.0.0.1", "::ffff:10.0.0.1", "8.8.8.8"] {
            let address = address.parse().unwrap();
            let refused = may_listen(address, None).unwrap_err().to_string();
            assert!(refused.contains("--secret-file"), "{refused}");
            may_listen(address, secret).unwrap();
        }
    }
}
