//! Matches captions against a list and says how fast: `match_speed LIST CAPTIONS RULES ROUNDS
//! [OUT]`.
//!
//! CAPTIONS is text with one a line; RULES is `words` or `metaclip`. OUT gets the ids of each
//! caption's queries, to be compared with other matchers. For `scripts/bench_queries`.

use std::fmt::Write;
use std::path::Path;
use std::time::Instant;

use clip_query::{MatchOptions, QueryList, QueryMatcher, Rules, Workspace};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [list, captions, rules, rounds, out @ ..] = &args[..] else {
        return Err("match_speed LIST CAPTIONS RULES ROUNDS [OUT]".into());
    };
    let options = match rules.as_str() {
        "words" => MatchOptions { rules: Rules::Words, ignore_case: true },
        _ => MatchOptions { rules: Rules::Metaclip, ignore_case: false },
    };
    let start = Instant::now();
    let list = QueryList::load(Path::new(list))?;
    let loaded = start.elapsed();
    let start = Instant::now();
    let matcher = QueryMatcher::build(&list, options)?;
    let built = start.elapsed();
    let text = std::fs::read_to_string(captions)?;
    let captions: Vec<&str> = text.lines().collect();
    let (mut workspace, mut found) = (Workspace::default(), Vec::new());
    let mut matches = 0;
    let start = Instant::now();
    let rounds: usize = rounds.parse()?;
    for _ in 0..rounds {
        for caption in &captions {
            matcher.find(caption, &mut workspace, &mut found);
            matches += found.len();
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{{\"captions_per_second\": {:.0}, \"load_seconds\": {:.3}, \"build_seconds\": {:.3}, \"megabytes\": {:.1}, \
         \"matches\": {}}}",
        (captions.len() * rounds) as f64 / seconds,
        loaded.as_secs_f64(),
        built.as_secs_f64(),
        matcher.bytes() as f64 / 1e6,
        matches / rounds.max(1)
    );
    if let [out] = out {
        let mut lines = String::new();
        for caption in &captions {
            matcher.find(caption, &mut workspace, &mut found);
            let ids: Vec<String> = found.iter().map(u32::to_string).collect();
            writeln!(lines, "{}", ids.join(" "))?;
        }
        std::fs::write(out, lines)?;
    }
    Ok(())
}
