//! The tables of `docs/coming-from.md` name options that exist, in the other tool and here.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use crate::world::executable;

const PAGE: &str = include_str!("../../docs/coming-from.md");
/// Options of pinned versions of the other tools, by `scripts/golden/peer_options.py`.
const PEERS: &str = include_str!("peer_options.json");

/// The commands that a table's column is about; a cell of DataComp's begins with its own.
const COMMANDS: [(&str, &[&str]); 7] = [
    ("img2dataset", &["fetch", "retry"]),
    ("open_clip", &["train"]),
    (
        "CLIP_benchmark",
        &[
            "eval zero-shot",
            "eval retrieval",
            "eval choice",
            "eval linear-probe",
            "eval few-shot",
            "eval suite",
        ],
    ),
    ("DataComp", &["filter", "reshard", "train", "eval suite"]),
    ("MetaCLIP", &["queries build", "queries stats"]),
    ("imagededup and imagehash", &["hash"]),
    ("webdataset", &["reshard", "train"]),
];

/// The rows of a section's table, each in two cells.
fn rows(section: &str) -> Vec<(&str, &str)> {
    let start = PAGE.find(&format!("\n## {section}\n")).unwrap() + 1;
    let end = PAGE[start..].find("\n## ").map_or(PAGE.len(), |length| start + length);
    let lines = PAGE[start..end].lines().filter(|line| line.starts_with("| "));
    lines.filter_map(|line| line.trim_matches('|').split_once(" | ")).skip(1).collect()
}

/// The options between the backticks of a cell.
fn options(cell: &str) -> BTreeSet<&str> {
    let code = cell.split('`').skip(1).step_by(2);
    let words = code.flat_map(|code| code.split([' ', ',', '=']));
    words.filter(|word| word.starts_with('-') && word.len() > 1 && !word.ends_with('-')).collect()
}

/// Whether a command knows an option, under whatever name.
fn knows(command: &str, option: &str) -> bool {
    let mut clap = Command::new(executable("clip-data"));
    // Help ends what an option without a value would begin.
    let output = clap.args(command.split(' ')).args([option, "--help"]).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    !error.contains("unexpected argument")
}

#[test]
fn options_of_both_columns_exist() {
    let peers: BTreeMap<&str, BTreeSet<&str>> = serde_json::from_str(PEERS).unwrap();
    let (mut wrong, mut checked) = (Vec::new(), 0);
    for (tool, commands) in COMMANDS {
        for (theirs, ours) in rows(tool) {
            let left = options(theirs);
            // Options of programs that start the tool are of neither.
            for option in left.iter().filter(|_| !theirs.contains("torchrun")) {
                if !peers.get(tool).is_some_and(|known| known.contains(option)) {
                    wrong.push(format!("{tool} has no {option}"));
                }
            }
            let same = ["same", "accepted", "refused"].iter().any(|word| ours.contains(word));
            let mut own = options(ours);
            if same {
                own.extend(left);
            }
            for option in own {
                checked += 1;
                if !commands.iter().any(|command| knows(command, option)) {
                    wrong.push(format!("clip-data {} has no {option}", commands.join(", ")));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(checked > 90, "{checked} options were found on the page");
}
