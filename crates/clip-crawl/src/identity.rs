//! A crawler that proves who it is: HTTP Message Signatures (RFC 9421) as web-bot-auth has them
//! (draft-meunier-web-bot-auth-architecture).
//!
//! Each request is signed with an Ed25519 key. `Signature-Agent` names the site whose
//! `/.well-known/http-message-signatures-directory` has the public key, so that a host can let this
//! crawler in, or keep it out, by more than a name that anyone may write.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use reqwest::header::{HeaderName, HeaderValue};
use ring::rand::SecureRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use url::Url;

/// How long a signature holds, in seconds: a request may wait for a proxy, a clock may be off.
const HOLDS: u64 = 300;
/// Label of the signature, and tag of all of the kind.
const LABEL: &str = "sig1";
const TAG: &str = "web-bot-auth";

/// A key, and where its public half is published.
pub(crate) struct Identity {
    key: Ed25519KeyPair,
    /// The key's name: the SHA-256 of its public half (RFC 7638).
    keyid: String,
    /// The site of the key directory, as a string of structured fields.
    agent: String,
    random: ring::rand::SystemRandom,
}

impl Identity {
    /// With a private key in a PEM file, as OpenSSL writes it, and the URL of the site that
    /// publishes the public one.
    ///
    /// # Errors
    /// In words, with the file and what is wrong with it.
    pub fn open(file: &Path, url: &str) -> Result<Self, String> {
        let bad = |why: &str| {
            let hint = "hint: openssl genpkey -algorithm ed25519 -out identity.pem";
            format!("`identity_key`: {}: {why}\n{hint}", file.display())
        };
        // A key has some 120 bytes: what is larger is another file.
        let length = std::fs::metadata(file).map_err(|e| bad(&e.to_string()))?.len();
        if length > 1 << 14 {
            return Err(bad("not an Ed25519 key in PEM"));
        }
        let text = std::fs::read(file).map_err(|e| bad(&e.to_string()))?;
        let text = String::from_utf8_lossy(&text);
        let der = from_pem(&text).ok_or_else(|| bad("not a private key in PEM (PKCS #8)"))?;
        let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der)
            .map_err(|_| bad("a key of another kind than Ed25519"))?;
        let keyid = thumbprint(key.public_key().as_ref());
        Ok(Self { key, keyid, agent: format!("{url:?}"), random: ring::rand::SystemRandom::new() })
    }

    /// The headers of a request for `url` that is sent now.
    pub fn headers(&self, url: &Url) -> [(HeaderName, HeaderValue); 3] {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut nonce = [0; 64];
        // Without randomness the signature still holds; the host may take a second for a replay.
        let _ = self.random.fill(&mut nonce);
        let (input, signature) = self.sign(url, now, HOLDS, &STANDARD.encode(nonce));
        let header = |name, text: &str| {
            let value = HeaderValue::from_str(text);
            (HeaderName::from_static(name), value.unwrap_or(HeaderValue::from_static("")))
        };
        [
            header("signature-agent", &self.agent),
            header("signature-input", &format!("{LABEL}={input}")),
            header("signature", &format!("{LABEL}=:{signature}:")),
        ]
    }

    /// The parameters of a signature, and the signature.
    fn sign(&self, url: &Url, created: u64, holds: u64, nonce: &str) -> (String, String) {
        let (keyid, expires) = (&self.keyid, created + holds);
        let params = format!(
            "(\"@authority\" \"signature-agent\");created={created};keyid=\"{keyid}\";alg=\"ed25519\";expires={expires};nonce=\"{nonce}\";tag=\"{TAG}\""
        );
        let components = [("@authority", &*authority(url)), ("signature-agent", &*self.agent)];
        let base = signature_base(&components, &params);
        let signature = STANDARD.encode(self.key.sign(base.as_bytes()));
        (params, signature)
    }
}

/// Host and port of a request, the port only where it is not the scheme's own (RFC 9421 section
/// 2.2.3).
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// What is signed (RFC 9421 section 2.5).
fn signature_base(components: &[(&str, &str)], params: &str) -> String {
    let lines = components.iter().map(|(name, value)| format!("\"{name}\": {value}\n"));
    lines.chain([format!("\"@signature-params\": {params}")]).collect()
}

