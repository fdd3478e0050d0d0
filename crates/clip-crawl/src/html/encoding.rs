//! The encoding of a page, as the HTML standard finds it (13.2.3.2): byte-order mark, header, the
//! first kilobyte.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252, X_USER_DEFINED};

/// Bytes in which a page may name its encoding.
const PRESCAN: usize = 1024;

/// A page's encoding, and whether that is certain: where it is not, a later `<meta>` may say
/// otherwise.
pub(super) fn sniff(page: &[u8], content_type: &str) -> (&'static Encoding, bool) {
    if let Some((encoding, _)) = Encoding::for_bom(page) {
        return (encoding, true);
    }
    if let Some(encoding) = of_content_type(content_type) {
        return (encoding, true);
    }
    // Certain by the standard too is none of the following, but a `<meta>` within the kilobyte is
    // the first one.
    if let Some(encoding) = prescan(&page[..page.len().min(PRESCAN)]) {
        return (encoding, true);
    }
    // Nothing is declared: UTF-8 where it can be, as browsers detect it, else what the Web began
    // with.
    let utf8 = match std::str::from_utf8(page) {
        Ok(_) => true,
        // A page that was cut within a character.
        Err(e) => e.error_len().is_none() && !page[..e.valid_up_to()].is_ascii(),
    };
    (if utf8 { UTF_8 } else { WINDOWS_1252 }, false)
}

/// The encoding that a `<meta>` names: those that its bytes refute are not meant.
pub(super) fn of_meta(label: &str) -> Option<&'static Encoding> {
    let encoding = Encoding::for_label(label.as_bytes())?;
    Some(if encoding == UTF_16BE || encoding == UTF_16LE {
        UTF_8
    } else if encoding == X_USER_DEFINED {
        WINDOWS_1252
    } else {
        encoding
    })
}

/// The parameter `charset` of a `Content-Type`.
fn of_content_type(content_type: &str) -> Option<&'static Encoding> {
    let mut parameters = content_type.split(';').skip(1).filter_map(|p| p.split_once('='));
    let charset = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"))?.1;
    Encoding::for_label(charset.trim().trim_matches(['"', '\'']).as_bytes())
}

/// What a `<meta>` in the first bytes says, else an XML declaration before them.
fn prescan(bytes: &[u8]) -> Option<&'static Encoding> {
    if bytes.starts_with(b"<\0?\0x\0") {
        return Some(UTF_16LE);
    }
    if bytes.starts_with(b"\0<\0?\0x") {
        return Some(UTF_16BE);
    }
    let mut scan = Scan { bytes, at: 0 };
    while scan.at < bytes.len() {
        let rest = &bytes[scan.at..];
        if rest.starts_with(b"<!--") {
            // The dashes may be those of the end.
            let end = memchr::memmem::find(&rest[2..], b"-->");
            scan.at = end.map_or(bytes.len(), |end| scan.at + 2 + end + 3);
        } else if is_meta(rest) {
            scan.at += 5;
            if let Some(encoding) = scan.meta() {
                return Some(encoding);
            }
        } else if is_tag(rest) {
            let end = rest.iter().position(|&b| is_space(b) || b == b'>');
            scan.at = end.map_or(bytes.len(), |end| scan.at + end);
            while scan.attribute().is_some() {}
        } else if rest.starts_with(b"<!") || rest.starts_with(b"</") || rest.starts_with(b"<?") {
            let end = memchr::memchr(b'>', rest);
            scan.at = end.map_or(bytes.len(), |end| scan.at + end + 1);
        } else {
            scan.at += 1;
        }
    }
    of_xml(bytes)
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b'\t' | b'\n' | 0x0c | b'\r' | b' ')
}

fn is_meta(rest: &[u8]) -> bool {
    rest.get(..5).is_some_and(|tag| tag.eq_ignore_ascii_case(b"<meta"))
        && rest.get(5).is_some_and(|&byte| is_space(byte) || byte == b'/')
}

fn is_tag(rest: &[u8]) -> bool {
    let name = rest.strip_prefix(b"</").or_else(|| rest.strip_prefix(b"<"));
    name.and_then(<[u8]>::first).is_some_and(u8::is_ascii_alphabetic)
}

