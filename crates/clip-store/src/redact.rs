//! URLs in messages and files, without what gives access.

use std::borrow::Cow;

/// Parts of the names of query parameters whose values give access: signatures of S3, GCS and
/// Azure, tokens, keys.
const SECRET: [&str; 8] =
    ["sig", "token", "credential", "key", "secret", "password", "passwd", "auth"];

/// The text with `***` for user and password of each URL in it, and for each query parameter that
/// gives access.
pub fn redacted(text: &str) -> Cow<'_, str> {
    if !text.contains("://") {
        return Cow::Borrowed(text);
    }
    let (mut shown, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find("://") {
        let (before, url) = rest.split_at(at + 3);
        shown.push_str(before);
        let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '`' | ')');
        let (url, after) = url.split_at(url.find(ends).unwrap_or(url.len()));
        push_url(&mut shown, url);
        rest = after;
    }
    shown.push_str(rest);
    Cow::Owned(shown)
}

/// What is after `://`.
fn push_url(shown: &mut String, url: &str) {
    let (place, query) =
        url.split_once('?').map_or((url, None), |(place, query)| (place, Some(query)));
    let end = place.find(['/', '#']).unwrap_or(place.len());
    match place[..end].rfind('@') {
        Some(at) => shown.extend(["***", &place[at..]]),
        None => shown.push_str(place),
    }
    for (number, pair) in query.into_iter().flat_map(|query| query.split('&')).enumerate() {
        shown.push(if number == 0 { '?' } else { '&' });
        match pair.split_once('=') {
            Some((name, _)) if is_secret(name) => shown.extend([name, "=***"]),
            _ => shown.push_str(pair),
        }
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_gives_access_is_not_shown() {
        for (text, shown) in [
            ("https://u:p@example.org/a.tar: gone", "https://***@example.org/a.tar: gone"),
            (
                "https://b.s3.amazonaws.com/a.tar?X-Amz-Credential=AK%2F1&X-Amz-Date=2&X-Amz-Signature=beef not found",
                "https://b.s3.amazonaws.com/a.tar?X-Amz-Credential=***&X-Amz-Date=2&X-Amz-Signature=*** not found",
            ),
            ("az://c/a?sv=1&sig=zz", "az://c/a?sv=1&sig=***"),
            ("(https://example.org/?id=7)", "(https://example.org/?id=7)"),
            ("https://example.org/@me/x", "https://example.org/@me/x"),
            ("no URL: a?token=x", "no URL: a?token=x"),
        ] {
            assert_eq!(redacted(text), shown);
        }
    }
}
