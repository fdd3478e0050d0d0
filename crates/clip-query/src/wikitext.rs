//! Wikitext as plain text: what a reader of the article sees, without tables, references and
//! templates.

/// Names of the namespaces whose links show nothing as text: files and categories, in the wiki's
/// language too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hidden(Vec<String>);

impl Default for Hidden {
    fn default() -> Self {
        Self(["file", "image", "media", "category"].map(str::to_owned).to_vec())
    }
}

impl Hidden {
    /// Adds a namespace by its local name.
    pub fn add(&mut self, name: &str) {
        let name = name.to_lowercase();
        if !name.is_empty() && !self.0.contains(&name) {
            self.0.push(name);
        }
    }

    fn has(&self, name: &str) -> bool {
        let name = name.trim().replace('_', " ").to_lowercase();
        self.0.contains(&name)
    }
}

/// Elements whose content is no running text.
const DROPPED: [&str; 15] = [
    "ref",
    "math",
    "chem",
    "gallery",
    "timeline",
    "score",
    "syntaxhighlight",
    "source",
    "code",
    "imagemap",
    "templatestyles",
    "style",
    "script",
    "graph",
    "mapframe",
];
/// Unclosed brackets that are looked for to the end of a page; beyond this many they are taken as
/// they are.
const PATIENCE: usize = 32;
/// Links inside the labels of links, at most.
const DEPTH: usize = 6;

/// Appends the plain text of a page.
pub fn strip(wikitext: &str, hidden: &Hidden, out: &mut String) {
    Stripper { hidden, patience: PATIENCE }.strip(wikitext, out, 0);
}

/// What was sought to the end of a text and is not there: it is not there behind a later place
/// either, and seeking it again would take the square of the text's length.
#[derive(Default)]
struct Absent {
    tag_end: bool,
    link_end: bool,
    closing: [bool; DROPPED.len()],
}

struct Stripper<'a> {
    hidden: &'a Hidden,
    patience: usize,
}

