//! Pages as they are, and pages that are made to harm.

use super::*;
use std::time::{Duration, Instant};

fn page(html: &str) -> Extracted {
    extract(html.as_bytes(), "text/html", &Url::parse("http://e.com/a/page.html").unwrap())
}

fn pairs(html: &str) -> Vec<(String, String, &'static str)> {
    page(html).images.into_iter().map(|found| (found.url, found.caption, found.source)).collect()
}

fn pair(url: &str, caption: &str, source: &'static str) -> (String, String, &'static str) {
    (format!("http://e.com/{url}"), caption.to_owned(), source)
}

#[test]
fn images_come_with_every_caption_and_an_absolute_address() {
    let found = pairs(
        r#"<IMG SRC="cat.png" ALT="a &amp;amp; b
           cat" title="sitting cat"><img src="data:image/gif;base64,R0" data-src="/lazy.jpg" alt="lazy one">
           <img srcset="s.jpg 320w, l.jpg 1024w" alt="largest"><img src="x.png" alt=""><img alt="no source">
           <figure><img src="f.png"><figcaption>the <b>caption</b></figcaption></figure>"#,
    );
    let expected = [
        pair("a/cat.png", "a &amp; b cat", "alt"),
        pair("a/cat.png", "sitting cat", "title"),
        pair("lazy.jpg", "lazy one", "alt"),
        pair("a/l.jpg", "largest", "alt"),
        pair("a/f.png", "the caption", "figcaption"),
    ];
    assert_eq!(found, expected);
}

#[test]
fn captions_belong_to_the_figure_around_them() {
    for (html, expected) in [
        (
            "<figcaption>stray</figcaption><figure><img src=/a><figcaption>own</figcaption></figure>",
            vec![pair("a", "own", "figcaption")],
        ),
        (
            "<figure><img src=/a></figure><figure><img src=/b><figcaption>b</figcaption></figure>",
            vec![pair("b", "b", "figcaption")],
        ),
        (
            "<figure><img src=/a><figcaption>outer</figcaption><figure><img src=/b><figcaption>inner</figcaption></figure></figure>",
            vec![pair("b", "inner", "figcaption"), pair("a", "outer", "figcaption")],
        ),
        (
            "<figure><figcaption>one<br>two<p>three</p><script>no()</script><style>no</style><svg><title>no</title></svg></figcaption><img src=/a></figure>",
            vec![pair("a", "one two three", "figcaption")],
        ),
        (
            "<figure><img src=/a><figcaption>first</figcaption><figcaption>second</figcaption></figure>",
            vec![pair("a", "first", "figcaption")],
        ),
        (
            "<figure><img src=/a><figcaption>about a <img src=/icon alt=icon></figcaption></figure>",
            vec![pair("icon", "icon", "alt"), pair("a", "about a", "figcaption")],
        ),
        ("<figure><img src=/a><figcaption>cut off by the end of the pa", vec![]),
        (
            "<div><figure><img src=/a><figcaption>closed by what is around</div><p>other text",
            vec![pair("a", "closed by what is around", "figcaption")],
        ),
        (
            "<table><tr><td><figure><img src=/a></td><td><figcaption>other cell</figcaption></td></table>",
            vec![],
        ),
    ] {
        assert_eq!(pairs(html), expected, "{html}");
    }
}