/// The name of a public key: its JWK thumbprint (RFC 7638, RFC 8037 appendix A.3).
fn thumbprint(public: &[u8]) -> String {
    let x = URL_SAFE_NO_PAD.encode(public);
    let jwk = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    URL_SAFE_NO_PAD.encode(ring::digest::digest(&ring::digest::SHA256, jwk.as_bytes()))
}

/// The bytes of the first private key in a PEM file (RFC 7468).
fn from_pem(text: &str) -> Option<Vec<u8>> {
    let (_, rest) = text.split_once("-----BEGIN PRIVATE KEY-----")?;
    let (body, _) = rest.split_once("-----END PRIVATE KEY-----")?;
    let body: String = body.split_whitespace().collect();
    STANDARD.decode(body).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `test-key-ed25519` of RFC 9421 appendix B.1.4.
    const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF\n-----END PRIVATE KEY-----\n";

    fn identity(text: &str, url: &str) -> Result<Identity, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key.pem");
        std::fs::write(&file, text).unwrap();
        Identity::open(&file, url)
    }

    /// RFC 9421 appendix B.2.6.
    #[test]
    fn the_signature_of_the_standards_example() {
        let own = identity(KEY, "https://example.org").unwrap();
        let components = [
            ("date", "Tue, 20 Apr 2021 02:07:55 GMT"),
            ("@method", "POST"),
            ("@path", "/foo"),
            ("@authority", "example.com"),
            ("content-type", "application/json"),
            ("content-length", "18"),
        ];
        let params = "(\"date\" \"@method\" \"@path\" \"@authority\" \"content-type\" \"content-length\");created=1618884473;keyid=\"test-key-ed25519\"";
        let base = signature_base(&components, params);
        assert_eq!(
            STANDARD.encode(own.key.sign(base.as_bytes())),
            "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw=="
        );
    }

    /// The example of draft-meunier-web-bot-auth-architecture, appendix of test vectors.
    #[test]
    fn the_signature_of_the_drafts_example() {
        let own = identity(KEY, "https://signature-agent.test").unwrap();
        assert_eq!(own.keyid, "poqkLGiymh_W0uP6PZFw-dvez3QJT5SolqXBCW38r0U");
        let url = Url::parse("https://EXAMPLE.com:443/path/to/resource").unwrap();
        let nonce = "e8N7S2MFd/qrd6T2R3tdfAuuANngKI7LFtKYI/vowzk4lAZYadIX6wW25MwG7DCT9RUKAJ0qVkU0mEeLElW1qg==";
        let (params, signature) = own.sign(&url, 1_735_689_600, 3600, nonce);
        assert!(params.ends_with("tag=\"web-bot-auth\""), "{params}");
        assert_eq!(
            signature,
            "jdq0SqOwHdyHr9+r5jw3iYZH6aNGKijYp/EstF4RQTQdi5N5YYKrD+mCT1HA1nZDsi6nJKuHxUi/5Syp3rLWBA=="
        );
        let other = Url::parse("https://example.com:8443/").unwrap();
        assert_eq!(authority(&other), "example.com:8443");
    }

    #[test]
    fn what_is_no_ed25519_key_is_refused_with_its_name() {
        // A key on P-256, of `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`.
        let other = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgevZzL1gdAFr88hb2OF/2NxApJCzGCEDdfSp6VQO30hyhRANCAAQRWz+jn65BtOMvdyHKcvjBeBSDZH2r1RTwjmYSi9R/zpBnuQ4EiMnCqfMPWiZqB4QdbAd0E7oH50VpuZ1P087G\n-----END PRIVATE KEY-----\n";
        let public = KEY.replace("PRIVATE", "PUBLIC");
        for (text, why) in [
            (other, "another kind than Ed25519"),
            (&public, "not a private key in PEM"),
            ("", "not a private key in PEM"),
            (&"x".repeat(1 << 15), "not an Ed25519 key"),
        ] {
            let error = identity(text, "https://example.org").err().unwrap();
            assert!(error.contains("key.pem: ") && error.contains(why), "{error}");
            assert!(error.contains("\nhint: "), "{error}");
        }
    }
}
