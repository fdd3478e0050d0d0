//! Which class each label of a set means: trees and tables with the names and numbers that copies
//! of the datasets have.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::path::Path;

use clip_datasets::{ClassMatch, EvalSet, OpenOptions, Protocol, Split, open_with, prompts};

/// Writes a tree of a folder a label, with one, two or three images.
fn tree(root: &Path, labels: &[String]) {
    for (at, label) in labels.iter().enumerate() {
        let folder = root.join(label);
        std::fs::create_dir_all(&folder).unwrap();
        for image in 0..=at % 3 {
            std::fs::write(folder.join(format!("{image}.png")), b"x").unwrap();
        }
    }
}

fn open_tree(name: &str, protocol: Option<Protocol>, labels: &[String]) -> Result<EvalSet, String> {
    let dir = tempfile::tempdir().unwrap();
    tree(dir.path(), labels);
    let name = Some(name.to_owned());
    let loader = Some("folder".to_owned());
    let options = OpenOptions { name, protocol, loader, ..OpenOptions::default() };
    let set = open_with(dir.path(), &options).map_err(|error| error.to_string())?;
    // Items are read now, while the files are there.
    let read: Vec<_> = set.items().map(|item| item.unwrap()).collect();
    assert_eq!(read.len(), (0..labels.len()).map(|at| 1 + at % 3).sum::<usize>());
    for item in read {
        let label = item.key.rsplit_once('/').unwrap().0.to_owned();
        let (_, class) = set.labels().find(|pair| pair.0 == label).unwrap();
        assert_eq!(set.classes[item.truth.class().unwrap()], class, "{label}");
    }
    Ok(set)
}

/// The class of each label, with how it was found.
fn classes(
    name: &str,
    protocol: Option<Protocol>,
    labels: &[String],
) -> Result<(ClassMatch, BTreeMap<String, String>), String> {
    let set = open_tree(name, protocol, labels)?;
    let pairs = set.labels().map(|(label, class)| (label.to_owned(), class.to_owned()));
    Ok((set.class_match, pairs.collect()))
}

fn words(labels: &[&str]) -> Vec<String> {
    labels.iter().map(|label| (*label).to_owned()).collect()
}

fn numbers(from: usize, count: usize) -> Vec<String> {
    (from..from + count).map(|n| n.to_string()).collect()
}

/// The first names of a dataset's classes under OpenAI's protocol.
fn openai(id: &str) -> Vec<String> {
    let names = prompts(id, Protocol::OpenAi).unwrap().names;
    names.into_iter().map(|names| names.join(" / ")).collect()
}

#[test]
fn numbers_mean_their_value_whatever_their_string_order() {
    for (id, from) in [
        ("flowers", 1),
        ("flowers", 0),
        ("imagenet", 0),
        ("imagenetv2", 0),
        ("gtsrb", 0),
        ("cifar100", 0),
        ("cars", 1),
        ("aircraft", 0),
        ("dtd", 0),
        ("stl10", 1),
        ("resisc45", 0),
    ] {
        let names = openai(id);
        let (kind, found) = classes(id, None, &numbers(from, names.len())).unwrap();
        assert_eq!((kind, found.len()), (ClassMatch::Number, names.len()), "{id}");
        for (label, class) in found {
            assert_eq!(class, names[label.parse::<usize>().unwrap() - from], "{id}: {label}");
        }
    }
    let names = openai("gtsrb");
    let (_, found) = classes("gtsrb", None, &words(&["00000", "00014", "00040"])).unwrap();
    let wanted = [&names[0], &names[14], &names[40]];
    assert!(found.values().eq(wanted), "{found:?}");
}

#[test]
fn numbers_whose_base_is_unknown_are_refused() {
    for (labels, parts) in [
        (numbers(1, 101), ["101 labels are numbers from 1 to 101", "neither 0 nor 102"]),
        (numbers(0, 103), ["103 labels are numbers from 0 to 102", "out of range for 102 classes"]),
        (numbers(2, 102), ["numbers from 2 to 103", "out of range"]),
    ] {
        let message = classes("flowers", None, &labels).unwrap_err();
        for part in parts.iter().chain(&["flowers: ", "\nhint: ", "classnames.txt", "(mine=PATH)"])
        {
            assert!(message.contains(part), "{message}");
        }
    }
    let message = classes("imagenet", None, &numbers(1, 1000)).unwrap_err();
    assert!(message.contains("development kit"), "{message}");
    let message = classes("caltech101", None, &numbers(0, 102)).unwrap_err();
    assert!(message.contains("number no classes"), "{message}");
}

