//! What comes from elsewhere opens no file, names no path and controls no terminal; signals and
//! closed pipes end quietly.

use std::fs::File;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::world::{World, content};

#[test]
fn a_list_names_no_file_of_this_machine() {
    let world = World::new();
    let image = world.path("images/00/000.jpg");
    let rows = format!(
        "url,caption\nfile://{},a file that is an image\nfile:///etc/passwd,a file that is none\n",
        image.display()
    );
    std::fs::write(world.path("list.csv"), rows).unwrap();
    let config = "schema = 1\nname = \"l\"\n[source]\nkind = \"list\"\npaths = [\"list.csv\"]\n";
    std::fs::write(world.path("l.toml"), config).unwrap();
    let built = world.run(&["build", "-c", "l.toml"]);
    assert_eq!(built.status.code(), Some(1), "no pair is left");
    let funnel = String::from_utf8_lossy(&built.stdout);
    assert!(funnel.contains("2  bad_url"), "{funnel}");
    assert!(!funnel.contains("not_an_image"), "a file was read: {funnel}");
}

#[test]
fn paths_are_what_the_file_system_calls_them() {
    let world = World::new();
    let whole = world.good(&["build"]);
    std::fs::create_dir(world.path("deeper")).unwrap();
    let build = |args: &[&str], folder: &str| {
        let output = world.command(args).current_dir(world.path(folder)).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{args:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    };
    let count =
        |funnel: &str| funnel.lines().find(|line| line.starts_with("shards")).unwrap().to_owned();
    let up = build(&["build", "-c", "../pipeline.toml", "--set", "workdir=../runs2"], "deeper");
    assert_eq!(count(&up), count(&whole));

    let odd = world.path("a#b? [1] {x,y}");
    std::fs::create_dir(&odd).unwrap();
    for name in ["images", "toys", "queries.txt", "pipeline.toml"] {
        std::os::unix::fs::symlink(world.path(name), odd.join(name)).unwrap();
    }
    let there = build(&["build"], "a#b? [1] {x,y}");
    assert_eq!(count(&there), count(&whole));
    let verified = build(&["verify", "runs/small/shards"], "a#b? [1] {x,y}");
    assert!(verified.contains("0 findings"), "{verified}");
}

#[test]
fn shards_are_not_written_over_while_they_are_read() {
    let world = World::new();
    world.good(&["build"]);
    world.good(&["reshard", "-i", "runs/small/shards", "-o", "x", "--shard-size", "30"]);
    let before = content(&world.path("x"));
    let args = ["reshard", "-i", "x", "-o", "x", "--shard-size", "7", "--overwrite"];
    let printed = world.fails(&args, 2);
    assert!(printed.contains("written over while it is read"), "{printed}");
    assert_eq!(content(&world.path("x")), before);

    let lock = File::create(world.path("x/.lock")).unwrap();
    lock.lock().unwrap();
    let printed = world.fails(&["reshard", "-i", "runs/small/shards", "-o", "x", "--overwrite"], 2);
    assert!(printed.contains("another process"), "{printed}");
}

#[test]
fn links_in_circles_end_for_every_command_that_walks_a_folder() {
    let world = World::new();
    let plain = world.good(&["hash", "images"]);
    let build = |name: &str| {
        let config = format!(
            "schema = 1\nname = \"{name}\"\n[source]\nkind = \"folder\"\npaths = [\"images\"]\n"
        );
        std::fs::write(world.path("f.toml"), config).unwrap();
        let funnel = world.good(&["build", "-c", "f.toml", "--until", "collect"]);
        funnel.lines().find(|line| line.starts_with("collect")).unwrap().to_owned()
    };
    let pairs = build("plain");
    for (target, link) in [(".", "self"), ("..", "00/up"), ("../..", "00/far"), ("/", "00/all")] {
        std::os::unix::fs::symlink(target, world.path(&format!("images/{link}"))).unwrap();
    }
    assert_eq!(world.good(&["hash", "images"]), plain);
    assert_eq!(build("loops"), pairs);
    let args = ["contamination", "--corpus", "images", "--eval", "x=toys", "--out", "loops"];
    world.good(&args);
}

#[test]
fn names_from_elsewhere_do_not_control_the_terminal() {
    let world = World::new();
    std::fs::create_dir(world.path("odd")).unwrap();
    let name = "odd/\u{1b}]0;title\u{7}\u{1b}[2J.jpg";
    std::fs::copy(world.path("images/00/000.jpg"), world.path(name)).unwrap();
    std::fs::write(world.path("odd/\u{1b}[31m.png"), b"no image").unwrap();
    let output = world.run(&["hash", "odd"]);
    for text in [&output.stdout, &output.stderr] {
        assert!(
            !text.contains(&0x1b) && !text.contains(&0x07),
            "{}",
            String::from_utf8_lossy(text)
        );
    }
    assert!(String::from_utf8_lossy(&output.stdout).contains("\\u001b]0;title"));
}

#[test]
fn a_reader_that_went_away_is_no_failure_and_a_full_disk_is_one() {
    let world = World::new();
    let mut child = world
        .command(&["eval", "datasets"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !errors.contains("panicked"), "{errors}");

    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = world.command(&["plan"]).stdout(full).stderr(Stdio::piped()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(5), "{errors}");
    assert!(errors.contains("standard output") && !errors.contains("panicked"), "{errors}");
}

#[test]
fn a_schedulers_signal_stops_a_build_that_resumes() {
    let world = World::new();
    // A site that takes connections and never answers.
    let site = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = site.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for connection in site.incoming() {
            held.push(connection);
        }
    });
    let rows: Vec<String> = (0..20)
        .map(|n| format!("http://127.0.0.1:{port}/{n}.jpg,a caption of number {n}\n"))
        .collect();
    std::fs::write(world.path("list.csv"), format!("url,caption\n{}", rows.concat())).unwrap();
    let config = "schema = 1\nname = \"l\"\n[source]\nkind = \"list\"\npaths = [\"list.csv\"]\n\
                  [fetch]\nallow_private = true\n";
    std::fs::write(world.path("l.toml"), config).unwrap();
    let mut child = world
        .command(&["build", "-c", "l.toml", "--progress", "plain"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().unwrap()));
    assert!(lines.any(|line| line.unwrap().starts_with("fetch: ")), "the fetch did not start");
    let started = Instant::now();
    let kill = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let rest: Vec<String> = lines.map(|line| line.unwrap()).collect();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest:?}");
    assert!(started.elapsed() < Duration::from_secs(20), "it waited for the site");
    assert!(rest.iter().any(|line| line.contains("stopping")), "{rest:?}");
}
