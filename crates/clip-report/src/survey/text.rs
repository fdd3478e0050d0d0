//! A survey as text and as JSON.

use serde_json::{Value, json};

use super::{Counts, Duplicates, Spread, Survey};
use crate::markup::{grouped, percent};

/// Edges of the bins in which captions, words, sides and aspects are shown.
pub(super) const CHARS: [u64; 8] = [5, 10, 20, 40, 80, 160, 320, 640];
pub(super) const WORDS: [u64; 7] = [2, 3, 5, 10, 20, 40, 77];
pub(super) const SIDES: [u64; 7] = [64, 128, 200, 256, 512, 1024, 2048];
pub(super) const ASPECTS: [u64; 8] = [33, 50, 67, 95, 106, 150, 200, 300];

impl Survey {
    /// The statistics as lines for people; `query` gives the text of a query's id.
    pub fn text(&self, duplicates: &Duplicates, query: &dyn Fn(u32) -> String) -> String {
        let mut lines = Vec::new();
        let mut line = |name: &str, text: String| lines.push(format!("{name:<12} {text}\n"));
        line("pairs", grouped(self.pairs));
        if self.images > 0 {
            let size = format!("{:.1} MB", self.bytes as f64 / 1e6);
            line("images", format!("{} stored, {size}", grouped(self.images)));
        }
        if self.chars.count() > 0 {
            line(
                "caption",
                format!("{} characters, {} words", span(&self.chars), span(&self.words)),
            );
            if self.no_caption > 0 {
                line("", format!("{} pairs have none", grouped(self.no_caption)));
            }
        }
        if self.sides.count() > 0 {
            line("short side", format!("{} pixels", span(&self.sides)));
            let [low, middle, high] =
                [self.aspects.min(), self.aspects.median(), self.aspects.max()]
                    .map(|aspect| format!("{:.2}", aspect as f64 / 100.0));
            line("aspect", format!("{low} to {high}, median {middle}"));
        }
        for (name, counts) in [
            ("language", &self.languages),
            ("format", &self.formats),
            ("source", &self.sources),
            ("status", &self.statuses),
        ] {
            if !counts.is_empty() {
                line(name, shares(counts, 8, counts.total()));
            }
        }
        if !self.overlaps.is_empty() {
            line("copies of", shares(&self.overlaps, 8, self.pairs));
        }
        if !self.domains.is_empty() {
            line(
                "domains",
                format!(
                    "{}: {}",
                    grouped(self.domains.len() as u64),
                    shares(&self.domains, 5, self.domains.total())
                ),
            );
        }
        if !self.queries.is_empty() {
            let top = self.top_queries(8);
            let top: Vec<String> =
                top.into_iter().map(|(id, n)| format!("{} {}", query(id), grouped(n))).collect();
            let count = grouped(self.queries.len() as u64);
            line("queries", format!("{count}: {}", top.join(", ")));
        }
        if duplicates.with_file > 0 {
            line(
                "same bytes",
                format!("{} images are copies of others", grouped(duplicates.exact)),
            );
        }
        if duplicates.with_hash > 0 {
            let (near, radius) = (grouped(duplicates.near), duplicates.radius);
            let most = duplicates.largest.first().map_or(0, |(count, _)| count - 1);
            line(
                "near copies",
                format!(
                    "{near} images within {radius} bits of others, at most {most} of one image"
                ),
            );
        }
        for damaged in &self.damaged {
            line("damaged", damaged.clone());
        }
        lines.concat()
    }

    /// The same for programs.
    pub fn json(&self, duplicates: &Duplicates) -> Value {
        let spread = |spread: &Spread| json!({"count": spread.count(), "min": spread.min(), "median": spread.median(), "max": spread.max()});
        let counts = |counts: &Counts| {
            let top: serde_json::Map<_, _> =
                counts.top(50).into_iter().map(|(name, n)| (name.to_owned(), json!(n))).collect();
            json!({"distinct": counts.len(), "total": counts.total(), "top": top})
        };
        let queries: Vec<Value> =
            self.top_queries(50).into_iter().map(|(id, n)| json!([id, n])).collect();
        json!({
            "pairs": self.pairs, "images": self.images, "bytes": self.bytes, "no_caption": self.no_caption,
            "caption_chars": spread(&self.chars), "caption_words": spread(&self.words),
            "short_side": spread(&self.sides), "aspect_percent": spread(&self.aspects),
            "languages": counts(&self.languages), "domains": counts(&self.domains),
            "formats": counts(&self.formats), "sources": counts(&self.sources),
            "statuses": counts(&self.statuses), "failures": counts(&self.failures),
            "overlaps": counts(&self.overlaps),
            "queries": {"distinct": self.queries.len(), "top": queries},
            "duplicates": {
                "exact": duplicates.exact, "near": duplicates.near, "radius": duplicates.radius,
                "with_file_hash": duplicates.with_file, "with_phash": duplicates.with_hash,
            },
            "damaged": self.damaged,
        })
    }
}

fn span(spread: &Spread) -> String {
    let [low, middle, high] = [spread.min(), spread.median(), spread.max()].map(grouped);
    format!("{low} to {high}, median {middle}")
}

fn shares(counts: &Counts, most: usize, of: u64) -> String {
    let of = of.max(1) as f64;
    let share = |(name, count): (&str, u64)| format!("{name} {}", percent(count as f64 / of));
    counts.top(most).into_iter().map(share).collect::<Vec<_>>().join(", ")
}
