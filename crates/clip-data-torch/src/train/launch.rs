//! `--nproc`: this process starts the others, and ends them when one dies.

use std::ffi::OsString;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use clip_cli::Stop;
use clip_torch::Store;

use crate::exit;

/// Set for processes that were started here: their standard input ends with this process.
const LAUNCHED: &str = "CLIP_DATA_LAUNCHED";
/// How long processes have for the chunk that they are at and a last checkpoint before they are
/// killed.
const GRACE: Duration = Duration::from_secs(300);
/// The same when one of them is gone already, and nothing can be finished.
const SHORT_GRACE: Duration = Duration::from_secs(8);

/// Runs this command in `count` processes and waits for all of them.
pub fn launch(count: usize, timeout: Duration) -> anyhow::Result<ExitCode> {
    // The ranks get the signal, too, and the first of them says so.
    let stop = Stop::install("")?;
    follow_parent(&stop);
    let store = Store::serve(timeout)?;
    let program = std::env::current_exe().context("this executable's own path")?;
    let args = without_nproc(std::env::args_os().skip(1));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = (cores / count).max(1).to_string();
    let mut ranks = Vec::new();
    for rank in 0..count {
        let mut command = Command::new(&program);
        command
            .args(&args)
            .env("RANK", rank.to_string())
            .env("LOCAL_RANK", rank.to_string())
            .env("WORLD_SIZE", count.to_string())
            .env("LOCAL_WORLD_SIZE", count.to_string())
            .env("MASTER_ADDR", "127.0.0.1")
            .env("MASTER_PORT", store.port().to_string())
            .env("TORCHELASTIC_USE_AGENT_STORE", "True")
            .env("TORCHELASTIC_RESTART_COUNT", "0")
            .env(LAUNCHED, "1")
            .stdin(Stdio::piped());
        if std::env::var_os("OMP_NUM_THREADS").is_none() {
            command.env("OMP_NUM_THREADS", &threads);
        }
        if std::env::var_os("NCCL_SOCKET_IFNAME").is_none() {
            // NCCL's own choice is an interface that other machines reach.
            command.env("NCCL_SOCKET_IFNAME", "lo");
        }
        if rank > 0 {
            command.stdout(Stdio::null());
        }
        ranks.push(command.spawn().with_context(|| format!("starting rank {rank}"))?);
    }
    stop.arm();
    Ok(wait(ranks, &stop))
}

/// Waits for all; the first that fails decides.
fn wait(mut ranks: Vec<Child>, stop: &Stop) -> ExitCode {
    let mut ended: Vec<Option<ExitStatus>> = vec![None; ranks.len()];
    let mut verdict = None;
    let mut deadline = None;
    let mut ending = false;
    while ended.iter().any(Option::is_none) {
        for (rank, child) in ranks.iter_mut().enumerate() {
            if ended[rank].is_some() {
                continue;
            }
            let Ok(Some(status)) = child.try_wait() else { continue };
            ended[rank] = Some(status);
            if verdict.is_none() && !status.success() {
                let code = status.code().and_then(|code| u8::try_from(code).ok());
                verdict = Some(code.unwrap_or(exit::INCOMPLETE));
                // One that stops when asked to, or for another that does not answer: the first rank
                // may still write a checkpoint.
                if [Some(exit::INCOMPLETE), Some(exit::INTERRUPTED)].contains(&code) {
                    deadline.get_or_insert(Instant::now() + GRACE);
                } else {
                    ending = true;
                    eprintln!(
                        "error: rank {rank} (process {}) {}; ending the others",
                        child.id(),
                        how(status)
                    );
                    deadline.get_or_insert(Instant::now() + SHORT_GRACE);
                }
            }
        }
        if stop.asked() {
            ending = true;
            deadline.get_or_insert(Instant::now() + GRACE);
        }
        if ending {
            // The end of their standard input asks the others to stop.
            ranks.iter_mut().for_each(|child| drop(child.stdin.take()));
        }
        if deadline.is_some_and(|deadline| Instant::now() > deadline) {
            ranks.iter_mut().for_each(|child| drop(child.kill()));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    ExitCode::from(verdict.unwrap_or(0))
}

fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "ended".into(),
    }
}

/// The arguments without `--nproc N` or `--nproc=N`.
fn without_nproc(args: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut kept = Vec::new();
    let mut args = args.peekable();
    while let Some(arg) = args.next() {
        if arg == "--nproc" {
            args.next();
        } else if !arg.to_string_lossy().starts_with("--nproc=") {
            kept.push(arg);
        }
    }
    kept
}

/// In a process that was started here: asks it to stop when the starter is gone or asks so.
pub fn follow_parent(stop: &Stop) {
    if std::env::var_os(LAUNCHED).is_none() {
        return;
    }
    let stop = stop.clone();
    std::thread::spawn(move || {
        let mut byte = [0];
        while matches!(std::io::stdin().read(&mut byte), Ok(n) if n > 0) {}
        stop.ask();
        // A process that waits for a dead one would never see the flag.
        std::thread::sleep(2 * GRACE);
        std::process::exit(i32::from(exit::INCOMPLETE));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_goes_and_the_rest_stays() {
        let args = ["train", "--nproc", "2", "--name", "x", "--nproc=3"].map(OsString::from);
        assert_eq!(without_nproc(args.into_iter()), ["train", "--name", "x"]);
    }
}
