//! A page through html5ever, with bounds: no page makes the tree deep or large.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use encoding_rs::Encoding;
use html5ever::buffer_queue::BufferQueue;
use html5ever::interface::TokenizerResult;
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::{
    Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};
use html5ever::tree_builder::{TreeBuilder, TreeBuilderOpts, TreeSink};
use html5ever::{LocalName, local_name};

use super::encoding::{of_content, of_meta};
use super::skim::skim;
use super::tree::{Handle, Sink, Tree};

/// Elements within each other, as in browsers: what is deeper belongs to what is around it.
const MOST_DEPTH: usize = 512;
/// Nodes of a page.
const MOST_NODES: usize = 1 << 20;
/// `<meta>` tags of a page that are kept, and the bytes of a name and a content.
const MOST_METAS: usize = 256;
const LONGEST_NAME: usize = 64;
const LONGEST_CONTENT: usize = 512;

/// What a page says.
pub(super) struct Parsed {
    pub tree: Tree,
    /// The `href` of the first `<base>` that has one.
    pub base: Option<String>,
    /// The `href`s of its links.
    pub links: Vec<String>,
    /// Name and content of its `<meta>` tags, of those that are short.
    pub metas: Vec<(String, String)>,
    /// The first encoding that a `<meta>` names.
    pub encoding: Option<&'static Encoding>,
    /// Whether a bound was met: what is behind it was not read.
    pub cut: bool,
}

/// Reads a page to its end, or to where a bound is met.
pub(super) fn parse(page: &str) -> Parsed {
    let (short, too_long) = skim(page);
    // Without scripts, what is in a <noscript> is part of the page.
    let options = TreeBuilderOpts { scripting_enabled: false, ..TreeBuilderOpts::default() };
    let bounded = Bounded::new(TreeBuilder::new(Sink::new(), options));
    let tokenizer = Tokenizer::new(bounded, TokenizerOpts::default());
    let input = BufferQueue::default();
    input.push_back(StrTendril::from_slice(&short));
    // It stops after a script, and where it takes an encoding to be named: a <link> has a `charset`
    // too.
    while !matches!(tokenizer.feed(&input), TokenizerResult::Done) {}
    tokenizer.sink.builder.sink.ended.set(true);
    tokenizer.end();
    let Bounded { builder, base, links, metas, encoding, full, .. } = tokenizer.sink;
    Parsed {
        tree: builder.sink.finish(),
        base: base.into_inner(),
        links: links.into_inner(),
        metas: metas.into_inner(),
        encoding: encoding.into_inner(),
        cut: too_long || full.get(),
    }
}

/// Between the tokenizer and the tree builder.
struct Bounded {
    builder: TreeBuilder<Handle, Sink>,
    /// Elements that are open and that no other tag closes: the tree is at most a few times as
    /// deep.
    open: RefCell<Vec<LocalName>>,
    /// Elements that were left out, whose end tags must be left out too.
    left_out: RefCell<HashMap<LocalName, usize>>,
    base: RefCell<Option<String>>,
    links: RefCell<Vec<String>>,
    metas: RefCell<Vec<(String, String)>>,
    encoding: RefCell<Option<&'static Encoding>>,
    full: Cell<bool>,
}

impl Bounded {
    fn new(builder: TreeBuilder<Handle, Sink>) -> Self {
        Self {
            builder,
            open: RefCell::default(),
            left_out: RefCell::default(),
            base: RefCell::default(),
            links: RefCell::default(),
            metas: RefCell::default(),
            encoding: RefCell::default(),
            full: Cell::default(),
        }
    }

    /// What a tag says of the page.
    fn facts(&self, tag: &Tag) {
        match tag.name {
            local_name!("a") => {
                self.links.borrow_mut().extend(attribute(tag, "href").map(str::to_owned));
            }
            local_name!("base") => {
                let mut base = self.base.borrow_mut();
                *base = base.take().or_else(|| attribute(tag, "href").map(str::to_owned));
            }
            local_name!("meta") => {
                let name = attribute(tag, "name").unwrap_or_default();
                let content = attribute(tag, "content").unwrap_or_default();
                let mut metas = self.metas.borrow_mut();
                let is_short = name.len() <= LONGEST_NAME && content.len() <= LONGEST_CONTENT;
                if !name.is_empty() && is_short && metas.len() < MOST_METAS {
                    metas.push((name.to_owned(), content.to_owned()));
                }
                let mut encoding = self.encoding.borrow_mut();
                *encoding = encoding.or_else(|| encoding_of(tag));
            }
            _ => {}
        }
    }

