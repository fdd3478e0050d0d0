//! Images of a page with their captions, in its order.

use std::rc::Rc;

use html5ever::Attribute;

use super::srcset::largest_of;
use super::text::clean;
use super::tree::{Kind, Step, Tree};

/// Attributes in which lazy loaders keep an image's URL.
pub(crate) const LAZY: [&str; 5] =
    ["data-src", "data-original", "data-lazy-src", "data-lazy", "data-echo"];
/// Attributes in which lazy loaders keep its `srcset`.
pub(crate) const LAZY_SETS: [&str; 2] = ["data-srcset", "data-lazy-srcset"];
/// Attributes of an image that are captions.
const CAPTIONS: [&str; 3] = ["alt", "title", "data-image-title"];

/// A URL as written, and one of its captions.
pub(super) struct Image {
    pub url: Rc<str>,
    pub caption: Rc<str>,
    pub source: &'static str,
}

/// The images of a page that have captions.
pub(super) fn images(tree: &Tree) -> Vec<Image> {
    let mut page = Page::default();
    tree.walk(&mut |step| match step {
        Step::Into(kind) => page.enter(tree, kind),
        Step::OutOf(kind) => page.leave(kind),
    });
    page.images
}

#[derive(Default)]
struct Page<'a> {
    images: Vec<Image>,
    /// Figures that are open, the innermost last.
    figures: Vec<Figure>,
    /// Sources of the pictures that are open.
    pictures: Vec<Vec<&'a [Attribute]>>,
    /// Elements around that are not read.
    silent: usize,
}

#[derive(Default)]
struct Figure {
    images: Vec<Rc<str>>,
    caption: String,
    /// Captions of it that are open; an image in one is not what the caption is about.
    captions: usize,
    /// Captions of it so far: the first counts.
    seen: usize,
}

impl<'a> Page<'a> {
    fn enter(&mut self, tree: &'a Tree, kind: Kind) {
        match kind {
            Kind::Plain => {}
            Kind::Break => self.read(" "),
            Kind::Text(at) => self.read(tree.text(at)),
            Kind::Silent => self.silent += 1,
            Kind::Picture => self.pictures.push(Vec::new()),
            Kind::Figure => self.figures.push(Figure::default()),
            Kind::Source(at) => {
                if let Some(sources) = self.pictures.last_mut() {
                    sources.push(tree.attributes(at));
                }
            }
            Kind::Image(at) => self.image(tree.attributes(at)),
            Kind::Caption { closed } => {
                if let Some(figure) = self.figures.last_mut() {
                    figure.captions += 1;
                    // What a cut page left of a caption is none.
                    figure.seen += if closed { 1 } else { 2 };
                }
            }
        }
    }

    fn leave(&mut self, kind: Kind) {
        match kind {
            Kind::Break => self.read(" "),
            Kind::Silent => self.silent -= 1,
            Kind::Picture => drop(self.pictures.pop()),
            Kind::Caption { .. } => {
                if let Some(figure) = self.figures.last_mut() {
                    figure.captions -= 1;
                }
            }
            Kind::Figure => {
                let Some(figure) = self.figures.pop() else { return };
                let caption: Rc<str> = clean(&figure.caption).into();
                let pair = |url| Image { url, caption: caption.clone(), source: "figcaption" };
                if !caption.is_empty() {
                    self.images.extend(figure.images.into_iter().map(pair));
                }
            }
            Kind::Plain | Kind::Text(_) | Kind::Source(_) | Kind::Image(_) => {}
        }
    }

    /// Text: part of the caption of the innermost figure, in its first caption.
    fn read(&mut self, text: &str) {
        if self.silent == 0
            && let Some(figure) = self.figures.last_mut()
            && (figure.captions, figure.seen) == (1, 1)
        {
            figure.caption.push_str(text);
        }
    }

