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
            Box::new(move |line| {
                other.get_sentence_vector_into(line, &mut hidden);
                let label = tree.best(other.output_matrix().data(), &hidden);
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

/// The Huffman tree that `fasttext` has no way into, as C++ builds it.
struct Tree {
    children: Vec<Option<(usize, usize)>>,
    leaves: usize,
}

impl Tree {
    fn new(counts: &[i64]) -> Self {
        let leaves = counts.len();
        let mut weights = vec![1_000_000_000_000_000; 2 * leaves - 1];
        weights[..leaves].copy_from_slice(counts);
        let mut children = vec![None; 2 * leaves - 1];
        let (mut leaf, mut node) = (leaves, leaves);
        for parent in leaves..2 * leaves - 1 {
            let mut lightest = || {
                if leaf > 0 && weights[leaf - 1] < weights[node] {
                    leaf -= 1;
                    leaf
                } else {
                    node += 1;
                    node - 1
                }
            };
            let (left, right) = (lightest(), lightest());
            weights[parent] = weights[left] + weights[right];
            children[parent] = Some((left, right));
        }
        Self { children, leaves }
    }

    fn best(&self, output: &[f32], hidden: &[f32]) -> i32 {
        let log = |share: f32| (f64::from(share) + 1e-5).ln() as f32;
        let mut best = (0, f32::NEG_INFINITY);
        let mut open = vec![(2 * self.leaves - 2, 0f32)];
        while let Some((node, score)) = open.pop() {
            if score < best.1 {
                continue;
            }
            let Some((left, right)) = self.children[node] else {
                best = (node, score);
                continue;
            };
            let row = &output[(node - self.leaves) * hidden.len()..][..hidden.len()];
            let dot: f32 = row.iter().zip(hidden).map(|(a, b)| a * b).sum();
            let share = 1.0 / (1.0 + (-dot).exp());
            open.push((right, score + log(share)));
            open.push((left, score + log(1.0 - share)));
        }
        best.0 as i32
    }
}
