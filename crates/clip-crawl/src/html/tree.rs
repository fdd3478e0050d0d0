//! The tree that html5ever builds, cut down to what pairs come from: elements by kind, images with
//! their attributes, text once there is a caption.

use std::borrow::Cow;
use std::cell::RefCell;

use html5ever::tendril::StrTendril;
use html5ever::tree_builder::{ElementFlags, NodeOrText, QuirksMode, TreeSink};
use html5ever::{Attribute, ExpandedName, LocalName, Namespace, QualName, local_name, ns};

/// No node.
const NONE: u32 = u32::MAX;
/// The document's node.
const ROOT: u32 = 0;
/// Where the contents of templates go: no part of the document, so nothing leads there.
const LIMBO: u32 = 1;

/// What a node is for the search for pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing of its own.
    Plain,
    /// Ends a word of the text around it.
    Break,
    /// Its text is none that is read.
    Silent,
    Picture,
    Figure,
    /// A caption; not closed where the page ends within it.
    Caption {
        closed: bool,
    },
    /// An image, with its place among [`Tree::attributes`].
    Image(u32),
    /// A source of a `<picture>`, likewise.
    Source(u32),
    /// Text, with its place among [`Tree::texts`].
    Text(u32),
}

#[derive(Debug, Clone, Copy)]
struct Node {
    parent: u32,
    before: u32,
    after: u32,
    first: u32,
    last: u32,
    kind: Kind,
}

/// A page as a tree.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    attributes: Vec<Vec<Attribute>>,
    texts: Vec<StrTendril>,
    has_captions: bool,
}

/// A step of a walk through a tree.
pub(super) enum Step {
    Into(Kind),
    OutOf(Kind),
}

impl Tree {
    fn new() -> Self {
        let mut tree = Self {
            nodes: Vec::new(),
            attributes: Vec::new(),
            texts: Vec::new(),
            has_captions: false,
        };
        tree.add(Kind::Plain);
        tree.add(Kind::Plain);
        tree
    }

    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    pub fn attributes(&self, at: u32) -> &[Attribute] {
        &self.attributes[at as usize]
    }

    pub fn text(&self, at: u32) -> &str {
        &self.texts[at as usize]
    }

    /// Goes through the document in its order.
    pub fn walk(&self, visit: &mut dyn FnMut(Step)) {
        let node = |at: u32| &self.nodes[at as usize];
        let mut at = ROOT;
        loop {
            visit(Step::Into(node(at).kind));
            if node(at).first != NONE {
                at = node(at).first;
                continue;
            }
            loop {
                visit(Step::OutOf(node(at).kind));
                if at == ROOT {
                    return;
                }
                if node(at).after != NONE {
                    at = node(at).after;
                    break;
                }
                at = node(at).parent;
            }
        }
    }

    fn add(&mut self, kind: Kind) -> u32 {
        let (parent, before, after, first, last) = (NONE, NONE, NONE, NONE, NONE);
        self.nodes.push(Node { parent, before, after, first, last, kind });
        self.nodes.len() as u32 - 1
    }

    fn detach(&mut self, at: u32) {
        let Node { parent, before, after, .. } = self.nodes[at as usize];
        if parent == NONE {
            return;
        }
        match before {
            NONE => self.nodes[parent as usize].first = after,
            before => self.nodes[before as usize].after = after,
        }
        match after {
            NONE => self.nodes[parent as usize].last = before,
            after => self.nodes[after as usize].before = before,
        }
        let node = &mut self.nodes[at as usize];
        (node.parent, node.before, node.after) = (NONE, NONE, NONE);
    }

    fn append(&mut self, parent: u32, child: u32) {
        self.detach(child);
        let last = std::mem::replace(&mut self.nodes[parent as usize].last, child);
        match last {
            NONE => self.nodes[parent as usize].first = child,
            last => self.nodes[last as usize].after = child,
        }
        let node = &mut self.nodes[child as usize];
        (node.parent, node.before) = (parent, last);
    }

    fn insert_before(&mut self, sibling: u32, child: u32) {
        self.detach(child);
        let Node { parent, before, .. } = self.nodes[sibling as usize];
        match before {
            NONE if parent != NONE => self.nodes[parent as usize].first = child,
            NONE => {}
            before => self.nodes[before as usize].after = child,
        }
        self.nodes[sibling as usize].before = child;
        let node = &mut self.nodes[child as usize];
        (node.parent, node.before, node.after) = (parent, before, sibling);
    }
}

/// A node as html5ever holds it.
#[derive(Debug, Clone)]
pub(super) struct Handle {
    at: u32,
    ns: Namespace,
    local: LocalName,
}

impl Handle {
    fn nameless(at: u32) -> Self {
        Self { at, ns: ns!(), local: local_name!("") }
    }
}

/// Takes what html5ever builds.
pub(super) struct Sink {
    pub tree: RefCell<Tree>,
    /// Whether the page has ended: what is still open then was never closed.
    pub ended: std::cell::Cell<bool>,
}

impl Sink {
    pub fn new() -> Self {
        Self { tree: RefCell::new(Tree::new()), ended: false.into() }
    }

    /// Whether there was a caption so far.
    pub fn has_captions(&self) -> bool {
        self.tree.borrow().has_captions
    }

