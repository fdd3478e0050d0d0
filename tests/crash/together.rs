//! Two of the same command in the same folder: one works, the other waits or is refused, and none
//! does harm.

use crate::bed::{Bed, Job};
use crate::process::Running;
use crate::random::Random;
use crate::tally::Tally;

pub fn run(bed: &Bed, job: &Job, kills: usize, random: &mut Random, tally: &mut Tally) {
    let (_, time) = bed.whole(job);
    for round in 0..kills.div_ceil(4) {
        let folder = format!("together-{round}");
        let first = Running::start(&mut bed.command(job, &folder));
        std::thread::sleep(random.moment(time.mul_f64(0.6)));
        let second = Running::start(&mut bed.command(job, &folder));
        tally.kills += 1;
        let ends = [first.wait(), second.wait()];
        let good = ends.iter().filter(|end| end.status.success()).count();
        for end in &ends {
            // Refused with the folder's name, or done.
            let refused = end.status.code() == Some(2) && end.text.contains("another");
            tally.named += usize::from(refused);
            if end.hung || !(end.status.success() || refused) || end.text.contains("panicked") {
                tally.fail(format!("{}, two at once: {}", job.name, end.describe()));
            }
        }
        if good == 0 {
            tally.fail(format!("{}, two at once: neither was let in", job.name));
        }
        bed.finish(job, &folder, "two at once", tally);
        bed.remove(&folder);
    }
}
