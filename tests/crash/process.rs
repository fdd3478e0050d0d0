//! Processes that are started, signalled and waited for, never longer than they may take.

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Longer than anything here takes: a process that is still there hangs.
const LONGEST: Duration = Duration::from_secs(240);

/// A command that runs, with what it prints in a file.
pub struct Running {
    child: Child,
    output: PathBuf,
}

/// How it ended.
pub struct Ended {
    pub status: ExitStatus,
    /// What it printed, on both streams.
    pub text: String,
    /// Whether it had to be killed after [`LONGEST`].
    pub hung: bool,
}

impl Running {
    pub fn start(command: &mut Command) -> Self {
        let output = tempfile::NamedTempFile::new().unwrap().into_temp_path().keep().unwrap();
        let file = File::create(&output).unwrap();
        command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        Self { child: command.spawn().unwrap(), output }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Ended {
        let started = Instant::now();
        let mut hung = false;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if started.elapsed() > LONGEST && !hung {
                hung = true;
                self.kill();
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let text = String::from_utf8_lossy(&std::fs::read(&self.output).unwrap()).into_owned();
        let _ = std::fs::remove_file(&self.output);
        Ended { status, text, hung }
    }
}

impl Ended {
    /// Whether it ended as a process may that was sent a signal, or was never reached by it.
    pub fn is_fair(&self) -> bool {
        let code = self.status.code();
        // A model's process that is killed before it is ready is the environment's fault.
        let killed = code == Some(5) && self.text.contains("its process ended with signal");
        let ended = [Some(0), Some(3), Some(130)].contains(&code);
        let fair = killed || ended || self.status.signal().is_some();
        fair && !self.hung && !self.text.contains("panicked")
    }

    pub fn describe(&self) -> String {
        let hung = if self.hung { "hung, " } else { "" };
        let last: Vec<&str> = self.text.lines().rev().take(4).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        format!("{hung}{}: {}", self.status, last.join(" | "))
    }
}

/// Sends a signal, by its name; whether the process was there.
pub fn signal(name: &str, process: u32) -> bool {
    let mut kill = Command::new("kill");
    kill.args([format!("-{name}"), process.to_string()]).stderr(Stdio::null());
    kill.status().unwrap().success()
}

/// A process and its children, which have the same state.
pub fn family(process: u32) -> Vec<u32> {
    let path = format!("/proc/{process}/task/{process}/children");
    let children = std::fs::read_to_string(path).unwrap_or_default();
    let children = children.split_whitespace().filter_map(|id| id.parse().ok());
    std::iter::once(process).chain(children).collect()
}
