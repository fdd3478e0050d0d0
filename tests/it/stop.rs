//! Training that is asked to stop in the middle of something long.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};

use crate::world::{TINY_PRESET, World};

fn start(world: &World, args: &[&str]) -> Child {
    std::fs::write(world.path("tiny.json"), TINY_PRESET).unwrap();
    let common = ["train", "--preset", "tiny.json", "--device", "cpu", "--dataset-type"];
    let mut command = world.command(&[&common[..], &["synthetic"], args].concat());
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn terminate(child: &Child) {
    let process = child.id().to_string();
    assert!(std::process::Command::new("kill").arg(&process).status().unwrap().success());
}

/// Two steps of 60,000 chunks each, in one process and in two: a signal within the first leaves no
/// step behind.
#[test]
fn a_signal_in_the_middle_of_a_large_step_drops_it() {
    for processes in ["1", "2"] {
        let world = World::new();
        let size = ["--train-num-samples", "120000", "--global-batch-size", "120000"];
        let chunk = if processes == "1" { "2" } else { "1" };
        let run = ["--batch-size", chunk, "--name", "big", "--nproc", processes];
        let mut child = start(&world, &[&size[..], &run].concat());
        let mut errors = BufReader::new(child.stderr.take().unwrap());
        let (mut line, mut all) = (String::new(), String::new());
        while !line.contains("embedding, chunk") {
            line.clear();
            assert!(errors.read_line(&mut line).unwrap() > 0, "{all}");
            all += &line;
        }
        assert!(
            line.starts_with("train: step 1 of 2: ") && line.contains(" of 60000 done, "),
            "{line}"
        );
        terminate(&child);
        errors.read_to_string(&mut all).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130), "{processes} processes: {all}");
        assert!(all.contains("interrupted: run the same command again"), "{all}");
        let steps = std::fs::read_to_string(world.path("logs/big/steps.jsonl")).unwrap();
        assert_eq!(steps, "", "{processes} processes");
        let left = std::fs::read_dir(world.path("logs/big/checkpoints")).unwrap().count();
        assert_eq!(left, 0, "{processes} processes");
    }
}

/// Waits until SIGTERM, signal 15, has a handler.
fn wait_for_handler(child: &Child) {
    let status = format!("/proc/{}/status", child.id());
    let handles = || {
        let text = std::fs::read_to_string(&status).unwrap();
        let caught = text.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        u64::from_str_radix(caught.trim(), 16).unwrap() & (1 << 14) != 0
    };
    while !handles() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// Ends the process by a signal; what it printed on standard error.
fn interrupted(mut child: Child) -> String {
    wait_for_handler(&child);
    terminate(&child);
    let mut errors = String::new();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{errors}");
    assert!(errors.contains("interrupted"), "{errors}");
    errors
}

#[test]
fn a_signal_while_the_pairs_are_read_ends_it_at_once() {
    let world = World::new();
    interrupted(start(&world, &["--train-num-samples", "20000000", "--name", "long"]));
    assert!(!world.path("logs/long").exists());
}

/// Each of these waits for a file that no process writes.
#[test]
fn a_signal_before_a_command_has_begun_has_its_exit_code() {
    let world = World::new();
    let fifo = world.path("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let eval = ["eval", "zero-shot", "--dataset", "toys", "--templates", "fifo", "--model", "none"];
    for args in [&["plan", "-c", "fifo"][..], &eval] {
        let mut command = world.command(args);
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        interrupted(child);
    }
}
