//! Words that the field has better ones for, in comments, documentation, messages and names, and
//! comments that are too wide.

/// A word that is not written.
struct Word {
    /// The word.
    not: &'static str,
    /// What is written in its place.
    but: &'static str,
    /// What may follow it: then it is another word.
    unless: &'static [&'static str],
}

const fn word(not: &'static str, but: &'static str) -> Word {
    Word { not, but, unless: &[] }
}

const STAND: &[&str] = &["for", "in", "alone", "out", "still"];

/// Words of comments, prose and messages.
const WORDS: [Word; 25] = [
    word("under way", "in flight"),
    word("passed over", "skipped"),
    word("held against", "checked against"),
    word("mend", "fix"),
    word("mends", "fixes"),
    word("mended", "fixed"),
    word("mending", "fixing"),
    word("stood", "was"),
    word("manners", "politeness"),
    word("gone on with", "resumed"),
    word("goes on", "resumes"),
    word("go on", "resume"),
    word("told", "reported"),
    word("tells", "reports"),
    word("nobody", "no process"),
    word("somebody", "a user"),
    word("so many", "n"),
    word("fell", "was dropped"),
    word("fallen", "dropped"),
    word("falls", "is dropped"),
    word("lies", "is"),
    word("lie", "are"),
    word("lay", "were"),
    Word { not: "stands", but: "is", unless: STAND },
    Word { not: "stand", but: "are", unless: STAND },
];

/// Words that no text file has, in code, names and data either.
const ANYWHERE: [Word; 2] = [word("picture", "image"), word("pictures", "images")];

/// Where such a word is HTML's element, a library's type, or a caption of others' or of the test
/// site, whose results are on record.
const QUOTED: [&str; 11] = [
    "crates/clip-crawl/src/html/",
    "crates/clip-crawl/tests/golden/oracle/html.json",
    "crates/clip-datasets/data/",
    "crates/clip-fuzz/examples/seeds/",
    "crates/clip-image/src/avif/planes.rs",
    "crates/clip-testkit/src/captions.rs",
    "crates/clip-testkit/src/pages.rs",
    "crates/xtask/src/words.rs",
    "fuzz/corpus/html/",
    "scripts/oracles/html.py",
    "scripts/python/quality_train.py",
];

/// Parts of names of functions, types and modules.
const NAMES: [Word; 3] =
    [word("mend", "fix"), word("manners", "politeness"), word("told", "message")];

/// The field's word for what is behind `https://`; of networks, "address" is the word.
const ADDRESS: [Word; 2] = [word("address", "URL"), word("addresses", "URLs")];

/// Where networks are spoken of.
const NETWORKS: [&str; 25] = [
    "CHANGELOG.md",
    "crates/clip-cluster/",
    "crates/clip-crawl/src/address.rs",
    "crates/clip-crawl/src/client.rs",
    "crates/clip-crawl/src/dataset/diagnosis.rs",
    "crates/clip-crawl/src/dns/",
    "crates/clip-crawl/src/error.rs",
    "crates/clip-crawl/src/pair_reader.rs",
    "crates/clip-crawl/src/proxy.rs",
    "crates/clip-curate/src/block/",
    "crates/clip-data/src/commands/",
    "crates/clip-pipeline/src/config/",
    "crates/clip-query/src/wikitext.rs",
    "crates/clip-sql/src/functions.rs",
    "crates/clip-store/src/",
    "crates/clip-text/",
    "crates/clip-torch/",
    "crates/clip-train/",
    "docs/benchmarks.md",
    "docs/crawling.md",
    "docs/fetch.md",
    "docs/reference-commands.md",
    "docs/reference-pipeline.md",
    "docs/safety.md",
    "docs/training.md",
];

/// Where a word is another's: HTML, captions of the test site, other programs' results.
const EXCEPT: [&str; 6] = [
    "crates/clip-crawl/src/html/",
    "crates/clip-fuzz/examples/seeds/",
    "crates/clip-testkit/",
    "crates/xtask/src/words.rs",
    "docs/oracles.md",
    "testdata/",
];

/// Tests hold inputs in anybody's words.
const TESTS: [&str; 4] = ["/tests/", "/tests.rs", "tests/", "/examples/"];

/// Columns of a comment.
const WIDTH: usize = 100;

/// Faults of one file: Rust sources by their comments, messages and names, Markdown by its prose,
/// and any file by the words that are nowhere.
pub fn faults_of(file: &str, text: &str) -> Vec<String> {
    let mut faults = anywhere(file, text);
    faults.extend(faults_of_prose(file, text));
    faults
}

fn anywhere(file: &str, text: &str) -> Vec<String> {
    if QUOTED.iter().any(|place| file.starts_with(place)) {
        return Vec::new();
    }
    let mut faults = Vec::new();
    for (index, line) in text.lines().enumerate() {
        // An old name of an option is kept as an alias.
        if line.contains("alias = ") {
            continue;
        }
        let line = if file.ends_with(".md") { without_code(line) } else { line.replace('_', " ") };
        let line = line.to_lowercase();
        for Word { not, but, .. } in ANYWHERE.iter().filter(|word| word.is_in(&line)) {
            faults.push(format!("{file}:{}: {not:?}: write {but:?}", index + 1));
        }
    }
    faults
}

