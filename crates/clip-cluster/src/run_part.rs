//! The function that does one part of a stage: how row-local work travels as a query.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, UInt64Type};
use clip_corpus::Commit;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// Does a part: of the build that the text describes, stage and part by number.
pub type PartRunner =
    Arc<dyn Fn(&str, usize, usize) -> clip_pipeline::Result<Commit> + Send + Sync>;

/// `run_part(fingerprint, build, stage, part)`: does the part and gives its line of the manifest.
struct RunPart {
    runner: Option<PartRunner>,
    /// The fingerprint of this process's registry.
    fingerprint: fn() -> &'static str,
    signature: Signature,
}

/// The function; without a runner it can be planned, but not called.
pub(crate) fn run_part(runner: Option<PartRunner>, fingerprint: fn() -> &'static str) -> ScalarUDF {
    // Volatile: no planner may call it in advance.
    let signature = Signature::any(4, Volatility::Volatile);
    ScalarUDF::from(RunPart { runner, fingerprint, signature })
}

/// The query that does a part, of a member with this fingerprint.
pub(crate) fn query(mine: &str, build: &str, stage: usize, part: usize) -> String {
    let build = build.replace('\'', "''");
    format!("SELECT run_part('{mine}', '{build}', {stage}, {part})")
}

impl RunPart {
    fn one(&self, theirs: &str, build: &str, stage: usize, part: usize) -> Result<String> {
        let failed = |text: String| DataFusionError::Execution(text);
        let mine = (self.fingerprint)();
        if mine != theirs {
            let hint = "hint: run the same clip-data everywhere";
            return Err(failed(format!(
                "the worker's registry is {mine}, the client's {theirs}\n{hint}"
            )));
        }
        let Some(runner) = &self.runner else {
            return Err(failed("run_part: only workers do parts".into()));
        };
        // On a thread of its own: stages have runtimes that must not start inside another.
        let done = std::thread::scope(|scope| scope.spawn(|| runner(build, stage, part)).join());
        let done =
            done.unwrap_or_else(|_| Err(clip_pipeline::Error::stage("run_part", "panicked")));
        match done {
            Ok(commit) => Ok(serde_json::json!(commit).to_string()),
            // Ballista tries what was a fault of storage again, on another worker if need be.
            Err(
                error @ (clip_pipeline::Error::Io(_)
                | clip_pipeline::Error::Corpus(clip_corpus::Error::Io(_))),
            ) => Err(DataFusionError::IoError(std::io::Error::other(error.to_string()))),
            Err(error) => Err(failed(error.to_string())),
        }
    }
}

impl ScalarUDFImpl for RunPart {
    fn name(&self) -> &'static str {
        "run_part"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let columns: Result<Vec<ArrayRef>> =
            args.args.into_iter().map(|value| value.into_array(rows)).collect();
        let columns = columns?;
        let text = |at: usize| -> Result<StringArray> {
            Ok(cast(&columns[at], &DataType::Utf8)?.as_string::<i32>().clone())
        };
        let number = |at: usize| cast(&columns[at], &DataType::UInt64);
        let (fingerprint, build) = (text(0)?, text(1)?);
        let (stage, part) = (number(2)?, number(3)?);
        let (stage, part) = (stage.as_primitive::<UInt64Type>(), part.as_primitive::<UInt64Type>());
        let done = (0..fingerprint.len()).map(|at| {
            let (stage, part) = (stage.value(at) as usize, part.value(at) as usize);
            self.one(fingerprint.value(at), build.value(at), stage, part)
        });
        let done: Vec<String> = done.collect::<Result<_>>()?;
        Ok(ColumnarValue::Array(Arc::new(StringArray::from(done))))
    }
}

impl fmt::Debug for RunPart {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("run_part")
    }
}

impl PartialEq for RunPart {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for RunPart {}

impl Hash for RunPart {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}
