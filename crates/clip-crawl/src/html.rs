//! Images, captions and links of a page, in one streaming pass.

use std::cell::RefCell;
use std::rc::Rc;

use lol_html::{HtmlRewriter, Settings, element, text};
use url::Url;

/// An image and one of its captions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Absolute address of the image.
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
    /// Absolute addresses that the page links to, in its order.
    pub links: Vec<String>,
    /// Directives of `<meta name="robots">`, in lower case.
    pub robots: Vec<String>,
}

#[derive(Default)]
struct State {
    robots: Vec<String>,
    base: Option<String>,
    images: Vec<(String, String, &'static str)>,
    links: Vec<String>,
    /// Images of the figure that is open, waiting for its caption.
    figure: Option<Vec<String>>,
    caption: String,
}

/// Reads `<img>` (also lazily loaded and `srcset`), `<figcaption>`, `<a href>` and `<base>`.
///
/// Broken markup is no error: what was read up to a fault counts.
pub fn extract(html: &[u8], content_type: &str, page: &Url) -> Extracted {
    let html = to_utf8(html, content_type);
    let state = Rc::new(RefCell::new(State::default()));
    let handlers = [
        element!("base[href]", |e| {
            let mut state = state.borrow_mut();
            state.base = state.base.take().or_else(|| e.get_attribute("href"));
            Ok(())
        }),
        element!("meta[name][content]", |e| {
            let name = e.get_attribute("name").unwrap_or_default();
            if name.trim().eq_ignore_ascii_case("robots") {
                let content = e.get_attribute("content").unwrap_or_default().to_lowercase();
                let directives = content.split(',').map(|directive| directive.trim().to_owned());
                state.borrow_mut().robots.extend(directives);
            }
            Ok(())
        }),
        element!("a[href]", |e| {
            state.borrow_mut().links.extend(e.get_attribute("href"));
            Ok(())
        }),
        element!("figure", |e| {
            state.borrow_mut().figure = Some(Vec::new());
            let state = state.clone();
            if let Some(handlers) = e.end_tag_handlers() {
                handlers.push(lol_html::end_tag!(move |_| {
                    end_of_figure(&mut state.borrow_mut());
                    Ok(())
                }));
            }
            Ok(())
        }),
        element!("img", |e| {
            image(&mut state.borrow_mut(), |name| e.get_attribute(name));
            Ok(())
        }),
        text!("figcaption", |chunk| {
            state.borrow_mut().caption.push_str(chunk.as_str());
            Ok(())
        }),
    ];
    let settings = handlers.into_iter().fold(Settings::new(), |settings, handler| {
        settings.append_element_content_handler(handler)
    });
    let mut rewriter = HtmlRewriter::new(settings, |_: &[u8]| {});
    let whole = rewriter.write(html.as_bytes()).is_ok();
    if whole {
        let _ = rewriter.end();
    }
    let state = std::mem::take(&mut *state.borrow_mut());
    resolve(state, page)
}

fn image(state: &mut State, attribute: impl Fn(&str) -> Option<String>) {
    let source = ["data-src", "data-original", "data-lazy-src", "src"]
        .iter()
        .filter_map(|name| attribute(name))
        .find(|src| !src.is_empty() && !src.starts_with("data:"))
        .or_else(|| largest_of(&attribute("srcset").or_else(|| attribute("data-srcset"))?));
    let Some(source) = source else { return };
    for name in ["alt", "title", "data-image-title"] {
        if let Some(text) = attribute(name) {
            state.images.push((source.clone(), text, name));
        }
    }
    if let Some(figure) = &mut state.figure {
        figure.push(source);
    }
}

fn end_of_figure(state: &mut State) {
    let caption = std::mem::take(&mut state.caption);
    for source in state.figure.take().unwrap_or_default() {
        state.images.push((source, caption.clone(), "figcaption"));
    }
}

/// The candidate of a `srcset` with the largest width or density.
pub(crate) fn largest_of(srcset: &str) -> Option<String> {
    let size = |descriptor: &str| descriptor.trim_end_matches(['w', 'x']).parse().unwrap_or(1.0);
    let between = |c: char| c.is_whitespace() || c == ',';
    let (mut rest, mut best): (_, Option<(f64, &str)>) = (srcset.trim_start_matches(between), None);
    while !rest.is_empty() {
        // An address may hold commas, so only white space ends it; a comma at its end says that it has no size.
        let (url, after) = rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len()));
        let end = if url.ends_with(',') { 0 } else { after.find(',').unwrap_or(after.len()) };
        let size: f64 = size(after[..end].trim());
        if !url.starts_with("data:") && best.is_none_or(|(most, _)| size > most) {
            best = Some((size, url.trim_end_matches(',')));
        }
        rest = after[end..].trim_start_matches(between);
    }
    best.map(|(_, url)| url.to_owned())
}

