//! How the executable was installed decides what its hints name.

use std::path::Path;
use std::process::Command;

use crate::world::executable;

/// Puts both executables into the `bin` of `root`.
fn put_executables(root: &Path) {
    std::fs::create_dir_all(root.join("bin")).unwrap();
    for name in ["clip-data", "clip-data-torch"] {
        let to = root.join("bin").join(name);
        if std::fs::hard_link(executable(name), &to).is_err() {
            std::fs::copy(executable(name), &to).unwrap();
        }
    }
}

/// What `clip-data ARGS` prints where no libtorch is in reach but that of its own environment.
fn run(root: &Path, args: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(root.join("bin/clip-data"))
        .args(args)
        .current_dir(root)
        .env_clear()
        .env("CLIP_DATA_CACHE", root.join("cache"))
        .env("PATH", root.join("no-programs"))
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn a_wheel_finds_its_environments_libtorch_and_names_no_scripts() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    put_executables(root);
    let site = root.join("lib/python3.12/site-packages");
    std::fs::create_dir_all(site.join("clip_data-0.1.0.dist-info")).unwrap();

    // Nothing there yet: exit 5, and pip of this environment is named, not the scripts of a clone.
    // A folder `torch` in the working directory is never it.
    std::fs::create_dir_all(root.join("torch/lib")).unwrap();
    std::fs::write(root.join("torch/lib/libtorch_cpu.so"), "").unwrap();
    let (code, printed) = run(root, &["doctor"]);
    assert_eq!(code, Some(5), "{printed}");
    let pip =
        format!("hint: {} -m pip install \"torch==2.11.*\"", root.join("bin/python").display());
    assert!(printed.contains("as a wheel") && printed.contains(&pip), "{printed}");
    assert!(!printed.contains("scripts/"), "{printed}");
    let (code, printed) = run(root, &["embed", "--input", "s.tar", "--model", "m", "--out", "o"]);
    assert_eq!(code, Some(5), "{printed}");
    assert!(printed.contains(&pip) && !printed.contains("scripts/"), "{printed}");

    // Any release of the series is taken; another series is refused by its version.
    let torch = site.join("torch");
    std::fs::create_dir_all(torch.join("lib")).unwrap();
    std::fs::write(torch.join("lib/libtorch_cpu.so"), "").unwrap();
    std::fs::write(torch.join("version.py"), "__version__ = '2.11.3+cpu'\n").unwrap();
    let (code, printed) = run(root, &["doctor"]);
    assert_eq!(code, Some(0), "{printed}");
    let found = format!("2.11.3 at {}", torch.display());
    assert!(printed.contains(&found), "{printed}");
    std::fs::write(torch.join("version.py"), "__version__ = '2.110.0'\n").unwrap();
    let (code, printed) = run(root, &["doctor"]);
    assert_eq!(code, Some(5), "{printed}");
    assert!(printed.contains("but 2.11 is needed") && printed.contains(&pip), "{printed}");
}

#[test]
fn without_python_around_it_any_python_will_do() {
    let folder = tempfile::tempdir().unwrap();
    put_executables(folder.path());
    let (code, printed) = run(folder.path(), &["doctor"]);
    assert_eq!(code, Some(5), "{printed}");
    assert!(printed.contains("hint: python3 -m pip install \"torch==2.11.*\""), "{printed}");
}

#[test]
fn a_folder_without_a_libtorch_that_the_environment_names_is_reported() {
    let mut doctor = Command::new(executable("clip-data"));
    let output = doctor.arg("doctor").env("CLIP_DATA_LIBTORCH", "/nowhere").output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(5), "{printed}");
    let wanted = "CLIP_DATA_LIBTORCH is /nowhere, which has no lib/libtorch_cpu.so\nhint: ";
    assert!(printed.contains(wanted), "{printed}");
}

#[test]
fn bash_completes_commands_options_and_values() {
    let folder = tempfile::tempdir().unwrap();
    let script = Command::new(executable("clip-data")).args(["completions", "bash"]).output();
    std::fs::write(folder.path().join("clip-data.bash"), script.unwrap().stdout).unwrap();
    // What bash does where the user presses Tab behind the words.
    let script = r#"
source ./clip-data.bash
COMP_WORDS=(clip-data "$@")
COMP_CWORD=$#
_clip__data clip-data "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
echo "${COMPREPLY[@]}"
"#;
    let complete = |words: &[&str]| {
        let mut bash = Command::new("bash");
        bash.args(["-c", script, "bash"]).args(words).current_dir(folder.path());
        let output = bash.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(complete(&["con"]), "contamination convert");
    assert_eq!(complete(&["fetch", "--resize_m"]), "--resize_mode");
    assert_eq!(complete(&["eval", "zer"]), "zero-shot");
    assert_eq!(complete(&["eval", "zero-shot", "--skip"]), "--skip-unreadable");
    assert_eq!(complete(&["hash", "--kind", "ph"]), "phash");
}
