//! Directives of `X-Robots-Tag` and of robots meta tags: `noindex`, `noai`, ….

use std::borrow::Cow;

/// Directives whose value follows a colon, so that what comes before it is no crawler's name.
const WITH_VALUE: [&str; 4] =
    ["unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"];

/// The first directive of some lists, `[agent:] directive, …` each, that is one of `forbidden` and
/// for all crawlers or for this one. Of `none`, which is `noindex, nofollow`, the first counts.
pub(super) fn forbidden(lists: &[Cow<str>], agent: &str, forbidden: &[String]) -> Option<String> {
    let is_forbidden = |word: &str| forbidden.iter().any(|known| known == word);
    for list in lists {
        let mut ours = true;
        for item in list.split(',') {
            let mut word = item.trim().to_lowercase();
            if let Some((name, rest)) = word.split_once(':')
                && !WITH_VALUE.contains(&name.trim())
            {
                // What follows is for this crawler, too, up to another name.
                ours = name.trim() == agent;
                word = rest.trim().to_owned();
            }
            if ours && (is_forbidden(&word) || word == "none" && is_forbidden("noindex")) {
                return Some(word);
            }
        }
    }
    None
}

/// The line of a page on which a meta tag with this name and content is.
pub(super) fn line_of_meta(html: &[u8], name: &str, content: &str) -> Option<usize> {
    let html = html.to_ascii_lowercase();
    let [name, content] = [name, content].map(|text| text.trim().to_ascii_lowercase());
    let holds = |tag: &[u8], text: &str| memchr::memmem::find(tag, text.as_bytes()).is_some();
    let at = memchr::memmem::find_iter(&html, b"<meta").find(|&at| {
        let tag = &html[at..];
        let tag = &tag[..memchr::memchr(b'>', tag).unwrap_or(tag.len())];
        holds(tag, &name) && holds(tag, &content)
    })?;
    Some(1 + memchr::memchr_iter(b'\n', &html[..at]).count())
}