impl Stripper<'_> {
    fn strip(&mut self, text: &str, out: &mut String, depth: usize) {
        let bytes = text.as_bytes();
        let mut at = 0;
        let mut plain = 0;
        let mut line_start = depth == 0;
        let mut absent = Absent::default();
        while at < bytes.len() {
            let step = match bytes[at] {
                b'*' | b'#' | b':' | b';' if line_start => Some((1, "")),
                b'{' if line_start && bytes[at + 1..].starts_with(b"|") => {
                    self.nested(&bytes[at..], *b"{|", *b"|}").map(|length| (length, " "))
                }
                b'{' if bytes[at + 1..].starts_with(b"{") => {
                    Some((self.nested(&bytes[at..], *b"{{", *b"}}").unwrap_or(2), ""))
                }
                b'<' => Some(tag(&text[at..], &mut absent)),
                b'[' if bytes[at + 1..].starts_with(b"[") => {
                    out.push_str(&text[plain..at]);
                    let length = self.link(&text[at..], out, depth);
                    plain = at + length;
                    at = plain;
                    line_start = false;
                    continue;
                }
                b'[' => external(&text[at..], &mut absent),
                b'\'' => {
                    let run = bytes[at..].iter().take_while(|&&b| b == b'\'').count();
                    // Five close bold and italics; of four, one is an apostrophe.
                    match run {
                        1 => None,
                        4 => Some((3, "")),
                        run => Some((run, "")),
                    }
                }
                b'=' => {
                    let run = bytes[at..].iter().take_while(|&&b| b == b'=').count();
                    if line_start || (run >= 2 && ends_line(&bytes[at + run..])) {
                        Some((run, ""))
                    } else {
                        // No shorter end of the run closes a heading either.
                        at += run - 1;
                        None
                    }
                }
                b'_' if bytes[at + 1..].starts_with(b"_") => magic(&bytes[at..]),
                b'h' if address(&bytes[at..]) => {
                    let end = bytes[at..]
                        .iter()
                        .position(|b| b.is_ascii_whitespace() || b"<]|}".contains(b));
                    Some((end.unwrap_or(bytes.len() - at), ""))
                }
                _ => None,
            };
            match step {
                Some((length, shown)) => {
                    out.push_str(&text[plain..at]);
                    out.push_str(shown);
                    at += length;
                    plain = at;
                }
                None => {
                    // Letters are the bulk of a page.
                    line_start = bytes[at] == b'\n';
                    at += 1;
                }
            }
        }
        out.push_str(&text[plain..]);
    }

    /// Length of a bracketed piece with others of its kind inside it.
    fn nested(&mut self, bytes: &[u8], open: [u8; 2], close: [u8; 2]) -> Option<usize> {
        if self.patience == 0 {
            return None;
        }
        let mut depth = 0;
        let mut at = 0;
        while let Some(found) = memchr::memchr2(open[0], close[0], &bytes[at..]) {
            at += found;
            let Some(pair) = bytes.get(at..at + 2) else { break };
            if pair == close && depth > 0 {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return Some(at);
                }
            } else if pair == open {
                depth += 1;
                at += 2;
            } else {
                at += 1;
            }
        }
        self.patience -= 1;
        None
    }

    /// Appends what a `[[link]]` shows; returns its length.
    fn link(&mut self, text: &str, out: &mut String, depth: usize) -> usize {
        let Some(length) = self.nested(text.as_bytes(), *b"[[", *b"]]") else { return 2 };
        let inner = &text[2..length - 2];
        let (target, label) = match inner.split_once('|') {
            Some((target, label)) => (target, Some(label)),
            None => (inner, None),
        };
        // A colon in front makes a link of what would be shown or filed otherwise.
        let (target, shown) = match target.trim_start().strip_prefix(':') {
            Some(target) => (target, true),
            None => (target, false),
        };
        if let (false, Some((name, _))) = (shown, target.split_once(':')) {
            let language =
                (2..=3).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase());
            if self.hidden.has(name) || (language && label.is_none()) {
                return length;
            }
        }
        match label {
            Some(label) if depth < DEPTH => self.strip(label, out, depth + 1),
            Some(label) => out.push_str(label),
            None => out.push_str(target.split('#').next().unwrap_or(target)),
        }
        length
    }
}

/// Length of a tag, or of a whole element that is no text, and what stands for it.
fn tag(text: &str, absent: &mut Absent) -> (usize, &'static str) {
    let bytes = text.as_bytes();
    if text.starts_with("<!--") {
        return (text.find("-->").map_or(text.len(), |end| end + 3), "");
    }
    let name: &[u8] = &bytes[1..];
    let name = name.strip_prefix(b"/").unwrap_or(name);
    let letters = name.iter().take_while(|b| b.is_ascii_alphabetic()).count();
    if letters == 0 || absent.tag_end {
        return (1, "<");
    }
    let Some(end) = memchr::memchr(b'>', bytes) else {
        absent.tag_end = true;
        return (1, "<");
    };
    let name = name[..letters].to_ascii_lowercase();
    let closed = bytes[end - 1] == b'/' || bytes[1] == b'/';
    let known = DROPPED.iter().position(|known| known.as_bytes() == name);
    let Some(known) = known.filter(|_| !closed) else {
        let block = [&b"br"[..], b"p", b"div", b"li", b"td", b"tr", b"blockquote", b"poem"];
        return (end + 1, if block.contains(&&name[..]) { "\n" } else { "" });
    };
    let (mut at, wanted) = (end + 1, DROPPED[known].as_bytes());
    while !absent.closing[known]
        && let Some(found) = memchr::memmem::find(&bytes[at..], b"</")
    {
        at += found + 2;
        let this = bytes.get(at..at + wanted.len());
        if this.is_some_and(|this| this.eq_ignore_ascii_case(wanted)) {
            return (
                memchr::memchr(b'>', &bytes[at..]).map_or(bytes.len(), |end| at + end + 1),
                "",
            );
        }
    }
    absent.closing[known] = true;
    (end + 1, "")
}

