//! One spelling for each URL (RFC 3986 section 6), so that the same image is asked and counted
//! once.

use clip_pipeline::{Result, RunReader};
use url::Url;

/// Query parameters that only record where a visitor came from.
const TRACKING: [&str; 8] =
    ["fbclid", "gclid", "dclid", "msclkid", "igshid", "mc_cid", "mc_eid", "yclid"];

/// The URL in its normal spelling; nothing when it is no `http` or `https` URL with a host.
///
/// Scheme and host lower-case, default port, `.` and `..` resolved, no fragment, no credentials, no
/// tracking parameters, `%7e` as `~`, other escapes upper-case. The order of parameters stays:
/// servers may care.
pub fn normal_url(text: &str) -> Option<String> {
    let mut url = Url::parse(text.trim()).ok()?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return None;
    }
    url.set_fragment(None);
    // Only URLs that cannot have credentials refuse, and those were sent away above.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    if let Some(query) = url.query() {
        let kept: Vec<&str> =
            query.split('&').filter(|pair| !pair.is_empty() && !tracks(pair)).collect();
        let query = kept.join("&");
        url.set_query(if query.is_empty() { None } else { Some(&query) });
    }
    Some(escapes(url.as_str()))
}

/// The rows of a run that a name means: as [`RunReader::find_rows`], and those of a URL also where
/// it is spelled as its list has it.
///
/// # Errors
/// When what is stored is damaged.
pub fn find_rows(run: &RunReader, name: &str) -> Result<Vec<u64>> {
    let rows = run.find_rows(name)?;
    match normal_url(name) {
        Some(url) if rows.is_empty() && url != name => run.find_rows(&url),
        _ => Ok(rows),
    }
}

fn tracks(pair: &str) -> bool {
    let name = pair.split('=').next().unwrap_or_default();
    name.starts_with("utm_") || TRACKING.contains(&name)
}

/// Escapes of letters, digits and `-._~` undone, the others in upper case.
fn escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let hex = rest.get(at + 1..at + 3).filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        let Some(byte) = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) else {
            out.push('%');
            rest = &rest[at + 1..];
            continue;
        };
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte as char);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        rest = &rest[at + 3..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_url_become_one() {
        for (text, expected) in [
            (" HTTP://E.com:80/a/../b%7ec%2f#x ", "http://e.com/b~c%2F"),
            ("https://u:p@e.com/?utm_source=x&b=1&fbclid=2&a=2", "https://e.com/?b=1&a=2"),
            ("http://e.com/a?utm_id=1", "http://e.com/a"),
            ("http://e.com/ä b", "http://e.com/%C3%A4%20b"),
            ("http://e.com/100%", "http://e.com/100%"),
        ] {
            assert_eq!(normal_url(text).as_deref(), Some(expected), "{text}");
            assert_eq!(normal_url(expected).as_deref(), Some(expected), "{text} again");
        }
        for text in ["", "a.jpg", "ftp://e.com/", "data:image/png,x", "http://"] {
            assert_eq!(normal_url(text), None, "{text}");
        }
    }
}
