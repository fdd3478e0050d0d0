//! A page without what no pair comes from: attributes that nothing reads, text of scripts and
//! styles, elements that only format text. What is left builds the same figures, pictures and
//! images, in less than half the time.
//!
//! Tags are found where the standard's tokenizer finds them (13.2.5). Within SVG and MathML, where
//! any tag may end the drawing, everything stays.

/// Attributes of a tag: html5ever compares each with all before it.
const MOST_ATTRIBUTES: usize = 2048;
/// Elements whose attributes are read, or decide where what follows belongs.
const WITH_ATTRIBUTES: [&str; 8] =
    ["a", "base", "image", "img", "input", "meta", "source", "template"];
/// Elements that format text, or have no rule of their own in the standard: what is in them stays
/// where it is.
const FORMATTING: [&str; 31] = [
    "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn", "em",
    "font", "i", "ins", "kbd", "label", "mark", "nobr", "q", "s", "samp", "small", "span",
    "strike", "strong", "sub", "sup", "time", "tt", "u",
];
/// Elements whose content is text up to their end tag.
const RAW: [&str; 8] =
    ["iframe", "noembed", "noframes", "script", "style", "textarea", "title", "xmp"];

/// The page in short, and whether a tag has more attributes than any page needs: it ends before
/// that.
pub(super) fn skim(page: &str) -> (String, bool) {
    let mut skim = Skim { page, bytes: page.as_bytes(), at: 0, out: String::new(), foreign: 0 };
    skim.out.reserve(page.len() / 2);
    let too_long = skim.run();
    (skim.out, too_long)
}

struct Skim<'a> {
    page: &'a str,
    bytes: &'a [u8],
    at: usize,
    out: String,
    /// Drawings that are open.
    foreign: usize,
}

/// A tag, by its name as it is written.
struct Tag<'a> {
    name: &'a str,
    is_end: bool,
    closes_itself: bool,
}

/// What a `<` and a letter begin.
enum Read<'a> {
    Tag(Tag<'a>),
    /// The page ends before the tag does.
    Unclosed,
    TooLong,
}

impl<'a> Skim<'a> {
    /// Reads the page; whether it has a tag that is too long.
    fn run(&mut self) -> bool {
        loop {
            let start = self.at;
            let Some(tag) = memchr::memchr(b'<', &self.bytes[start..]) else {
                self.out.push_str(&self.page[start..]);
                return false;
            };
            self.at = start + tag;
            self.copy(start);
            let start = self.at;
            let rest = &self.bytes[start + 1..];
            let name = rest.strip_prefix(b"/").unwrap_or(rest);
            if name.first().is_some_and(u8::is_ascii_alphabetic) {
                match self.tag() {
                    Read::Tag(tag) => {
                        self.keep(&tag, start);
                        if !tag.is_end {
                            self.raw(tag.name);
                        }
                    }
                    Read::Unclosed => return false,
                    Read::TooLong => return true,
                }
            } else if rest.starts_with(b"!--") {
                self.at += 4 + comment_end(&rest[3..]);
                self.copy(start);
            } else if matches!(rest.first(), Some(b'!' | b'?' | b'/')) {
                self.skip_to(b">");
                self.copy(start);
            } else {
                self.at += 1;
                self.copy(start);
            }
        }
    }

    /// Gives the page from `start` to here.
    fn copy(&mut self, start: usize) {
        self.out.push_str(&self.page[start..self.at]);
    }

    /// Goes behind the next `end`, or to the end of the page.
    fn skip_to(&mut self, end: &[u8]) {
        let found = memchr::memmem::find(&self.bytes[self.at..], end);
        self.at = found.map_or(self.bytes.len(), |found| self.at + found + end.len());
    }

    fn next(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_while(&mut self, skipped: impl Fn(u8) -> bool) {
        let rest = &self.bytes[self.at..];
        self.at += rest.iter().position(|&byte| !skipped(byte)).unwrap_or(rest.len());
    }

    /// Reads the tag that starts here.
    fn tag(&mut self) -> Read<'a> {
        let is_end = self.bytes[self.at + 1] == b'/';
        let name = self.at + 1 + usize::from(is_end);
        self.at = name;
        self.skip_while(|byte| !is_space(byte) && byte != b'/' && byte != b'>');
        let name = &self.page[name..self.at];
        let (mut closes_itself, mut attributes) = (false, 0);
        loop {
            self.skip_while(is_space);
            match self.next() {
                None => return Read::Unclosed,
                Some(b'>') => {
                    self.at += 1;
                    return Read::Tag(Tag { name, is_end, closes_itself });
                }
                Some(b'/') => {
                    self.at += 1;
                    closes_itself = self.next() == Some(b'>');
                }
                Some(_) => {
                    attributes += 1;
                    if attributes > MOST_ATTRIBUTES {
                        return Read::TooLong;
                    }
                    self.attribute();
                }
            }
        }
    }

