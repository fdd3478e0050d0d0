//! Paths and path patterns of robots.txt (RFC 9309, sections 2.2.2 and 2.2.3).

use memchr::memmem;

/// A path, or the path of a rule, in one spelling: unreserved characters as they are, everything
/// else that a URL escapes as `%XX` in capitals. `*` and `$` are escaped too, but where they have
/// their meaning in a pattern. `:`, `/`, `?` and `@` of a query are as they are, whether they were
/// escaped or not.
pub(crate) fn normalized(text: &[u8], pattern: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let (mut at, mut query) = (0, false);
    while let Some(&byte) = text.get(at) {
        let escaped = (byte == b'%').then(|| escape(text.get(at + 1..at + 3)?)).flatten();
        at += if escaped.is_some() { 3 } else { 1 };
        let special = pattern && (byte == b'*' || byte == b'$' && at == text.len());
        match escaped {
            Some(byte) if is_unreserved(byte) || query && b":/?@".contains(&byte) => out.push(byte),
            Some(byte) => push_escaped(byte, &mut out),
            None if special || is_plain(byte) => out.push(byte),
            None => push_escaped(byte, &mut out),
        }
        query |= byte == b'?';
    }
    out
}

/// Whether a normalised pattern matches the beginning of a normalised path: `*` is any run of
/// characters, `$` at the end is the path's end. The time is linear in both.
pub(crate) fn matches(pattern: &[u8], path: &[u8]) -> bool {
    let (pattern, ends) = match pattern.strip_suffix(b"$") {
        Some(pattern) => (pattern, true),
        None => (pattern, false),
    };
    let mut runs = pattern.split(|&byte| byte == b'*');
    let Some(mut rest) = path.strip_prefix(runs.next().unwrap_or_default()) else { return false };
    let mut runs = runs.peekable();
    if runs.peek().is_none() {
        return !ends || rest.is_empty();
    }
    // The first place of each run leaves the most to the runs after it.
    while let Some(run) = runs.next() {
        if ends && runs.peek().is_none() {
            return rest.ends_with(run);
        }
        let Some(at) = memmem::find(rest, run) else { return false };
        rest = &rest[at + run.len()..];
    }
    true
}

/// The byte that two hexadecimal digits name.
fn escape(digits: &[u8]) -> Option<u8> {
    let digit = |at: usize| char::from(digits[at]).to_digit(16);
    Some((digit(0)? * 16 + digit(1)?) as u8)
}

fn push_escaped(byte: u8, out: &mut Vec<u8>) {
    let digit = |value: u8| b"0123456789ABCDEF"[usize::from(value)];
    out.extend([b'%', digit(byte >> 4), digit(byte & 15)]);
}

