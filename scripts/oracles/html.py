# Pairs of web pages by html5lib, which builds the tree and sniffs the encoding as the HTML standard says.
# requires: html5lib==1.1
"""Makes pages of the faults that real pages have and their neighbours, and writes each with its encoding and with the
pairs that html5lib's tree holds to crates/clip-crawl/tests/golden/oracle/html.json. Which URL of an image is meant
(a lazy loader's before `src`, a placeholder never) is the rule of docs/sources.md, applied to that tree.
"""
import json, re, sys
from urllib.parse import urljoin, urlsplit

import html5lib
from html5lib._inputstream import HTMLBinaryInputStream
from html5lib.constants import namespaces

PAGE = "http://h.com/dir/page.html"
X = "{" + namespaces["html"] + "}"
pages = []


def page(name, html, content_type="text/html"):
    pages.append((name, html if isinstance(html, bytes) else html.encode(), content_type))


# Encodings: byte-order mark, header, prescan, and what only looks like a declaration.
latin1, utf8 = "café crème".encode("latin-1"), "café crème".encode()
img = lambda alt: b'<img src="/a.jpg" alt="' + alt + b'">'
page("cs-header", img(latin1), "text/html; charset=ISO-8859-1")
page("cs-header-upper", img(latin1), "TEXT/HTML;CHARSET=Windows-1252")
page("cs-header-wins", b'<meta charset="iso-8859-1">' + img(utf8), "text/html; charset=utf-8")
page("cs-header-unknown", b'<meta charset="iso-8859-1">' + img(latin1), "text/html; charset=junk-8")
page("cs-meta", b'<meta charset="iso-8859-1">' + img(latin1))
page("cs-meta-unquoted", b"<meta charset=iso-8859-1>" + img(latin1))
page("cs-meta-slash", b"<meta/charset=iso-8859-1/>" + img(latin1))
page("cs-meta-http-equiv", b'<meta http-equiv="Content-Type" content="text/html; charset=iso-8859-1">' + img(latin1))
page("cs-meta-content-first", b'<meta content="text/html;charset=iso-8859-1" http-equiv="Content-Type">' + img(latin1))
page("cs-meta-content-alone", b'<meta content="text/html; charset=utf-16">' + img(latin1))
page("cs-meta-content-quoted", b"<meta http-equiv=content-type content=\"text/html; charset='windows-1251'\">" + img("кот".encode("cp1251")))
page("cs-meta-name", b'<meta name="description" content="charset=big5">' + img(utf8))
page("cs-meta-unknown", b'<meta charset="nonsense"><meta charset="windows-1250">' + img("kočka".encode("cp1250")))
page("cs-meta-utf16", b'<meta charset="utf-16">' + img(utf8))
page("cs-meta-user-defined", b'<meta charset="x-user-defined">' + img(latin1))
page("cs-meta-two", b'<meta charset="windows-1251"><meta charset="utf-8">' + img("кот".encode("cp1251")))
page("cs-meta-late", b"<!--" + b"x" * 1100 + b"--><meta charset=\"iso-8859-1\">" + img(latin1))
page("cs-meta-late-gbk", b"<!--" + b"x" * 1100 + b"--><meta charset=\"gbk\">" + img("猫".encode("gbk")))
page("cs-meta-commented", b'<!-- <meta charset="gbk"> -->' + img(utf8))
page("cs-comment-short", b'<!--><meta charset="iso-8859-1">' + img(latin1))
page("cs-in-attribute", b'<a title="<meta charset=gbk>">x</a>' + img(utf8))
page("cs-link", b"<link rel=stylesheet href=a.css charset=iso-8859-1><script src=x charset=gbk></script>" + img(utf8))
page("cs-script-text", b'<script>var u = "x?charset=gbk";</script>' + img(utf8))
page("cs-none-latin1", img(latin1))
page("cs-none-utf8", img(utf8))
page("cs-utf8-bom", b"\xef\xbb\xbf<meta charset=gbk>" + img(utf8), "text/html; charset=gbk")
page("cs-utf16le-bom", "\ufeff<img src=/a.jpg alt='café'>".encode("utf-16-le"))
page("cs-utf16be-bom", "\ufeff<img src=/a.jpg alt='café'>".encode("utf-16-be"))
page("cs-shift-jis", b"<meta charset=Shift_JIS>" + img("猫と犬".encode("shift_jis")))
page("cs-euc-kr", b"<meta charset=euc-kr>" + img("고양이".encode("euc-kr")))
page("cs-big5", b"<meta charset=big5>" + img("貓".encode("big5")))
page("cs-double", b'<meta charset="utf-8">' + img(utf8.decode("latin-1").encode()))
page("cs-bad-bytes", b'<meta charset="utf-8">' + img(b"a \xff b \xe9 c"))

