//! `clip-data retry` of builds.

use crate::fetch::{Place, samples};

#[test]
fn failed_rows_of_a_build_are_fetched_again_and_what_follows_is_made_anew() {
    let place = Place::new();
    let mut list = "url,caption\n".to_owned();
    for row in 0..12 {
        let path = match row {
            11 => "/status/404".to_owned(),
            row if row % 4 == 1 => format!("/busy/1/{row}"),
            row => format!("/n/{row}"),
        };
        list += &format!("{},a quiet image number {row}\n", place.site.url(&path));
    }
    place.write("pairs.csv", &list);
    place.write(
        "pipeline.toml",
        "schema = 1\nname = \"r\"\n[source]\nkind = \"list\"\npaths = [\"pairs.csv\"]\npart_rows = 5\n\
         [fetch]\nallow_private = true\nhost_delay_ms = 0\nretries = 0\n[shards]\nrows = 6\n",
    );
    let run = |args: &[&str]| {
        let output = place.command(args).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), errors)
    };
    let (code, _, errors) = run(&["retry", "--where", "error_kind = 'http_429'"]);
    assert_eq!(code, Some(2), "{errors}");
    assert!(errors.contains("`clip-data build` first"), "{errors}");
    let (code, _, errors) = run(&["build"]);
    assert_eq!(code, Some(0), "{errors}");
    let shards = |name: &str| samples(&place.path("runs/r/shards").join(name)).len();
    assert_eq!((shards("00000.tar"), shards("00001.tar")), (6, 2));
    let first = place.site.hits("/n/0");
    let (code, shown, errors) = run(&["retry", "--where", "error_kind in ('http_429')"]);
    assert_eq!(code, Some(0), "{errors}");
    assert!(shown.contains("asked again: 3, there now: 3"), "{shown}");
    assert_eq!((shards("00000.tar"), shards("00001.tar")), (6, 5));
    assert_eq!(place.site.hits("/n/0"), first, "a good row was asked again");
    let captions = samples(&place.path("runs/r/shards/00000.tar"));
    assert!(captions[1].get("txt").unwrap().ends_with(b"number 1"));
    let (_, shown, _) = run(&["retry", "--where", "error_kind in ('http_429')"]);
    assert!(shown.contains("asked again: 0"), "{shown}");
    // Nothing comes: what was made of the rows stays as it is.
    let written = || {
        let tar = std::fs::metadata(place.path("runs/r/shards/00000.tar")).unwrap();
        std::os::unix::fs::MetadataExt::ino(&tar)
    };
    let before = written();
    let (code, shown, errors) = run(&["retry", "--where", "error_kind = 'http_4xx'"]);
    assert_eq!(code, Some(0), "{errors}");
    assert!(shown.contains("asked again: 1, there now: 0"), "{shown}");
    assert_eq!(written(), before);
    let (_, plan, _) = run(&["plan"]);
    assert!(plan.lines().skip(1).all(|line| line.contains("reuse")), "{plan}");
    // The folder of a build is no data set of a fetch.
    for folder in ["runs/r", "runs/r/shards"] {
        let (code, _, errors) = run(&["retry", folder, "--where", "true"]);
        assert!(code == Some(2) && errors.contains("clip-data retry -c"), "{errors}");
    }
}

#[test]
fn a_retry_with_private_addresses_does_not_ask_for_them() {
    let place = Place::new();
    let list = format!("url,caption\n{},a quiet image number 1\n", place.site.url("/n/1"));
    place.write("pairs.csv", &list);
    place.write(
        "pipeline.toml",
        "schema = 1\nname = \"r\"\n[source]\nkind = \"list\"\npaths = [\"pairs.csv\"]\n\
         [fetch]\nhost_delay_ms = 0\n",
    );
    assert_eq!(place.command(&["build"]).output().unwrap().status.code(), Some(1));
    let retry = ["retry", "--allow_private", "True", "--where", "error_kind = 'blocked_address'"];
    let output = place.command(&retry).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !errors.contains("allow_private"), "{errors}");
}
