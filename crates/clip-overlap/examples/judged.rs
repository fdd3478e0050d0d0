//! Compares one folder tree of pictures with another and writes every compared pair as CSV.
//!
//! `judged EVAL CORPUS OUT.csv [least score]`: keys are paths below each tree. `scripts/bench_overlap` reads the
//! result beside human-judged pairs.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clip_image::{DecodeOptions, Rgb, decode};
use clip_overlap::{CandidateOptions, Fingerprint, SetIndex};
use rayon::prelude::*;

fn files(root: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(root)? {
        let path = entry?.path();
        if path.is_dir() {
            files(&path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}

fn load(root: &Path) -> std::io::Result<Vec<(String, Rgb)>> {
    let mut paths = Vec::new();
    files(root, &mut paths)?;
    paths.sort();
    let read = |path: &PathBuf| {
        let image = decode(&std::fs::read(path).ok()?, &DecodeOptions::default()).ok()?;
        let key = path.strip_prefix(root).ok()?.display().to_string();
        Some((key, image))
    };
    Ok(paths.par_iter().filter_map(read).collect())
}

fn main() -> std::io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [eval, corpus, out, rest @ ..] = args.as_slice() else {
        eprintln!("usage: judged EVAL CORPUS OUT.csv [least score]");
        std::process::exit(2);
    };
    let least: f32 = rest.first().and_then(|s| s.parse().ok()).unwrap_or(0.5);
    let start = Instant::now();
    let items = load(Path::new(eval))?;
    let prints = items.par_iter().map(|(_, image)| Fingerprint::of(image)).collect();
    let index = SetIndex::new(prints, &CandidateOptions::default());
    eprintln!("{} items indexed in {:.1?}", items.len(), start.elapsed());
    let corpus = load(Path::new(corpus))?;
    let start = Instant::now();
    let rows: Vec<String> = corpus
        .par_iter()
        .flat_map_iter(|(key, image)| {
            let found = index.search(image, &Fingerprint::of(image));
            let row = |f: clip_overlap::Found| {
                let l = f.likeness;
                let item = &items[f.item as usize].0;
                let (kind, score) = (f.kind, f.score);
                let parts = [l.luma, l.fine, l.colour, l.covered, l.contrast];
                let parts = parts.map(|v| format!("{v:.4}")).join(",");
                format!("{item},{key},{kind:?},{score:.4},{parts}\n")
            };
            found.into_iter().filter(|f| f.score >= least).map(row).collect::<Vec<_>>()
        })
        .collect();
    let spent = start.elapsed();
    let rate = corpus.len() as f64 / spent.as_secs_f64();
    eprintln!("{} pictures compared in {spent:.1?}: {rate:.0} a second", corpus.len());
    let header = "eval,corpus,kind,score,luma,fine,colour,covered,contrast\n";
    std::fs::write(out, header.to_owned() + &rows.concat())
}
