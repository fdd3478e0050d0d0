//! A model that scores pairs, asked through a process that links libtorch.

use std::ffi::OsString;
use std::io::{BufReader, BufWriter, ErrorKind};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use clip_curate::{PairScorer, Scores};
use clip_pipeline::config::score::{Score, ScoreDevice, ScorePrecision};
use clip_pipeline::{Error, Result};
use clip_score::{CHUNK, Greeting, Pair, Scored, read_answer, read_greeting, write_question};

use crate::torch;
use crate::unusable::Unusable;

/// How often it is asked whether the run is to stop.
const POLL: Duration = Duration::from_millis(100);

/// `clip-data-torch serve-scores`, started with the first pairs, and again after it died. All parts
/// of a build share it.
pub struct ScoreProcess {
    stage: String,
    arguments: Vec<OsString>,
    columns: usize,
    embeddings: bool,
    running: Mutex<Option<Running>>,
}

/// A process that is there, and ends when this does.
struct Running {
    child: Mutex<Child>,
    input: BufWriter<ChildStdin>,
    output: BufReader<ChildStdout>,
    greeting: Greeting,
}

impl ScoreProcess {
    /// For a scorer whose files are below `base`; nothing is started yet.
    pub fn new(base: &Path, score: &Score) -> Self {
        Self {
            stage: Scores::stage(&score.name),
            arguments: arguments(base, score),
            columns: score.columns().len(),
            embeddings: score.embeddings,
            running: Mutex::new(None),
        }
    }

    /// Opens the model with its heads, and lets go of it again.
    ///
    /// # Errors
    /// Without libtorch, and when the model or a head cannot be used.
    pub fn check(&self) -> anyhow::Result<()> {
        self.start().map(drop)
    }

    fn model(&self) -> String {
        format!("the model of stage {}", self.stage)
    }

    fn start(&self) -> anyhow::Result<Running> {
        let mut command = torch::program("build")?;
        let (mut child, input, output) =
            torch::spawn_piped(command.args(&self.arguments), "the model")?;
        let (input, mut output) = (BufWriter::new(input), BufReader::new(output));
        let wanted = |greeting: &Greeting| {
            greeting.columns == self.columns && (greeting.width > 0) == self.embeddings
        };
        let reason = match read_greeting(&mut output) {
            Ok(greeting) if wanted(&greeting) => {
                return Ok(Running { child: Mutex::new(child), input, output, greeting });
            }
            Ok(Greeting { columns, width }) => {
                let own = self.columns;
                format!("{columns} columns and embeddings of {width} numbers, not {own} columns")
            }
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                // It may wait for pairs.
                drop(input);
                return Err(Unusable::Ended(self.model(), child.wait()?).into());
            }
            Err(error) => error.to_string(),
        };
        child.kill()?;
        child.wait()?;
        Err(Unusable::Other(self.model(), reason).into())
    }

    /// Sends the pairs, and reads their scores meanwhile.
    fn ask(
        &self,
        running: &mut Running,
        pairs: &[Pair<'_>],
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<Scored>> {
        let Running { child, input, output, greeting } = running;
        let child: &Mutex<Child> = child;
        let kill = || child.lock().unwrap_or_else(PoisonError::into_inner).kill();
        std::thread::scope(|scope| {
            let (done, rest) = channel::<()>();
            scope.spawn(move || {
                while rest.recv_timeout(POLL) == Err(RecvTimeoutError::Timeout) {
                    if cancelled() {
                        // What is then read and written fails.
                        let _ = kill();
                        return;
                    }
                }
            });
            // What cannot be written is seen as an answer that does not come.
            scope.spawn(|| pairs.chunks(CHUNK).try_for_each(|some| write_question(input, some)));
            let mut scored = Vec::with_capacity(pairs.len());
            for some in pairs.chunks(CHUNK) {
                match read_answer(output, some, *greeting) {
                    Ok(answer) => scored.extend(answer),
                    Err(error) => {
                        // The thread that writes may wait for a process that reads no more.
                        let _ = kill();
                        let mut child = child.lock().unwrap_or_else(PoisonError::into_inner);
                        let status = child.wait().map_or_else(|e| e.to_string(), |s| s.to_string());
                        let message = format!("the model's process ended ({status}): {error}");
                        return Err(Error::stage(&self.stage, message));
                    }
                }
            }
            drop(done);
            Ok(scored)
        })
    }
}

impl Running {
    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may be in the middle of an answer that is not wanted any more.
        let mut child = self.child();
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl PairScorer for ScoreProcess {
    fn score(
        &self,
        pairs: &[Pair<'_>],
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<Scored>> {
        if pairs.is_empty() {
            return Ok(Vec::new());
        }
        let mut slot = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if cancelled() {
            return Err(Error::stage(&self.stage, "interrupted"));
        }
        let mut running = match slot.take() {
            Some(running) => running,
            None => self.start().map_err(|e| Error::stage(&self.stage, format!("{e:#}")))?,
        };
        let scored = self.ask(&mut running, pairs, cancelled)?;
        // Only one that answered is asked again.
        *slot = Some(running);
        Ok(scored)
    }
}

/// The command line of a scorer's process.
fn arguments(base: &Path, score: &Score) -> Vec<OsString> {
    let mut all: Vec<OsString> = vec!["serve-scores".into()];
    let mut flag = |name: &str, value: OsString| all.extend([OsString::from(name), value]);
    flag("--model", base.join(&score.model).into());
    if let Some(name) = &score.model_name {
        let file = score.model_config().map(|file| base.join(file).into());
        flag("--model-name", file.unwrap_or_else(|| name.into()));
    }
    if let Some(size) = score.image_size {
        flag("--image-size", size.to_string().into());
    }
    for head in score.heads(base) {
        flag("--head", head.to_string().into());
    }
    for (class, prompts) in &score.classes {
        prompts.iter().for_each(|prompt| flag("--class", format!("{class}={prompt}").into()));
    }
    let precision = match score.precision {
        ScorePrecision::Fp32 => "fp32",
        ScorePrecision::Bf16 => "bf16",
    };
    let device = match score.device {
        ScoreDevice::Cpu => "cpu",
        ScoreDevice::Cuda => "cuda",
    };
    flag("--precision", precision.into());
    flag("--device", device.into());
    for (name, word) in [
        ("--image-interpolation", &score.image_interpolation),
        ("--image-resize-mode", &score.image_resize_mode),
    ] {
        if let Some(word) = word {
            flag(name, word.into());
        }
    }
    for (name, numbers) in [("--image-mean", score.image_mean), ("--image-std", score.image_std)] {
        if let Some(numbers) = numbers {
            all.push(name.into());
            all.extend(numbers.map(|number| number.to_string().into()));
        }
    }
    if score.embeddings {
        all.push("--embeddings".into());
    }
    all
}