    fn image(&mut self, attributes: &[Attribute]) {
        let sources = self.pictures.last().map_or(&[][..], Vec::as_slice);
        let Some(url) = url_of(attributes, sources) else { return };
        let url: Rc<str> = url.into();
        for name in CAPTIONS {
            let caption = clean(value(attributes, name).unwrap_or_default());
            if !caption.is_empty() {
                let (url, caption) = (url.clone(), caption.into());
                self.images.push(Image { url, caption, source: name });
            }
        }
        if let Some(figure) = self.figures.last_mut()
            && figure.captions == 0
        {
            figure.images.push(url);
        }
    }
}

fn value<'a>(attributes: &'a [Attribute], name: &str) -> Option<&'a str> {
    attributes.iter().find(|attribute| &*attribute.name.local == name).map(|a| &*a.value)
}

/// The URL of an image: a lazy loader's, else its own, else that of a source of the `<picture>`
/// around it.
fn url_of(attributes: &[Attribute], sources: &[&[Attribute]]) -> Option<String> {
    let of = |name: &&str| value(attributes, name);
    let set = |name: &&str| largest_of(of(name)?);
    let lazy = LAZY.iter().filter_map(of).find(|url| is_url(url)).map(str::to_owned);
    let lazy = lazy.or_else(|| LAZY_SETS.iter().find_map(set));
    let own = || of(&"src").filter(|url| !is_placeholder(url)).map(str::to_owned);
    let own_set = || set(&"srcset").filter(|url| !is_placeholder(url));
    lazy.or_else(own)
        .or_else(own_set)
        .or_else(|| sources.iter().find_map(|source| of_source(source)))
}

/// The largest image of a source, in a format that is read here.
fn of_source(source: &[Attribute]) -> Option<String> {
    let kind = value(source, "type").unwrap_or_default();
    if ["image/heic", "image/heif", "image/jp2", "image/svg+xml"].contains(&kind.trim()) {
        return None;
    }
    let set = |name: &str| largest_of(value(source, name)?).filter(|url| !is_placeholder(url));
    LAZY_SETS.into_iter().chain(["srcset"]).find_map(set)
}

/// Whether a lazy loader's attribute holds a URL: some hold settings.
fn is_url(text: &str) -> bool {
    let text = text.trim();
    text.contains(['/', '.']) && !text.starts_with(['{', '[']) && !is_placeholder(text)
}

/// Whether an image only holds the place of another: a `data:` URL, or a file that is named so.
pub(crate) fn is_placeholder(url: &str) -> bool {
    const STEMS: [&str; 10] = [
        "1x1",
        "1px",
        "blank",
        "lazyload",
        "loader",
        "loading",
        "pixel",
        "placeholder",
        "spacer",
        "transparent",
    ];
    let url = url.trim();
    if url.is_empty() || url.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:")) {
        return true;
    }
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let file = path.rsplit('/').next().unwrap_or_default();
    let Some((stem, _)) = file.rsplit_once('.') else { return false };
    // A size may follow: `placeholder-300x200.png`.
    let size = |rest: &str| rest.chars().all(|c| c.is_ascii_digit() || "-_.x".contains(c));
    let named = |name: &&str| {
        stem.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
            && size(&stem[name.len()..])
    };
    STEMS.iter().any(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_known_by_name() {
        for url in [
            "",
            " ",
            "data:image/gif;base64,R0",
            "DATA:x",
            "/blank.gif",
            "https://e.com/a/placeholder-300x200.PNG?v=2",
            "spacer.gif",
            "img/1x1.png",
            "/lazyload.svg#x",
        ] {
            assert!(is_placeholder(url), "{url}");
        }
        for url in [
            "/a.jpg",
            "/blank-space.jpg",
            "/loading-dock.jpg",
            "/blank/",
            "/emptyroom.jpg",
            "/blank",
            "/é.png",
        ] {
            assert!(!is_placeholder(url), "{url}");
        }
    }
}