# Characters and attributes.
page("entity-no-semicolon", '<img src="/a.jpg" alt="AT&ampT caf&eacute x &notit; &copy2">')
page("entity-numbers", '<img src="/a.jpg" alt="it&#146;s &#150; &#x41;&#66 ok">')
page("entity-bad-numbers", '<img src="/a.jpg" alt="a &#xD83D; b &#0; c &#x110000; d">')
page("entity-in-url", '<img src="/a.jpg?x=1&amp;y=2&copy=3" alt="cap">')
page("attributes-unquoted", "<img src=/a.jpg alt=cap>")
page("attributes-upper", '<IMG SRC="/a.jpg" ALT="cap">')
page("attributes-twice", '<img src="/a.jpg" src="/b.jpg" alt="one" alt="two">')
page("attributes-run-together", '<img src="/a.jpg"alt="cap"title=\'t\'>')
page("attributes-with-markup", '<img alt="a > b <i>c</i>" src="/a.jpg">')
page("attributes-many", "<img " + " ".join(f'data-x{i}="1"' for i in range(300)) + ' src="/a.jpg" alt="cap">')
page("white-space", '<img src=" /a b.jpg\n" alt="  two\n\t words ">')
page("xhtml", '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><body><img src="/a.jpg" alt="cap" /></body></html>')

# What is markup and what is text.
page("in-comment", '<!-- <img src="/a.jpg" alt="no"> --><img src="/b.jpg" alt="cap">')
page("in-conditional-comment", '<!--[if IE]><img src="/ie.jpg" alt="ie"><![endif]--><img src="/a.jpg" alt="cap">')
page("in-script", '<script>x = "<img src=/a.jpg alt=no>";</script><img src="/b.jpg" alt="cap">')
page("in-script-escaped", '<script><!-- <script> "<img src=/a.jpg alt=no>" </script> --></script><img src="/b.jpg" alt="cap">')
page("in-textarea", '<textarea><img src="/a.jpg" alt="no"></textarea><img src="/b.jpg" alt="cap">')
page("in-title", '<title><img src="/a.jpg" alt="no"></title><img src="/b.jpg" alt="cap">')
page("in-cdata", '<svg><![CDATA[<img src="/x.jpg" alt="x">]]></svg><img src="/b.jpg" alt="cap">')
page("in-noscript", '<img src="data:image/gif;base64,R0" alt="cap"><noscript><img src="/real.jpg" alt="cap"></noscript>')
page("in-head-noscript", '<head><noscript><img src="/pixel-real.jpg" alt="cap"></noscript></head>')
page("in-svg", '<svg><image href="/no.jpg" alt="no"/></svg><image src="/a.jpg" alt="cap">')
page("in-table", '<table><img src="/a.jpg" alt="before"><tr><td><img src="/b.jpg" alt="in"></table>')
page("in-select", '<select><option>x</select><img src="/b.jpg" alt="cap">')
page("in-iframe", '<iframe><img src="/a.jpg" alt="no"></iframe><img src="/b.jpg" alt="cap">')
page("unclosed-script", '<img src="/a.jpg" alt="cap"><script>var x = 1; <img src="/b.jpg" alt="after">')
page("unclosed-comment", '<img src="/a.jpg" alt="cap"><!-- never closed <img src="/b.jpg" alt="b">')
page("unclosed-tag", '<img src="/a.jpg" alt="cap"><img src="/b.jpg" alt="never closed')
page("after-html", '<html><body></body></html><img src="/a.jpg" alt="cap">')
page("misnested", '<b><p><i><img src="/a.jpg" alt="cap"></b></p></i><img src="/b.jpg" alt="more">')

