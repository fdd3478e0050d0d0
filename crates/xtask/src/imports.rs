//! The paths of other modules that a Rust source names, read as text: its `use` trees and the
//! paths in its code. Comments, literals and what is compiled for tests only are left out.

/// What one file imports: names that it brings into its scope, and the paths of its code.
#[derive(Debug, Default)]
pub struct Imports {
    /// (name, path) of each `use`; `*` is a name, too.
    pub names: Vec<(String, Vec<String>)>,
    /// The same of each `pub use`, which says where an item is and needs none of it.
    pub exports: Vec<(String, Vec<String>)>,
    /// Paths of at least two parts that the code names where it uses them.
    pub paths: Vec<Vec<String>>,
}

/// Reads a source.
pub fn of_source(text: &str) -> Imports {
    let tokens = without_tests(&tokens(text));
    let mut imports = Imports::default();
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at] == "use" {
            let end = tokens[at..].iter().position(|token| *token == ";");
            let end = end.map_or(tokens.len(), |length| at + length);
            let is_export = tokens[..at].ends_with(&["pub"])
                || matches!(tokens[..at], [.., "pub", "(", _, ")"]);
            let names = if is_export { &mut imports.exports } else { &mut imports.names };
            tree(&tokens[at + 1..end], &[], names);
            at = end;
        } else if is_name(tokens[at]) && (at == 0 || tokens[at - 1] != "::") {
            let mut path = vec![tokens[at].to_owned()];
            while let ["::", name, ..] = tokens[at + 1..]
                && is_name(name)
            {
                path.push(name.to_owned());
                at += 2;
            }
            if path.len() > 1 {
                imports.paths.push(path);
            }
        }
        at += 1;
    }
    imports
}

/// Adds the leaves of a `use` tree below `prefix`.
fn tree(tokens: &[&str], prefix: &[&str], names: &mut Vec<(String, Vec<String>)>) {
    let mut path = prefix.to_vec();
    let mut rest = tokens;
    loop {
        match rest {
            ["{", inner @ .., "}"] => {
                branches(inner).for_each(|branch| tree(branch, &path, names));
                return;
            }
            ["::", tail @ ..] => rest = tail,
            // A name of the tree itself: `a::{self, B}`.
            ["self", tail @ ..] if !path.is_empty() => rest = tail,
            ["as", alias] => {
                names.push(((*alias).to_owned(), owned(&path)));
                return;
            }
            [name, tail @ ..] => {
                path.push(name);
                rest = tail;
            }
            [] => break,
        }
    }
    if let Some(last) = path.last().filter(|_| path.len() > prefix.len() || !tokens.is_empty()) {
        names.push(((*last).to_owned(), owned(&path)));
    }
}

/// The branches of what is between the braces of a `use` tree.
fn branches<'a, 't>(tokens: &'a [&'t str]) -> impl Iterator<Item = &'a [&'t str]> {
    let mut depth = 0;
    tokens.split(move |token| {
        depth += i32::from(*token == "{") - i32::from(*token == "}");
        *token == "," && depth == 0
    })
}

/// The tokens without the items that are for tests only.
fn without_tests<'a>(tokens: &[&'a str]) -> Vec<&'a str> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at..].starts_with(&["#", "[", "cfg", "(", "test", ")", "]"]) {
            at = end_of_item(tokens, at);
        } else {
            kept.push(tokens[at]);
            at += 1;
        }
    }
    kept
}

/// Behind the `;` or the closing brace of the item that begins at `at`.
fn end_of_item(tokens: &[&str], mut at: usize) -> usize {
    let mut depth = 0;
    while at < tokens.len() {
        match tokens[at] {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 && matches!(tokens[at - 1], ";" | "}") {
            break;
        }
    }
    at
}

/// Names, `::` and single characters of punctuation.
fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match literal(rest) {
            Some(length) => {
                rest = &rest[length..];
                continue;
            }
            None if first.is_whitespace() => {
                rest = &rest[first.len_utf8()..];
                continue;
            }
            None if is_letter(first) => rest.find(|c| !is_letter(c)).unwrap_or(rest.len()),
            None if rest.starts_with("::") => 2,
            None => first.len_utf8(),
        };
        tokens.push(&rest[..length]);
        rest = &rest[length..];
    }
    tokens
}

/// The length of the comment or literal that `text` begins with.
fn literal(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return Some(text.find("*/").map_or(text.len(), |end| end + 2));
    }
    let body = text.trim_start_matches('b');
    if let Some(raw) = body.strip_prefix('r').filter(|_| text.len() - body.len() < 2) {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            let close = format!("\"{}", "#".repeat(hashes));
            let from = text.len() - raw.len() + hashes + 1;
            return Some(
                text[from..].find(&close).map_or(text.len(), |end| from + end + close.len()),
            );
        }
    }
    let quote = text.strip_prefix('b').unwrap_or(text).chars().next()?;
    let from = if text.starts_with('b') { 2 } else { 1 };
    match quote {
        '"' => Some(quoted(text, from, '"')),
        // A lifetime has no closing quote behind its first character.
        '\'' => {
            let mut inner = text[from..].chars();
            let escaped = inner.next()? == '\\';
            (escaped || inner.next()? == '\'').then(|| quoted(text, from, '\''))
        }
        _ => None,
    }
}

/// Behind the quote that closes a literal whose content begins at `from`.
fn quoted(text: &str, from: usize, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text[from..].char_indices() {
        if c == quote && !escaped {
            return from + at + c.len_utf8();
        }
        escaped = c == '\\' && !escaped;
    }
    text.len()
}

fn is_letter(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

fn owned(path: &[&str]) -> Vec<String> {
    path.iter().map(|part| (*part).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_and_paths_are_read_and_tests_and_literals_left_out() {
        let source = r##"
            use crate::a::{self, B, c::{D as E, f}}; // use crate::no::One;
            pub(crate) use super::{g::*, h};
            #[cfg(test)]
            use crate::no::Two;
            fn x<'a>(y: &'a str) -> char {
                let s = "crate::no::three" ; let r = r#"crate::"no"::four"#;
                crate::i::j(s, child::k::<u8>(), Vec::<u8>::new()); '"'
            }
            #[cfg(test)]
            mod tests { fn y() { crate::no::five(); } }
            fn z() { self::l::m!() }
        "##;
        let Imports { names, exports, paths } = of_source(source);
        let shown = |names: &[(String, Vec<String>)]| -> Vec<String> {
            names.iter().map(|(name, path)| format!("{name}={}", path.join("."))).collect()
        };
        let private = ["a=crate.a", "B=crate.a.B", "E=crate.a.c.D", "f=crate.a.c.f"];
        assert_eq!(shown(&names), private);
        assert_eq!(shown(&exports), ["*=super.g.*", "h=super.h"]);
        let paths: Vec<String> = paths.iter().map(|path| path.join(".")).collect();
        assert_eq!(paths, ["crate.i.j", "child.k", "self.l.m"]);
    }
}