/// `<?xml version="1.0" encoding="…"?>`
fn of_xml(bytes: &[u8]) -> Option<&'static Encoding> {
    let declaration = bytes.strip_prefix(b"<?xml")?;
    let declaration = &declaration[..memchr::memchr(b'>', declaration)?];
    let rest = &declaration[memchr::memmem::find(declaration, b"encoding")? + 8..];
    let rest = rest.trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
    let (&quote, rest) = rest.split_first().filter(|(quote, _)| matches!(quote, b'"' | b'\''))?;
    let label = &rest[..memchr::memchr(quote, rest)?];
    if label.iter().any(|&byte| byte <= 0x20) {
        return None;
    }
    of_meta(std::str::from_utf8(label).ok()?)
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Scan<'_> {
    fn next(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip(&mut self, skipped: impl Fn(u8) -> bool) {
        while self.next().is_some_and(&skipped) {
            self.at += 1;
        }
    }

    /// The attributes of a `<meta>`: the encoding that it names.
    fn meta(&mut self) -> Option<&'static Encoding> {
        let (mut seen, mut pragma) = (Vec::new(), false);
        let mut found: Option<(bool, Option<&'static Encoding>)> = None;
        while let Some((name, value)) = self.attribute() {
            if seen.contains(&name) {
                continue;
            }
            match name.as_slice() {
                b"http-equiv" => pragma |= value == b"content-type",
                b"charset" => found = Some((false, of_meta(&String::from_utf8_lossy(&value)))),
                b"content" if found.is_none() => {
                    let label = of_content(&value).map(|label| String::from_utf8_lossy(label));
                    found = label.map(|label| (true, of_meta(&label)));
                }
                _ => {}
            }
            seen.push(name);
        }
        let (needs_pragma, encoding) = found?;
        encoding.filter(|_| pragma || !needs_pragma)
    }

    /// The next attribute of a tag, in lower case (13.2.3.2, "get an attribute").
    fn attribute(&mut self) -> Option<(Vec<u8>, Vec<u8>)> {
        self.skip(|byte| is_space(byte) || byte == b'/');
        if self.next()? == b'>' {
            self.at += 1;
            return None;
        }
        let (mut name, mut value) = (Vec::new(), Vec::new());
        loop {
            match self.next()? {
                b'=' if !name.is_empty() => break,
                byte if is_space(byte) => {
                    self.skip(is_space);
                    if self.next()? != b'=' {
                        return Some((name, value));
                    }
                    break;
                }
                b'/' | b'>' => return Some((name, value)),
                byte => name.push(byte.to_ascii_lowercase()),
            }
            self.at += 1;
        }
        self.at += 1;
        self.skip(is_space);
        match self.next()? {
            quote @ (b'"' | b'\'') => loop {
                self.at += 1;
                match self.next()? {
                    byte if byte == quote => {
                        self.at += 1;
                        return Some((name, value));
                    }
                    byte => value.push(byte.to_ascii_lowercase()),
                }
            },
            b'>' => return Some((name, value)),
            _ => {}
        }
        loop {
            match self.next()? {
                byte if is_space(byte) || byte == b'>' => return Some((name, value)),
                byte => value.push(byte.to_ascii_lowercase()),
            }
            self.at += 1;
        }
    }
}

/// The label in a `content` of a `<meta>`, which is in lower case (2.7.4).
pub(super) fn of_content(content: &[u8]) -> Option<&[u8]> {
    let mut rest = content;
    loop {
        rest = rest[memchr::memmem::find(rest, b"charset")? + 7..].trim_ascii_start();
        if let Some(value) = rest.strip_prefix(b"=") {
            rest = value.trim_ascii_start();
            break;
        }
    }
    match *rest.first()? {
        quote @ (b'"' | b'\'') => {
            let label = &rest[1..];
            Some(&label[..memchr::memchr(quote, label)?])
        }
        _ => {
            let end = rest.iter().position(|&byte| is_space(byte) || byte == b';');
            Some(&rest[..end.unwrap_or(rest.len())])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_found_where_the_standard_looks() {
        for (page, content_type, name) in [
            (&b"\xef\xbb\xbfx"[..], "text/html; charset=gbk", "UTF-8"),
            (b"x", "text/html; Charset=\"GBK\"", "GBK"),
            (b"x", "text/html; v=1;charset='latin1' ", "windows-1252"),
            (b"<meta charset=big5>", "text/html; charset=junk", "Big5"),
            (b"<?xml version='1.0' encoding='Shift_JIS'?><html>", "", "Shift_JIS"),
            (b"<?xml version='1.0' encoding='Shift_JIS'?><meta charset=gbk>", "", "GBK"),
            (b"<\0?\0x\0m\0l\0", "", "UTF-16LE"),
            (b"<meta charset=utf-16>", "", "UTF-8"),
            (b"<meta charset=x-user-defined>", "", "windows-1252"),
            (b"caf\xe9", "", "windows-1252"),
            (b"caf\xc3\xa9", "", "UTF-8"),
            (b"caf\xc3\xa9, cut \xf0\x9f", "", "UTF-8"),
        ] {
            let shown = String::from_utf8_lossy(page);
            assert_eq!(sniff(page, content_type).0.name(), name, "{shown} {content_type}");
        }
    }
}
