//! Shards that img2dataset wrote: their tables have no perceptual hashes, their samples no uids.

use clip_corpus::{Sample, ShardWriter, write_subset};
use clip_image::encode_jpeg;

use crate::world::{World, smooth_image};

#[test]
fn images_are_searched_and_missing_uids_are_named() {
    let world = World::new();
    let folder = world.path("foreign");
    std::fs::create_dir_all(&folder).unwrap();
    let mut writer = ShardWriter::create(&folder.join("00000.tar")).unwrap();
    for number in 0..5 {
        let key = format!("{number:09}");
        let json = format!("{{\"key\": {key:?}, \"url\": \"https://e.org/{number}.jpg\"}}");
        let jpeg = encode_jpeg(&smooth_image(1000 + number), 95).unwrap();
        let fields = vec![("jpg".into(), jpeg), ("json".into(), json.into_bytes())];
        writer.write(&Sample { key, fields }).unwrap();
    }
    let fields = vec![("jpg".into(), b"no image".to_vec())];
    writer.write(&Sample { key: "000000009".into(), fields }).unwrap();
    writer.finish().unwrap();
    let image = encode_jpeg(&smooth_image(1003), 95).unwrap();
    std::fs::write(world.path("mine.jpg"), image).unwrap();
    let output = world.run(&["inspect", "foreign", "--has", "mine.jpg"]);
    let [found, errors] =
        [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(errors.contains("foreign/00000.tar: 1 samples without a readable image"), "{errors}");
    assert!(found.contains("mine.jpg  0 bits  000000003  https://e.org/3.jpg"), "{found}");

    write_subset(&world.path("s.npy"), &[7]).unwrap();
    let error = world.fails(&["reshard", "-i", "foreign", "-o", "out", "-s", "s.npy"], 2);
    assert!(error.contains("foreign: no sample has a uid in its json"), "{error}");
    assert!(error.contains("hint: img2dataset stores the list's uids"), "{error}");
    // Nothing was written: the folder can be used again.
    world.good(&["reshard", "-i", "foreign", "-o", "out"]);
}