    /// Whether the tree builder gets a tag.
    fn passes(&self, tag: &Tag) -> bool {
        if closes_itself(&tag.name) || (tag.self_closing && self.is_foreign()) {
            return true;
        }
        let (mut open, mut left_out) = (self.open.borrow_mut(), self.left_out.borrow_mut());
        if tag.kind == TagKind::StartTag {
            let passes = open.len() < MOST_DEPTH;
            if passes {
                open.push(tag.name.clone());
            } else {
                *left_out.entry(tag.name.clone()).or_default() += 1;
            }
            return passes;
        }
        if let Some(count) = left_out.get_mut(&tag.name).filter(|count| **count > 0) {
            *count -= 1;
            return false;
        }
        if let Some(at) = open.iter().rposition(|name| *name == tag.name) {
            open.truncate(at);
        }
        true
    }

    fn is_foreign(&self) -> bool {
        self.builder.adjusted_current_node_present_but_not_in_html_namespace()
    }
}

impl TokenSink for Bounded {
    type Handle = Handle;

    fn process_token(&self, token: Token, line_number: u64) -> TokenSinkResult<Handle> {
        if self.full.get() && token != Token::EOFToken {
            return TokenSinkResult::Continue;
        }
        // Text makes no element that counts here, and is read in captions alone.
        if matches!(token, Token::CharacterTokens(_)) && !self.builder.sink.has_captions() {
            return TokenSinkResult::Continue;
        }
        if let Token::TagToken(tag) = &token {
            if tag.kind == TagKind::StartTag {
                self.facts(tag);
            }
            // Like the elements that `skim` leaves out: what is in a link stays where it is.
            let link = tag.name == local_name!("a") && !self.is_foreign();
            if link || !self.passes(tag) {
                return TokenSinkResult::Continue;
            }
        }
        let result = self.builder.process_token(token, line_number);
        if self.builder.sink.tree.borrow().len() > MOST_NODES {
            self.full.set(true);
        }
        result
    }

    fn end(&self) {
        self.builder.end();
    }

    fn adjusted_current_node_present_but_not_in_html_namespace(&self) -> bool {
        self.is_foreign()
    }
}

/// The encoding that a `<meta>` names.
fn encoding_of(tag: &Tag) -> Option<&'static Encoding> {
    if let Some(label) = attribute(tag, "charset") {
        return of_meta(label);
    }
    let pragma = attribute(tag, "http-equiv")?.eq_ignore_ascii_case("content-type");
    let content = attribute(tag, "content").filter(|_| pragma)?.to_ascii_lowercase();
    of_meta(&String::from_utf8_lossy(of_content(content.as_bytes())?))
}

fn attribute<'a>(tag: &'a Tag, name: &str) -> Option<&'a str> {
    tag.attrs.iter().find(|attribute| &*attribute.name.local == name).map(|a| &*a.value)
}

/// Elements that do not stay open, that others of their kind close, or in which there is only text.
fn closes_itself(name: &LocalName) -> bool {
    matches!(
        *name,
        local_name!("area")
            | local_name!("base")
            | local_name!("br")
            | local_name!("col")
            | local_name!("embed")
            | local_name!("frame")
            | local_name!("hr")
            | local_name!("image")
            | local_name!("img")
            | local_name!("input")
            | local_name!("link")
            | local_name!("meta")
            | local_name!("param")
            | local_name!("source")
            | local_name!("track")
            | local_name!("wbr")
            | local_name!("html")
            | local_name!("head")
            | local_name!("body")
            | local_name!("p")
            | local_name!("li")
            | local_name!("dt")
            | local_name!("dd")
            | local_name!("option")
            | local_name!("caption")
            | local_name!("colgroup")
            | local_name!("tbody")
            | local_name!("tfoot")
            | local_name!("thead")
            | local_name!("tr")
            | local_name!("td")
            | local_name!("th")
            | local_name!("a")
            | local_name!("nobr")
            | local_name!("button")
            | local_name!("form")
            | local_name!("script")
            | local_name!("style")
            | local_name!("title")
            | local_name!("textarea")
            | local_name!("iframe")
            | local_name!("noembed")
            | local_name!("noframes")
            | local_name!("xmp")
            | local_name!("plaintext")
    )
}
