//! What copies of evaluation items did to a score, and what the corpus names.

use serde_json::Value;

use crate::world::{FOLDERS, TINY_PRESET, World};

const CORPUS: &str = "runs/small/shards";
const REPORT: &str = "contamination/contamination.json";

fn json(world: &World, path: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(world.path(path)).unwrap()).unwrap()
}

fn lines(world: &World, path: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(world.path(path)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn prepared() -> World {
    let world = World::new();
    std::fs::write(world.path("tiny.json"), TINY_PRESET).unwrap();
    world.good(&["build"]);
    world
}

#[test]
fn arms_are_trained_and_their_difference_is_reported() {
    let world = prepared();
    let check = ["contamination", "--corpus", CORPUS, "--eval", "toys=toys", "--retrain"];
    let runs = ["--seeds", "2", "--", "--preset", "tiny.json", "--batch-size", "16", "--workers"];
    let args = [&check[..], &runs, &["1", "--device", "cpu"]].concat();
    let printed = world.good(&args);
    let first = json(&world, REPORT);
    let found = &first["sets"][0]["retrained"];
    assert_eq!(found["seeds"], 2, "{printed}");
    for arm in ["keep", "replace", "effect", "noise"] {
        for part in ["all", "clean", "overlap"] {
            let mean = &found[arm][part];
            assert!(mean["n"] == 2 && mean["interval"]["low"].is_f64(), "{arm} {part}: {found}");
        }
    }
    let mean = |arm: &str| found[arm]["all"]["mean"].as_f64().unwrap();
    assert!((mean("effect") - (mean("keep") - mean("replace"))).abs() < 1e-9, "{found}");
    assert!(printed.contains("what the copies did") && printed.contains("times its copies"));
    let page = std::fs::read_to_string(world.path("contamination/contamination.html")).unwrap();
    assert!(page.contains("toys: trained without its copies"));

    // The runs have one order; copies are seen with two of the arms, once an epoch.
    let arms = ["keep", "replace", "placebo"].map(|arm| format!("contamination/retrain/{arm}-0"));
    let steps = arms.each_ref().map(|run| lines(&world, &format!("{run}/steps.jsonl")).len());
    assert!(steps[0] > 4 && steps == [steps[0]; 3], "{steps:?}");
    for (run, seen) in arms.iter().zip([2, 0, 2]) {
        let evaluations = lines(&world, &format!("{run}/contamination.jsonl"));
        assert_eq!(evaluations.len(), 2);
        let last = &evaluations[1];
        let items = last["overlap"].as_array().unwrap();
        assert_eq!((last["epoch"].as_u64(), last["items"].as_u64()), (Some(2), Some(16)));
        assert_eq!(items.len(), FOLDERS);
        // Two passes, less what the last batch had no room for.
        let sum: u64 = items.iter().map(|item| item["seen"].as_u64().unwrap()).sum();
        let whole = seen * FOLDERS as u64;
        assert!(sum <= whole && sum + 4 >= whole, "{run}: {sum} of {whole}");
        // The curves: All is the mean of Clean and Overlap, which are as many here.
        let scores = lines(&world, &format!("{run}/checkpoints/results.jsonl"));
        let score =
            |part: &str| scores[1][format!("toys-zeroshot-val-top1{part}")].as_f64().unwrap();
        let halves = f64::midpoint(score("-clean"), score("-overlap"));
        assert!((score("") - halves).abs() < 1e-9, "{scores:?}");
        let correct = last["correct"].as_f64().unwrap();
        assert!((score("") - correct / 16.0).abs() < 1e-9, "{scores:?}");
    }

    // Again: nothing is trained anew, and the report is the same.
    world.good(&args);
    assert_eq!(json(&world, REPORT), first);
    let run = arms[0].as_str();
    world.good(&["report", "--training", run, "--retrain", REPORT]);
    let page = std::fs::read_to_string(world.path("runs/small/report.html")).unwrap();
    for part in ["Trained without the copies", ">Overlap<", "what the copies did"] {
        assert!(page.contains(part), "{part}");
    }
    // Other options would be another experiment.
    let other = [&args[..], &["--lr", "1e-3"]].concat();
    let printed = world.fails(&other, 2);
    assert!(printed.contains("another corpus, seed or recipe"), "{printed}");
}

#[test]
fn curves_are_the_same_on_several_processes_and_wrong_reports_are_named() {
    let world = prepared();
    world.good(&["contamination", "--corpus", CORPUS, "--eval", "toys=toys"]);
    let train = |name: &'static str, more: &[&'static str]| {
        let args = ["train", "--train-data", CORPUS, "--preset", "tiny.json", "--device", "cpu"];
        let batch = ["--global-batch-size", "16", "--workers", "1", "--name", name];
        [&args[..], &batch, more].concat()
    };
    let audited = ["--zeroshot", "toys", "--contamination", REPORT];
    let often = ["--zeroshot-frequency", "1"];
    world.good(&train("one", &[&audited[..], &often].concat()));
    world.good(&train("two", &[&audited[..], &often, &["--nproc", "2"]].concat()));
    let seen = |run: &str| {
        let of = |line: &Value| {
            let items = line["overlap"].as_array().unwrap().iter();
            items.map(|item| (item["key"].clone(), item["seen"].clone())).collect::<Vec<_>>()
        };
        lines(&world, &format!("logs/{run}/contamination.jsonl")).iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!((seen("one").len(), seen("one")), (2, seen("two")));
    let params = std::fs::read_to_string(world.path("logs/one/params.txt")).unwrap();
    assert!(params.contains(&format!("contamination: {REPORT}")), "{params}");

    world.good(&["reshard", "-i", CORPUS, "-o", "other"]);
    let copies = [&audited[..], &["--copies", "replace"]].concat();
    let mut elsewhere = train("three", &copies);
    elsewhere[2] = "other";
    let printed = world.fails(&elsewhere, 2);
    assert!(printed.contains("no copy is a pair of --train-data"), "{printed}");
    std::fs::rename(world.path("toys"), world.path("things")).unwrap();
    let things = ["--zeroshot", "things", "--contamination", REPORT];
    let printed = world.fails(&train("four", &things), 2);
    assert!(printed.contains("none of the --zeroshot sets (things)"), "{printed}");
    std::fs::remove_file(world.path("contamination/pairs.parquet")).unwrap();
    let printed = world.fails(&train("five", &copies), 2);
    assert!(printed.contains("pairs.parquet") && printed.contains("hint: "), "{printed}");
    let check = ["contamination", "--corpus", "images", "--eval", "things=things", "--retrain"];
    let printed = world.fails(&[&check[..], &["--", "--preset", "tiny.json"]].concat(), 2);
    assert!(printed.contains("trains on shards"), "{printed}");
}

#[test]
fn accuracy_is_reported_by_how_often_the_corpus_names_the_class() {
    let world = World::new();
    let pipeline = std::fs::read_to_string(world.path("pipeline.toml")).unwrap();
    let pipeline = pipeline.replace(r#"toys = "toys""#, r#"things = "things""#);
    std::fs::write(world.path("pipeline.toml"), pipeline).unwrap();
    let mut rows = "key,correct\n".to_owned();
    for (class, right) in [("boat", 1), ("wooden garden", 1), ("zebra", 0)] {
        std::fs::create_dir_all(world.path(&format!("things/{class}"))).unwrap();
        let image = world.path("toys/class_1/other.png");
        std::fs::copy(image, world.path(&format!("things/{class}/0.png"))).unwrap();
        rows.push_str(&format!("{class}/0.png,{right}\n"));
    }
    std::fs::write(world.path("p.csv"), &rows).unwrap();
    world.good(&["build"]);
    world.good(&["report", "--predictions", "things=p.csv"]);
    let found = &json(&world, "runs/small/frequency.json")[0];
    let class = |at: usize| {
        let class = &found["classes"][at];
        let number = |key: &str| class[key].as_u64();
        (class["class"].as_str().unwrap(), number("pairs"), number("query"), number("correct"))
    };
    // Two of each folder's captions are of boats, one of them perhaps beside a copy's.
    assert_eq!((class(0).0, class(0).1, class(0).3), ("boat", Some(16), Some(1)), "{found}");
    assert!((8..=16).contains(&class(0).2.unwrap()), "{found}");
    // `wooden garden` is no query.
    assert_eq!((class(1).0, class(1).2, class(1).3), ("wooden garden", None, Some(1)), "{found}");
    assert!((1..16).contains(&class(1).1.unwrap()), "{found}");
    assert_eq!(class(2), ("zebra", Some(0), None, Some(0)), "{found}");
    assert!(found["spearman"].as_f64().unwrap() > 0.8, "{found}");
    let page = std::fs::read_to_string(world.path("runs/small/report.html")).unwrap();
    assert!(page.contains("things: accuracy by frequency") && page.contains(">zebra<"));
    let printed = world.fails(&["report", "--predictions", "toys=p.csv"], 2);
    assert!(printed.contains("[check] against has things"), "{printed}");
    std::fs::write(world.path("p.csv"), rows + "elephant/0.png,1\n").unwrap();
    let printed = world.fails(&["report", "--predictions", "things=p.csv"], 2);
    assert!(printed.contains("1 predictions are of no item"), "{printed}");
}
