//! A build and what comes after it, without a model.

use clip_corpus::ShardReader;
use clip_testkit::files::FileSite;

use crate::world::{FOLDERS, IMAGES, World, content, executable};

#[test]
fn the_funnel_accounts_for_every_row_and_the_shards_hold_the_rest() {
    let world = World::new();
    let funnel = world.good(&["build"]);
    let all = FOLDERS * IMAGES;
    let row = |stage: &str| -> Vec<usize> {
        let line = funnel.lines().find(|line| line.starts_with(stage)).unwrap();
        line.split_whitespace().skip(1).map(|n| n.parse().unwrap()).collect()
    };
    assert_eq!(row("collect"), [all, all, 0], "{funnel}");
    assert_eq!(row("dedup"), [all, all - FOLDERS, FOLDERS], "{funnel}");
    assert_eq!(row("shards"), [all - FOLDERS, all - FOLDERS, 0], "{funnel}");
    let mut captions = 0;
    for (name, _) in content(&world.path("runs/small/shards")) {
        if name.ends_with(".tar") {
            let shard = ShardReader::open(&world.path("runs/small/shards").join(name)).unwrap();
            captions += shard.filter(|s| s.as_ref().unwrap().get("txt").is_some()).count();
        }
    }
    assert_eq!(captions, all - FOLDERS);
}

#[test]
fn a_plan_says_what_a_changed_setting_would_redo() {
    let world = World::new();
    let stages = |plan: &str| -> Vec<(String, String)> {
        let words = plan.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
        words.map(|words| (words[1].to_owned(), words[2].to_owned())).collect()
    };
    assert!(stages(&world.good(&["plan"])).iter().all(|(_, status)| status == "run"));
    world.good(&["build"]);
    assert!(stages(&world.good(&["plan"])).iter().all(|(_, status)| status == "reuse"));
    let plan = world.good(&["plan", "--set", "balance.limit=2"]);
    assert!(plan.contains("limit 40 -> 2"), "{plan}");
    let stages = stages(&plan);
    let at = stages.iter().position(|(name, _)| name == "balance").unwrap();
    assert!(stages[..at].iter().all(|(_, status)| status == "reuse"), "{plan}");
    assert!(stages[at..].iter().all(|(_, status)| status == "redo"), "{plan}");
}

#[test]
fn what_is_not_asked_of_the_web_collects_nothing_anew() {
    let world = World::new();
    world.good(&["build"]);
    let plan = world.good(&[
        "plan",
        "--set",
        "fetch.allow_private=true",
        "--set",
        "fetch.max_redirects=2",
    ]);
    let status = |stage: &str| {
        let line = plan.lines().find(|line| line.split_whitespace().nth(1) == Some(stage));
        line.unwrap().split_whitespace().nth(2).unwrap().to_owned()
    };
    assert_eq!((status("collect"), status("fetch")), ("reuse".into(), "redo".into()), "{plan}");
    let first = world.good(&["build", "--set", "name=first", "--until", "collect"]);
    let row = first.lines().find(|line| line.starts_with("unique")).unwrap();
    assert_eq!(row.split_whitespace().collect::<Vec<_>>(), ["unique", "-", "-", "-"], "{first}");
}

