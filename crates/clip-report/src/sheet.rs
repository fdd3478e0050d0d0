//! The contact sheet: pairs about the threshold to look at, and to accept or reject.

use std::path::Path;

use clip_overlap::{HitKind, Match, SetDecision, Verdict};
use serde_json::json;

use crate::copies::{Images, items, side, source};
use crate::markup::escape;
use crate::{Result, Section};

/// Pairs on either side of the threshold.
const SIDE: usize = 40;

const SCRIPT: &str = include_str!("sheet.js");
/// Functions for the keys that mark pairs, of every page that shows some.
pub const PAIR_KEYS: &str = include_str!("pair_keys.js");

/// The pairs of one set nearest to its threshold, each with its marks; a button saves the decision
/// file.
///
/// `pairs` are those of [`borderline`]. The section has no parts where there is nothing to decide.
pub fn sheet(
    name: &str,
    path: &Path,
    pairs: &[&Match],
    images: &Images,
    decision: &SetDecision,
) -> Result<Section> {
    let rule = decision.rule();
    let threshold = rule.threshold();
    let about = format!(
        "The pairs nearest to the threshold, at most {SIDE} on either side. Accept those that show the same image, \
         reject the others, and save: --decisions reads the file, --calibrate sets the threshold by it."
    );
    let section = Section::new("Contact sheet", about);
    if pairs.is_empty() {
        return Ok(section);
    }
    let items = items(name, path, &pairs.iter().map(|pair| pair.key.as_str()).collect())?;
    let mut html = String::from(
        "<p class=\"tools\"><button id=\"save\">save decisions.json</button> <span id=\"count\"></span> \
         <span>keys: a accepts, r rejects, both move to the next; u takes a mark back; arrows move</span></p>\n\
         <div class=\"grid pairs\">\n",
    );
    let mut line_drawn = false;
    for pair in pairs {
        if !rule.reaches(pair.score) && !line_drawn {
            line_drawn = true;
            html.push_str(&format!(
                "</div>\n<p class=\"about\">Below the threshold of {threshold:.3}:</p>\n<div class=\"grid pairs\">\n"
            ));
        }
        let mark = rule.verdict(&pair.key, &pair.id).map_or("", Verdict::name);
        html.push_str(&format!(
            "<figure class=\"mark\" tabindex=\"0\" data-key=\"{}\" data-id=\"{}\" data-score=\"{}\" data-verdict=\"{mark}\">\
             <div class=\"pair\">{}{}</div><figcaption><b>{:.3}</b> {}<br>{}<br>{}<br><button value=\"accept\">accept</button> \
             <button value=\"reject\">reject</button></figcaption></figure>\n",
            escape(&pair.key),
            escape(&pair.id),
            pair.score,
            side(items.get(&pair.key)),
            side(images.get(&(pair.place.clone(), pair.id.clone()))),
            pair.score,
            pair.kind.name(),
            escape(&pair.key),
            source(&pair.url, &pair.place, &pair.id)
        ));
    }
    let known = json!({ "sets": { name: decision } });
    // Inside a script, only `<` could end it.
    let known = known.to_string().replace('<', "\\u003c");
    html.push_str(&format!(
        "</div>\n<script>\nconst decisions = {known};\n{PAIR_KEYS}{SCRIPT}</script>\n"
    ));
    Ok(section.markup(&html))
}

/// The pairs that are neither exact nor flat, and of these the nearest to the threshold, from the
/// most alike to the least. An image of the corpus is left out by each pair that has it, so that
/// pairs of one item need a look each. `matches` may be of other sets too.
pub fn borderline<'a>(name: &str, matches: &'a [Match], threshold: f32) -> Vec<&'a Match> {
    let open =
        |pair: &&Match| pair.set == name && !matches!(pair.kind, HitKind::Exact | HitKind::Flat);
    let mut all: Vec<&Match> = matches.iter().filter(open).collect();
    all.sort_by(|a, b| {
        b.score.total_cmp(&a.score).then_with(|| (&a.key, &a.id).cmp(&(&b.key, &b.id)))
    });
    let below = all.partition_point(|pair| pair.score >= threshold);
    all[below.saturating_sub(SIDE)..(below + SIDE).min(all.len())].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clip_overlap::Similarity;

    #[test]
    fn an_image_is_named_by_its_url_where_it_has_one() {
        let shown = source("https://x.org/a?b=1&c=\"2\"", "shards/0.tar", "17");
        assert!(shown.contains("href=\"https://x.org/a?b=1&amp;c=&quot;2&quot;\""), "{shown}");
        assert_eq!(source("", "shards/0.tar", "17"), "0.tar 17");
        assert_eq!(source("file:03/<a>.jpg", "build", "17"), "file:03/&lt;a&gt;.jpg");
        let script = source("javascript:alert(1)", "shards/0.tar", "<17>");
        assert_eq!(script, "0.tar &lt;17&gt;");
    }

    fn pair(key: &str, score: f32, kind: HitKind) -> Match {
        Match {
            set: "toys".into(),
            key: key.into(),
            class: "car".into(),
            place: "0.tar".into(),
            id: format!("</script>{key}"),
            url: String::new(),
            caption: String::new(),
            score,
            kind,
            similarity: Similarity::default(),
            detector: None,
            thumbnail: vec![0xff, 0xd8],
        }
    }

    #[test]
    fn the_pairs_about_the_threshold_are_shown() {
        let mut matches =
            vec![pair("exact", 1.0, HitKind::Exact), pair("flat", 0.99, HitKind::Flat)];
        matches.extend((0..200).map(|n| pair(&format!("{n:03}"), n as f32 / 200.0, HitKind::Near)));
        // A second image of an item, which a better one would hide.
        matches.push(pair("190", 0.7501, HitKind::Near));
        let found = borderline("toys", &matches, 0.75);
        assert_eq!(found.len(), 2 * SIDE);
        let key = |at: usize| found[at].key.as_str();
        assert_eq!([key(0), key(38), key(39), key(79)], ["188", "190", "150", "110"]);
    }

    #[test]
    fn names_cannot_break_out_of_the_sheet() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("car")).unwrap();
        std::fs::write(dir.path().join("car/1.png"), [1]).unwrap();
        let mut decision = SetDecision::default();
        let (key, id) = ("a".to_owned(), "</script><b>".to_owned());
        decision.marks.push(clip_overlap::ReviewedPair {
            key,
            id,
            verdict: Verdict::Accept,
            score: 0.9,
        });
        let (odd, images) = (pair("a", 0.8, HitKind::Near), Images::new());
        let html = sheet("toys", dir.path(), &[&odd], &images, &decision).unwrap().html();
        assert_eq!(html.matches("</script>").count(), 1, "{html}");
        assert!(sheet("toys", dir.path(), &[], &images, &decision).unwrap().is_empty());
    }
}
