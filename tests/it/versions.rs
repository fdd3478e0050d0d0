//! `versions.json` lists the version of every stage and of every format of a run's folder, with a
//! hash of what is written for the inputs below. Bytes that change under the same version fail: an
//! older run would be reused as if it were the same. With `CLIP_DATA_UPDATE_VERSIONS=1` the table
//! is written anew, where versions went up with what changed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clip_corpus::Manifest;
use serde_json::{Map, Value, json};

use crate::world::{World, language_model};

/// Version and blake3 of each entry, in the order of a build.
type Table = Vec<(String, u64, String)>;

fn committed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("it/versions.json")
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Names and types of what a JSON value holds, without the values.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            map.iter().map(|(key, value)| (key.clone(), shape(value))).collect::<Map<_, _>>().into()
        }
        Value::Array(items) => {
            let mut shapes: Vec<String> = items.iter().map(|v| shape(v).to_string()).collect();
            shapes.sort();
            shapes.dedup();
            json!(shapes)
        }
        Value::String(_) => "text".into(),
        Value::Number(number) if number.is_f64() => "fraction".into(),
        Value::Number(_) => "number".into(),
        Value::Bool(_) => "truth".into(),
        Value::Null => "null".into(),
    }
}

fn hash(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex()[..32].to_owned()
}

/// Every stage of a run: its version, and a hash of all that its parts were committed with.
fn stages(run: &Path, name: impl Fn(&str) -> String) -> Table {
    let summary = read_json(&run.join("run.json"));
    let mut table = Table::new();
    for stage in summary["stages"].as_array().unwrap() {
        let dir = run.join(stage["dir"].as_str().unwrap());
        if !dir.join("stage.json").is_file() {
            continue;
        }
        let manifest = Manifest::open(&dir).unwrap();
        let files = manifest.commits().flat_map(|commit| &commit.files);
        let files: Vec<String> =
            files.map(|file| format!("{} {}\n", file.name, file.blake3)).collect();
        let version = read_json(&dir.join("stage.json"))["version"].as_u64().unwrap();
        let entry = format!("stage {}", name(stage["stage"].as_str().unwrap()));
        table.push((entry, version, hash(&files.concat())));
    }
    table
}

/// The formats of the JSON files of a run.
fn formats(run: &Path) -> Table {
    let summary = read_json(&run.join("run.json"));
    let dir = |stage: &str| {
        let stages = summary["stages"].as_array().unwrap();
        let found = stages.iter().find(|s| s["stage"] == stage).unwrap();
        run.join(found["dir"].as_str().unwrap())
    };
    let mut stage = read_json(&dir("unique").join("stage.json"));
    let manifest = std::fs::read_to_string(dir("unique").join(Manifest::FILE)).unwrap();
    // The line is part of the stage's folder, and so of its format; reasons and settings are the
    // stage's own.
    let mut line: Value = serde_json::from_str(manifest.lines().next().unwrap()).unwrap();
    (line["dropped"], stage["config"]) = (json!({}), json!({}));
    stage["manifest"] = line;
    let mut run_file = summary.clone();
    run_file["stages"].as_array_mut().unwrap().iter_mut().for_each(|stage| {
        stage["tally"]["dropped"] = json!({});
        stage["tally"].as_object_mut().unwrap().remove("urls");
    });
    let index = read_json(&dir("unique").join("decisions/index.json"));
    [("run.json", run_file), ("stage.json", stage), ("decisions/index.json", index)]
        .into_iter()
        .map(|(name, value)| {
            let version = value["format"].as_u64().unwrap();
            (format!("format {name}"), version, hash(&shape(&value).to_string()))
        })
        .collect()
}

/// Writes files for every stage, builds, and looks.
fn written(model: &Path) -> Table {
    let world = World::new();
    let pipeline = std::fs::read_to_string(world.path("pipeline.toml")).unwrap();
    let language = format!("[language]\nmodel = {:?}\n\n[queries]", model.display().to_string());
    let whole = pipeline.replace("[queries]", &language);
    std::fs::write(world.path("pipeline.toml"), whole).unwrap();
    world.good(&["build"]);
    let run = world.path("runs/small");
    let mut table = formats(&run);
    table.extend(stages(&run, |name| match name {
        "collect" => "collect of images".to_owned(),
        other => other.to_owned(),
    }));
    let rows = (0..40).map(|row| format!("https://images.example/{row}.jpg,a caption of {row}\n"));
    let list: String = ["url,caption\n".to_owned()].into_iter().chain(rows).collect();
    std::fs::write(world.path("pairs.csv"), list).unwrap();
    let settings =
        "schema = 1\nname = \"list\"\n[source]\nkind = \"list\"\npaths = [\"pairs.csv\"]\n";
    std::fs::write(world.path("list.toml"), settings).unwrap();
    world.good(&["build", "-c", "list.toml", "--until", "collect"]);
    table.extend(stages(&world.path("runs/list"), |name| format!("{name} of a list")));
    table
}

#[test]
fn bytes_change_with_a_version_only() {
    let Some(model) = language_model() else { return };
    let found = written(&model);
    let known: BTreeMap<String, (u64, String)> =
        serde_json::from_slice(&std::fs::read(committed()).unwrap()).unwrap();
    let mut changed_before = false;
    for (name, version, hash) in &found {
        let Some((known_version, known_hash)) = known.get(name) else { continue };
        let same_version = known_version == version;
        assert!(
            known_hash == hash || !same_version || changed_before,
            "{name}: other bytes under version {version}: raise it (stages: \
             crates/clip-data/src/recipe.rs; formats: VERSION in crates/clip-pipeline/src)"
        );
        // What a stage reads is what the stages before it wrote.
        changed_before |= known_hash != hash && name.starts_with("stage");
    }
    let found: BTreeMap<String, (u64, String)> =
        found.into_iter().map(|(name, version, hash)| (name, (version, hash))).collect();
    if found == known {
        return;
    }
    let text = format!("{:#}\n", json!(found));
    if std::env::var_os("CLIP_DATA_UPDATE_VERSIONS").is_some() {
        return std::fs::write(committed(), text).unwrap();
    }
    panic!(
        "tests/it/versions.json is not of this version\nhint: CLIP_DATA_UPDATE_VERSIONS=1 writes it\n{text}"
    );
}