#[test]
fn the_image_that_is_meant_is_found_behind_its_placeholder() {
    for (html, url) in [
        ("<img alt=c src=/blank.gif data-lazy=/real.jpg>", Some("real.jpg")),
        ("<img alt=c src=/blank.gif data-srcset='/s.jpg 320w, /real.jpg 800w'>", Some("real.jpg")),
        ("<img alt=c src='' srcset='' data-src=/real.jpg>", Some("real.jpg")),
        ("<img alt=c src=/real.jpg data-src='{\"x\":1}' data-lazy=true>", Some("real.jpg")),
        ("<img alt=c src=/blank.gif srcset='/real.jpg 2x'>", Some("real.jpg")),
        ("<img alt=c src=data:x><noscript><img alt=c src=/real.jpg></noscript>", Some("real.jpg")),
        (
            "<picture><source data-srcset=/real.webp><img alt=c src=data:x></picture>",
            Some("real.webp"),
        ),
        (
            "<picture><source type=image/svg+xml srcset=/no.svg><source srcset='/s.jpg 1x,/real.jpg 2x'><img alt=c></picture>",
            Some("real.jpg"),
        ),
        (
            "<picture><source type=image/avif srcset=/real.avif><img alt=c src=data:x></picture>",
            Some("real.avif"),
        ),
        (
            "<picture><source srcset=/other.webp><img alt=c src=/real.jpg></picture>",
            Some("real.jpg"),
        ),
        ("<source srcset=/other.webp><img alt=c src=data:x>", None),
        ("<img alt=c src=/placeholder.png>", None),
        ("<template><img alt=c src=/{{src}}></template>", None),
        ("<image alt=c src=/real.jpg>", Some("real.jpg")),
    ] {
        let expected: Vec<_> = url.map(|url| pair(url, "c", "alt")).into_iter().collect();
        assert_eq!(pairs(html), expected, "{html}");
    }
}

#[test]
fn links_follow_the_base_and_lose_their_fragments() {
    let found = page(
        r#"<base href="/b/"><base href="/c/"><a href="x.html#top">x</a><a href="mailto:a@b">m</a><img src=i.png alt=i>"#,
    );
    assert_eq!(found.links, ["http://e.com/b/x.html"]);
    assert_eq!(found.images[0].url, "http://e.com/b/i.png");
    for base in ["javascript:void(0)", "data:text/html,x", "", "http://", "about:blank"] {
        let html = format!("<base href='{base}'><img src=i.png alt=i>");
        assert_eq!(pairs(&html), [pair("a/i.png", "i", "alt")], "{base}");
    }
}

