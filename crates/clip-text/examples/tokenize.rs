//! Reads a JSON string a line and writes its token ids, for comparison with other tokenizers. With
//! `--time` it writes the lines a second of one thread instead.

use std::io::{BufRead, BufWriter, Write};

fn main() -> std::io::Result<()> {
    let texts: std::io::Result<Vec<String>> = std::io::stdin()
        .lock()
        .lines()
        .map(|line| serde_json::from_str(&line?).map_err(std::io::Error::from))
        .collect();
    let texts = texts?;
    let tokenizer = clip_text::Tokenizer::new();
    let mut out = BufWriter::new(std::io::stdout().lock());
    if std::env::args().any(|argument| argument == "--time") {
        let start = std::time::Instant::now();
        let ids: usize = texts.iter().map(|text| tokenizer.tokenize(text, 77).len()).sum();
        let seconds = start.elapsed().as_secs_f64();
        return writeln!(out, "{:.0} {ids}", texts.len() as f64 / seconds);
    }
    for text in &texts {
        let ids: Vec<String> = tokenizer.encode(text).iter().map(u32::to_string).collect();
        writeln!(out, "{}", ids.join(" "))?;
    }
    out.flush()
}
