//! The functions that every member of a cluster must have, and how two members are compared.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use ballista_core::registry::BallistaFunctionRegistry;
use datafusion::execution::FunctionRegistry;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::ScalarUDF;
use datafusion::prelude::SessionConfig;
use serde::{Deserialize, Serialize};

use crate::run_part::{PartRunner, run_part};
use crate::{Error, Result};

/// Version and functions of a member. Functions travel by name only, so all members must mean the
/// same by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registry {
    version: String,
    /// Name and hash of each.
    functions: BTreeMap<String, String>,
}

/// Asked for with every part, and the same as long as the process lives.
static FINGERPRINT: LazyLock<String> = LazyLock::new(|| Registry::mine().fingerprint());

/// The fingerprint of this executable's registry.
pub(crate) fn fingerprint() -> &'static str {
    &FINGERPRINT
}

impl Registry {
    /// This executable's.
    pub fn mine() -> Self {
        let hash = |function: &ScalarUDF| {
            let what = format!("{:?} {}", function.signature(), clip_sql::functions::VERSION);
            blake3::hash(what.as_bytes()).to_hex()[..16].to_owned()
        };
        let all = functions(None);
        let functions = all.iter().map(|function| (function.name().to_owned(), hash(function)));
        Self { version: env!("CARGO_PKG_VERSION").to_owned(), functions: functions.collect() }
    }

    /// One hash of it all.
    pub fn fingerprint(&self) -> String {
        let text = serde_json::json!(self).to_string();
        blake3::hash(text.as_bytes()).to_hex()[..16].to_owned()
    }

    /// Compares with another member's.
    ///
    /// # Errors
    /// [`Error::Registry`] with the names of what differs.
    pub fn fits(&self, other: &Self, whose: &str) -> Result<()> {
        let mut differences = Vec::new();
        if self.version != other.version {
            differences.push(format!("version {} there, {} here", other.version, self.version));
        }
        for (name, hash) in &self.functions {
            match other.functions.get(name) {
                None => differences.push(format!("function {name} is missing there")),
                Some(theirs) if theirs != hash => {
                    differences.push(format!("function {name} is another there"));
                }
                Some(_) => {}
            }
        }
        let unknown = other.functions.keys().filter(|name| !self.functions.contains_key(*name));
        differences.extend(unknown.map(|name| format!("function {name} is missing here")));
        if differences.is_empty() {
            return Ok(());
        }
        Err(Error::Registry { whose: whose.to_owned(), differences: differences.join(", ") })
    }
}

/// Every function: those of queries, and `run_part`, which only a worker can do.
pub(crate) fn functions(runner: Option<PartRunner>) -> Vec<Arc<ScalarUDF>> {
    let mut functions = clip_sql::functions::functions();
    functions.push(Arc::new(run_part(runner, fingerprint)));
    functions
}

/// A session's state with the functions, which are not called here.
pub(crate) fn state(
    config: SessionConfig,
    environment: Arc<RuntimeEnv>,
) -> datafusion::error::Result<SessionState> {
    let state = SessionStateBuilder::new().with_config(config).with_runtime_env(environment);
    let mut state = state.with_default_features().build();
    for function in functions(None) {
        state.register_udf(function)?;
    }
    Ok(state)
}

/// A worker's functions.
pub(crate) fn worker_functions(runner: PartRunner) -> BallistaFunctionRegistry {
    let mut registry = BallistaFunctionRegistry::default();
    // Ballista's own list lacks those of lists, which every session has.
    let of_lists = datafusion::functions_nested::all_default_nested_functions();
    for function in of_lists.into_iter().chain(functions(Some(runner))) {
        registry.scalar_functions.insert(function.name().to_owned(), function);
    }
    registry
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_named() {
        let mine = Registry::mine();
        assert!(
            mine.functions.contains_key("run_part") && mine.functions.contains_key("hamming64")
        );
        mine.fits(&mine.clone(), "the scheduler").unwrap();
        let mut other = mine.clone();
        other.functions.remove("hamming64");
        other.functions.insert("draw".into(), "0".into());
        other.functions.insert("new".into(), "0".into());
        other.version = "9.9.9".into();
        let error = mine.fits(&other, "the scheduler").unwrap_err().to_string();
        for part in [
            "the scheduler is of another kind",
            "version 9.9.9 there",
            "function hamming64 is missing there",
            "function draw is another there",
            "function new is missing here",
        ] {
            assert!(error.contains(part), "{error}");
        }
        assert_ne!(mine.fingerprint(), other.fingerprint());
    }
}