    fn attribute(&mut self) {
        // An equals sign at its beginning is part of its name.
        self.at += 1;
        self.skip_while(|byte| !is_space(byte) && !matches!(byte, b'/' | b'>' | b'='));
        self.skip_while(is_space);
        if self.next() != Some(b'=') {
            return;
        }
        self.at += 1;
        self.skip_while(is_space);
        match self.next() {
            Some(quote @ (b'"' | b'\'')) => {
                self.at += 1;
                self.skip_to(&[quote]);
            }
            Some(b'>') | None => {}
            Some(_) => self.skip_while(|byte| !is_space(byte) && byte != b'>'),
        }
    }

    /// Gives what is needed of a tag that was read from `start` on.
    fn keep(&mut self, tag: &Tag, start: usize) {
        let is = |name: &&str| tag.name.eq_ignore_ascii_case(name);
        if is(&"svg") || is(&"math") {
            self.foreign = match (tag.is_end, tag.closes_itself) {
                (true, _) => self.foreign.saturating_sub(1),
                (false, true) => self.foreign,
                (false, false) => self.foreign + 1,
            };
            return self.copy(start);
        }
        if self.foreign > 0 || (!tag.is_end && WITH_ATTRIBUTES.iter().any(is)) {
            return self.copy(start);
        }
        if !FORMATTING.iter().any(is) {
            self.out.push_str(if tag.is_end { "</" } else { "<" });
            self.out.push_str(tag.name);
            self.out.push('>');
        }
    }

    /// The text of an element that has only text; of scripts and styles nothing is given.
    fn raw(&mut self, name: &str) {
        if name.eq_ignore_ascii_case("plaintext") {
            let start = std::mem::replace(&mut self.at, self.bytes.len());
            return self.copy(start);
        }
        if !RAW.iter().any(|raw| name.eq_ignore_ascii_case(raw)) {
            return;
        }
        let start = self.at;
        let text = &self.bytes[start..];
        let end = memchr::memmem::find_iter(text, b"</").find(|end| {
            let after = &text[end + 2..];
            after.get(..name.len()).is_some_and(|n| n.eq_ignore_ascii_case(name.as_bytes()))
                && after.get(name.len()).is_some_and(|&b| is_space(b) || matches!(b, b'/' | b'>'))
        });
        self.at = start + end.unwrap_or(text.len());
        let unread = ["script", "style"].iter().any(|raw| name.eq_ignore_ascii_case(raw));
        if !unread || self.foreign > 0 || end.is_none() {
            self.copy(start);
        }
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b'\t' | b'\n' | 0x0c | b'\r' | b' ')
}

/// Where a comment ends whose two dashes come before `text`.
fn comment_end(text: &[u8]) -> usize {
    if text.starts_with(b">") {
        return 1;
    }
    if text.starts_with(b"->") {
        return 2;
    }
    let closed = |&at: &usize| text[..at].ends_with(b"--") || text[..at].ends_with(b"--!");
    memchr::memchr_iter(b'>', text).find(closed).map_or(text.len(), |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nothing_reads_is_left_out_and_the_rest_stays() {
        for (page, short) in [
            ("<DIV class='a > b' id=x><p\nstyle=\"x\">t</p></DIV >", "<DIV><p>t</p></DIV>"),
            ("a <span title='>'>b</span> <b>c</b>", "a b c"),
            (
                "<img alt=\"a > b\" src=x/><br/><a href='y'>z</a>",
                "<img alt=\"a > b\" src=x/><br><a href='y'>z</a>",
            ),
            ("<script async>if (a<b) x = \"</div>\";</script ><p>", "<script></script><p>"),
            (
                "<style>a > b</style><title>a <b \"c</title><p>",
                "<style></style><title>a <b \"c</title><p>",
            ),
            (
                "<!-- <p a=b> --><p a=b><!--><p a=b><!--x--!><p a=b>",
                "<!-- <p a=b> --><p><!--><p><!--x--!><p>",
            ),
            ("<!--x---><p a=b><!----!><p a=b><!---><p a=b>", "<!--x---><p><!----!><p><!---><p>"),
            ("<svg a=b><span c=d/></svg><span c=d>", "<svg a=b><span c=d/></svg>"),
            ("1 < 2 <3 </> <?x a='>'?><p a=b>", "1 < 2 <3 </> <?x a='>'?><p>"),
            ("<p a='b>c' d=e'f>g", "<p>g"),
            ("<p =x='>' y>g", "<p>g"),
            ("é<p a='never closed", "é"),
            ("<script>never closed <p a=b>", "<script>never closed <p a=b>"),
            ("<plaintext><p a=b>", "<plaintext><p a=b>"),
        ] {
            assert_eq!(skim(page), (short.to_owned(), false), "{page}");
        }
        let long = format!("<p>x<img {}>", "a=b ".repeat(3000));
        assert_eq!(skim(&long), ("<p>x".to_owned(), true));
    }
}