#[test]
fn what_a_page_says_to_robots_is_read() {
    let found = page(r#"<META NAME="Robots" CONTENT="NoAI, nofollow"><meta name=other content=x>"#);
    let metas = [("Robots", "NoAI, nofollow"), ("other", "x")];
    assert_eq!(found.metas, metas.map(|(name, content)| (name.to_owned(), content.to_owned())));
    assert!(found.is_nofollow() && !page("<meta name=robots content=noai>").is_nofollow());
    let many = "<meta name=a content=b>".repeat(10_000);
    assert!(page(&many).metas.len() < 1000);
}

#[test]
fn other_encodings_are_read() {
    let late = format!("<!--{}--><meta charset=gbk>", "x".repeat(2000));
    for (head, content_type) in [
        ("<meta charset=\"iso-8859-1\">", "text/html"),
        ("<meta http-equiv=content-type content='text/html; charset=latin1'>", ""),
        ("", "text/html; charset=ISO-8859-1"),
        ("", ""),
        ("<link charset=utf-8><script>var x = '<meta charset=utf-8'</script>", ""),
        ("<meta charset=nonsense>", ""),
    ] {
        let html = [head.as_bytes(), b"<img src=a alt=\"caf\xe9 cr\xe8me\">"].concat();
        let found = extract(&html, content_type, &Url::parse("http://e.com/").unwrap());
        assert_eq!(found.images[0].caption, "café crème", "{head} {content_type}");
    }
    let html = [late.as_bytes(), b"<img src=a alt=\"\xc3\xa8\">"].concat();
    let found = extract(&html, "", &Url::parse("http://e.com/").unwrap());
    assert_eq!(found.images[0].caption, "猫");
}

#[test]
fn broken_markup_is_read_as_browsers_read_it() {
    assert_eq!(page("<img src=a.png alt='never closed").images, []);
    assert_eq!(page("<div><img src=a.png alt=ok></p></table><figure>").images.len(), 1);
    assert_eq!(pairs("<img src=/a alt=a><script>x <img src=/b alt=b>"), [pair("a", "a", "alt")]);
    assert_eq!(
        pairs("<textarea><img src=/a alt=a></textarea><img src=/b alt=b>"),
        [pair("b", "b", "alt")]
    );
    assert_eq!(
        pairs("<img src=/a alt='AT&ampT caf&eacute &notit; &#146; &#0;'>"),
        [pair("a", "AT&ampT café &notit; ’ \u{fffd}", "alt")]
    );
}

/// Time that a page of a megabyte may take, on a slow machine.
const SOON: Duration = Duration::from_secs(20);

#[test]
fn no_page_costs_or_gives_more_than_its_length_allows() {
    let many = |text: &str| text.repeat((1 << 20) / text.len());
    let numbered =
        |f: &dyn Fn(usize) -> String, count: usize| (0..count).map(f).collect::<String>();
    let caption = format!(
        "<figure>{}<figcaption>{}</figcaption></figure>",
        "<img src=a>".repeat(20_000),
        many("word ")
    );
    let base = format!(
        "<base href='/{}/'>{}",
        "x".repeat(8000),
        "<img src=a alt=b><a href=c>".repeat(20_000)
    );
    for (name, html) in [
        ("deep", many("<div>")),
        ("deep, self-closing", many("<x/>")),
        ("deep options", many("<optgroup>")),
        ("deep ruby", many("<rt>")),
        ("paragraphs", many("<p>")),
        ("formatting", numbered(&|i| format!("<div><b x={i}></div>"), 50_000)),
        ("formatting, reconstructed", numbered(&|i| format!("<b x={i}><p>"), 60_000)),
        ("tables", many("<table><td>")),
        ("attributes", format!("<img {}>", numbered(&|i| format!("a{i} "), 200_000))),
        ("attributes with ends", format!("<img {}>", numbered(&|i| format!("a{i}='>' "), 120_000))),
        ("captions", caption),
        ("base", base),
        ("open tags", many("<")),
        ("comments", many("<!--")),
        ("anchors", many("<a href=x>")),
        ("nested figures", many("<figure><figcaption>x")),
        ("select", many("<select><option>")),
        ("svg", many("<svg><path/>")),
    ] {
        let start = Instant::now();
        let found = page(&html);
        let given: usize = found.images.iter().map(|f| f.url.len() + f.caption.len()).sum();
        let given = given + found.links.iter().map(String::len).sum::<usize>();
        assert!(given <= GIVEN + GIVEN_FOR_EACH * html.len(), "{name}: {given}");
        assert!(start.elapsed() < SOON, "{name}: {:?}", start.elapsed());
    }
    let small =
        format!("<base href='http://e.com/{}/'>", "x".repeat(1500)) + &"<a href=c>".repeat(20_000);
    let found = page(&small);
    assert!(
        found.cut && found.links.len() > 1000 && found.links.len() < 20_000,
        "{}",
        found.links.len()
    );
    assert!(!page("<img src=a alt=b>").cut);
}

#[test]
fn bytes_that_are_no_page_harm_nothing() {
    let seeds = [
        "<figure><img src=a alt=b><figcaption>c</figcaption></figure>",
        "<table><tr><td><svg><math><mi><p></table>",
        "<template><select><option></template><b><i></b></i><a><a>",
        "<script></script><style></style><plaintext>",
        "<frameset><noscript></frameset></html><!DOCTYPE x><![CDATA[x]]>",
        "<meta charset=utf-16><base href=x>&#x;&amp",
    ];
    let mut state = 1_u64;
    let mut random = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    for _ in 0..4000 {
        let mut bytes = Vec::new();
        for _ in 0..random() % 6 {
            let seed = seeds[random() % seeds.len()].as_bytes();
            let (from, to) = (random() % seed.len(), random() % seed.len());
            bytes.extend_from_slice(&seed[from.min(to)..from.max(to)]);
            if random() % 4 == 0 {
                bytes.push(random() as u8);
            }
        }
        let _ = extract(&bytes, "", &Url::parse("http://e.com/").unwrap());
    }
}
