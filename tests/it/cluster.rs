//! Builds on a cluster: the same bytes as in one process, whatever happens to the members.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clip_corpus::Manifest;
use clip_testkit::faults::{FaultSite, Robots};
use clip_testkit::ports::listening;

use crate::world::{World, content, smooth_image};

/// A scheduler and its workers; they end with it.
pub struct Cluster {
    address: String,
    scheduler: Child,
    workers: Vec<Child>,
    /// Arguments of all members.
    shared: Vec<String>,
}

fn start(world: &World, args: &[&str]) -> Child {
    let mut command = world.command(args);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn end(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

impl Cluster {
    pub fn new(world: &World, workers: usize) -> Self {
        Self::with(world, workers, &[])
    }

    fn with(world: &World, workers: usize, shared: &[&str]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let scheduler = Self::scheduler(world, &address, shared);
        let shared = shared.iter().map(|&arg| arg.to_owned()).collect();
        let mut cluster = Self { address, scheduler, workers: Vec::new(), shared };
        (0..workers).for_each(|_| cluster.add(world));
        cluster
    }

    fn scheduler(world: &World, address: &str, shared: &[&str]) -> Child {
        let child = start(world, &[&["scheduler", "--bind", address], shared].concat());
        let patience = Instant::now() + Duration::from_secs(30);
        while std::net::TcpStream::connect(address).is_err() {
            assert!(Instant::now() < patience, "the scheduler did not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        child
    }

    fn add(&mut self, world: &World) {
        self.add_with(world, &[]);
    }

    pub fn add_with(&mut self, world: &World, args: &[&str]) {
        let worker = ["worker", "--scheduler", &self.address, "--tasks", "1"];
        let shared: Vec<&str> = self.shared.iter().map(String::as_str).collect();
        self.workers.push(start(world, &[&worker, shared.as_slice(), args].concat()));
    }

    /// What makes a build one of this cluster.
    pub fn settings(&self, workdir: &str) -> [String; 3] {
        [
            "engine.kind=ballista".to_owned(),
            format!("engine.scheduler={}", self.address),
            format!("workdir={workdir}"),
        ]
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.workers.iter_mut().chain([&mut self.scheduler]).for_each(|child| {
            let _ = child.kill();
            let _ = child.wait();
        });
    }
}

pub fn build(settings: &[String]) -> Vec<&str> {
    let set = settings.iter().flat_map(|setting| ["--set", setting.as_str()]);
    ["build"].into_iter().chain(set).collect()
}

/// The blake3 of every committed file of every stage.
pub fn parts(world: &World, workdir: &str) -> Vec<(String, usize, String, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(world.path(workdir).join("small")).unwrap() {
        let stage = entry.unwrap().path();
        if !stage.join(Manifest::FILE).is_file() {
            continue;
        }
        let name = stage.file_name().unwrap().to_string_lossy().into_owned();
        for commit in Manifest::open(&stage).unwrap().commits() {
            for file in &commit.files {
                found.push((name.clone(), commit.part, file.name.clone(), file.blake3.clone()));
            }
        }
    }
    found.sort();
    found
}

/// Waits until a build has committed this many files.
pub fn reaches(world: &World, workdir: &str, files: usize) {
    let patience = Instant::now() + Duration::from_secs(120);
    while !world.path(workdir).join("small").is_dir() || parts(world, workdir).len() < files {
        assert!(Instant::now() < patience, "the build does not go on");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn two_workers_and_five_make_what_one_process_makes() {
    let world = World::new();
    world.good(&["build"]);
    let (shards, hashes) = (content(&world.path("runs/small/shards")), parts(&world, "runs"));
    assert!(hashes.len() > 60, "{}", hashes.len());
    let mut cluster = Cluster::new(&world, 2);
    for (workers, workdir) in [(2, "two"), (5, "five")] {
        while cluster.workers.len() < workers {
            cluster.add(&world);
        }
        world.good(&build(&cluster.settings(workdir)));
        assert!(content(&world.path(workdir).join("small/shards")) == shards, "{workers} workers");
        assert_eq!(parts(&world, workdir), hashes, "{workers} workers");
    }
    // Workers let go of a build: the folder can be used without them.
    let patience = Instant::now() + Duration::from_secs(60);
    while world.run(&["build", "--set", "workdir=two"]).status.code() != Some(0) {
        assert!(Instant::now() < patience, "the workers keep the run's folder");
        std::thread::sleep(Duration::from_secs(1));
    }
}

#[test]
fn a_killed_worker_and_a_restarted_scheduler_cost_time_alone() {
    let world = World::new();
    world.good(&["build"]);
    let shards = content(&world.path("runs/small/shards"));
    let mut cluster = Cluster::new(&world, 2);
    let settings = cluster.settings("killed");
    // A third of the way, a worker dies in the middle of whatever it does.
    let mut running = start(&world, &build(&settings));
    reaches(&world, "killed", 20);
    end(&mut cluster.workers[0]);
    assert!(running.wait().unwrap().success(), "a build with one worker left");
    assert!(content(&world.path("killed/small/shards")) == shards, "a worker was killed");

    // One that is asked to stop leaves its parts to the others as well.
    cluster.add(&world);
    let settings = cluster.settings("stopped");
    let mut running = start(&world, &build(&settings));
    reaches(&world, "stopped", 20);
    let pid = cluster.workers[1].id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert!(cluster.workers[1].wait().unwrap().success(), "a worker was stopped");
    assert!(running.wait().unwrap().success(), "a build whose first worker was stopped");
    assert!(content(&world.path("stopped/small/shards")) == shards, "a worker was stopped");

    let settings = cluster.settings("restarted");
    let mut running = start(&world, &build(&settings));
    reaches(&world, "restarted", 20);
    end(&mut cluster.scheduler);
    let whole = running.wait().unwrap().success();
    let there = parts(&world, "restarted").len();
    // A machine that is slow to look may find it done already.
    assert_eq!(whole, world.path("restarted/small/shards").exists(), "after {there} files");
    cluster.scheduler = Cluster::scheduler(&world, &cluster.address, &[]);
    cluster.add(&world);
    world.good(&build(&settings));
    assert!(content(&world.path("restarted/small/shards")) == shards, "after {there} files");
}

#[test]
fn a_host_belongs_to_one_part_over_all_workers() {
    let world = World::new();
    let image = clip_image::encode_jpeg(&smooth_image(1), 90).unwrap();
    let site = FaultSite::start("127.0.0.1".parse().unwrap(), image, Robots::Missing).unwrap();
    let rows = (0..60).map(|row| {
        format!("{},a quiet image number {row}\n", site.url(&format!("/slow/30/{row}")))
    });
    let list: String = std::iter::once("url,caption\n".to_owned()).chain(rows).collect();
    std::fs::write(world.path("pairs.csv"), list).unwrap();
    let pipeline = "schema = 1\nname = \"small\"\n[source]\nkind = \"list\"\npaths = [\"pairs.csv\"]\n\
                    part_rows = 10\n[fetch]\nallow_private = true\nhost_delay_ms = 0\nper_host = 2\n";
    std::fs::write(world.path("pipeline.toml"), pipeline).unwrap();
    let cluster = Cluster::new(&world, 3);
    world.good(&build(&cluster.settings("runs")));
    assert_eq!(site.most_at_once(), 2, "per_host is two, over all workers");
}

#[test]
fn members_that_do_not_fit_are_refused_by_name() {
    let world = World::new();
    let nobody = ["engine.kind=ballista", "engine.scheduler=127.0.0.1:9"].map(str::to_owned);
    let shown = world.fails(&build(&nobody), 3);
    assert!(shown.contains("scheduler 127.0.0.1:9") && shown.contains("hint: "), "{shown}");
    let shown = world.fails(&["worker", "--scheduler", "127.0.0.1:9"], 3);
    assert!(shown.contains("scheduler 127.0.0.1:9"), "{shown}");
    // A scheduler of another version, as far as its registry says.
    let (address, other) =
        (TcpListener::bind("127.0.0.1:0").unwrap(), "{\"version\":\"9.9.9\",\"functions\":{}}");
    let port = address.local_addr().unwrap().port();
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        for stream in address.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(format!("HTTP/1.0 200 OK\r\n\r\n{other}").as_bytes());
        }
    });
    let shown = world.fails(&["worker", "--scheduler", &format!("127.0.0.1:{port}")], 2);
    assert!(
        shown.contains("version 9.9.9 there")
            && shown.contains("function run_part is missing there"),
        "{shown}"
    );
}

/// Where a member listens, once it does.
fn ports(child: &Child) -> Vec<std::net::SocketAddr> {
    let patience = Instant::now() + Duration::from_secs(30);
    loop {
        let found = listening(child.id()).unwrap();
        if !found.is_empty() {
            return found;
        }
        assert!(Instant::now() < patience, "a member does not listen");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The status line that a request without a secret gets.
fn status_line(address: std::net::SocketAddr) -> String {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    reply.lines().next().unwrap_or_default().to_owned()
}

fn secret(world: &World, name: &str, text: &str) -> String {
    let file = world.path(name);
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    file.display().to_string()
}

#[test]
fn members_share_a_secret_and_strangers_get_nothing() {
    let world = World::new();
    world.good(&["build"]);
    let shards = content(&world.path("runs/small/shards"));
    let right = secret(&world, "secret", "the secret of this cluster\n");
    let wrong = secret(&world, "wrong", "the secret of another cluster\n");
    let cluster = Cluster::with(&world, 2, &["--secret-file", &right]);

    // Every port is on loopback, as none was asked for, and refuses clients without the secret.
    let members: Vec<&Child> = cluster.workers.iter().chain([&cluster.scheduler]).collect();
    for member in members {
        let ports = ports(member);
        assert_eq!(ports.len(), 1, "{ports:?}");
        assert!(ports[0].ip().is_loopback(), "{ports:?}");
        assert_eq!(status_line(ports[0]), "HTTP/1.1 401 Unauthorized");
    }
    let settings = cluster.settings("guarded");
    let build = build(&settings);
    for stranger in [&[][..], &["--secret-file", &wrong]] {
        let message = world.fails(&[&build, stranger].concat(), 2);
        assert!(message.contains("it wants another secret") && message.contains("\nhint: "));
        let worker = ["worker", "--scheduler", &cluster.address];
        let message = world.fails(&[&worker, stranger].concat(), 2);
        assert!(message.contains("it wants another secret"), "{message}");
    }
    assert!(!world.path("guarded/small/shards").exists());

    // A file for one, the variable for the other.
    let mut command = world.command(&build);
    command.env("CLIP_DATA_CLUSTER_SECRET", "the secret of this cluster");
    let output = command.output().unwrap();
    let (printed, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{errors}");
    assert!(!printed.contains("the secret of") && !errors.contains("the secret of"));
    assert!(content(&world.path("guarded/small/shards")) == shards, "the bytes are others");
}

#[test]
fn what_other_machines_reach_needs_a_secret() {
    let world = World::new();
    for args in [
        &["scheduler", "--bind", "0.0.0.0:0"][..],
        &["scheduler", "--bind", "[::]:0"],
        &["worker", "--bind", "0.0.0.0"],
    ] {
        let message = world.fails(args, 2);
        assert!(message.contains("there is no secret") && message.contains("\nhint: "));
    }
    let short = secret(&world, "short", "secret\n");
    let message = world.fails(&["scheduler", "--secret-file", &short], 2);
    assert!(message.contains("6 bytes") && message.contains("\nhint: "), "{message}");
    let message = world.fails(&["build", "--secret-file", &short], 2);
    assert!(message.contains("--secret-file without a cluster"), "{message}");
}

#[test]
fn a_worker_does_nothing_outside_of_its_roots() {
    let world = World::new();
    for inside in ["elsewhere", "some"] {
        std::fs::create_dir(world.path(inside)).unwrap();
    }
    let mut cluster = Cluster::new(&world, 0);
    cluster.add_with(&world, &["--root", "elsewhere"]);
    let message = world.fails(&build(&cluster.settings("some/runs")), 3);
    assert!(message.contains("pipeline.toml is outside of") && message.contains("--root"));
    // The pipeline is where it may be, the run is not, or what it reads.
    std::fs::copy(world.path("pipeline.toml"), world.path("elsewhere/pipeline.toml")).unwrap();
    let inputs = ["images", "toys", "queries.txt"];
    for input in inputs {
        let link = world.path("elsewhere").join(input);
        std::os::unix::fs::symlink(world.path(input), link).unwrap();
    }
    for (workdir, named) in [("../some/runs", "some/runs/small"), ("runs", "elsewhere/queries.txt")]
    {
        let settings = cluster.settings(workdir);
        let args = [&build(&settings)[..], &["--config", "elsewhere/pipeline.toml"]].concat();
        let message = world.fails(&args, 3);
        assert!(message.contains(&format!("{named} is outside of")), "{message}");
    }
    assert_eq!(std::fs::read_dir(world.path("some")).unwrap().count(), 1, "the client's own");
}
