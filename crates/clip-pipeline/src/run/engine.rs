//! Who does the parts of a stage.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::{Error, Event, Result, Run, Work};

/// Does parts of a stage by calling [`Run::run_part`] somewhere, each until it is committed or
/// given up.
///
/// A part that fails for good is reported to the watchers and left uncommitted: the run ends
/// incomplete.
pub trait Engine {
    /// Does `parts` of stage number `stage`.
    fn run_parts(&self, run: &Run, stage: usize, parts: &[usize]) -> Result<()>;
}

/// All in this process: as many parts side by side as there are cores, and of a fetch, which waits,
/// as many as it allows.
#[derive(Debug, Clone, Copy)]
pub struct LocalEngine {
    /// Parts at work at a time.
    pub workers: usize,
    /// How often a failed part is tried.
    pub tries: usize,
}

impl Default for LocalEngine {
    fn default() -> Self {
        let workers = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        Self { workers, tries: 2 }
    }
}

impl Engine for LocalEngine {
    fn run_parts(&self, run: &Run, stage: usize, parts: &[usize]) -> Result<()> {
        // A configuration error must come out as itself, not once for every part.
        let work = run.plan.stages[stage].work()?;
        let queue: Mutex<VecDeque<usize>> = Mutex::new(parts.iter().copied().collect());
        let first_error: Mutex<Option<Error>> = Mutex::new(None);
        let hopeless = AtomicBool::new(false);
        let workers = match &*work {
            Work::Fetch(fetch) => fetch.parts_at_a_time().unwrap_or(self.workers),
            _ => self.workers,
        };
        let workers = workers.clamp(1, parts.len());
        let next = || queue.lock().map_or(None, |mut queue| queue.pop_front());
        std::thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| {
                    while !run.cancelled()
                        && !hopeless.load(Ordering::Relaxed)
                        && let Some(part) = next()
                    {
                        let Err(error) = self.try_part(run, stage, part) else { continue };
                        hopeless.fetch_or(is_final(&error), Ordering::Relaxed);
                        if let Ok(mut first) = first_error.lock()
                            && first
                                .as_ref()
                                .is_none_or(|first| is_final(&error) && !is_final(first))
                        {
                            *first = Some(error);
                        }
                    }
                });
            }
        });
        // A barrier decides once for all: when that failed, there is no other part to wait for.
        let failed = first_error.into_inner().unwrap_or_default();
        match failed {
            Some(error) if matches!(*work, Work::Barrier(_)) || parts.len() == 1 => Err(error),
            // No other part finds room either, or is configured otherwise.
            Some(error) if is_final(&error) => Err(error),
            // What is damaged on disk stays so, however often it is tried.
            Some(Error::Corpus(error)) if error.is_damage() => Err(Error::Corpus(error)),
            _ => Ok(()),
        }
    }
}

/// Whether another try, or another part, has no better chance.
fn is_final(error: &Error) -> bool {
    clip_format::is_disk_refusal(error) || matches!(error, Error::Config(_))
}

impl LocalEngine {
    fn try_part(&self, run: &Run, stage: usize, part: usize) -> Result<()> {
        let mut tries = 0;
        loop {
            tries += 1;
            let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                run.run_part(stage, part).map(drop)
            }));
            let stage_name = run.plan.stages[stage].name();
            let result = caught.unwrap_or_else(|_| Err(Error::stage(stage_name, "panicked")));
            let cancelled = run.cancelled();
            let Err(error) = result else { return Ok(()) };
            if cancelled {
                return Ok(());
            }
            // It ends the run, which reports it: once.
            if is_final(&error) {
                return Err(error);
            }
            run.emit(&Event::PartFailed {
                stage: stage_name.to_owned(),
                part,
                message: error.to_string(),
            });
            if tries >= self.tries {
                return Err(error);
            }
        }
    }
}