#[test]
fn one_misspelt_folder_is_refused_by_name() {
    for (id, at, wrong, near) in [
        ("pets", 12, "american_buldog", "american bulldog"),
        ("cars", 14, "Audi R8 Coup 2012", "Audi R8 Coupe 2012"),
        ("caltech101", 6, "airplanez", "airplane"),
        ("dtd", 30, "polkadoted", "polka-dotted"),
    ] {
        let mut labels: Vec<String> =
            openai(id).iter().map(|name| name.replace(['/', ' '], "_")).collect();
        labels[at] = wrong.to_owned();
        let message = classes(id, None, &labels).unwrap_err();
        let wanted = format!(
            "{id}: 1 of {} labels is no class name: {wrong:?} (nearest {near:?})\nhint: ",
            labels.len()
        );
        assert!(message.starts_with(&wanted), "{message}");
    }
    let mut labels = words(&[
        "AnnualCrop",
        "Forest",
        "HerbaceousVegetation",
        "Highway",
        "Industrial",
        "Pasture",
        "PermanentCrop",
        "Residential",
        "River",
        "SeaLakes",
    ]);
    let message = classes("eurosat", None, &labels).unwrap_err();
    assert!(
        message.contains("1 of 10 labels is no class name: \"SeaLakes\" (nearest \"lake or sea\")"),
        "{message}"
    );
    labels[9] = "SeaLake".into();
    labels.remove(0);
    assert_eq!(classes("eurosat", None, &labels).unwrap().1["SeaLake"], "lake or sea");
}

#[test]
fn emotions_by_word_and_by_the_number_of_the_csv() {
    let spoken = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"];
    let named = [
        (
            None,
            [
                "angry",
                "disgusted",
                "fearful",
                "happy / smiling",
                "sad / depressed",
                "surprised / shocked / spooked",
                "neutral / bored",
            ],
        ),
        (
            Some(Protocol::ClipBenchmark),
            ["angry", "disgusted", "fearful", "happy", "sad", "surprised", "neutral"],
        ),
    ];
    for (protocol, names) in named {
        let (kind, found) = classes("fer2013", protocol, &words(&spoken)).unwrap();
        assert_eq!(kind, ClassMatch::Name);
        for (label, name) in spoken.iter().zip(names) {
            assert_eq!(found[*label], name);
        }
        let (kind, found) = classes("fer2013", protocol, &numbers(0, 7)).unwrap();
        assert_eq!(kind, ClassMatch::Number);
        assert!(found.values().eq(names), "{found:?}");
    }
}

#[test]
fn sun397_as_its_authors_list_it() {
    let dir = tempfile::tempdir().unwrap();
    let paths = ["/a/abbey", "/a/apartment_building/outdoor", "/j/jail/indoor", "/j/jail_cell"];
    let mut test = String::new();
    for (at, path) in paths.iter().enumerate() {
        let folder = dir.path().join("SUN397").join(&path[1..]);
        std::fs::create_dir_all(&folder).unwrap();
        for image in 0..=at {
            std::fs::write(folder.join(format!("{image}.jpg")), b"x").unwrap();
            test += &format!("{path}/{image}.jpg\n");
        }
    }
    std::fs::write(dir.path().join("ClassName.txt"), paths.join("\n")).unwrap();
    std::fs::write(dir.path().join("Testing_01.txt"), test).unwrap();
    let options = OpenOptions { name: Some("sun397".into()), ..OpenOptions::default() };
    let set = open_with(dir.path(), &options).unwrap();
    let found: Vec<(String, String)> = set
        .items()
        .map(|item| item.unwrap())
        .map(|item| (item.key, set.classes[item.truth.class().unwrap()].clone()))
        .collect();
    assert_eq!((set.class_match, found.len()), (ClassMatch::Name, 10));
    for (key, class) in found {
        let wanted = match key.rsplit_once('/').unwrap().0 {
            "a/abbey" => "abbey",
            "a/apartment_building/outdoor" => "apartment building outdoor",
            "j/jail/indoor" => "jail indoor",
            "j/jail_cell" => "jail cell",
            other => panic!("{other}"),
        };
        assert_eq!(class, wanted, "{key}");
    }
}