fn resolve(state: State, page: &Url) -> Extracted {
    let base = state.base.and_then(|base| page.join(&unescape(&base)).ok());
    let base = base.as_ref().unwrap_or(page);
    let absolute = |address: &str| {
        let mut url = base.join(unescape(address).trim()).ok()?;
        url.set_fragment(None);
        matches!(url.scheme(), "http" | "https").then(|| url.to_string())
    };
    let images = state.images.iter().filter_map(|(url, caption, source)| {
        let caption = clean_text(caption);
        (!caption.is_empty()).then_some(())?;
        Some(Found { url: absolute(url)?, caption, source })
    });
    Extracted {
        images: images.collect(),
        links: state.links.iter().filter_map(|link| absolute(link)).collect(),
        robots: state.robots,
    }
}

/// A caption as it is kept: entities undone, white space folded.
pub(crate) fn clean_text(text: &str) -> String {
    unescape(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn unescape(text: &str) -> String {
    html_escape::decode_html_entities(text).into_owned()
}

/// By byte-order mark, then header, then `<meta charset>`, else UTF-8.
fn to_utf8(html: &[u8], content_type: &str) -> String {
    let named = |text: &str| {
        let at = text.to_ascii_lowercase().find("charset=")? + 8;
        let label = text[at..].trim_start_matches(['"', '\'']);
        let end = label.find(['"', '\'', ';', '>', ' ', '/']).unwrap_or(label.len());
        encoding_rs::Encoding::for_label(&label.as_bytes()[..end])
    };
    let head = String::from_utf8_lossy(&html[..html.len().min(1024)]);
    let encoding = named(content_type).or_else(|| named(&head)).unwrap_or(encoding_rs::UTF_8);
    encoding.decode(html).0.into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(html: &str) -> Extracted {
        extract(html.as_bytes(), "text/html", &Url::parse("http://e.com/a/page.html").unwrap())
    }

    #[test]
    fn images_come_with_every_caption_and_an_absolute_address() {
        let found = page(
            r#"<IMG SRC="cat.png" ALT="a &amp;amp; b
               cat" title="sitting cat"><img src="data:image/gif;base64,R0" data-src="/lazy.jpg" alt="lazy one">
               <img srcset="s.jpg 320w, l.jpg 1024w" alt="largest"><img src="x.png" alt=""><img alt="no source">
               <figure><img src="f.png"><figcaption>the <b>caption</b></figcaption></figure>"#,
        );
        let expected = [
            ("http://e.com/a/cat.png", "a &amp; b cat", "alt"),
            ("http://e.com/a/cat.png", "sitting cat", "title"),
            ("http://e.com/lazy.jpg", "lazy one", "alt"),
            ("http://e.com/a/l.jpg", "largest", "alt"),
            ("http://e.com/a/f.png", "the caption", "figcaption"),
        ];
        let found: Vec<_> =
            found.images.iter().map(|f| (f.url.as_str(), f.caption.as_str(), f.source)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn the_largest_of_a_srcset_is_taken_however_it_is_spaced() {
        for (srcset, largest) in [
            ("s.jpg 320w, l.jpg 1024w", Some("l.jpg")),
            ("s.jpg 1x,l.jpg 2x", Some("l.jpg")),
            ("w_1,h_2/s.jpg 320w,\n w_3,h_4/l.jpg 640w,", Some("w_3,h_4/l.jpg")),
            ("s.jpg, l.jpg 1.5x", Some("l.jpg")),
            ("only.jpg", Some("only.jpg")),
            ("data:image/gif;base64,R0 9x, l.jpg 2x", Some("l.jpg")),
            (" , ", None),
        ] {
            assert_eq!(largest_of(srcset).as_deref(), largest, "{srcset:?}");
        }
    }

    #[test]
    fn links_follow_the_base_and_lose_their_fragments() {
        let found = page(
            r#"<base href="/b/"><a href="x.html#top">x</a><a href="mailto:a@b">m</a><img src=i.png alt=i>"#,
        );
        assert_eq!(found.links, ["http://e.com/b/x.html"]);
        assert_eq!(found.images[0].url, "http://e.com/b/i.png");
    }

    #[test]
    fn what_a_page_says_to_robots_is_read() {
        let found =
            page(r#"<META NAME="Robots" CONTENT="NoAI, nofollow"><meta name=other content=x>"#);
        assert_eq!(found.robots, ["noai", "nofollow"]);
    }

    #[test]
    fn other_encodings_are_read() {
        let html = b"<meta charset=\"iso-8859-1\"><img src=a alt=\"caf\xe9\">";
        let found = extract(html, "text/html", &Url::parse("http://e.com/").unwrap());
        assert_eq!(found.images[0].caption, "café");
    }

    #[test]
    fn broken_markup_is_no_fault() {
        assert_eq!(page("<img src=a.png alt='never closed").images, []);
        assert_eq!(page("<div><img src=a.png alt=ok></p></table><figure>").images.len(), 1);
    }
}