/// Length of `[http://… ` up to its label, or of the whole where it has none.
fn external(text: &str, absent: &mut Absent) -> Option<(usize, &'static str)> {
    let inner = &text[1..];
    let linked = ["http://", "https://", "//", "ftp://", "mailto:"];
    if absent.link_end || !linked.iter().any(|start| inner.starts_with(start)) {
        return None;
    }
    let Some(end) = inner.find([' ', ']', '\n']) else {
        absent.link_end = true;
        return None;
    };
    // The closing bracket of a label stays: it is no letter.
    Some((1 + end + 1, if inner.as_bytes()[end] == b'\n' { "\n" } else { "" }))
}

fn address(bytes: &[u8]) -> bool {
    bytes.starts_with(b"http://") || bytes.starts_with(b"https://")
}

fn ends_line(bytes: &[u8]) -> bool {
    bytes.iter().find(|&&b| b != b' ').is_none_or(|&b| b == b'\n')
}

/// `__TOC__` and the like.
fn magic(bytes: &[u8]) -> Option<(usize, &'static str)> {
    let letters = bytes[2..].iter().take_while(|b| b.is_ascii_uppercase()).count();
    (letters > 2 && bytes[2 + letters..].starts_with(b"__")).then_some((letters + 4, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        let mut out = String::new();
        let mut hidden = Hidden::default();
        hidden.add("Datei");
        strip(text, &hidden, &mut out);
        out
    }

    #[test]
    fn a_reader_sees_words_and_no_markup() {
        for (wikitext, seen) in [
            (
                "'''Apple''' is a [[fruit]] of the [[Malus domestica|apple ''tree'']].",
                "Apple is a fruit of the apple tree.",
            ),
            ("{{Infobox|name={{lc:X}}|a=b}}Text {{cite}} on", "Text  on"),
            ("[[File:A.jpg|thumb|A [[red]] apple]]Seen[[Category:Fruit]]", "Seen"),
            ("[[Datei:A.jpg|mini]][[:Category:Fruit]] [[fr:Pomme]]", "Category:Fruit "),
            ("a<ref name=\"x\">not {{this}}</ref> b<ref name=x /> c<!-- no --> d", "a b c d"),
            ("== Heading ==\n* one\n*# two\nx = y", " Heading \n one\n two\nx = y"),
            ("{| class=\"t\"\n| cell\n{|\n| inner\n|}\n|}after", " after"),
            (
                "see [http://example.org/a the site] and http://x.y/z here",
                "see the site] and  here",
            ),
            ("[http://example.org] it's ''''so''''", " it's 'so'"),
            ("line<br/>break <b>bold</b> <math>x^2</math> 3 < 4", "line\nbreak bold  3 < 4"),
            ("__NOTOC__ [[Page#Part]] [[a|]]", " Page "),
            ("open {{ never [[ closed", "open  never  closed"),
            ("été [[été|l'été]] 日本", "été l'été 日本"),
        ] {
            assert_eq!(plain(wikitext), seen, "{wikitext}");
        }
    }

    #[test]
    fn no_text_is_too_broken() {
        let pieces = [
            "{{", "}}", "[[", "]]", "<ref>", "</", "=", "''", "{|", "|}", "\n", "é", "[http://",
            "|", "<", "__", "h",
        ];
        let mut state = 1u64;
        for _ in 0..2_000 {
            let mut text = String::new();
            for _ in 0..12 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                text.push_str(pieces[(state >> 33) as usize % pieces.len()]);
            }
            plain(&text);
        }
        // What never closes is sought once: otherwise these would take minutes.
        for piece in ["{{[[", "<ref>", "<ref></a>", "<a", "[http://", "[[a|"] {
            plain(&piece.repeat(200_000));
        }
        let heading = format!("a{}x", "=".repeat(1 << 20));
        assert_eq!(plain(&heading), heading);
    }
}