#[test]
fn pages_that_cannot_be_had_are_counted_and_named() {
    let world = World::new();
    let page = |text: &str| ("text/html", text.as_bytes().to_vec());
    let files = [
        ("/", page("<img src=1.jpg alt='a red boat'><a href=gone.html>x</a><a href=2.html>y</a>")),
        ("/2.html", page("<img src=3.jpg alt='a tall tower'>")),
    ];
    let files = files.into_iter().map(|(path, (kind, body))| (path.to_owned(), kind, body));
    let site = FileSite::start("127.0.0.1".parse().unwrap(), files).unwrap();
    let write = |seeds: &[String], allow: bool| {
        let text = format!(
            "schema = 1\nname = \"web\"\n[source]\nkind = \"web\"\nseeds = {seeds:?}\ndepth = 1\n\
             [fetch]\nallow_private = {allow}\nhost_delay_ms = 0\n"
        );
        std::fs::write(world.path("web.toml"), text).unwrap();
    };
    let until = ["build", "-c", "web.toml", "--until", "collect"];
    let line = |funnel: &str| {
        let line = funnel.lines().find(|line| line.starts_with("collect ")).unwrap();
        line.split_whitespace().skip(1).map(|n| n.parse().unwrap()).collect::<Vec<u64>>()
    };
    // A port without a server.
    let closed = "http://127.0.0.1:9/".to_owned();
    write(&[site.url("/"), closed.clone()], true);
    for _ in 0..2 {
        let funnel = world.good(&until);
        assert_eq!(line(&funnel), [4, 2, 2], "{funnel}");
        assert!(funnel.contains("1  page_connect") && funnel.contains("1  page_http_4xx"));
        let again = "that gave no answer (1):\n  clip-data build -c web.toml --from collect\n";
        assert!(funnel.contains(again), "{funnel}");
    }
    let explained = world.good(&["explain", &closed, "-c", "web.toml"]);
    assert!(explained.contains("page_connect") && explained.contains("refused"), "{explained}");

    // Nothing is collected where no page is.
    for (allow, reason, hint) in [
        (true, "page_connect", "--from collect"),
        (false, "page_blocked_address", "`allow_private = true` under [fetch]"),
    ] {
        write(std::slice::from_ref(&closed), allow);
        let output = world.run(&["build", "-c", "web.toml"]);
        let printed = [output.stdout, output.stderr].concat();
        let printed = String::from_utf8_lossy(&printed);
        assert_eq!(output.status.code(), Some(1), "{printed}");
        assert!(printed.contains(reason) && printed.contains(hint), "{printed}");
    }
}

#[test]
fn images_that_are_all_refused_say_what_allows_them() {
    let world = World::new();
    let list = "url,caption\nhttp://127.0.0.1:9/1.jpg,a red boat on a lake\n";
    std::fs::write(world.path("private.csv"), list).unwrap();
    let pipeline =
        "schema = 1\nname = \"private\"\n[source]\nkind = \"list\"\npaths = [\"private.csv\"]\n";
    std::fs::write(world.path("private.toml"), pipeline).unwrap();
    let output = world.run(&["build", "-c", "private.toml"]);
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(printed.contains("1 of them for `blocked_address`"), "{printed}");
    assert!(
        printed
            .contains("hint: hosts of private networks and loopback are not asked: `allow_private"),
        "{printed}"
    );
}

#[test]
fn a_report_stands_alone() {
    let world = World::new();
    world.good(&["build"]);
    world.good(&["contamination"]);
    world.good(&["report", "--out", "report.html"]);
    let html = std::fs::read_to_string(world.path("report.html")).unwrap();
    let parts =
        ["The funnel", "Rejects", "Hosts", ">no host</td>", "Contamination", "Balance", "Samples"];
    for part in parts.into_iter().chain(["data:image/jpeg;base64,"]) {
        assert!(html.contains(part), "no {part}");
    }
    assert!(!html.contains("src=\"http"));
}

#[test]
fn a_log_file_gets_lines_without_carriage_returns_and_colours() {
    let world = World::new();
    let built = world.run(&["build"]);
    let wrong = world.run(&["biuld"]);
    let error = String::from_utf8(wrong.stderr.clone()).unwrap();
    assert!(error.contains("a similar subcommand exists: 'build'"), "{error}");
    assert!(built.stderr.len() > 200, "a build reports its stages");
    for printed in
        [built.stdout, built.stderr, wrong.stderr, world.run(&["fetch", "--help"]).stdout]
    {
        let text = String::from_utf8(printed).unwrap();
        assert!(!text.contains(['\r', '\u{1b}']), "{text:?}");
    }
}

#[test]
fn a_build_that_leaves_no_pair_fails_and_can_be_looked_at() {
    let world = World::new();
    let long = ["--set", "caption.min_words=100"];
    let built = world.run(&[&["build"][..], &long].concat());
    let errors = String::from_utf8_lossy(&built.stderr);
    assert_eq!(built.status.code(), Some(1), "{errors}");
    assert!(
        errors.contains("no pair is left after captions: there are no shards\nhint: "),
        "{errors}"
    );
    assert!(!errors.contains("failed"), "{errors}");
    let funnel = String::from_utf8_lossy(&built.stdout).into_owned();
    assert!(funnel.contains("few_words"), "{funnel}");
    let traced = world.good(&["explain", "0", "--run", "runs/small"]);
    assert!(traced.contains("dropped in stage captions"), "{traced}");
    world.good(&[&["report", "--out", "report.html"][..], &long].concat());
    let html = std::fs::read_to_string(world.path("report.html")).unwrap();
    assert!(html.contains("few_words") && !html.contains("Samples"));
}

