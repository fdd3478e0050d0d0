//! Finding libtorch and handing over to the sibling executable that links it.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};

use anyhow::Context;
use clip_format::{Classify, ErrorClass};

use crate::install::{Install, site_packages};

/// The version of libtorch that the sibling is built against.
pub const VERSION: &str = "2.11.0";
/// The releases of libtorch that have this version's C++ interface.
pub const SERIES: &str = "2.11";

/// What every libtorch has.
pub const LIBRARY: &str = "lib/libtorch_cpu.so";

/// A folder with libtorch's `lib` in it.
pub struct Libtorch {
    /// The folder.
    pub root: PathBuf,
    /// How it was found, for people.
    pub from: &'static str,
}

impl Libtorch {
    /// Looks in the usual places, nearest first.
    pub fn find() -> Option<Self> {
        let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let folder = || Some(std::env::current_exe().ok()?.parent()?.to_owned());
        let beside = || Some(folder()?.join("../libtorch"));
        let environment = || {
            let mut torches =
                site_packages(folder()?.parent()?).into_iter().map(|s| s.join("torch"));
            torches.find(|torch| torch.join(LIBRARY).is_file())
        };
        let cache = || clip_corpus::cache_folder(&format!("libtorch-{VERSION}/torch"));
        let places: [(&'static str, Option<PathBuf>); 6] = [
            ("CLIP_DATA_LIBTORCH", variable("CLIP_DATA_LIBTORCH")),
            ("LIBTORCH", variable("LIBTORCH")),
            ("beside the executable", beside()),
            ("torch of the executable's Python environment", environment()),
            ("the cache", cache()),
            ("python3's torch", None),
        ];
        places.into_iter().find_map(|(from, root)| {
            let root = if from == "python3's torch" { python() } else { root }?;
            root.join(LIBRARY).is_file().then_some(Self { root, from })
        })
    }

    /// The folder that the environment names and that is not taken, since it has no libtorch.
    pub fn without_library() -> Option<PathBuf> {
        let named = PathBuf::from(std::env::var_os("CLIP_DATA_LIBTORCH")?);
        (!named.join(LIBRARY).is_file()).then_some(named)
    }

    /// The version that the folder says it is, without the build's suffix.
    pub fn version(&self) -> Option<String> {
        let read = |name: &str| std::fs::read_to_string(self.root.join(name)).ok();
        let text = read("build-version").or_else(|| {
            let text = read("version.py")?;
            let line = text.lines().find(|line| line.starts_with("__version__"))?;
            Some(line.split('\'').nth(1)?.to_owned())
        })?;
        Some(text.trim().split('+').next()?.to_owned())
    }

    /// Whether the sibling can be linked to it: unknown versions are tried.
    pub fn fits(&self) -> bool {
        self.version().is_none_or(|found| {
            found.strip_prefix(SERIES).is_some_and(|rest| rest.starts_with('.'))
        })
    }

    /// Whether it has a half for GPUs, and what that half misses to be opened: for people.
    pub fn cuda(&self) -> String {
        let half = self.root.join("lib/libtorch_cuda.so");
        if !half.is_file() {
            return "no".into();
        }
        let mut ldd = Command::new("ldd");
        let output = ldd.arg(&half).env("LD_LIBRARY_PATH", self.library_path()).output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        match missing_libraries(&text.unwrap_or_default()).as_slice() {
            [] => "yes".into(),
            missing => format!(
                "no: libraries of CUDA's are missing, {} of them, {} among them; pip's torch brings them",
                missing.len(),
                missing[0]
            ),
        }
    }

    /// What `LD_LIBRARY_PATH` must hold: libtorch's own folder and its CUDA runtime's.
    pub fn library_path(&self) -> OsString {
        let mut paths = vec![self.root.join("lib"), self.root.join("../nvidia/cu13/lib")];
        if let Some(old) = std::env::var_os("LD_LIBRARY_PATH") {
            // An empty entry would be the working directory.
            paths.extend(std::env::split_paths(&old).filter(|path| !path.as_os_str().is_empty()));
        }
        std::env::join_paths(paths).unwrap_or_default()
    }
}

/// The libraries that `ldd` did not find.
fn missing_libraries(ldd: &str) -> Vec<&str> {
    let missing = ldd.lines().filter(|line| line.trim_end().ends_with("not found"));
    missing.filter_map(|line| line.split_whitespace().next()).collect()
}

/// Where python3 would import torch from. Isolated (`-I`), so that a folder `torch` in the working
/// directory is not it.
fn python() -> Option<PathBuf> {
    let find =
        "import importlib.util as u; print(u.find_spec('torch').submodule_search_locations[0])";
    let output = Command::new("python3").args(["-I", "-c", find]).output().ok()?;
    output.status.success().then(|| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}

/// The executable that links libtorch: it is beside this one.
pub fn sibling() -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe().context("this executable's own path")?;
    Ok(this.with_file_name("clip-data-torch"))
}

/// Why the sibling cannot run here.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Missing(String);

impl Classify for Missing {
    fn class(&self) -> Option<ErrorClass> {
        Some(ErrorClass::Environment)
    }
}

/// `clip-data-torch` with libtorch in reach, ready to be given the arguments of `command`.
pub fn program(command: &str) -> Result<Command, Missing> {
    let install = Install::find();
    let bring = install.libtorch(SERIES);
    let Some(libtorch) = Libtorch::find() else {
        return Err(Missing(format!(
            "`clip-data {command}` needs libtorch {SERIES}, and none was found\n\
             hint: {bring}, or set CLIP_DATA_LIBTORCH to a folder with {LIBRARY} in it"
        )));
    };
    if !libtorch.fits() {
        return Err(Missing(format!(
            "{}: libtorch {} (from {}), but this build needs {SERIES}\n\
             hint: {bring}, or set CLIP_DATA_LIBTORCH to a libtorch {SERIES}",
            libtorch.root.display(),
            libtorch.version().unwrap_or_default(),
            libtorch.from
        )));
    }
    let sibling = sibling().map_err(|e| Missing(format!("{e:#}")))?;
    if !sibling.is_file() {
        let bring = install.torch_executable();
        return Err(Missing(format!("{} is missing\nhint: {bring}", sibling.display())));
    }
    let mut ready = Command::new(sibling);
    ready.env("LD_LIBRARY_PATH", libtorch.library_path());
    if !OPENMP_WAITING.iter().any(|name| std::env::var_os(name).is_some()) {
        ready.env(OPENMP_WAITING[0], SPINS);
    }
    Ok(ready)
}

/// What decides how OpenMP's threads wait for each other: libgomp reads it when it is loaded. By
/// default they spin for milliseconds, and where another process takes a core, all others spin for
/// as long as the thread that lost it waits (`docs/benchmarks.md`, shared machines).
const OPENMP_WAITING: [&str; 2] = ["GOMP_SPINCOUNT", "OMP_WAIT_POLICY"];
/// Spins before a thread sleeps, unless the user has decided.
const SPINS: &str = "1000";

/// Becomes `clip-data-torch` with this process's arguments, which are those of `command`; returns
/// only when it cannot.
pub fn exec(command: &str) -> anyhow::Result<ExitCode> {
    let mut ready = program(command)?;
    let error = ready.args(std::env::args_os().skip(1)).exec();
    Err(Missing(format!("{}: {error}", ready.get_program().display())).into())
}

/// Starts a process that is asked through its streams; `what` names it.
pub fn spawn_piped(
    command: &mut Command,
    what: &str,
) -> anyhow::Result<(Child, ChildStdin, ChildStdout)> {
    let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = started.with_context(|| format!("{what}'s process did not start"))?;
    let streams = child.stdin.take().zip(child.stdout.take());
    let (input, output) = streams.with_context(|| format!("{what}'s process has no streams"))?;
    Ok((child, input, output))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_that_ldd_does_not_find_are_named() {
        let found = "\tlibtorch_cpu.so => /t/lib/libtorch_cpu.so (0x7f)\n\tlibcudnn.so.9 => not found\n\tlinux-vdso.so.1 (0x7f)\n\tlibnccl.so.2 => not found\n";
        assert_eq!(missing_libraries(found), ["libcudnn.so.9", "libnccl.so.2"]);
    }
}