/// RFC 3986 section 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// What may be in a path or a query without an escape (RFC 3986 sections 3.3 and 3.4) and means
/// nothing in a pattern, and a `%` that begins no escape.
fn is_plain(byte: u8) -> bool {
    is_unreserved(byte) || b"!&'()+,;=:@/?%".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, path: &str) -> bool {
        matches(&normalized(pattern.as_bytes(), true), &normalized(path.as_bytes(), false))
    }

    /// The table under "URL matching based on path values" in Google's description of robots.txt.
    #[test]
    fn googles_examples_match_as_documented() {
        let rows: [(&str, &[&str], &[&str]); 8] = [
            ("/", &["/", "/a", "/fish"], &[]),
            (
                "/fish",
                &[
                    "/fish",
                    "/fish.html",
                    "/fish/salmon.html",
                    "/fishheads",
                    "/fishheads/yummy.html",
                    "/fish.php?id=anything",
                ],
                &["/Fish.asp", "/catfish", "/?id=fish", "/desert/fish"],
            ),
            (
                "/fish*",
                &[
                    "/fish",
                    "/fish.html",
                    "/fish/salmon.html",
                    "/fishheads",
                    "/fishheads/yummy.html",
                    "/fish.php?id=anything",
                ],
                &["/Fish.asp", "/catfish", "/?id=fish", "/desert/fish"],
            ),
            (
                "/fish/",
                &["/fish/", "/fish/?id=anything", "/fish/salmon.htm"],
                &["/fish", "/fish.html", "/animals/fish/", "/Fish/Salmon.asp"],
            ),
            (
                "/*.php",
                &[
                    "/index.php",
                    "/filename.php",
                    "/folder/filename.php",
                    "/folder/filename.php?parameters",
                    "/folder/any.php.file.html",
                    "/filename.php/",
                ],
                &["/", "/windows.PHP"],
            ),
            (
                "/*.php$",
                &["/filename.php", "/folder/filename.php"],
                &["/filename.php?parameters", "/filename.php/", "/filename.php5", "/windows.PHP"],
            ),
            ("/fish*.php", &["/fish.php", "/fishheads/catfish.php?parameters"], &["/Fish.PHP"]),
            ("/*$", &["/", "/anything"], &[]),
        ];
        for (pattern, yes, no) in rows {
            yes.iter().for_each(|path| assert!(fits(pattern, path), "{pattern} {path}"));
            no.iter().for_each(|path| assert!(!fits(pattern, path), "{pattern} {path}"));
        }
    }

    /// The tables of RFC 9309, sections 2.2.2 and 2.2.3.
    #[test]
    fn escapes_are_compared_as_the_rfc_has_them() {
        for (pattern, path) in [
            ("/foo/bar?baz=quz", "/foo/bar?baz=quz"),
            ("/foo/bar?baz=https://foo.bar", "/foo/bar?baz=https%3A%2F%2Ffoo.bar"),
            ("/foo/bar?baz=https%3A%2F%2Ffoo.bar", "/foo/bar?baz=https://foo.bar"),
            ("/foo/bar/ツ", "/foo/bar/%E3%83%84"),
            ("/foo/bar/%E3%83%84", "/foo/bar/%E3%83%84"),
            ("/foo/bar/%62%61%7A", "/foo/bar/baz"),
            ("/path/file-with-a-%2A.html", "/path/file-with-a-*.html"),
            ("/path/foo-%24", "/path/foo-$"),
            ("/price$/", "/price$/1"),
            ("/a%3cd.html", "/a%3Cd.html"),
            ("/%7ejoe/", "/~joe/index.html"),
        ] {
            assert!(fits(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in [
            ("/path/file-with-a-%2A.html", "/path/file-with-a-b.html"),
            ("/path/foo-%24", "/path/foo-"),
            ("/a%2Fb", "/a/b"),
            ("/a%", "/a%41"),
        ] {
            assert!(!fits(pattern, path), "{pattern} {path}");
        }
    }

    #[test]
    fn stars_and_ends_match_what_a_search_over_all_ways_finds() {
        fn any(pattern: &[u8], path: &[u8]) -> bool {
            match pattern {
                [] => true,
                b"$" => path.is_empty(),
                [b'*', rest @ ..] => (0..=path.len()).any(|at| any(rest, &path[at..])),
                [byte, rest @ ..] => path.first() == Some(byte) && any(rest, &path[1..]),
            }
        }
        let word = |letters: &[u8], mut code: usize, length: usize| -> Vec<u8> {
            let mut letter = || {
                let letter = letters[code % letters.len()];
                code /= letters.len();
                letter
            };
            (0..length).map(|_| letter()).collect()
        };
        for (a, b) in (0..243).flat_map(|a| (0..64).map(move |b| (a, b))) {
            for ends in [&b""[..], b"$"] {
                let pattern = [&word(b"ab*", a, 5), ends].concat();
                let path = word(b"ab", b, 6);
                let shown = (String::from_utf8_lossy(&pattern), String::from_utf8_lossy(&path));
                assert_eq!(matches(&pattern, &path), any(&pattern, &path), "{shown:?}");
            }
        }
    }

    /// Minutes for a matcher that tries all ways, or that scans the path again for each character
    /// of the pattern.
    #[test]
    fn a_pattern_of_stars_takes_linear_time() {
        let path = "/".to_owned() + &"a".repeat(4_000_000);
        assert!(!fits(&("/".to_owned() + &"*a".repeat(1_000_000) + "b"), &path));
        assert!(!fits(&("/*".to_owned() + &"a".repeat(2_000_000) + "b"), &path));
        assert!(fits(&("/".to_owned() + &"*a".repeat(1_000_000) + "$"), &path));
    }
}
