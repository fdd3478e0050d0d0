//! Builds on a cluster: what a worker must know of one, and how it does a part.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use clip_cluster::{ClusterEngine, PartRunner, Roots, Secret};
use clip_corpus::Commit;
use clip_pipeline::{Config, Error, Plan, Result, Run};
use serde::{Deserialize, Serialize};

use crate::recipe;

/// Parts in flight at a time, where no number is given.
const AT_ONCE: usize = 64;
/// A worker lets go of a build that sent nothing for so long.
const IDLE: Duration = Duration::from_secs(10);

/// What a worker must know of a build.
#[derive(Serialize, Deserialize)]
struct Build {
    /// This start of it: a later one may have begun some stages anew.
    id: String,
    /// The pipeline, at a path that all members see.
    config: PathBuf,
    set: Vec<String>,
    /// The stages' hashes: a worker that finds others has other files or another executable.
    stages: Vec<String>,
}

/// The engine of a build on the cluster that its settings name.
pub fn engine(
    path: &Path,
    set: &[String],
    config: &Config,
    plan: &Plan,
    secret: Option<Secret>,
) -> anyhow::Result<ClusterEngine> {
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let build = Build {
        id: format!("{}-{started}", std::process::id()),
        config: std::path::absolute(path).with_context(|| path.display().to_string())?,
        set: set.to_vec(),
        stages: plan.stages.iter().map(|stage| stage.hash.clone()).collect(),
    };
    let build = serde_json::json!(build).to_string();
    let at_once = config.engine.workers.unwrap_or(AT_ONCE).max(1);
    Ok(ClusterEngine::connect(config.engine.scheduler(), secret, build, at_once)?)
}

/// Does parts of whatever build sends some, one build at a time.
/// `workdir` is where its copies of runs that are in a store go, if not where the pipeline says. A
/// build that names a file outside of `roots` is refused.
pub fn part_runner(workdir: Option<PathBuf>, roots: Roots) -> PartRunner {
    let builds = Arc::new(Builds { workdir, roots, current: Mutex::default() });
    let idle = builds.clone();
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(IDLE / 2);
            idle.close();
        }
    });
    Arc::new(move |build, stage, part| builds.open(build)?.part(stage, part))
}

struct Builds {
    workdir: Option<PathBuf>,
    roots: Roots,
    current: Mutex<Option<Current>>,
}

struct Current {
    id: String,
    opened: Arc<Opened>,
    used: Instant,
}

impl Builds {
    fn current(&self) -> MutexGuard<'_, Option<Current>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, build: &str) -> Result<Arc<Opened>> {
        let build: Build = serde_json::from_str(build)
            .map_err(|e| Error::Config(format!("a build that this worker cannot read: {e}")))?;
        let mut current = self.current();
        if let Some(current) = current.as_mut().filter(|current| current.id == build.id) {
            current.used = Instant::now();
            return Ok(current.opened.clone());
        }
        let opened = Arc::new(Opened::new(&build, self.workdir.as_deref(), &self.roots)?);
        *current = Some(Current { id: build.id, opened: opened.clone(), used: Instant::now() });
        Ok(opened)
    }

    /// An open run keeps others from its folder.
    fn close(&self) {
        let mut current = self.current();
        let idle = |c: &mut Current| c.used.elapsed() > IDLE && Arc::strong_count(&c.opened) == 1;
        current.take_if(idle);
    }
}

/// A build's run, as a worker sees it.
struct Opened {
    run: Run,
    /// The stage whose inputs are known.
    ready: Mutex<usize>,
}

impl Opened {
    fn new(build: &Build, workdir: Option<&Path>, roots: &Roots) -> Result<Self> {
        let inside = |path: &PathBuf| roots.check(path).map_err(|e| Error::Config(e.to_string()));
        inside(&build.config)?;
        let mut config = Config::load(&build.config, &build.set)?;
        if let Some(workdir) = workdir.filter(|_| config.store.is_some()) {
            config.workdir = std::path::absolute(workdir).map_err(|e| Error::io(workdir, e))?;
        }
        config.files().iter().try_for_each(inside)?;
        clip_crawl::inputs(&config.source, &config.base)?.iter().try_for_each(inside)?;
        let plan = recipe::plan(&config)?;
        let mut stages = plan.stages.iter().zip(&build.stages);
        if let Some((stage, _)) = stages.find(|(mine, theirs)| mine.hash != **theirs) {
            let hint = "hint: do all members see the same files, and run the same clip-data?";
            let what = "this worker's configuration or files are not the client's";
            return Err(Error::stage(stage.name(), format!("{what}\n{hint}")));
        }
        recipe::check_models(&config, &plan, None, None)
            .map_err(|e| Error::stage("score", format!("{e:#}")))?;
        let run = Run::open(plan, true, Arc::new(AtomicBool::new(false)), Arc::new(()))?;
        Ok(Self { run, ready: Mutex::new(0) })
    }

    fn part(&self, stage: usize, part: usize) -> Result<Commit> {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if *ready < stage {
            // Others did the stages before.
            (0..stage).try_for_each(|earlier| self.run.reload(earlier))?;
            *ready = stage;
        }
        drop(ready);
        self.run.run_part(stage, part)
    }
}