    /// The node of what is inserted; nothing for what is not kept.
    fn node(&self, child: NodeOrText<Handle>) -> Option<u32> {
        match child {
            NodeOrText::AppendNode(handle) => (handle.at != NONE).then_some(handle.at),
            NodeOrText::AppendText(text) => {
                let mut tree = self.tree.borrow_mut();
                // Text is wanted in captions alone.
                tree.has_captions.then(|| {
                    tree.texts.push(text);
                    let at = tree.texts.len() as u32 - 1;
                    tree.add(Kind::Text(at))
                })
            }
        }
    }
}

fn kind_of(name: &QualName) -> Kind {
    if name.ns != ns!(html) {
        return if name.local == local_name!("svg") { Kind::Silent } else { Kind::Plain };
    }
    match name.local {
        local_name!("figure") => Kind::Figure,
        local_name!("figcaption") => Kind::Caption { closed: true },
        local_name!("picture") => Kind::Picture,
        local_name!("script")
        | local_name!("style")
        | local_name!("iframe")
        | local_name!("noembed")
        | local_name!("noframes") => Kind::Silent,
        local_name!("br")
        | local_name!("hr")
        | local_name!("p")
        | local_name!("div")
        | local_name!("li")
        | local_name!("dt")
        | local_name!("dd")
        | local_name!("tr")
        | local_name!("td")
        | local_name!("th")
        | local_name!("h1")
        | local_name!("h2")
        | local_name!("h3")
        | local_name!("h4")
        | local_name!("h5")
        | local_name!("h6")
        | local_name!("blockquote")
        | local_name!("section")
        | local_name!("article")
        | local_name!("header")
        | local_name!("footer") => Kind::Break,
        _ => Kind::Plain,
    }
}

impl TreeSink for Sink {
    type Handle = Handle;
    type Output = Tree;
    type ElemName<'a> = ExpandedName<'a>;

    fn finish(self) -> Tree {
        self.tree.into_inner()
    }

    fn parse_error(&self, _: Cow<'static, str>) {}

    fn get_document(&self) -> Handle {
        Handle::nameless(ROOT)
    }

    fn elem_name<'a>(&'a self, target: &'a Handle) -> ExpandedName<'a> {
        ExpandedName { ns: &target.ns, local: &target.local }
    }

    fn create_element(&self, name: QualName, attrs: Vec<Attribute>, _: ElementFlags) -> Handle {
        let mut tree = self.tree.borrow_mut();
        let mut kind = kind_of(&name);
        tree.has_captions |= matches!(kind, Kind::Caption { .. });
        if name.ns == ns!(html) && matches!(name.local, local_name!("img") | local_name!("source"))
        {
            tree.attributes.push(attrs);
            let at = tree.attributes.len() as u32 - 1;
            let image = name.local == local_name!("img");
            kind = if image { Kind::Image(at) } else { Kind::Source(at) };
        }
        Handle { at: tree.add(kind), ns: name.ns, local: name.local }
    }

    fn create_comment(&self, _: StrTendril) -> Handle {
        Handle::nameless(NONE)
    }

    fn create_pi(&self, _: StrTendril, _: StrTendril) -> Handle {
        Handle::nameless(NONE)
    }

    fn append(&self, parent: &Handle, child: NodeOrText<Handle>) {
        if let Some(child) = self.node(child) {
            self.tree.borrow_mut().append(parent.at, child);
        }
    }

    fn append_based_on_parent_node(
        &self,
        element: &Handle,
        prev_element: &Handle,
        child: NodeOrText<Handle>,
    ) {
        let has_parent = self.tree.borrow().nodes[element.at as usize].parent != NONE;
        if has_parent {
            self.append_before_sibling(element, child);
        } else {
            self.append(prev_element, child);
        }
    }

    fn append_before_sibling(&self, sibling: &Handle, new_node: NodeOrText<Handle>) {
        if let Some(child) = self.node(new_node) {
            self.tree.borrow_mut().insert_before(sibling.at, child);
        }
    }

    fn append_doctype_to_document(&self, _: StrTendril, _: StrTendril, _: StrTendril) {}

    fn pop(&self, node: &Handle) {
        let mut tree = self.tree.borrow_mut();
        let node = &mut tree.nodes[node.at as usize];
        if self.ended.get() && matches!(node.kind, Kind::Caption { .. }) {
            node.kind = Kind::Caption { closed: false };
        }
    }

    fn get_template_contents(&self, _: &Handle) -> Handle {
        Handle::nameless(LIMBO)
    }

    fn same_node(&self, x: &Handle, y: &Handle) -> bool {
        x.at == y.at
    }

    fn set_quirks_mode(&self, _: QuirksMode) {}

    fn add_attrs_if_missing(&self, _: &Handle, _: Vec<Attribute>) {}

    fn remove_from_parent(&self, target: &Handle) {
        self.tree.borrow_mut().detach(target.at);
    }

    fn reparent_children(&self, node: &Handle, new_parent: &Handle) {
        let mut tree = self.tree.borrow_mut();
        loop {
            let child = tree.nodes[node.at as usize].first;
            if child == NONE {
                break;
            }
            tree.append(new_parent.at, child);
        }
    }
}
