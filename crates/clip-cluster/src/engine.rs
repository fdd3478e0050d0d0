//! The engine of a build whose parts are done on a cluster.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use ballista::prelude::{SessionConfigExt, SessionContextExt};
use clip_corpus::Commit;
use clip_pipeline::{Engine, Event, QueryEngine, Run};
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::{StreamExt, stream};
use tokio::runtime::Runtime;

use crate::pages::{lost, registry_of};
use crate::registry::{fingerprint, functions, state};
use crate::run_part::query;
use crate::secret::showing;
use crate::{Error, MESSAGE, Registry, Result, Secret};

/// How often a part is sent to the cluster, which tries faults of storage itself.
const TRIES: usize = 2;
/// How often a barrier is decided, when workers are lost meanwhile.
const DECIDE_TRIES: usize = 4;

/// Sends parts to a cluster, and waits for their lines of the manifest.
pub struct ClusterEngine {
    context: SessionContext,
    runtime: Runtime,
    scheduler: String,
    secret: Option<Secret>,
    build: String,
    at_once: usize,
}

impl ClusterEngine {
    /// Asks the scheduler at `HOST:PORT` whether it is of our kind. `build` is what workers must
    /// know of the build; `at_once` is the number of parts in flight at a time.
    pub fn connect(
        scheduler: &str,
        secret: Option<Secret>,
        build: String,
        at_once: usize,
    ) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(|e| Error::io("threads", e))?;
        let context = runtime.block_on(async {
            Registry::mine().fits(&registry_of(scheduler, secret).await?, "the scheduler")?;
            // Ballista 55 plans anew between the stages of a query, which has no end where a table
            // is empty.
            let config = showing(SessionConfig::new_with_ballista(), secret)
                .with_ballista_adaptive_query_planner(false)
                .with_ballista_grpc_client_max_message_size(MESSAGE as usize);
            let mut config = clip_sql::config(config);
            // What a window has below it must be cut by the window's groups before stages are:
            // Ballista 55 cuts it within a stage otherwise, where a join or a group follows, and
            // each task then has a window over a part of the rows.
            config.options_mut().optimizer.repartition_windows = true;
            let state = state(config, Arc::default())?;
            let address = format!("df://{scheduler}");
            Ok::<_, Error>(SessionContext::remote_with_state(&address, state).await?)
        })?;
        // A context on a cluster does not keep the functions of its state.
        for function in functions(None) {
            context.register_udf((*function).clone());
        }
        Ok(Self { context, runtime, scheduler: scheduler.to_owned(), secret, build, at_once })
    }

    /// Has a barrier decide, with queries on the cluster.
    ///
    /// Nothing is kept of queries that lost a worker. Ballista does the lost tasks again, but the
    /// tasks behind them may read the files of the first attempt with those of the second: the
    /// result is then short, or counts rows twice.
    pub(crate) fn decide(&self, run: &Run, stage: usize) -> clip_pipeline::Result<()> {
        let failed =
            |reason: Error| clip_pipeline::Error::stage(run.plan.stages[stage].name(), reason);
        let lost = || self.runtime.block_on(lost(&self.scheduler, self.secret)).map_err(failed);
        let mut tries = 1;
        loop {
            let before = lost()?;
            let check = || if lost()? == before { Ok(()) } else { Err(failed(Error::Lost)) };
            let done = run.decide(stage, &check);
            let wrong = matches!(done, Err(clip_pipeline::Error::Config(_)));
            if done.is_ok() || wrong || run.cancelled() {
                return done;
            }
            // A worker that died may not be missed yet; it asks for no tasks of the next try.
            let most = if lost()? == before { TRIES } else { DECIDE_TRIES };
            if tries >= most {
                return done;
            }
            tries += 1;
        }
    }

    /// Whether the part is done; `false` when it was given up, which the watchers heard.
    async fn part(&self, run: &Run, stage: usize, part: usize) -> clip_pipeline::Result<bool> {
        let name = run.plan.stages[stage].name();
        for _ in 0..TRIES {
            match self.ask(stage, part).await {
                Ok(commit) => {
                    let (stage, counts) = (name.to_owned(), commit.counts);
                    run.emit(&Event::PartDone { stage, part, counts });
                    return Ok(true);
                }
                Err(message) => {
                    // Parts fail one by one; without a scheduler all of them do.
                    if let Err(gone) = registry_of(&self.scheduler, self.secret).await {
                        return Err(clip_pipeline::Error::stage(name, gone));
                    }
                    run.emit(&Event::PartFailed { stage: name.to_owned(), part, message });
                }
            }
        }
        Ok(false)
    }

    async fn ask(&self, stage: usize, part: usize) -> std::result::Result<Commit, String> {
        let query = query(fingerprint(), &self.build, stage, part);
        let rows = async { self.context.sql(&query).await?.collect().await };
        let rows = rows.await.map_err(|e| e.to_string())?;
        let answer = rows.iter().find(|batch| batch.num_rows() == 1).ok_or("no answer")?;
        let line = answer.column(0).as_string_opt::<i32>().ok_or("an answer of another type")?;
        serde_json::from_str(line.value(0)).map_err(|e| e.to_string())
    }
}

impl QueryEngine for ClusterEngine {
    fn query(
        &self,
        tables: &BTreeMap<String, Vec<PathBuf>>,
        sql: &str,
        visit: &mut (dyn FnMut(RecordBatch) -> clip_pipeline::Result<()> + Send),
    ) -> clip_pipeline::Result<()> {
        let failed = |what: &dyn std::fmt::Display| clip_pipeline::Error::stage("query", what);
        for (name, files) in tables {
            let table = clip_sql::listing(name, files).map_err(|e| failed(&e))?;
            self.context.deregister_table(name).map_err(|e| failed(&e))?;
            self.context.register_table(name, table).map_err(|e| failed(&e))?;
        }
        self.runtime.block_on(async {
            let rows = self.context.sql(sql).await.map_err(|e| failed(&e))?;
            let mut rows = rows.execute_stream().await.map_err(|e| failed(&e))?;
            while let Some(batch) = rows.next().await {
                visit(batch.map_err(|e| failed(&e))?)?;
            }
            Ok(())
        })
    }
}

impl Engine for ClusterEngine {
    fn run_parts(&self, run: &Run, stage: usize, parts: &[usize]) -> clip_pipeline::Result<()> {
        // Here, with queries on the cluster; the parts then only apply what was decided.
        self.decide(run, stage)?;
        let parts = stream::iter(parts.iter().copied().take_while(|_| !run.cancelled()));
        let mut parts =
            parts.map(|part| self.part(run, stage, part)).buffer_unordered(self.at_once);
        self.runtime.block_on(async {
            let mut tick = tokio::time::interval(std::time::Duration::from_millis(200));
            loop {
                tokio::select! {
                    done = parts.next() => match done {
                        Some(done) => { done?; }
                        None => return Ok(()),
                    },
                    _ = tick.tick() => if run.cancelled() { return Ok(()) },
                }
            }
        })
    }
}
