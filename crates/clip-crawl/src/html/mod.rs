//! Images, captions and links of a page, as the HTML standard reads it.
//!
//! What a page costs and gives is bounded by its length: the tree that is built of it, the depth of
//! that tree, the length of a URL, and the text of all pairs and links together.

mod encoding;
mod images;
mod parse;
mod skim;
mod srcset;
mod text;
mod tree;

use std::borrow::Cow;

use encoding_rs::Encoding;
use url::Url;

pub(crate) use images::{LAZY, LAZY_SETS, is_placeholder};
pub(crate) use srcset::largest_of;
pub(crate) use text::clean_text;

/// Longest page that is read.
const LONGEST_PAGE: usize = 16 << 20;
/// Longest URL.
pub(crate) const LONGEST_URL: usize = 8 << 10;
/// What a page may give, in bytes: so many, and for each of its own so many more.
const GIVEN: usize = 64 << 10;
const GIVEN_FOR_EACH: usize = 32;
/// What is said of a page that was not read to its end.
pub(crate) const CUT: &str =
    "the page is larger, deeper or gives more than is read; the rest is left out";

/// An image and one of its captions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Absolute URL of the image.
    pub url: String,
    /// The text, unescaped, white space folded.
    pub caption: String,
    /// Where it stood: `alt`, `title`, `data-image-title` or `figcaption`.
    pub source: &'static str,
}

/// What a page holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extracted {
    /// Images with captions, in the order of the page.
    pub images: Vec<Found>,
    /// Absolute URLs that the page links to, in its order.
    pub links: Vec<String>,
    /// Name and content of its `<meta>` tags that are short enough to be directives.
    pub metas: Vec<(String, String)>,
    /// Whether a bound was met, so that not all of the page was read or given.
    pub cut: bool,
}

impl Extracted {
    /// Whether a robots meta tag asks for links not to be followed.
    pub fn is_nofollow(&self) -> bool {
        let robots =
            self.metas.iter().filter(|(name, _)| name.trim().eq_ignore_ascii_case("robots"));
        robots.flat_map(|(_, content)| content.split(',')).any(|word| {
            ["nofollow", "none"].iter().any(|known| word.trim().eq_ignore_ascii_case(known))
        })
    }
}

/// Reads `<img>` (also lazily loaded, `srcset`, `<picture>` and `<noscript>`), `<figcaption>`, `<a
/// href>` and `<base>`.
///
/// Broken markup is no error: it is read as browsers read it.
pub fn extract(html: &[u8], content_type: &str, page: &Url) -> Extracted {
    let read = &html[..html.len().min(LONGEST_PAGE)];
    let (encoding, certain) = encoding::sniff(read, content_type);
    let mut parsed = parse::parse(&decode(read, encoding));
    if let Some(later) = parsed.encoding.filter(|later| !certain && *later != encoding) {
        parsed = parse::parse(&decode(read, later));
    }
    let base = base_url(page, parsed.base.as_deref());
    let mut given = Given { left: GIVEN + GIVEN_FOR_EACH * read.len(), cut: false };
    let images = images::images(&parsed.tree).into_iter().map_while(|image| {
        let Some(url) = absolute(&base, &image.url) else { return Some(None) };
        given.takes(url.len() + image.caption.len())?;
        Some(Some(Found { url, caption: image.caption.to_string(), source: image.source }))
    });
    let images = images.flatten().collect();
    let links = parsed.links.iter().map_while(|link| {
        let Some(url) = absolute(&base, link) else { return Some(None) };
        given.takes(url.len()).map(|()| Some(url))
    });
    let links = links.flatten().collect();
    let cut = parsed.cut || given.cut || read.len() < html.len();
    Extracted { images, links, metas: parsed.metas, cut }
}

/// Bytes that a page may still give.
struct Given {
    left: usize,
    cut: bool,
}

impl Given {
    fn takes(&mut self, bytes: usize) -> Option<()> {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Some(())
            }
            None => {
                self.cut = true;
                None
            }
        }
    }
}

fn decode<'a>(html: &'a [u8], encoding: &'static Encoding) -> Cow<'a, str> {
    encoding.decode(html).0
}

/// What URLs of a page are relative to: its `<base>`, unless that is none.
pub(crate) fn base_url(page: &Url, base: Option<&str>) -> Url {
    let base =
        base.filter(|base| base.len() <= LONGEST_URL).and_then(|base| page.join(base.trim()).ok());
    let base = base.filter(|base| matches!(base.scheme(), "http" | "https"));
    base.unwrap_or_else(|| page.clone())
}

/// The absolute URL, without a fragment; nothing where it is none that can be asked for.
pub(crate) fn absolute(base: &Url, url: &str) -> Option<String> {
    let url = url.trim();
    if url.len() > LONGEST_URL {
        return None;
    }
    let mut url = base.join(url).ok()?;
    url.set_fragment(None);
    let asked = matches!(url.scheme(), "http" | "https") && url.as_str().len() <= LONGEST_URL;
    asked.then(|| url.into())
}

#[cfg(test)]
mod tests;
