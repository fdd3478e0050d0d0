//! The command blocks of README and the book. Each is run here in a world of its own, or marked
//! with the reason why it is not: `<!-- run: WORLD -->` and `<!-- not run: REASON -->` hold for the
//! blocks below them, up to the next mark.

mod blocks;
mod worlds;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use arrow::datatypes::DataType;
use blocks::{Block, Mark, blocks};
use worlds::Book;

use crate::world::{World, executable};

/// A page that has blocks to run, and the world that they run in.
struct Page {
    world: &'static str,
    file: &'static str,
    make: fn() -> Book,
}

const RUN: [Page; 8] = [
    Page { world: "list", file: "docs/quickstart.md", make: worlds::list },
    Page { world: "domain", file: "docs/guides/domain-corpus.md", make: worlds::domain },
    Page { world: "wat", file: "docs/guides/common-crawl.md", make: worlds::wat },
    Page { world: "pool", file: "docs/guides/datacomp-pool.md", make: worlds::pool },
    Page { world: "foreign", file: "docs/guides/existing-corpus.md", make: worlds::foreign },
    Page { world: "audit", file: "docs/guides/audit.md", make: worlds::audit },
    Page {
        world: "checkpoint",
        file: "docs/guides/open-clip-checkpoint.md",
        make: worlds::checkpoint,
    },
    Page { world: "processes", file: "docs/guides/many-gpus.md", make: worlds::processes },
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// README and all pages below `docs`, from the root of the repository.
fn pages() -> Vec<String> {
    let mut pages = vec!["README.md".to_owned()];
    let mut folders = vec!["docs".to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(root().join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{folder}/{}", entry.file_name().into_string().unwrap());
            if entry.path().is_dir() {
                folders.push(name);
            } else if name.ends_with(".md") {
                pages.push(name);
            }
        }
    }
    pages.sort();
    pages
}

fn blocks_of(page: &str) -> Vec<Block> {
    blocks(&std::fs::read_to_string(root().join(page)).unwrap())
}

#[test]
fn every_block_is_run_or_says_why_not() {
    let (mut run, mut reasons, mut faults) = (0, BTreeMap::<String, usize>::new(), Vec::new());
    for page in pages() {
        for block in blocks_of(&page) {
            let place = format!("{page}:{}", block.line);
            match block.mark {
                Some(Mark::Run(world)) => {
                    run += 1;
                    if !RUN.iter().any(|known| known.world == world && known.file == page) {
                        faults
                            .push(format!("{place}: no test runs the world {world} of this page"));
                    }
                }
                Some(Mark::NotRun(reason)) => *reasons.entry(reason).or_default() += 1,
                None => faults.push(format!("{place}: neither run nor marked with a reason")),
            }
        }
    }
    println!("{run} blocks are run, {} are not:", reasons.values().sum::<usize>());
    reasons.iter().for_each(|(reason, count)| println!("{count:4} {reason}"));
    assert!(faults.is_empty(), "{faults:#?}");
    assert!(run >= 25, "{run} blocks are run");
}

/// The word of `docs/formats.md` for a type.
fn word(kind: &DataType) -> String {
    match kind {
        DataType::UInt64 => "u64".into(),
        DataType::UInt32 => "u32".into(),
        DataType::Int32 => "i32".into(),
        DataType::Float32 => "f32".into(),
        DataType::Boolean => "bool".into(),
        DataType::Utf8 => "text".into(),
        DataType::List(item) => format!("list of {}", word(item.data_type())),
        other => other.to_string(),
    }
}

#[test]
fn the_columns_of_a_builds_table_are_documented_with_their_types() {
    let world = World::new();
    world.good(&["build", "--set", "check.action=flag"]);
    let table = world.path("runs/small/shards/00000.parquet");
    let schema = clip_corpus::read_parquet(&table).unwrap()[0].schema();
    let page = std::fs::read_to_string(root().join("docs/formats.md")).unwrap();
    let mut documented = BTreeMap::new();
    let section = page.split("## Columns of a build's tables").nth(1).unwrap();
    let section = section.split("\n#").next().unwrap();
    for line in section.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let names: Vec<&str> = cells[0].split('`').skip(1).step_by(2).collect();
        let kinds: Vec<&str> = cells[1].split(", ").collect();
        for (at, name) in names.into_iter().enumerate() {
            let kind = kinds.get(at).unwrap_or(&kinds[0]).trim_end_matches(" or null");
            documented.insert(name.to_owned(), kind.to_owned());
        }
    }
    let mut faults = Vec::new();
    for field in schema.fields() {
        let (wanted, found) = (word(field.data_type()), documented.get(field.name()));
        if found != Some(&wanted) {
            faults.push(format!("{} is {wanted}, documented: {found:?}", field.name()));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
    assert!(schema.fields().len() > 20);
}

#[test]
fn sections_of_a_pipeline_have_their_names_in_the_book() {
    let read = |file: &Path| std::fs::read_to_string(file).unwrap();
    let docs = root().join("docs");
    let reference = read(&docs.join("reference-pipeline.md"));
    let mut files = vec![root().join("README.md")];
    for folder in [docs.clone(), docs.join("guides")] {
        files.extend(std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
    }
    let mut faults = Vec::new();
    for file in files.iter().filter(|file| file.extension().is_some_and(|e| e == "md")) {
        for code in read(file).split('`').skip(1).step_by(2).filter(|code| code.starts_with('[')) {
            let end = code.find(|c: char| !matches!(c, '[' | ']' | '_' | 'a'..='z'));
            let section = &code[..end.unwrap_or(code.len())];
            // What pip installs besides, and an empty list.
            let other = ["[torch]", "[]"].contains(&section);
            if !other && section.ends_with(']') && !reference.contains(&format!("## {section}")) {
                faults.push(format!("{}: `{section}`", file.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// Runs the blocks of a world in their order, in one shell.
fn run(world: &str) {
    let Page { file, make, .. } = RUN.iter().find(|page| page.world == world).unwrap();
    let book = make();
    let wanted = Mark::Run(world.to_owned());
    let texts = blocks_of(file).into_iter().filter(|block| block.mark.as_ref() == Some(&wanted));
    let texts: Vec<String> = texts.map(|block| block.text).collect();
    assert!(!texts.is_empty(), "{file} has no block of {world}");
    // The sites are on loopback, which nothing but a test asks.
    let script = format!(
        "set -eu\n\
         clip-data() {{\n\
           case \"$1\" in fetch) set -- \"$@\" --allow_private True ;; esac\n\
           echo \"+ clip-data $*\" >&2\n\
           command clip-data \"$@\"\n\
           case \"$1\" in init) sed -i 's/^\\[fetch\\]$/[fetch]\\nallow_private = true/' \"$2/pipeline.toml\" ;; esac\n\
         }}\n{}",
        texts.join("\n")
    );
    let script = book.replaced.iter().fold(script, |text, (from, to)| text.replace(from, to));
    let folder = executable("clip-data");
    let path = format!("{}:{}", folder.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(book.world.path("."))
        .env("PATH", path)
        .env("CLIP_DATA_CACHE", book.world.path("cache"))
        .output()
        .unwrap();
    let [printed, errors] =
        [output.stdout, output.stderr].map(|t| String::from_utf8_lossy(&t).into_owned());
    assert!(output.status.success(), "{file}: {:?}\n{printed}\n{errors}", output.status.code());
}

#[test]
fn ten_minutes_on_a_list() {
    run("list");
}

#[test]
fn a_corpus_of_one_domain() {
    run("domain");
}

#[test]
fn from_common_crawl() {
    run("wat");
}

#[test]
fn a_datacomp_pool() {
    run("pool");
}

#[test]
fn a_corpus_that_is_there() {
    run("foreign");
}

#[test]
fn an_audit() {
    run("audit");
}

#[test]
fn an_open_clip_checkpoint() {
    run("checkpoint");
}

#[test]
fn several_processes() {
    run("processes");
}
