//! Several processes: this test's executable starts itself again as each of them.

use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use clip_testkit::ports::listening;
use clip_torch::tch::{self, Device};
use clip_torch::{Group, Rendezvous, Store};

use super::{Seen, alone, corpus, recipe, tiny, train_options};
use crate::{Objective, ProcessGroup, RankInfo, Recipe, Trainer};

const FOLDER: &str = "CLIP_TRAIN_TEST_FOLDER";
const JOB: &str = "CLIP_TRAIN_TEST_JOB";

/// Starts `world` processes of this test's executable at a job.
pub fn start(world: usize, port: u16, folder: &Path, job: &str) -> Vec<Child> {
    let start = |rank: usize| {
        Command::new(std::env::current_exe().unwrap())
            .args(["tests::ranks::one_of_the_processes", "--exact", "--nocapture"])
            .env("RANK", rank.to_string())
            .env("WORLD_SIZE", world.to_string())
            .env("MASTER_ADDR", "127.0.0.1")
            .env("MASTER_PORT", port.to_string())
            .env("TORCHELASTIC_USE_AGENT_STORE", "True")
            .env("OMP_NUM_THREADS", "1")
            .env(FOLDER, folder)
            .env(JOB, job)
            .stderr(std::fs::File::create(folder.join(format!("{world}-{rank}.log"))).unwrap())
            .spawn()
            .unwrap()
    };
    (0..world).map(start).collect()
}

/// Waits for all of them, each of which must end well.
pub fn finished(children: Vec<Child>, folder: &Path, world: usize) {
    for (rank, mut child) in children.into_iter().enumerate() {
        let log = folder.join(format!("{world}-{rank}.log"));
        let status = child.wait().unwrap();
        assert!(status.success(), "{}", std::fs::read_to_string(log).unwrap());
    }
}

fn job(name: &str) -> Recipe {
    match name {
        "sigmoid" => Recipe { objective: Objective::Sigmoid, ..recipe(16) },
        "death" => recipe(48),
        "caption" => Recipe { objective: Objective::Caption, ..recipe(16) },
        _ => recipe(16),
    }
}

/// Does nothing unless it was started by another test.
#[test]
fn one_of_the_processes() {
    let (Ok(folder), Ok(name)) = (std::env::var(FOLDER), std::env::var(JOB)) else { return };
    let folder = Path::new(&folder);
    let place = RankInfo::detect("env://", &|name| std::env::var(name).ok()).unwrap().unwrap();
    let (rank, size) = (place.rank, place.world);
    let world = ProcessGroup::join(place, Device::Cpu, Duration::from_secs(60), None).unwrap();
    let data = folder.join(format!("data-{size}-{rank}"));
    std::fs::create_dir_all(&data).unwrap();
    match name.as_str() {
        "options" => return super::replicas::child(world, folder, &data),
        "strangers" => return super::replicas::stranger(world, folder, &data),
        job if job.starts_with("interrupt") => {
            return super::stop::child(world, folder, &data, job);
        }
        _ => {}
    }
    let corpus = corpus(&data, 48);
    // Only rank 0 has the right weights: the others get them from it.
    tch::manual_seed(if rank == 0 { 7 } else { 1000 });
    let model = crate::fresh(&tiny(false), job(&name).objective, Device::Cpu);
    // Two chunks on each process.
    let options = train_options((8 / size).max(1));
    let mut trainer = Trainer::new(model, job(&name), corpus, options, world).unwrap();
    if name == "death" && rank == 1 {
        let mut seen = Seen { stop_after: Some(3), ..Seen::default() };
        seen.die = true;
        let _ = trainer.run(None, &mut seen);
        unreachable!();
    }
    let mut seen = Seen::default();
    let end = trainer.run(None, &mut seen);
    if let Err(error) = end {
        std::fs::write(folder.join(format!("error-{rank}")), error.to_string()).unwrap();
        std::process::exit(3);
    }
    let numbers: Vec<(f64, f64, f64)> =
        seen.steps.iter().map(|s| (s.loss, s.grad_norm, s.logit_scale)).collect();
    let text = serde_json::to_string(&numbers).unwrap();
    std::fs::write(folder.join(format!("curve-{size}-{rank}")), text).unwrap();
}

