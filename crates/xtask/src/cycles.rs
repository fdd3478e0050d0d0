//! Files of a crate import each other in one direction; only a dispatcher and the implementations
//! that it chooses from may know each other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::imports::{self, Imports};

/// Where a dispatcher (a file below `crates/`) calls its implementations (a file or a folder),
/// which take its types.
const DISPATCHERS: [(&str, &str); 5] = [
    ("clip-crawl/src/list/table.rs", "clip-crawl/src/list/"),
    ("clip-data/src/commands/contamination/mod.rs", "clip-data/src/commands/contamination/"),
    ("clip-datasets/src/load/mod.rs", "clip-datasets/src/load/"),
    ("clip-datasets/src/source.rs", "clip-datasets/src/load/"),
    ("clip-overlap/src/corpus/mod.rs", "clip-overlap/src/corpus/"),
];

/// A file, what it needs of others, and where the names in its scope lead.
struct Module<'a> {
    file: &'a str,
    needs: Vec<Vec<String>>,
    names: BTreeMap<String, Vec<String>>,
}

impl<'a> Module<'a> {
    fn new(file: &'a str, text: &str) -> Self {
        let Imports { names, exports, paths: mut needs } = imports::of_source(text);
        needs.extend(names.iter().map(|(_, path)| path.clone()));
        Self { file, needs, names: names.into_iter().chain(exports).collect() }
    }
}

/// The modules of a crate by their paths.
type Modules<'a> = BTreeMap<Vec<String>, Module<'a>>;

/// An arrow from a file to one that it imports.
type Arrow<'a> = (&'a str, &'a str);

/// Imports that close a circle, and dispatchers without one. `text` gives the text of a file.
pub fn faults(files: &[&str], text: &dyn Fn(&Path) -> Option<String>) -> Vec<String> {
    let mut crates: BTreeMap<&str, Modules> = BTreeMap::new();
    for file in files {
        if let Some((owner, path)) = module_of(file)
            && let Some(text) = text(Path::new(file))
        {
            crates.entry(owner).or_default().insert(path, Module::new(file, &text));
        }
    }
    let arrows: BTreeSet<Arrow> = crates.values().flat_map(arrows).collect();
    check(&arrows, &DISPATCHERS)
}

fn check(arrows: &BTreeSet<Arrow>, dispatchers: &[(&str, &str)]) -> Vec<String> {
    let chosen = |(dispatcher, chosen): &(&str, &str), (from, to): &Arrow| {
        let below = |file: &str, place: &str| {
            file.strip_prefix("crates/").is_some_and(|file| file.starts_with(place))
        };
        below(from, dispatcher) && below(to, chosen)
    };
    let dispatched = |arrow: &Arrow| dispatchers.iter().any(|entry| chosen(entry, arrow));
    let left: BTreeSet<Arrow> = arrows.iter().filter(|arrow| !dispatched(arrow)).copied().collect();
    let circles = left.iter().filter(|arrow| closes(arrow, &left));
    let mut faults: Vec<String> = circles
        .map(|(from, to)| format!("{from} imports {to}, whose imports lead back to it"))
        .collect();
    for entry in dispatchers {
        if !arrows.iter().any(|arrow| chosen(entry, arrow) && closes(arrow, arrows)) {
            faults.push(format!("{} closes no circle with {}: unlist it", entry.0, entry.1));
        }
    }
    faults
}

/// Whether the end of an arrow leads back to its beginning.
fn closes(arrow: &Arrow, arrows: &BTreeSet<Arrow>) -> bool {
    let mut reached = BTreeSet::from([arrow.1]);
    let mut open = vec![arrow.1];
    while let Some(file) = open.pop() {
        let next = arrows.range((file, "")..).take_while(|(from, _)| *from == file);
        open.extend(next.map(|(_, to)| *to).filter(|to| reached.insert(to)));
    }
    reached.contains(arrow.0)
}

/// The crate of a source and the path of its module; tests have none.
fn module_of(file: &str) -> Option<(&str, Vec<String>)> {
    let (owner, path) = file.strip_prefix("crates/")?.split_once("/src/")?;
    let path = path.strip_suffix(".rs")?;
    let mut parts: Vec<String> = path.split('/').map(str::to_owned).collect();
    if parts.iter().any(|part| part == "tests" || part == "bin") {
        return None;
    }
    if matches!(parts.last()?.as_str(), "mod" | "lib" | "main") {
        parts.pop();
    }
    Some((owner, parts))
}

