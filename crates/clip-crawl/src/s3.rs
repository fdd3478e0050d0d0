//! Requests to S3 and what speaks its language: signed when there are credentials (AWS Signature Version 4).

use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};
use url::Url;

/// Who asks, and where.
#[derive(Debug, Clone, Default)]
pub(crate) struct Access {
    key: Option<(String, String)>,
    token: Option<String>,
    region: String,
    endpoint: Option<String>,
}

impl Access {
    /// From `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION` and
    /// `AWS_ENDPOINT_URL`.
    pub fn from_environment() -> Self {
        let value = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let region = value("AWS_REGION").or_else(|| value("AWS_DEFAULT_REGION"));
        Self {
            key: value("AWS_ACCESS_KEY_ID").zip(value("AWS_SECRET_ACCESS_KEY")),
            token: value("AWS_SESSION_TOKEN"),
            region: region.unwrap_or_else(|| "us-east-1".into()),
            endpoint: value("AWS_ENDPOINT_URL"),
        }
    }
}

/// The address of `bucket/key`, and the headers that sign a GET of it.
pub(crate) fn request(
    object: &str,
    access: &Access,
) -> Result<(Url, Vec<(String, String)>), String> {
    let (bucket, key) = object.split_once('/').ok_or_else(|| format!("s3://{object}: no key"))?;
    let address = match &access.endpoint {
        Some(endpoint) => format!("{}/{bucket}/{}", endpoint.trim_end_matches('/'), escaped(key)),
        // Common Crawl gives its files to everyone by this name, by S3's only to who has an account.
        None if access.key.is_none() && bucket == "commoncrawl" => {
            format!("https://data.commoncrawl.org/{}", escaped(key))
        }
        None => format!("https://{bucket}.s3.{}.amazonaws.com/{}", access.region, escaped(key)),
    };
    let url = Url::parse(&address).map_err(|e| format!("{address}: {e}"))?;
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let headers = access.key.as_ref().map(|key| signed(&url, access, key, &stamp(seconds)));
    Ok((url, headers.unwrap_or_default()))
}

/// Everything but letters, digits, `-._~` and `/` as `%XX`.
fn escaped(key: &str) -> String {
    let mut out = String::with_capacity(key.len());
    for byte in key.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(byte as char);
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// `20130524T000000Z`.
fn stamp(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Civil from days, with years that begin in March.
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, year) = if month < 10 {
        (month + 3, year_of_era + era * 400)
    } else {
        (month - 9, year_of_era + era * 400 + 1)
    };
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

fn signed(
    url: &Url,
    access: &Access,
    (id, secret): &(String, String),
    stamp: &str,
) -> Vec<(String, String)> {
    let empty = hex(&Sha256::digest(b""));
    let host = match url.port() {
        Some(port) => format!("{}:{port}", url.host_str().unwrap_or_default()),
        None => url.host_str().unwrap_or_default().to_owned(),
    };
    let mut headers = vec![
        ("host".to_owned(), host),
        ("x-amz-content-sha256".to_owned(), empty.clone()),
        ("x-amz-date".to_owned(), stamp.to_owned()),
    ];
    headers.extend(access.token.clone().map(|token| ("x-amz-security-token".to_owned(), token)));
    let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
    let names = names.join(";");
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let canonical = format!("GET\n{}\n\n{lines}\n{names}\n{empty}", url.path());
    let date = &stamp[..8];
    let scope = format!("{date}/{}/s3/aws4_request", access.region);
    let text = format!(
        "AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}",
        hex(&Sha256::digest(canonical.as_bytes()))
    );
    let key = [date, &access.region, "s3", "aws4_request"]
        .iter()
        .fold(format!("AWS4{secret}").into_bytes(), |key, part| hmac(&key, part.as_bytes()));
    let signature = hex(&hmac(&key, text.as_bytes()));
    headers.remove(0);
    headers.push((
        "authorization".to_owned(),
        format!(
            "AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}"
        ),
    ));
    headers
}

/// RFC 2104 with SHA-256.
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut block = [0; 64];
    if key.len() > 64 {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let inner = Sha256::new().chain_update(block.map(|b| b ^ 0x36)).chain_update(text).finalize();
    Sha256::new().chain_update(block.map(|b| b ^ 0x5c)).chain_update(inner).finalize().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access() -> Access {
        let key = ("AKIDEXAMPLE".to_owned(), "secret".to_owned());
        Access { key: Some(key), region: "us-east-1".into(), ..Access::default() }
    }

    #[test]
    fn the_keyed_hash_is_rfc_4231s() {
        let hash = hex(&hmac(b"Jefe", b"what do ya want for nothing?"));
        assert_eq!(hash, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn stamps_are_dates() {
        assert_eq!(stamp(0), "19700101T000000Z");
        assert_eq!(stamp(1_369_353_600), "20130524T000000Z");
        assert_eq!(stamp(1_709_251_199), "20240229T235959Z");
    }

    #[test]
    fn who_has_credentials_signs_and_who_has_none_asks_plainly() {
        let (url, headers) = request("my-bucket/a b/c.parquet", &access()).unwrap();
        assert_eq!(url.as_str(), "https://my-bucket.s3.us-east-1.amazonaws.com/a%20b/c.parquet");
        let authorization = &headers.last().unwrap().1;
        assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"));
        let open = Access { region: "eu-west-1".into(), ..Access::default() };
        let (url, headers) = request("commoncrawl/crawl-data/x.wat.gz", &open).unwrap();
        assert_eq!(url.as_str(), "https://data.commoncrawl.org/crawl-data/x.wat.gz");
        assert!(headers.is_empty());
        assert!(request("bucket", &open).is_err());
    }

    /// The signature that botocore 1.40 gives for the same request at the same second.
    #[test]
    fn the_signature_is_botocores() {
        let url = Url::parse("https://examplebucket.s3.us-east-1.amazonaws.com/test.txt").unwrap();
        let key =
            ("AKIAIOSFODNN7EXAMPLE".into(), "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into());
        let headers = signed(&url, &access(), &key, "20130524T000000Z");
        let authorization = &headers.last().unwrap().1;
        let signature = "2e46714501b0d9bc603dc14b792d5c58689e101d7de843b268d12fa638eb4bda";
        assert!(authorization.ends_with(signature), "{authorization}");
    }
}