fn faults_of_prose(file: &str, text: &str) -> Vec<String> {
    let rust = file.ends_with(".rs");
    if !(rust || file.ends_with(".md")) || EXCEPT.iter().any(|place| file.starts_with(place)) {
        return Vec::new();
    }
    let mut faults = Vec::new();
    let mut fault =
        |index: usize, about: String| faults.push(format!("{file}:{}: {about}", index + 1));
    let networks = NETWORKS.iter().any(|place| file.starts_with(place))
        || TESTS.iter().any(|at| file.contains(at) || file.starts_with(at));
    let mut product = rust && !TESTS.iter().any(|at| file.contains(at) || file.starts_with(at));
    let mut before = "";
    for (index, line) in text.lines().enumerate() {
        let is_test = std::mem::replace(&mut before, line).trim_end().ends_with("test]");
        product &= !line.trim_start().starts_with("#[cfg(test)]");
        let prose = if rust { comment(line) } else { Some(line) };
        let code = &line[..line.len() - prose.map_or(0, str::len)];
        // An old name of an option is kept as an alias.
        let shown = product && !code.contains("alias = ");
        let message = if shown { messages(code) } else { String::new() };
        let plain = [without_code(prose.unwrap_or("")), message].concat().to_lowercase();
        let address = if networks { &[][..] } else { &ADDRESS[..] };
        for Word { not, but, .. } in WORDS.iter().chain(address).filter(|word| word.is_in(&plain)) {
            fault(index, format!("{not:?}: write {but:?}"));
        }
        let name = if product || is_test { declared(code) } else { None };
        let parts = name.map(|name| name.to_lowercase().replace('_', " ")).unwrap_or_default();
        for Word { not, but, .. } in NAMES.iter().filter(|word| word.is_in(&parts)) {
            fault(index, format!("{not:?} in a name: write {but:?}"));
        }
        if rust && line.trim_start().starts_with("//") && line.chars().count() > WIDTH {
            fault(index, format!("a comment of more than {WIDTH} columns"));
        }
    }
    faults
}

/// The comment of a line, if it has one; a `//` within a string is none.
fn comment(line: &str) -> Option<&str> {
    let at = line.find("//")?;
    let before = &line[..at];
    let begins = before.is_empty() || before.ends_with(char::is_whitespace);
    (begins && before.matches('"').count().is_multiple_of(2)).then(|| &line[at..])
}

/// A line without what is between backticks.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join(" ")
}

/// What is between quotes on a line, without the names that a format puts in.
fn messages(code: &str) -> String {
    let quoted = code.split('"').skip(1).step_by(2).map(without_code);
    let plain = |text: String| {
        let pieces =
            text.split('{').map(|piece| piece.split_once('}').map_or(piece, |(_, rest)| rest));
        pieces.collect::<Vec<_>>().join(" ")
    };
    quoted.map(plain).collect::<Vec<_>>().join(" ")
}

/// The name that a line declares, where it declares a function, a type, a module or a constant.
fn declared(code: &str) -> Option<&str> {
    const KEYWORDS: [&str; 8] = ["fn", "struct", "enum", "trait", "type", "mod", "const", "static"];
    let mut words = code.split_whitespace();
    words.find(|word| KEYWORDS.contains(word))?;
    words.next()?.split(|c: char| !c.is_alphanumeric() && c != '_').next()
}

impl Word {
    fn is_in(&self, text: &str) -> bool {
        let letter = |c: char| c.is_alphanumeric() || c == '_';
        text.match_indices(self.not).any(|(at, _)| {
            let rest = &text[at + self.not.len()..];
            let next = rest.trim_start().split(|c| !letter(c)).next().unwrap_or("");
            !text[..at].ends_with(letter)
                && !rest.starts_with(letter)
                && !self.unless.contains(&next)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_faults_of_comments_prose_messages_and_names() {
        let found = |file: &str, text: &str| faults_of(file, text).len();
        assert_eq!(found("crates/a.rs", "/// It was told.\nlet told = 1;"), 1);
        assert_eq!(found("crates/a.rs", "let text = \"a // mend\";"), 1);
        assert_eq!(found("crates/a.rs", "print(\"{told}: `mend`\");"), 0);
        assert_eq!(found("crates/a.rs", "pub fn mend_it() {}\nfn amend() {}"), 1);
        assert_eq!(found("crates/a.rs", "#[cfg(test)]\nmod t {\n fn mend() {} }"), 0);
        assert_eq!(found("tests/a.rs", "    #[test]\n    fn a_page_is_told() {}"), 1);
        assert_eq!(found("docs/a.md", "Manners, and `manners/`; it was passed over."), 2);
        assert_eq!(found("docs/a.md", "amend a commendable remedy"), 0);
        assert_eq!(found("docs/a.md", "it stands for a class; it stands there"), 1);
        let wide = format!("    // {}", "x".repeat(WIDTH));
        assert_eq!(found("crates/a.rs", &wide), 1);
        assert_eq!(found("crates/a.rs", &format!("    let a = \"{}\";", "x".repeat(WIDTH))), 0);
    }

    #[test]
    fn some_words_are_in_no_text_at_all() {
        let found = |file: &str, text: &str| faults_of(file, text).len();
        assert_eq!(found("tests/a.rs", "let path = \"pictures/00\";\nfn no_picture() {}"), 2);
        assert_eq!(found("scripts/a.py", "PICTURES = 1"), 1);
        assert_eq!(found("docs/a.md", "Pictures, in `<picture>`, are no depicture."), 1);
        assert_eq!(found("crates/a.rs", "#[arg(alias = \"pictures\")]"), 0);
        assert_eq!(found("crates/clip-crawl/src/html/a.rs", "Kind::Picture"), 0);
    }
}
