//! A scheduler and its workers, any of which dies, and the build that uses them.

use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::bed::{BUILD, Bed, Job, difference};
use crate::process::{Running, signal};
use crate::random::Random;
use crate::tally::Tally;

/// What all members know.
const SECRET: &str = "CLIP_DATA_CLUSTER_SECRET";
const WORKERS: usize = 2;

struct Cluster<'a> {
    bed: &'a Bed,
    address: String,
    /// The scheduler, then the workers.
    members: Vec<Running>,
}

impl<'a> Cluster<'a> {
    fn start(bed: &'a Bed) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut cluster = Self { bed, address: format!("127.0.0.1:{port}"), members: Vec::new() };
        for member in 0..=WORKERS {
            let running = cluster.member(member);
            cluster.members.push(running);
        }
        cluster
    }

    fn running(&self, args: &[&str]) -> Running {
        Running::start(self.bed.world.command(args).env(SECRET, "of the crash suite, long enough"))
    }

    fn member(&self, member: usize) -> Running {
        if member > 0 {
            return self.running(&["worker", "--scheduler", &self.address, "--tasks", "1"]);
        }
        let running = self.running(&["scheduler", "--bind", &self.address]);
        let patience = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(&self.address).is_err() {
            assert!(Instant::now() < patience, "the scheduler did not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        running
    }

    /// Kills a member and starts another in its place.
    fn replace(&mut self, member: usize, name: &str) -> bool {
        let met = self.members[member].is_alive() && signal(name, self.members[member].id());
        std::thread::sleep(Duration::from_millis(100));
        self.members[member].kill();
        let new = self.member(member);
        std::mem::replace(&mut self.members[member], new).wait();
        met
    }

    fn build(&self, folder: &str) -> Running {
        let workdir = format!("workdir={folder}");
        let scheduler = format!("engine.scheduler={}", self.address);
        let settings = ["engine.kind=ballista", &scheduler, &workdir];
        let set = settings.iter().flat_map(|setting| ["--set", setting]);
        self.running(&["build"].into_iter().chain(set).collect::<Vec<_>>())
    }
}

impl Drop for Cluster<'_> {
    fn drop(&mut self) {
        for mut member in self.members.drain(..).rev() {
            member.kill();
            member.wait();
        }
    }
}

/// A build on a cluster of which a member, or the build itself, is killed; then the same build to
/// its end.
pub fn run(bed: &Bed, _: &Job, kills: usize, random: &mut Random, tally: &mut Tally) {
    let (expected, _) = bed.whole(&BUILD);
    let mut cluster = Cluster::start(bed);
    let started = Instant::now();
    let whole = cluster.build("cluster-whole").wait();
    let time = started.elapsed();
    if !whole.status.success() {
        return tally.fail(format!("a build on the cluster: {}", whole.describe()));
    }
    let mut round = 0;
    while tally.kills < kills && round < 4 * kills {
        round += 1;
        let folder = format!("cluster-{round}");
        let mut build = cluster.build(&folder);
        for _ in 0..=random.below(3) {
            std::thread::sleep(random.moment(time.mul_f64(0.6)));
            let name = if random.below(4) > 0 { "KILL" } else { "TERM" };
            if !build.is_alive() {
                break;
            }
            tally.kills += usize::from(match random.below(4) {
                0 => signal(name, build.id()),
                1 => cluster.replace(0, name),
                _ => cluster.replace(1 + random.below(WORKERS), name),
            });
        }
        let ended = build.wait();
        if !ended.is_fair() {
            tally.fail(format!("a build that lost members: {}", ended.describe()));
        }
        // Workers whose scheduler was killed may still be looking for it, or hold the folder.
        let patience = Instant::now() + Duration::from_secs(120);
        loop {
            tally.reruns += 1;
            let ended = cluster.build(&folder).wait();
            if ended.status.success() {
                match difference(&expected, &bed.result(&BUILD, &folder)) {
                    None => tally.equal += 1,
                    Some(differs) => tally.fail(format!("cluster: {differs}")),
                }
                break;
            }
            if Instant::now() > patience || !ended.is_fair() {
                tally
                    .fail(format!("a build after its members were replaced: {}", ended.describe()));
                break;
            }
            std::thread::sleep(Duration::from_secs(1));
        }
        bed.remove(&folder);
    }
}
