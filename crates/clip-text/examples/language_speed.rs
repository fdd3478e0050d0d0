//! Names the language of lines and says how fast: `language_speed MODEL LINES ROUNDS [OUT]`.
//!
//! OUT gets the labels, to be compared with other programs. For `scripts/bench_queries`.

use std::path::Path;
use std::time::Instant;

use clip_text::{LanguageId, LanguageWorkspace};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [model, lines, rounds, out @ ..] = &args[..] else {
        return Err("language_speed MODEL LINES ROUNDS [OUT]".into());
    };
    let model = LanguageId::open(Path::new(model))?;
    let text = std::fs::read_to_string(lines)?;
    let lines: Vec<&str> = text.lines().collect();
    let mut workspace = LanguageWorkspace::default();
    let mut english = 0;
    let rounds: usize = rounds.parse()?;
    let start = Instant::now();
    for _ in 0..rounds {
        for line in &lines {
            english += usize::from(model.predict(line, &mut workspace).0 == "en");
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{{\"lines_per_second\": {:.0}, \"english\": {}}}",
        (lines.len() * rounds) as f64 / seconds,
        english / rounds.max(1)
    );
    if let [out] = out {
        let labels: String = lines
            .iter()
            .map(|line| model.predict(line, &mut workspace).0.to_owned() + "\n")
            .collect();
        std::fs::write(out, labels)?;
    }
    Ok(())
}