#[test]
fn the_folder_above_will_do_or_is_named_with_what_is_below() {
    let world = World::new();
    world.good(&["build", "-c", "."]);
    for (args, hint) in [
        (&["explain", "0", "--run", "."][..], "hint: a run is in ./runs/small"),
        (&["inspect", "runs"], "hint: look at runs/small"),
        (&["verify", "."], "hint: shards are in ./runs/small/shards"),
    ] {
        let error = world.fails(args, 2);
        assert!(error.contains(hint), "{args:?}: {error}");
    }
}

#[test]
fn a_training_and_its_scores_make_a_page_without_a_build() {
    let world = World::new();
    std::fs::remove_file(world.path("pipeline.toml")).unwrap();
    let run = world.path("logs/first");
    std::fs::create_dir_all(&run).unwrap();
    let line = "{\"step\": 1, \"loss\": 2.5, \"seconds\": 1.0, \"samples_per_second\": 9.0}\n";
    std::fs::write(run.join("steps.jsonl"), line.repeat(3)).unwrap();
    world.good(&["report", "--training", "logs/first", "--out", "page.html"]);
    assert!(std::fs::read_to_string(world.path("page.html")).unwrap().contains("Training"));
    let error = world.fails(&["report", "--training", "first", "--out", "page.html"], 2);
    assert!(error.contains("first: no run of `clip-data train` is here\nhint: "), "{error}");
    let error = world.fails(&["report", "--scores", "nowhere.json", "--out", "page.html"], 2);
    assert!(error.contains("\nhint: check the path"), "{error}");
    // Without a page's name, it is about a build.
    assert!(world.fails(&["report", "--training", "logs/first"], 2).contains("pipeline.toml"));
}

#[test]
fn scores_beside_a_contamination_report_are_of_it_and_name_their_model() {
    let world = World::new();
    world.good(&["build"]);
    world.good(&["contamination"]);
    let account = std::fs::read_to_string(world.path("runs/small/contamination.json")).unwrap();
    let account: serde_json::Value = serde_json::from_str(&account).unwrap();
    let id = account["id"].as_str().unwrap();
    let scores = |id: &str| {
        let result = serde_json::json!({"dataset": "toys", "model": "logs/m/checkpoints/step_1",
            "hashes": {"model": "ab12"}, "classes": 8, "chance": 0.125, "contamination": id});
        std::fs::write(world.path("s.json"), result.to_string()).unwrap();
    };
    let report = ["report", "--scores", "s.json", "--out", "page.html"];
    let page = || std::fs::read_to_string(world.path("page.html")).unwrap();
    scores("0123456789abcdef");
    let error = world.fails(&report, 2);
    let wanted = format!(
        "s.json: its scores were split by the contamination report 0123456789abcdef, \
         and the one beside the corpus is {id}\nhint: "
    );
    assert!(error.contains(&wanted), "{error}");
    scores(id);
    world.good(&report);
    let named = format!("Model logs/m/checkpoints/step_1; contamination report {id}.");
    assert!(page().contains(&named), "{}", page());
    scores("unaudited");
    world.good(&report);
    assert!(page().contains("step_1; no contamination report."), "{}", page());

    // Weights of none of the training's checkpoints, and of one.
    let checkpoint = world.path("logs/first/checkpoints/step_1");
    std::fs::create_dir_all(&checkpoint).unwrap();
    std::fs::write(world.path("logs/first/steps.jsonl"), "").unwrap();
    let with = [&report[..], &["--training", "logs/first"]].concat();
    for (hash, foreign) in [("cd34", true), ("ab12", false)] {
        let state = serde_json::json!({"files": {"open_clip_model.safetensors": hash}});
        std::fs::write(checkpoint.join("trainer.json"), state.to_string()).unwrap();
        let output = world.run(&with);
        assert!(output.status.success());
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        let note = "the weights of no checkpoint of --training logs/first.";
        assert_eq!((errors.contains(note), page().contains(note)), (foreign, foreign), "{errors}");
    }
}

