//! The site's content: which pages there are, and what stands on them.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use clip_image::{Rgb, encode_jpeg, encode_png, encode_webp, resize};

use crate::captions::{FOREIGN, choice, english};
use crate::copies::{COUNT, Change};
use crate::evaluation;
use crate::styles::{HELD_OUT, SIDE, Style, common, training, words};

/// Drawings on a page.
const PER_PAGE: usize = 48;
/// Training styles that must draw a concept for the site to show it.
const SHOWN: usize = 2;

/// An answer: content type and body.
pub type Answer = (&'static str, Vec<u8>);

/// All hosts of the small web: one for each training style, and one of mirrors, fans and forgotten
/// pages.
pub struct Web {
    styles: Vec<Style>,
    held_out: Style,
    /// Concepts of each style, in order.
    shown: Vec<Vec<String>>,
    /// Planted copies, by their path.
    planted: BTreeMap<String, (String, Change)>,
}

impl Web {
    /// Reads the packages.
    pub fn open(packages: &Path) -> anyhow::Result<Self> {
        let styles = training(packages)?;
        let common = common(&styles, SHOWN);
        let shown = styles.iter().map(|style| {
            let concepts = style.concepts().filter(|concept| common.contains(*concept));
            concepts.map(str::to_owned).collect()
        });
        let shown = shown.collect();
        let classes = evaluation::classes(packages)?;
        let step = (classes.len() / COUNT).max(1);
        let planted =
            classes.iter().step_by(step).take(COUNT).enumerate().map(|(index, concept)| {
                (format!("/fan/{index:03}.jpg"), (concept.clone(), Change::of(index)))
            });
        let planted = planted.collect();
        Ok(Self { held_out: Style::open(packages, HELD_OUT)?, styles, shown, planted })
    }

    /// Number of hosts.
    pub fn hosts(&self) -> usize {
        self.styles.len() + 1
    }

    /// What was planted: path on the last host, concept, change.
    pub fn planted(&self) -> impl Iterator<Item = (&str, &str, Change)> {
        self.planted
            .iter()
            .map(|(path, (concept, change))| (path.as_str(), concept.as_str(), *change))
    }

    /// The answer of a host to a path, or nothing for 404.
    pub fn get(&self, host: usize, path: &str) -> Option<Answer> {
        if path == "/robots.txt" {
            return Some(("text/plain", b"User-agent: *\nDisallow: /private/\n".to_vec()));
        }
        match self.styles.get(host) {
            Some(style) => self.style(host, style, path),
            None => self.odd(path),
        }
    }

    fn style(&self, host: usize, style: &Style, path: &str) -> Option<Answer> {
        let concepts = &self.shown[host];
        if path == "/" {
            let pages = concepts.len().div_ceil(PER_PAGE);
            let mut links: String = (0..pages)
                .map(|page| format!("<li><a href=\"page/{page}.html\">page {page}</a></li>\n"))
                .collect();
            links.push_str("<li><a href=\"/private/drafts.html\">drafts</a></li>");
            return Some(html(&style.name, &format!("<ul>{links}</ul>")));
        }
        if let Some(page) = path.strip_prefix("/page/").and_then(|p| p.strip_suffix(".html")) {
            let page: usize = page.parse().ok()?;
            let on_page = concepts.chunks(PER_PAGE).nth(page)?;
            let body: String = on_page.iter().map(|concept| figure(&style.name, concept)).collect();
            return Some(html(&style.name, &body));
        }
        let (concept, extension) = path.strip_prefix("/img/")?.rsplit_once('.')?;
        encoded(&style.draw(concept)?, extension)
    }

    /// The host of noise: other languages, camera names, tiny and broken images, mirrors, copies.
    fn odd(&self, path: &str) -> Option<Answer> {
        let noto = &self.styles[0];
        let some =
            |offset: usize, count: usize| self.shown[0].iter().skip(offset).step_by(29).take(count);
        let mut body = String::new();
        match path {
            "/" => {
                for page in
                    ["fr", "de", "es", "zh", "camera", "tiny", "broken", "mirror", "fan", "missing"]
                {
                    let _ = writeln!(body, "<a href=\"/{page}.html\">{page}</a>");
                }
                body.push_str("<a href=\"/private/secret.html\">private</a>");
            }
            "/camera.html" => {
                for (number, concept) in some(3, 40).enumerate() {
                    let _ = writeln!(
                        body,
                        "<img src=\"/img/{concept}.png\" alt=\"IMG_{:04}.png\">",
                        2000 + number
                    );
                }
            }
            "/tiny.html" => {
                for concept in some(5, 30) {
                    let caption = english("tiny", &words(concept), 0);
                    let _ = writeln!(body, "<img src=\"/tiny/{concept}.png\" alt=\"{caption}\">");
                }
            }
            "/broken.html" => {
                for concept in some(7, 20) {
                    let caption = english("broken", &words(concept), 0);
                    let _ = writeln!(body, "<img src=\"/gone/{concept}.png\" alt=\"{caption}\">");
                    let _ = writeln!(body, "<img src=\"/cut/{concept}.png\" alt=\"{caption}\">");
                    let _ =
                        writeln!(body, "<img src=\"/private/{concept}.png\" alt=\"{caption}\">");
                }
            }
            "/mirror.html" => {
                for concept in some(11, 50) {
                    let caption = english("mirror", &words(concept), 1);
                    for (size, extension) in [(96, "jpg"), (128, "webp"), (200, "png")] {
                        let _ = writeln!(
                            body,
                            "<img src=\"/mirror/{size}/{concept}.{extension}\" alt=\"{caption}\">"
                        );
                    }
                }
            }
            "/fan.html" => {
                for (path, (concept, _)) in &self.planted {
                    let words = words(concept);
                    let _ = writeln!(
                        body,
                        "<img src=\"{path}\" alt=\"my favourite {words} picture from the web\">"
                    );
                }
            }
            _ => {
                if let Some((concept, change)) = self.planted.get(path) {
                    let copy = change.apply(&self.held_out.draw(concept)?);
                    return Some(("image/jpeg", encode_jpeg(&copy, 80).ok()?));
                }
                if let Some(name) = path.strip_suffix(".html") {
                    let (_, phrases) =
                        FOREIGN.iter().find(|(code, _)| name == format!("/{code}"))?;
                    for (number, concept) in some(13, 45).enumerate() {
                        let caption =
                            phrases[number % phrases.len()].replace("{}", &words(concept));
                        let _ =
                            writeln!(body, "<img src=\"/img/{concept}.png\" alt=\"{caption}\">");
                    }
                } else {
                    return odd_image(noto, path);
                }
            }
        }
        Some(html("odds and ends", &body))
    }
}

fn odd_image(style: &Style, path: &str) -> Option<Answer> {
    let (folder, file) = path.trim_start_matches('/').rsplit_once('/')?;
    let (concept, extension) = file.rsplit_once('.')?;
    let sized =
        |side: u32| Some(resize(&style.draw(concept)?, side, side, clip_image::Filter::Bicubic));
    match folder {
        "img" => encoded(&style.draw(concept)?, extension),
        "tiny" => encoded(&sized(16)?, extension),
        "cut" => {
            let (kind, mut bytes) = encoded(&style.draw(concept)?, extension)?;
            bytes.truncate(bytes.len() / 3);
            Some((kind, bytes))
        }
        _ => {
            let side: u32 = folder.strip_prefix("mirror/")?.parse().ok()?;
            encoded(&sized(side.clamp(8, 4 * SIDE))?, extension)
        }
    }
}

/// A drawing with its captions: always in `alt`, often in `title` or a figure's caption, sometimes
/// lazy.
fn figure(style: &str, concept: &str) -> String {
    let words = words(concept);
    let extension = ["png", "png", "jpg", "webp"][choice(&format!("{style} {concept} format"), 4)];
    let src = format!("/img/{concept}.{extension}");
    let alt = english(style, &words, 0);
    let title = english(style, &words, 1);
    match choice(&format!("{style} {concept} layout"), 4) {
        0 => format!("<img src=\"{src}\" alt=\"{alt}\" title=\"{title}\">\n"),
        1 => format!(
            "<figure><img src=\"{src}\" alt=\"{alt}\"><figcaption>{title}</figcaption></figure>\n"
        ),
        2 => format!(
            "<img src=\"data:image/gif;base64,R0lGODlhAQABAAAAACw=\" data-src=\"{src}\" alt=\"{alt}\" title=\"{title}\">\n"
        ),
        _ => format!("<img srcset=\"{src} 1x\" alt=\"{alt}\" title=\"{title}\">\n"),
    }
}

fn encoded(image: &Rgb, extension: &str) -> Option<Answer> {
    Some(match extension {
        "jpg" => ("image/jpeg", encode_jpeg(image, 90).ok()?),
        "webp" => ("image/webp", encode_webp(image, 101).ok()?),
        "png" => ("image/png", encode_png(image).ok()?),
        _ => return None,
    })
}

fn html(title: &str, body: &str) -> Answer {
    let page = format!(
        "<!doctype html><html><head><meta charset=\"utf-8\"><title>{title}</title></head>\n<body>{body}</body></html>\n"
    );
    ("text/html; charset=utf-8", page.into_bytes())
}
