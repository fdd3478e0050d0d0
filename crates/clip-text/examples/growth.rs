//! How the time of each text function grows with the length: long runs of one unit, of n, 2n and 4n
//! bytes.
//!
//!     cargo run --release -p clip-text --example growth -- lid.176.ftz [BYTES]

use std::path::Path;
use std::time::Instant;

use clip_text::{CaptionFilter, LanguageId, LanguageWorkspace, Tokenizer, clean};

const UNITS: [&str; 30] = [
    "&", "&a", "&#", "&#x", "&#1", "&amp", "&amp;", "amp;", "&lt;", "<", ";", "(", " ", "1", "a",
    "\r", "\u{1b}[", "Ã", "Ã ", "Ã©", "Â", "â€", "\u{fffd}", "\u{80}", "\u{301}", "e\u{301}",
    "\u{3000}", "Σ", "é", "中",
];

type Step<'a> = (&'a str, Box<dyn Fn(&str) + 'a>);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let model = LanguageId::open(Path::new(&arguments.next().ok_or("a model of languages")?))?;
    let bytes: usize = arguments.next().map_or(Ok(500_000), |bytes| bytes.parse())?;
    let (filter, tokenizer) = (CaptionFilter::default(), Tokenizer::new());
    let steps: [Step; 4] = [
        (
            "clean",
            Box::new(|text| {
                clean(text);
            }),
        ),
        (
            "filter",
            Box::new(|text| {
                filter.reject(text);
            }),
        ),
        (
            "tokens",
            Box::new(|text| {
                tokenizer.encode(text);
            }),
        ),
        (
            "language",
            Box::new(|text| {
                model.predict(text, &mut LanguageWorkspace::default());
            }),
        ),
    ];
    println!("{:10}{:14}{:>9}{:>9}{:>9}{:>8}", "function", "unit", "n", "2n", "4n", "4n/n");
    for (name, step) in &steps {
        for unit in UNITS {
            let seconds = [1, 2, 4].map(|times| {
                let text = unit.repeat(times * bytes / unit.len());
                let least = |_| {
                    let started = Instant::now();
                    step(&text);
                    started.elapsed().as_secs_f64()
                };
                (0..3).map(least).fold(f64::INFINITY, f64::min)
            });
            let [n, twice, four] = seconds;
            let unit = format!("{unit:?}");
            println!("{name:10}{unit:14}{n:9.4}{twice:9.4}{four:9.4}{:8.1}", four / n.max(1e-9));
        }
    }
    Ok(())
}
