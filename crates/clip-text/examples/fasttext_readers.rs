//! A fastText model read and asked by this crate, or by the crate `fasttext` with a descent of its
//! tree on top: `fasttext_readers own|crate MODEL LINES ROUNDS OUT`. For `scripts/bench_fasttext`.
//!
//! Prints seconds to open, lines per second and the most memory; OUT gets the labels.

use std::path::Path;
use std::time::Instant;

use clip_text::{Classifier, ClassifierWorkspace};
use fasttext::FastText;
use fasttext::args::LossName;
use fasttext::dictionary::EntryType;
use top_k::TopK;
use tree::Tree;

// The tree of a hierarchical softmax, which `fasttext` has no way into.
#[path = "../src/fasttext/arithmetic.rs"]
mod arithmetic;
#[path = "../src/fasttext/top_k.rs"]
mod top_k;
#[allow(dead_code, reason = "counts of a model that was opened before fit")]
#[path = "../src/fasttext/tree.rs"]
mod tree;

type Ask<'a> = Box<dyn FnMut(&str) -> String + 'a>;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [reader, model, lines, rounds, out] = &args[..] else {
        return Err("fasttext_readers own|crate MODEL LINES ROUNDS OUT".into());
    };
    let text = std::fs::read_to_string(lines)?;
    let lines: Vec<&str> = text.strip_suffix('\n').unwrap_or(&text).split('\n').collect();
    let start = Instant::now();
    let (own, other);
    let mut ask: Ask = if reader == "own" {
        own = Classifier::open(Path::new(model))?;
        let mut workspace = ClassifierWorkspace::default();
        let own = &own;
        Box::new(move |line| {
            let found = own.predict(line, 1, 0.0, &mut workspace);
            found.first().map_or_else(String::new, |found| found.0.to_owned())
        })
    } else {
        other = FastText::load_model(model)?;
        if other.is_quant() && other.args().loss == LossName::HierarchicalSoftmax {
            let tree = Tree::new(&other.dict().get_counts(EntryType::Label));
            let (mut hidden, other) = (vec![0.0; other.args().dim as usize], &other);
            let (mut open, mut top) = (Vec::new(), TopK::default());
            Box::new(move |line| {
                other.get_sentence_vector_into(line, &mut hidden);
                top.reset(1);
                tree.best(other.output_matrix().data(), &hidden, 0.0, &mut open, &mut top);
                let label = top.sorted().first().map_or(0, |&(_, label)| label as i32);
                other.dict().get_label(label).unwrap_or("").to_owned()
            })
        } else {
            let other = &other;
            Box::new(move |line| {
                let found = other.predict(line, 1, 0.0);
                found.into_iter().next().map_or_else(String::new, |found| found.label)
            })
        }
    };
    let open = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let rounds: usize = rounds.parse()?;
    let mut length = 0;
    for _ in 0..rounds {
        length += lines.iter().map(|line| ask(line).len()).sum::<usize>();
    }
    let seconds = start.elapsed().as_secs_f64();
    let labels: Vec<String> = lines.iter().map(|line| ask(line)).collect();
    let short = |label: &String| label.strip_prefix("__label__").unwrap_or(label).to_owned();
    std::fs::write(out, labels.iter().map(short).collect::<Vec<_>>().join("\n") + "\n")?;
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    println!(
        "{{\"open_seconds\": {open:.4}, \"lines_per_second\": {:.0}, \"peak_mb\": {}, \"bytes\": {length}}}",
        (lines.len() * rounds) as f64 / seconds,
        peak.unwrap_or(0) / 1024,
    );
    Ok(())
}
