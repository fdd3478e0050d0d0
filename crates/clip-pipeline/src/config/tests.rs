//! Errors of `pipeline.toml` as a user sees them.

use super::*;

fn message(text: &str, overrides: &[&str]) -> String {
    let overrides: Vec<String> = overrides.iter().map(|s| (*s).to_owned()).collect();
    Config::parse(text, &overrides).and_then(Config::checked).map(drop).unwrap_err()
}

#[test]
fn the_example_is_valid_and_takes_overrides() {
    let config = Config::parse(EXAMPLE, &["balance.limit=7".into(), "name=other".into()]);
    let config = config.and_then(Config::checked).unwrap();
    assert_eq!(config.balance.unwrap().limit, 7);
    assert_eq!(config.name, "other");
}

#[test]
fn lists_by_language_need_the_language() {
    let with = |text: &str, keep: &str| {
        let items = [keep.to_owned(), "queries.languages.de=\"de.txt\"".to_owned()];
        Config::parse(text, &items).and_then(Config::checked)
    };
    let config = with(EXAMPLE, "language.keep=[\"en\", \"de\", \"fr\"]").unwrap();
    let queries = config.queries.unwrap();
    assert_eq!(queries.rest(config.language.as_ref()), "en, fr");
    let names: Vec<_> = queries.lists().map(|(name, _)| name).collect();
    assert_eq!(names, ["queries.list", "queries.languages.de"]);
    let (before, after) = EXAMPLE.split_once("[language]").unwrap();
    let after = &after[after.find("\n[").unwrap()..];
    let message = with(&format!("{before}{after}"), "seed=1").unwrap_err();
    assert!(message.contains("[queries.languages] needs [language]"), "{message}");
}

#[test]
fn a_setting_that_is_there_twice_has_a_hint_of_its_own() {
    let message = message(&format!("schema = 1\n{EXAMPLE}"), &[]);
    assert!(message.contains("duplicate key"), "{message}");
    assert!(message.contains("hint: a setting, and a section, is written once"), "{message}");
    assert!(!message.contains("quoted"), "{message}");
}

#[test]
fn a_misspelt_key_is_shown_with_line_column_and_hint() {
    let text = EXAMPLE.replacen("limit =", "limits =", 1);
    let message = message(&text, &[]);
    let line = text.lines().position(|line| line.starts_with("limits")).unwrap() + 1;
    assert!(
        message.starts_with(&format!("line {line} column 1: unknown field `limits`")),
        "{message}"
    );
    assert!(message.contains("hint: did you mean limit?"), "{message}");
    let message = self::message("zzz = 1\n", &[]);
    assert!(message.contains("hint: check the spelling"), "{message}");
}

#[test]
fn values_that_cannot_work_are_refused() {
    for (item, part) in [
        ("schema=2", "`schema` must be 1"),
        ("queries.languages.en=\"q\"", "`queries.list` has no effect"),
        ("queries.languages.de=\"q\"", "`queries.languages.de` has no effect"),
        ("name=a/b", "`name` must be letters"),
        ("balance.limit=0", "`balance.limit`"),
        ("select={}", "[select] needs `where` or `top`"),
        ("select.top.width=1.5", "`select.top.width` must be above 0, up to 1, not 1.5"),
        ("select.top.width=nan", "`select.top.width` must be above 0"),
        ("select.where=\"width > 3\"", "with --set"),
        ("shards.rows=0", "`shards.rows`"),
        ("dedup.likeness=3", "`dedup.likeness` must be between 0 and 1"),
        ("dedup.likeness=nan", "`dedup.likeness` must be between 0 and 1"),
        ("caption={min_chars=50,max_chars=10}", "`caption.min_chars` is above"),
        ("caption={max_repeated=5.0}", "`caption.max_repeated` must be between 0 and 1"),
        ("image={resize_mode=\"no\",image_size=64}", "`image.image_size` has no effect"),
        ("image={encode_format=\"png\",encode_quality=80}", "`encode_quality` must be 0 to 9"),
        ("nonsense", "not key=value"),
        ("balance.mode=fair", "with --set"),
    ] {
        let message = message(EXAMPLE, &[item]);
        assert!(message.contains(part), "{item}: {message}");
    }
}