fn arrows<'a>(modules: &Modules<'a>) -> Vec<Arrow<'a>> {
    let mut arrows = Vec::new();
    for (path, module) in modules {
        for target in &module.needs {
            let target = absolute(modules, path, target).and_then(|to| resolved(modules, to, 0));
            let file = target.and_then(|to| modules.get(&to)).map(|module| module.file);
            arrows.extend(file.filter(|to| *to != module.file).map(|to| (module.file, to)));
        }
    }
    arrows
}

/// A path from the root of its crate, or none for that of another crate.
fn absolute(modules: &Modules, from: &[String], path: &[String]) -> Option<Vec<String>> {
    let ups = path.iter().take_while(|part| *part == "super").count();
    let (base, rest) = match path.first()?.as_str() {
        "crate" => (&from[..0], &path[1..]),
        "self" => (from, &path[1..]),
        "super" => (&from[..from.len().checked_sub(ups)?], &path[ups..]),
        child => {
            let is_child = modules.contains_key(&[from, &[child.to_owned()]].concat());
            (from, is_child.then_some(path)?)
        }
    };
    Some([base, rest].concat())
}

/// The module that declares what a path names, through what the modules on the way import.
fn resolved(modules: &Modules, path: Vec<String>, depth: usize) -> Option<Vec<String>> {
    let length = (0..=path.len()).rev().find(|n| modules.contains_key(&path[..*n]))?;
    let (at, rest) = path.split_at(length);
    let imported = rest.first().and_then(|name| modules[at].names.get(name));
    match imported.filter(|_| depth < 8) {
        Some(import) => {
            let import = absolute(modules, at, import)?;
            resolved(modules, [&import, &rest[1..]].concat(), depth + 1)
        }
        None => Some(at.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrows_of(sources: &[(&'static str, &str)]) -> BTreeSet<Arrow<'static>> {
        let mut modules = Modules::new();
        for (file, text) in sources {
            modules.insert(module_of(file).unwrap().1, Module::new(file, text));
        }
        arrows(&modules).into_iter().collect()
    }

    #[test]
    fn imports_lead_to_the_file_that_declares_the_item() {
        let arrows = arrows_of(&[
            ("crates/x/src/lib.rs", "mod a; mod b; pub use a::{c::Item, A};"),
            ("crates/x/src/a/mod.rs", "mod c; use c::Item; pub struct A;"),
            ("crates/x/src/a/c.rs", "use std::fmt; use super::super::b; pub struct Item;"),
            ("crates/x/src/b.rs", "fn f() { crate::Item::new(super::a::Item, A) }"),
        ]);
        let find = |from: &str| -> Vec<&str> {
            arrows.iter().filter(|(a, _)| a.ends_with(from)).map(|(_, b)| *b).collect()
        };
        assert_eq!(find("/b.rs"), ["crates/x/src/a/c.rs"]);
        assert_eq!(find("/c.rs"), ["crates/x/src/b.rs"]);
        assert_eq!(find("mod.rs"), ["crates/x/src/a/c.rs"]);
        let circle = ["/b.rs", "/c.rs"];
        let faults = check(&arrows, &[]);
        assert_eq!(faults.len(), 2);
        assert!(faults.iter().zip(circle).all(|(fault, file)| fault.contains(file)), "{faults:?}");
    }

    #[test]
    fn a_dispatcher_may_know_its_implementations_and_is_listed_only_while_it_does() {
        let sources = [
            ("crates/x/src/a/mod.rs", "mod one; fn run() { one::run() } pub struct A;"),
            ("crates/x/src/a/one.rs", "use super::A; pub fn run() {}"),
        ];
        let arrows = arrows_of(&sources);
        assert_eq!(check(&arrows, &[]).len(), 2);
        assert_eq!(check(&arrows, &[("x/src/a/mod.rs", "x/src/a/")]), Vec::<String>::new());
        let stale = check(&arrows, &[("x/src/a/mod.rs", "x/src/a/"), ("x/src/b.rs", "x/src/a")]);
        assert_eq!(stale, ["x/src/b.rs closes no circle with x/src/a: unlist it"]);
    }
}