# Figures.
page("figure", '<figure><img src="/a.jpg" alt="alt text"><figcaption>A <b>bold</b> caption<br>two <script>no()</script></figcaption></figure>')
page("figure-caption-first", '<figure><figcaption>cap</figcaption><p><img src="/a.jpg"></p></figure>')
page("figure-of-two", '<figure><img src="/a.jpg"><img src="/b.jpg"><figcaption>cap</figcaption></figure>')
page("figure-stray-caption", '<figcaption>stray</figcaption><figure><img src="/a.jpg"><figcaption>cap</figcaption></figure>')
page("figure-next", '<figure><img src="/a.jpg"></figure><p>x</p><figure><img src="/b.jpg"><figcaption>b</figcaption></figure>')
page("figure-nested", '<figure><figure><img src="/a.jpg"><figcaption>a</figcaption></figure><img src="/b.jpg"><figcaption>all</figcaption></figure>')
page("figure-unclosed", '<figure><img src="/a.jpg"><figcaption>cap</figcaption><p>x</p><figure><img src="/b.jpg"><figcaption>cap b</figcaption></figure>')
page("figure-closed-by-div", '<div><figure><img src="/a.jpg"><figcaption>cap</div><p>other</p><figure><img src="/b.jpg"><figcaption>b</figcaption></figure>')
page("figure-in-cells", '<table><tr><td><figure><img src="/a.jpg"></td><td><figcaption>other cell</figcaption></td></tr></table>')
page("figure-in-paragraph", '<p>text<figure><img src="/a.jpg"><figcaption>one<p>two</p></figcaption></figure>')
page("figure-two-captions", '<figure><img src="/a.jpg"><figcaption>one</figcaption><figcaption>two</figcaption></figure>')
page("figure-icon-in-caption", '<figure><img src="/a.jpg"><figcaption>about <img src="/icon.png"></figcaption></figure>')

# Which URL is meant.
page("base", '<base href="/one/"><base href="/two/"><img src="a.jpg" alt="cap">')
page("base-late", '<img src="a.jpg" alt="cap"><base href="/one/">')
page("base-without-href", '<base target="_blank"><base href="/two/"><img src="a.jpg" alt="cap">')
for name, base in [("javascript", "javascript:void(0)"), ("data", "data:text/html,x"), ("empty", "")]:
    page(f"base-{name}", f'<base href="{base}"><img src="a.jpg" alt="cap">')
page("lazy-data-src", '<img class=lazyload alt="cap" src="data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==" data-src="/real.jpg">')
page("lazy-data-lazy", '<img alt="cap" src="/blank.gif" data-lazy="/real.jpg">')
page("lazy-data-srcset", '<img alt="cap" src="/placeholder.gif" data-srcset="/real-320.jpg 320w, /real-800.jpg 800w">')
page("lazy-empty", '<img alt="cap" src="" srcset="" data-src="/real.jpg">')
page("lazy-settings", '<img alt="cap" src="/real.jpg" data-src=\'{"x": "y/z"}\'>')
page("lazy-picture", '<picture><source data-srcset="/a.webp"><img alt="cap" src="data:image/gif;base64,R0"></picture>')
page("picture", '<picture><source srcset="/a.webp"><img alt="cap" src="/a.jpg"></picture>')
page("placeholder-alone", '<img alt="cap" src="/img/placeholder-300x200.png">')
page("srcset-heights", '<img alt="cap" srcset="/a.jpg 320w 200h, /b.jpg 640w 400h">')
page("srcset-densities", '<img alt="cap" srcset="/a.jpg, /b,c.jpg 2x">')

LAZY = ["data-src", "data-original", "data-lazy-src", "data-lazy", "data-echo"]
SETS = ["data-srcset", "data-lazy-srcset"]
STEMS = "1x1|1px|blank|lazyload|loader|loading|pixel|placeholder|spacer|transparent"
SPACES = {"br", "hr", "p", "div", "li", "dt", "dd", "tr", "td", "th", "blockquote", "section", "article", "header", "footer"} | {f"h{i}" for i in range(1, 7)}
SILENT = {"script", "style", "iframe", "noembed", "noframes"}


def placeholder(url):
    url = url.strip()
    name = urlsplit(url).path.rsplit("/", 1)[-1]
    return not url or url.lower().startswith("data:") or re.fullmatch(rf"(?i)({STEMS})[-_.x\d]*\.[^.]*", name)


def largest(srcset):
    best = None
    for found in re.finditer(r"([^\s,]\S*[^\s,]|[^\s,])(?:\s+([^,]*))?(?:,|$)", srcset or ""):
        sizes = re.findall(r"([\d.]+)[wx]", found[2] or "")
        size = float(sizes[0]) if sizes else 1.0
        if not placeholder(found[1]) and (best is None or size > best[0]):
            best = (size, found[1])
    return best and best[1]


