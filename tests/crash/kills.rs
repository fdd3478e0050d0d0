//! Signals at random moments, also in the runs that follow: a kill may meet the repair of the one
//! before.

use std::time::Duration;

use crate::bed::{Bed, Job};
use crate::process::{Running, family, signal};
use crate::random::Random;
use crate::tally::Tally;

/// Mostly those that no process can answer.
const SIGNALS: [&str; 6] = ["KILL", "KILL", "KILL", "KILL", "TERM", "INT"];
/// Kills of one folder in a row, at most.
const CHAIN: usize = 4;

/// Starts the job in a folder and signals it, or one of its processes, at a moment; whether that
/// met it alive.
pub fn disturb(
    bed: &Bed,
    job: &Job,
    folder: &str,
    within: Duration,
    random: &mut Random,
    tally: &mut Tally,
) -> bool {
    let mut running = Running::start(&mut bed.command(job, folder));
    let after = random.moment(within);
    let name = *random.pick(&SIGNALS);
    let member = random.next() as usize;
    std::thread::sleep(after);
    let processes = family(running.id());
    let met = running.is_alive() && signal(name, processes[member % processes.len()]);
    let ended = running.wait();
    if !ended.is_fair() {
        let what = format!("{} after SIG{name} at {after:?}", job.name);
        tally.fail(format!("{what}: {}", ended.describe()));
    }
    met
}

/// Until there are `kills` of them.
pub fn run(bed: &Bed, job: &Job, kills: usize, random: &mut Random, tally: &mut Tally) {
    let (_, time) = bed.whole(job);
    let mut round = 0;
    // A process that is done before its moment costs a try.
    while tally.kills < kills && round < 4 * kills {
        round += 1;
        let folder = format!("killed-{round}");
        let chain = 1 + random.below(CHAIN.min(kills - tally.kills));
        let mut met = 0;
        for link in 0..chain {
            let within = if link == 0 { time } else { time.mul_f64(0.7) };
            met += usize::from(disturb(bed, job, &folder, within, random, tally));
        }
        tally.kills += met;
        bed.finish(job, &folder, &format!("killed {met} times"), tally);
        bed.remove(&folder);
    }
}