#[test]
fn two_runs_are_compared_stage_by_stage() {
    let world = World::new();
    world.good(&["build"]);
    let other = ["--set", "name=other", "--set", "balance.limit=2", "--set", "check.action=drop"];
    world.good(&[&["build"][..], &other].concat());
    let asked = ["report", "--against", "runs/small", "--out", "both.html"];
    world.good(&[&asked[..], &other].concat());
    let html = std::fs::read_to_string(world.path("both.html")).unwrap();
    let section = html.split("<h2>").find(|part| part.starts_with("Compared")).unwrap();
    for part in ["limit 40 -&gt; 2", "action &quot;flag&quot; -&gt; &quot;drop&quot;", "runs/small"]
    {
        assert!(section.contains(part), "{part}: {section}");
    }
    let error = world.fails(&[&asked[..2], &["images"]].concat(), 2);
    assert!(error.contains("images: no build is here\nhint: "), "{error}");
}

#[test]
fn wordnets_names_and_the_numerals_are_metaclips_count() {
    let wordnet = std::path::Path::new("/usr/share/wordnet");
    if !wordnet.is_dir() {
        assert!(
            std::env::var_os("CLIP_DATA_REQUIRE_ALL").is_none(),
            "wordnet-base is missing: run scripts/setup"
        );
        eprintln!("skipped: wordnet-base is missing");
        return;
    }
    let world = World::new();
    let printed =
        world.good(&["queries", "build", "--wordnet", "/usr/share/wordnet", "--out", "q.parquet"]);
    let all = |line: &str| line.split_whitespace().eq(["all", "86654"]);
    assert!(printed.lines().any(all), "{printed}");
}

#[test]
fn a_pipeline_begins_with_init_and_all_missing_files_are_named_at_once() {
    let world = World::new();
    let printed = world.fails(&["init", "new", "--from", "list", "none.csv", "neither.csv"], 2);
    assert!(printed.contains("none.csv, neither.csv"), "{printed}");
    world.good(&["init", "new", "--from", "folder", "images"]);
    world.fails(&["init", "new"], 2);
    // What it writes builds a corpus as it is.
    world.good(&["build", "-c", "new/pipeline.toml"]);
    assert!(world.path("new/runs/new/shards/00000.tar").is_file());
    let files = [
        "language={model=\"lid.ftz\"}",
        "queries={list=\"q.txt\"}",
        "check={against={a=\"sets/a\"}}",
    ];
    let mut args = vec!["plan", "-c", "new/pipeline.toml"];
    args.extend(files.iter().flat_map(|set| ["--set", *set]));
    let printed = world.fails(&args, 2);
    for (file, hint) in [
        ("lid.ftz", "curl -L --create-dirs -o new/lid.ftz"),
        ("q.txt", "queries build"),
        ("sets/a", "eval datasets"),
    ] {
        assert!(printed.contains(file) && printed.contains(hint), "{printed}");
    }
    assert!(executable("clip-testkit").is_file());
}

#[test]
fn clean_removes_what_earlier_settings_made_and_nothing_that_a_build_needs() {
    let world = World::new();
    world.good(&["build", "--set", "balance.limit=30"]);
    // The last build's stages stay, whatever the pipeline says by now.
    assert!(world.good(&["clean"]).contains("stages removed: 0"));
    world.good(&["build"]);
    let shards = crate::world::content(&world.path("runs/small/shards"));
    let would = world.good(&["clean", "--dry-run"]);
    assert!(would.contains("would be freed, stages removed: 5"), "{would}");
    assert_eq!(world.good(&["clean", "--dry-run"]), would);
    let done = world.good(&["clean"]);
    assert_eq!(done, would.replace("would be freed", "freed"));
    assert!(world.good(&["clean"]).contains("stages removed: 0"));
    let plan = world.good(&["plan"]);
    assert!(plan.lines().skip(1).all(|line| line.contains(" reuse ")), "{plan}");
    assert!(crate::world::content(&world.path("runs/small/shards")) == shards);
}