def candidates(element, picture):
    """All URLs that an image may mean, the one that it does first."""
    lazy = [element.get(name, "").strip() for name in LAZY]
    found = [url for url in lazy if re.search("[/.]", url) and url[0] not in "{[" and not placeholder(url)]
    found += [largest(element.get(name)) for name in SETS]
    found += [src for src in [element.get("src", "").strip()] if not placeholder(src)]
    found.append(largest(element.get("srcset")))
    for source in picture.iter(f"{X}source") if picture is not None else []:
        found += [largest(source.get(name)) for name in SETS + ["srcset"]]
    return [url for url in found if url]


def caption_of(element):
    parts = []

    def read(node):
        name = node.tag[len(X):] if isinstance(node.tag, str) and node.tag.startswith(X) else node.tag
        if not isinstance(name, str) or name in SILENT or name.endswith("}svg"):
            return
        parts.append(" " if name in SPACES else "")
        parts.append(node.text or "")
        for child in node:
            read(child)
            parts.append(child.tail or "")
        parts.append(" " if name in SPACES else "")

    read(element)
    return " ".join("".join(parts).split())


def outside(html, content_type):
    header = re.search(r"(?i);\s*charset=\"?([^\";]+)", content_type)
    # The standard lets a reader use what it knows of the likely encoding: UTF-8 where the bytes can be.
    try:
        html.decode()
        likely = "utf-8"
    except UnicodeDecodeError:
        likely = None
    parser = html5lib.HTMLParser(tree=html5lib.getTreeBuilder("etree"), namespaceHTMLElements=True)
    tree = parser.parse(html, transport_encoding=header and header[1], likely_encoding=likely, default_encoding="windows-1252", useChardet=False)
    encoding = parser.tokenizer.stream.charEncoding[0].name
    parents = {child: parent for parent in tree.iter() for child in parent}
    bases = [e.get("href") for e in tree.iter(f"{X}base") if e.get("href") is not None]
    base = urljoin(PAGE, bases[0].strip()) if bases else PAGE
    if urlsplit(base).scheme not in ("http", "https"):
        base = PAGE

    def above(element, name):
        while element is not None and element.tag != X + name:
            element = parents.get(element)
        return element

    pairs, every = [], []
    for element in tree.iter(f"{X}img"):
        urls = candidates(element, above(element, "picture"))
        every.append(urls)
        if not urls:
            continue
        url = urljoin(base, urls[0]).replace(" ", "%20")
        for source in ("alt", "title"):
            text = " ".join(element.get(source, "").split())
            if text:
                pairs.append([url, text, source])
        figure = above(element, "figure")
        inner = above(element, "figcaption")
        if figure is not None and (inner is None or above(inner, "figure") is not figure):
            own = [c for c in figure.iter(f"{X}figcaption") if above(c, "figure") is figure]
            if own and caption_of(own[0]):
                pairs.append([url, caption_of(own[0]), "figcaption"])
    return encoding, sorted(pairs), every


def wrong(html, content_type):
    """The likeliest mistake: the page as text, tags by a pattern, the encoding by the first `charset=`."""
    named = re.search(rb"(?i)charset=[\"']?([\w-]+)", content_type.encode() + html[:1024])
    try:
        text = html.decode(named[1].decode() if named else "utf-8", "replace")
    except LookupError:
        text = html.decode("utf-8", "replace")
    pairs = []
    for tag in re.findall(r"(?i)<img\b[^>]*>", text):
        attributes = {a[0].lower(): a[1] or a[2] or a[3] for a in re.findall(r"([\w-]+)=(?:\"([^\"]*)\"|'([^']*)'|(\S+))", tag.rstrip(">"))}
        if attributes.get("src") and attributes.get("alt"):
            pairs.append([urljoin(PAGE, attributes["src"]), attributes["alt"], "alt"])
    return sorted(pairs)


golden, differing = [], 0
for name, html, content_type in pages:
    encoding, pairs, every = outside(html, content_type)
    differing += wrong(html, content_type) != pairs
    golden.append({"name": name, "html": html.decode("latin-1"), "content_type": content_type, "encoding": encoding, "pairs": pairs, "candidates": every})
wrong_by = differing / len(pages)
assert wrong_by > 1e-3, wrong_by
document = {"by": f"html5lib {html5lib.__version__}", "page": PAGE, "wrong_by": round(wrong_by, 4), "pages": golden}
with open("crates/clip-crawl/tests/golden/oracle/html.json", "w") as file:
    json.dump(document, file, ensure_ascii=True, indent=1)
    file.write("\n")
print(len(pages), "pages,", differing, "read otherwise by a pattern", file=sys.stderr)