fn curve(folder: &Path, world: usize, rank: usize) -> Vec<(f64, f64, f64)> {
    let path = folder.join(format!("curve-{world}-{rank}"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn one_two_and_four_processes_train_the_same() {
    let _alone = alone();
    for name in ["contrastive", "sigmoid", "caption"] {
        let folder = tempfile::tempdir().unwrap();
        let data = tempfile::tempdir().unwrap();
        let mut alone = Seen::default();
        let corpus = corpus(data.path(), 48);
        let mut trainer = super::trainer(&tiny(false), &job(name), &corpus, train_options(16));
        trainer.run(None, &mut alone).unwrap();
        for world in [2, 4] {
            let store = Store::serve(Duration::from_secs(60)).unwrap();
            let children = start(world, store.port(), folder.path(), name);
            finished(children, folder.path(), world);
            let first = curve(folder.path(), world, 0);
            assert_eq!(first.len(), alone.steps.len());
            for rank in 1..world {
                assert_eq!(curve(folder.path(), world, rank), first);
            }
            for (step, (loss, norm, scale)) in alone.steps.iter().zip(&first) {
                let close = |a: f64, b: f64, most: f64| (a - b).abs() <= most * (1.0 + a.abs());
                // Adam makes steps of gradients that are nothing but rounding, so later gradients
                // are of weights that are not quite the same.
                let drift = if step.step == 0 { 1e-5 } else { 3e-5 };
                assert!(
                    close(step.loss, *loss, 1e-5)
                        && close(step.grad_norm, *norm, drift)
                        && close(step.logit_scale, *scale, 1e-5),
                    "{name}, {world} processes, step {}: {loss} {norm} {scale} against {step:?}",
                    step.step
                );
            }
        }
    }
}

#[test]
fn processes_of_one_machine_listen_on_loopback_alone() {
    let _alone = alone();
    let local = |process: u32, wanted: Option<u16>| {
        // A process that has ended listens nowhere.
        let found = listening(process).unwrap_or_default();
        assert!(found.iter().all(|address| address.ip().is_loopback()), "{found:?}");
        assert!(wanted.is_none_or(|port| found.iter().any(|at| at.port() == port)), "{found:?}");
        found.len()
    };
    let folder = tempfile::tempdir().unwrap();
    let store = Store::serve(Duration::from_secs(60)).unwrap();
    local(std::process::id(), Some(store.port()));
    let mut children = start(2, store.port(), folder.path(), "contrastive");
    let mut most = 0;
    while children[0].try_wait().unwrap().is_none() {
        most = children.iter().map(|child| local(child.id(), None)).sum::<usize>().max(most);
        std::thread::sleep(Duration::from_millis(10));
    }
    finished(children, folder.path(), 2);
    assert!(most >= 2, "each process listens for the other: {most}");
    // A rank that hosts the store itself, as `srun` on one machine has it.
    for host in ["127.0.0.1", "localhost"] {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let meeting = Rendezvous {
            host: host.into(),
            port,
            rank: 0,
            world: 1,
            serve: true,
            prefix: "/test".into(),
            interface: "@127.0.0.1".into(),
            nccl: None,
            timeout: Duration::from_secs(60),
        };
        let group = Group::join(&meeting).unwrap();
        local(std::process::id(), Some(port));
        group.set("key", "value").unwrap();
        assert_eq!(group.get("key").unwrap().as_deref(), Some("value"));
    }
}

#[test]
fn a_death_ends_the_others_and_is_named() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let store = Store::serve(Duration::from_secs(60)).unwrap();
    let started = Instant::now();
    let children = start(3, store.port(), folder.path(), "death");
    for mut child in children {
        child.wait().unwrap();
    }
    assert!(started.elapsed() < Duration::from_secs(45));
    for rank in [0, 2] {
        let text = std::fs::read_to_string(folder.path().join(format!("error-{rank}"))).unwrap();
        assert!(text.starts_with("rank 1 (process "), "{text}");
    }
}
