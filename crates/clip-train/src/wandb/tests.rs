use super::*;

/// Made by W&B's own classes, and read by its own program: `scripts/golden/wandb`.
const GOLDEN: &[u8] = include_bytes!("../../tests/golden/wandb/run.wandb");
const BEGUN: Duration = Duration::from_millis(1_795_478_931_250);

fn run(name: &str) -> WandbRun {
    let long = "x".repeat(40_000);
    let config = [
        ("epochs", "3"),
        ("lr", "0.0005"),
        ("model", "RN50"),
        ("siglip", "false"),
        ("train_data", long.as_str()),
    ];
    let config = config.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    WandbRun { name: name.into(), project: "open-clip".into(), config }
}

fn at(milliseconds: u64) -> (Duration, Duration) {
    let runtime = Duration::from_millis(milliseconds);
    (BEGUN + runtime, runtime)
}

fn values(values: &[(&str, f64)]) -> Vec<(String, f64)> {
    values.iter().map(|(key, value)| ((*key).to_owned(), *value)).collect()
}

#[test]
fn the_file_is_wandbs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run-first.wandb");
    let file = File::create(&path).unwrap();
    let (state, started, row) = (State::default(), Instant::now(), None);
    let mut wandb = Wandb { path: path.clone(), file, state, started, row, fresh: false };
    wandb.begin("first", &run("first"), SystemTime::UNIX_EPOCH + BEGUN).unwrap();
    let overflow = [("train/loss", 1.5), ("train/grad_norm", f64::INFINITY)];
    wandb.log_at(0, &values(&overflow), at(500)).unwrap();
    wandb.log_at(1, &values(&[("train/loss", 1.25), ("step", 1.0)]), at(1000)).unwrap();
    wandb.log_at(1, &values(&[("val/acc", 0.25), ("val/x", f64::NAN)]), at(1500)).unwrap();
    wandb.flush().unwrap();
    wandb.flush().unwrap();
    let down = [("train/loss", 1e-12), ("train/lr", f64::NEG_INFINITY)];
    wandb.log_at(300, &values(&down), at(2000)).unwrap();
    wandb.finish_at(3, Duration::from_secs(3)).unwrap();
    assert!(std::fs::read(&path).unwrap() == GOLDEN);
    // What is read of it before a step.
    let read = |step| State::read(&path, &File::open(&path).unwrap(), step).unwrap();
    let (all, two) = (read(301), read(300));
    assert_eq!((all.records, all.runtime, all.has_run), (7, 2.0, true));
    assert_eq!((two.records, two.runtime), (5, 1.5));
    assert_eq!((&*two.summary["train/loss"], &*two.summary["val/x"]), ("1.25", "\"NaN\""));
    assert_eq!(all.summary["train/loss"], "1e-12");
    assert!(all.end > two.end && all.end < GOLDEN.len() as u64);
}

/// The steps of the rows in a run's only file, and whether it has ended.
fn rows(folder: &Path) -> (Vec<u64>, bool) {
    let runs: Vec<_> = std::fs::read_dir(folder.join("wandb")).unwrap().collect();
    assert_eq!(runs.len(), 1);
    let path = find(&folder.join("wandb"), "a-b").unwrap();
    let mut file = File::open(path).unwrap();
    file.seek(SeekFrom::Start(HEAD.len() as u64)).unwrap();
    let (mut records, mut steps, mut ended) = (Records::new(file, 7), Vec::new(), false);
    while let Some((_, record)) = records.next().unwrap() {
        for (kind, field) in fields(&record).unwrap() {
            let Field::Bytes(content) = field else { continue };
            ended |= kind == u64::from(EXIT);
            if kind == u64::from(HISTORY) {
                steps.push(row(content).unwrap().0);
            }
        }
    }
    (steps, ended)
}

#[test]
fn a_run_has_one_file_that_is_taken_back_to_its_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let open = |step| Wandb::open(folder.path(), step, &run("a/b")).unwrap();
    let mut wandb = open(0);
    for step in 0..5 {
        wandb.log(step, &values(&[("train/loss", 1.0)])).unwrap();
    }
    let path = wandb.path.clone();
    // Killed while it writes: the last row is cut, and the one before is after the checkpoint.
    drop(wandb);
    let length = std::fs::metadata(&path).unwrap().len();
    File::options().write(true).open(&path).unwrap().set_len(length - 3).unwrap();
    let mut wandb = open(2);
    assert_eq!(rows(folder.path()), (vec![0, 1], false));
    for step in 2..4 {
        wandb.log(step, &values(&[("train/loss", 2.0)])).unwrap();
    }
    wandb.finish(130).unwrap();
    assert_eq!(rows(folder.path()), (vec![0, 1, 2, 3], true));
    // It resumes after its end, too.
    let mut wandb = open(4);
    assert_eq!(wandb.state.summary["train/loss"], "2.0");
    wandb.log(4, &values(&[("train/loss", 3.0)])).unwrap();
    wandb.finish(0).unwrap();
    assert_eq!(rows(folder.path()), (vec![0, 1, 2, 3, 4], true));
    std::fs::write(&path, b"something else").unwrap();
    let error = Wandb::open(folder.path(), 4, &run("a/b")).err().unwrap().to_string();
    assert!(error.contains("run-a-b.wandb: no offline run of W&B\nhint: "), "{error}");
}
