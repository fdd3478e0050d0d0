//! A clock that was set back: what was written seems to come from the future.

use std::fs::File;
use std::time::{Duration, SystemTime};

use crate::bed::{Bed, Job, below};
use crate::kills::disturb;
use crate::random::Random;
use crate::tally::Tally;

const YEARS: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

pub fn run(bed: &Bed, job: &Job, kills: usize, random: &mut Random, tally: &mut Tally) {
    let (_, time) = bed.whole(job);
    for round in 0..kills.div_ceil(4) {
        let folder = format!("clock-{round}");
        disturb(bed, job, &folder, time, random, tally);
        let now = SystemTime::now();
        for path in below(&bed.world.path(&folder)) {
            // As far ahead, or as far back, each by its own draw.
            let far = YEARS.mul_f64(random.share());
            let at = if random.below(4) > 0 { now + far } else { now - far };
            File::options().append(true).open(&path).unwrap().set_modified(at).unwrap();
        }
        tally.kills += 1;
        bed.finish(job, &folder, "clock set back", tally);
        bed.remove(&folder);
    }
}
