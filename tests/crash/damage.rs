//! Files that are changed behind the manifest: bytes flipped, cut, removed, swapped.

use std::path::{Path, PathBuf};

use crate::bed::{Bed, Job, below, difference};
use crate::kills::disturb;
use crate::process::{Ended, Running};
use crate::random::Random;
use crate::tally::Tally;

/// Changes a file, and says how.
fn change(path: &Path, others: &[PathBuf], random: &mut Random) -> String {
    let mut bytes = std::fs::read(path).unwrap();
    let same = |other: &&PathBuf| other.extension() == path.extension() && *other != path;
    let others: Vec<&PathBuf> = others.iter().filter(same).collect();
    match random.below(4) {
        0 => {
            let at = random.below(bytes.len());
            bytes[at] ^= 1 << random.below(8);
            std::fs::write(path, bytes).unwrap();
            format!("a bit of byte {at} flipped")
        }
        1 => {
            bytes.truncate(random.below(bytes.len()));
            std::fs::write(path, &bytes).unwrap();
            format!("cut to {} bytes", bytes.len())
        }
        2 if !others.is_empty() => {
            let other = *random.pick(&others);
            let theirs = std::fs::read(other).unwrap();
            std::fs::write(path, theirs).unwrap();
            std::fs::write(other, bytes).unwrap();
            format!("swapped with {}", other.display())
        }
        _ => {
            std::fs::remove_file(path).unwrap();
            "removed".into()
        }
    }
}

/// Whether an error names one of the files that were changed, with a code of the table.
fn names(ended: &Ended, path: &Path, how: &str) -> bool {
    let name = path.file_name().unwrap().to_string_lossy();
    let other = how.rsplit('/').next().unwrap_or_default();
    let swapped = how.starts_with("swapped") && ended.text.contains(other);
    let code = ended.status.code().is_some_and(|code| (1..=5).contains(&code));
    // A part that is damaged is named, or the folder of a file that is gone.
    let folder = path.parent().unwrap().file_name().unwrap().to_string_lossy();
    code && (ended.text.contains(&*name) || ended.text.contains(&*folder) || swapped)
        && !ended.text.contains("panicked")
}

pub fn run(bed: &Bed, job: &Job, kills: usize, random: &mut Random, tally: &mut Tally) {
    let (expected, time) = bed.whole(job);
    for round in 0..kills {
        let folder = format!("changed-{round}");
        // A run that is complete, or one that was stopped on its way.
        if random.below(2) == 0 {
            bed.run(job, &folder);
        } else {
            disturb(bed, job, &folder, time, random, tally);
        }
        let all = below(&bed.world.path(&folder));
        let files: Vec<PathBuf> =
            all.into_iter().filter(|path| std::fs::metadata(path).unwrap().len() > 0).collect();
        if files.is_empty() {
            bed.remove(&folder);
            continue;
        }
        let path = random.pick(&files).clone();
        let how = change(&path, &files, random);
        tally.kills += 1;
        tally.reruns += 1;
        let what = format!("{}, {} {how}", job.name, path.display());
        let ended = bed.run(job, &folder);
        if ended.hung {
            tally.fail(format!("{what}: {}", ended.describe()));
        } else if ended.status.success() {
            match difference(&expected, &bed.result(job, &folder)) {
                None => tally.equal += 1,
                Some(differs) => match verify(bed, job, &folder) {
                    Some(found) if names(&found, &path, &how) => tally.named += 1,
                    found => {
                        let found = found.map_or("nothing".into(), |found| found.describe());
                        tally.fail(format!("{what}: ended well, {differs}; verify: {found}"));
                    }
                },
            }
        } else if names(&ended, &path, &how) {
            tally.named += 1;
        } else {
            tally.fail(format!("{what}: {}", ended.describe()));
        }
        bed.remove(&folder);
    }
}

/// What `clip-data verify` finds, where it knows the job's files.
fn verify(bed: &Bed, job: &Job, folder: &str) -> Option<Ended> {
    let path = bed.world.path(folder).join(job.verified?);
    let path = path.display().to_string();
    Some(Running::start(&mut bed.world.command(&["verify", &path])).wait())
}