#[test]
fn wordnet_ids_are_imagenets_without_a_name() {
    let open = |labels: &[&str], protocol| {
        let dir = tempfile::tempdir().unwrap();
        tree(&dir.path().join("val"), &words(labels));
        let options = OpenOptions { protocol, ..OpenOptions::default() };
        open_with(dir.path(), &options).unwrap()
    };
    let set = open(&["n01440764", "n02123045", "n15075141"], None);
    assert_eq!(set.classes, ["tench", "tabby cat", "toilet paper"]);
    assert_eq!((set.protocol, set.class_match), (Protocol::OpenAi, ClassMatch::Name));
    assert_eq!((set.prompts(0).len(), set.dataset.is_none()), (80, true));
    assert!(set.prompts(0).iter().all(|prompt| prompt.contains("tench")));
    // One folder may be anything, and the folder's own protocol is the folder's own.
    assert_eq!(open(&["n01440764"], None).classes, ["n01440764"]);
    let own = open(&["n01440764", "n02123045"], Some(Protocol::Folder));
    assert_eq!(own.classes[0], "n01440764");
    assert_eq!(open(&["n01440764", "n00000001"], None).classes[1], "n01440764");
    let message = classes("imagenet-a", None, &words(&["n01440764", "n01443537"])).unwrap_err();
    assert!(message.contains("WordNet ids that are none of its classes"), "{message}");
}

#[test]
fn a_position_is_used_only_where_nothing_matches_and_is_said() {
    let labels: Vec<String> = (0..10).map(|n| format!("kind {}", (b'k' - n) as char)).collect();
    let set = open_tree("cifar10", None, &labels).unwrap();
    assert_eq!(set.class_match, ClassMatch::Position);
    let pairs: Vec<_> = set.labels().take(2).collect();
    assert_eq!(pairs, [("kind b", "airplane"), ("kind c", "automobile")]);
    let message = classes("cifar10", None, &labels[..9]).unwrap_err();
    assert!(message.contains("9 classes in the set, 10 in the prompts"), "{message}");
    assert!(message.contains("\"kind c\""), "{message}");
    let all: Vec<String> = labels.iter().cloned().chain(words(&["x"])).collect();
    assert!(classes("cifar10", None, &all).is_err());
}

#[test]
fn a_list_of_classes_pairs_with_folders_by_name_or_number_before_position() {
    let open = |labels: &[String], listed: &[&str]| {
        let dir = tempfile::tempdir().unwrap();
        tree(dir.path(), labels);
        std::fs::write(dir.path().join("classnames.txt"), listed.join("\n")).unwrap();
        let set = open_with(dir.path(), &OpenOptions::default()).map_err(|e| e.to_string())?;
        let pairs = set.labels().map(|(label, class)| (label.to_owned(), class.to_owned()));
        Ok::<_, String>((set.class_match, pairs.collect::<BTreeMap<_, _>>()))
    };
    let listed: Vec<String> = (0..12).map(|n| format!("thing {}", (b'a' + n) as char)).collect();
    let listed: Vec<&str> = listed.iter().map(String::as_str).collect();
    for from in [0, 1] {
        let (kind, found) = open(&numbers(from, 12), &listed).unwrap();
        assert_eq!(kind, ClassMatch::Number);
        for (label, class) in found {
            assert_eq!(class, listed[label.parse::<usize>().unwrap() - from], "{label}");
        }
    }
    let (kind, found) = open(&words(&["ant", "owl"]), &["owl", "bee", "ant"]).unwrap();
    assert_eq!(
        (kind, found["ant"].as_str(), found["owl"].as_str()),
        (ClassMatch::Name, "ant", "owl")
    );
    let (kind, found) = open(&words(&["x1", "x2"]), &["owl", "ant"]).unwrap();
    assert_eq!((kind, found["x1"].as_str()), (ClassMatch::Position, "owl"));
    let message = open(&words(&["ant", "owls"]), &["owl", "ant"]).unwrap_err();
    assert!(message.contains("\"owls\" (nearest \"owl\")"), "{message}");
    let message = open(&words(&["x1", "x2", "x3"]), &["owl", "ant"]).unwrap_err();
    assert!(message.contains("3 classes in the set, 2 in the prompts"), "{message}");
}

