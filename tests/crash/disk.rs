//! Disks that are full, or become read-only: small file systems in memory, or, where none may be
//! mounted, a limit on the length of a file.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::bed::{Bed, Job, below};
use crate::kills::disturb;
use crate::process::{Ended, Running};
use crate::random::Random;
use crate::tally::Tally;

/// A file system of a few kilobytes, in a folder.
struct Disk(PathBuf);

fn succeeds(command: &mut Command) -> bool {
    let command = command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

impl Disk {
    /// None where this process may mount nothing.
    fn mount(path: PathBuf, kib: usize) -> Option<Self> {
        std::fs::create_dir_all(&path).unwrap();
        let size = format!("size={kib}k");
        let mut mount = Command::new("mount");
        succeeds(mount.args(["-t", "tmpfs", "-o", &size, "crash"]).arg(&path)).then_some(Self(path))
    }

    fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        assert!(succeeds(Command::new("mount").args(["-o", &options]).arg(&self.0)), "{options}");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        succeeds(Command::new("umount").arg("--lazy").arg(&self.0));
        let _ = std::fs::remove_dir(&self.0);
    }
}

/// Kilobytes that an undisturbed run takes.
fn needed(bed: &Bed, job: &Job) -> usize {
    bed.whole(job);
    let folder = format!("whole-{}", job.name.replace([' ', ','], "-"));
    let length = |path: &PathBuf| std::fs::metadata(path).unwrap().len() as usize;
    below(&bed.world.path(&folder)).iter().map(length).sum::<usize>() / 1024
}

/// The disk is the environment's, and a file on it is named.
fn judge(ended: &Ended, job: &Job, what: &str, folder: &str, tally: &mut Tally) {
    if ended.status.code() == Some(5) && ended.text.contains(folder) {
        tally.named += 1;
    } else if ended.hung || !ended.status.success() {
        tally.fail(format!("{}, {what}: {}", job.name, ended.describe()));
    }
}

/// A disk, or a limit, that is too small by a random share; then there is room.
pub fn full(bed: &Bed, job: &Job, kills: usize, random: &mut Random, tally: &mut Tally) {
    let needed = needed(bed, job);
    for round in 0..kills.div_ceil(2) {
        let kib = 8 + (needed as f64 * 0.9 * random.share()) as usize;
        let folder = format!("full-{round}");
        let disk = Disk::mount(bed.world.path(&folder), kib);
        let run = format!("{folder}/run");
        tally.kills += 1;
        let ended = match &disk {
            Some(_) => bed.run(job, &run),
            None => Running::start(&mut limited(&bed.command(job, &run), kib / 4)).wait(),
        };
        judge(&ended, job, &format!("{kib} KiB"), &folder, tally);
        if let Some(disk) = &disk {
            disk.remount("size=1g");
        }
        bed.finish(job, &run, &format!("{kib} KiB, then room"), tally);
        drop(disk);
        bed.remove(&folder);
    }
}

/// The same command under a limit on the length of files, which is an error and no signal.
fn limited(command: &Command, kib: usize) -> Command {
    let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$@\"", (kib * 2).max(1));
    let mut limited = Command::new("sh");
    limited.args(["-c", &script, "sh"]).arg(command.get_program()).args(command.get_args());
    limited.current_dir(command.get_current_dir().unwrap());
    limited.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    limited
}

/// A disk that becomes read-only on the way, and is fixed.
pub fn read_only(bed: &Bed, job: &Job, kills: usize, random: &mut Random, tally: &mut Tally) {
    let (_, time) = bed.whole(job);
    for round in 0..kills.div_ceil(4) {
        let folder = format!("read-only-{round}");
        let Some(disk) = Disk::mount(bed.world.path(&folder), 1 << 20) else {
            tally.skipped = Some("no file system may be mounted here");
            return;
        };
        let run = format!("{folder}/run");
        disturb(bed, job, &run, time.mul_f64(0.8), random, tally);
        disk.remount("ro");
        tally.kills += 1;
        let ended = bed.run(job, &run);
        judge(&ended, job, "read-only", &folder, tally);
        disk.remount("rw");
        bed.finish(job, &run, "read-only, then writable", tally);
        drop(disk);
        bed.remove(&folder);
    }
}