#[test]
fn a_table_obeys_the_same_rules() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.png"), b"x").unwrap();
    let table = dir.path().join("t.csv");
    let open = |name: Option<&str>, split: Split, rows: &str| {
        std::fs::write(&table, format!("image,label,split\n{rows}")).unwrap();
        let options =
            OpenOptions { name: name.map(str::to_owned), split, ..OpenOptions::default() };
        let set = open_with(&table, &options).map_err(|e| e.to_string())?;
        let of = |item: clip_datasets::EvalItem| set.classes[item.truth.class().unwrap()].clone();
        let found: Vec<String> = set.items().map(|item| of(item.unwrap())).collect();
        Ok::<_, String>((set.class_match, found))
    };
    // Labels 1 to 102, the last in another part only.
    let rows: String = (1..=102)
        .rev()
        .map(|n| format!("a.png,{n},{}\n", if n == 102 { "train" } else { "test" }))
        .collect();
    let (kind, found) = open(Some("flowers"), Split::Test, &rows).unwrap();
    let names = openai("flowers");
    assert_eq!(kind, ClassMatch::Number);
    assert!(found.iter().eq(names[..101].iter().rev()));
    let message = open(Some("flowers"), Split::Test, "a.png,1,test\na.png,9,test\n").unwrap_err();
    assert!(message.contains("neither 0 nor 102"), "{message}");
    let message = open(Some("pets"), Split::Test, "a.png,Beagle,test\na.png,Beegle,test\n");
    assert!(message.unwrap_err().contains("\"Beegle\" (nearest \"beagle\")"));
    // Without a name the labels are the classes, and a class that one part lacks moves no other.
    let rows =
        "a.png,owl,test\na.png,ant,test\na.png,owl,train\na.png,bee,train\na.png,ant,train\n";
    assert_eq!(open(None, Split::Test, rows).unwrap().1, ["owl", "ant"]);
    assert_eq!(open(None, Split::Train, rows).unwrap().1, ["owl", "bee", "ant"]);
    let index = |split| {
        std::fs::write(&table, format!("image,label,split\n{rows}")).unwrap();
        let options = OpenOptions { split, ..OpenOptions::default() };
        open_with(&table, &options).unwrap().items().next().unwrap().unwrap().truth.class()
    };
    assert_eq!((index(Split::Test), index(Split::Train)), (Some(2), Some(2)));
    assert!(open(None, Split::Test, "a.png,,test\n").unwrap_err().contains("line 2: no label"));
    // A list of classes beside it: names, or numbers from 0 or from 1.
    std::fs::write(dir.path().join("classnames.txt"), "owl\nant\nbee\n").unwrap();
    let found = |rows: &str| open(None, Split::Test, rows);
    assert_eq!(found("a.png,bee,test\na.png,Owl,test\n").unwrap().1, ["bee", "owl"]);
    assert_eq!(found("a.png,2,test\na.png,0,test\n").unwrap().1, ["bee", "owl"]);
    assert_eq!(found("a.png,3,test\na.png,1,test\n").unwrap().1, ["bee", "owl"]);
    assert!(found("a.png,2,test\na.png,1,test\n").unwrap_err().contains("neither 0 nor 3"));
    assert!(found("a.png,bee,test\na.png,cat,test\n").unwrap_err().contains("\"cat\""));
    assert!(
        found("a.png,x,test\na.png,y,test\na.png,z,test\n")
            .unwrap_err()
            .contains("\"x\" is not in")
    );
}

#[test]
fn what_tools_leave_in_folders_is_no_content() {
    let dir = tempfile::tempdir().unwrap();
    for name in [
        ".DS_Store",
        ".ipynb_checkpoints/1-checkpoint.jpg",
        "cat/.DS_Store",
        "cat/._1.jpg",
        "cat/.ipynb_checkpoints/0-checkpoint.jpg",
        "cat/1.jpg",
        "cat/2.jpg",
        "owl/1.jpg",
        "owl/Thumbs.db",
        "__MACOSX/test/cat/._0.jpg",
        "__MACOSX/0.jpg",
        "empty/notes.txt",
    ] {
        let path = dir.path().join("test").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, b"x").unwrap();
    }
    let set = open_with(dir.path(), &OpenOptions::default()).unwrap();
    assert_eq!(set.classes, ["cat", "owl"]);
    let keys: Vec<String> = set.items().map(|item| item.unwrap().key).collect();
    assert_eq!(keys, ["cat/1.jpg", "cat/2.jpg", "owl/1.jpg"]);
}

#[test]
fn shards_without_a_template_or_a_class_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut shard = clip_corpus::ShardWriter::create(&dir.path().join("test/0.tar")).unwrap();
    let fields = vec![("png".into(), b"x".to_vec()), ("cls".into(), b"1".to_vec())];
    shard.write(&clip_corpus::Sample { key: "s0".into(), fields }).unwrap();
    shard.finish().unwrap();
    std::fs::write(dir.path().join("test/nshards.txt"), "1\n").unwrap();
    std::fs::write(dir.path().join("classnames.txt"), "owl\nant\n").unwrap();
    assert_eq!(open_with(dir.path(), &OpenOptions::default()).unwrap().items().count(), 1);
    for (file, part) in
        [("zeroshot_classification_templates.txt", "no template"), ("classnames.txt", "no class")]
    {
        std::fs::write(dir.path().join(file), "").unwrap();
        let message = open_with(dir.path(), &OpenOptions::default()).map(|_| ()).unwrap_err();
        assert!(message.to_string().ends_with(&format!("{file}: {part}")), "{message}");
        std::fs::write(dir.path().join(file), "a {c}\n").unwrap();
    }
}
