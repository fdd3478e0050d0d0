//! What the sources of the settings say of them: rustfmt's layout is all that is read.

/// A field of a struct.
#[derive(Debug, PartialEq)]
pub struct Field {
    pub name: String,
    pub doc: String,
    /// Its type, as it is written.
    pub kind: String,
    /// Whether it may be absent by its attributes.
    pub optional: bool,
}

/// The fields of a struct, in order.
pub fn fields(source: &str, name: &str) -> Vec<Field> {
    let (whole, body) = item(source, &format!("pub struct {name} {{"));
    let mut fields = Vec::new();
    let (mut doc, mut optional) = (String::new(), false);
    for line in body.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            doc.push_str(text);
        } else if line.starts_with("#[serde(") {
            optional |= line.contains("default");
            // What no file sets.
            if line.contains("#[serde(skip)]") {
                doc.clear();
            }
        } else if let Some((field, kind)) =
            line.strip_prefix("pub ").and_then(|line| line.split_once(": "))
        {
            let kind = kind.trim_end_matches(',').to_owned();
            let optional = std::mem::take(&mut optional) || whole || kind.starts_with("Option<");
            let doc = std::mem::take(&mut doc).trim().to_owned();
            fields.push(Field {
                name: field.trim_start_matches("r#").to_owned(),
                doc,
                kind,
                optional,
            });
        }
    }
    assert!(!fields.is_empty(), "{name} has no fields");
    fields
}

/// The values of an enum without content, each with what it means; empty where it is none.
pub fn values(source: &str, name: &str) -> Vec<(String, String)> {
    let head = format!("pub enum {name} {{");
    let Some(at) = source.find(&head) else { return Vec::new() };
    let attributes = &source[..at][source[..at].rfind("\n\n").unwrap_or(0)..];
    let rename = ["snake_case", "kebab-case", "lowercase"];
    let rename =
        rename.into_iter().find(|rule| attributes.contains(&format!("rename_all = \"{rule}\"")));
    let Some(rename) = rename else { return Vec::new() };
    let (_, body) = item(source, &head);
    let (mut values, mut doc) = (Vec::new(), String::new());
    for line in body.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            doc.push_str(text);
        } else if let Some(variant) = line.strip_suffix(',').filter(|line| !line.starts_with('#')) {
            if !variant.chars().all(char::is_alphanumeric) {
                return Vec::new();
            }
            values.push((renamed(variant, rename), std::mem::take(&mut doc).trim().to_owned()));
        }
    }
    values
}

/// Whether all fields of an item have defaults, and its body.
fn item<'a>(source: &'a str, head: &str) -> (bool, &'a str) {
    let at = source.find(head).unwrap_or_else(|| panic!("no {head}"));
    let body = &source[at + head.len()..];
    let body = &body[..body.find("\n}").expect("an end")];
    let attributes = &source[..at][source[..at].rfind("\n\n").unwrap_or(0)..];
    (attributes.contains("deny_unknown_fields, default)"), body)
}

fn renamed(variant: &str, rule: &str) -> String {
    let mut text = String::new();
    for (at, c) in variant.chars().enumerate() {
        if c.is_uppercase() && at > 0 && rule != "lowercase" {
            text.push(if rule == "snake_case" { '_' } else { '-' });
        }
        text.extend(c.to_lowercase());
    }
    text
}

#[test]
fn fields_and_values_are_read_as_rustfmt_writes_them() {
    let source = [
        "",
        "",
        "/// A thing.",
        "#[serde(deny_unknown_fields)]",
        "pub struct Thing {",
        "    /// One,",
        "    /// in two lines.",
        "    #[serde(default)]",
        "    pub one: Mode,",
        "    /// Two.",
        "    pub r#where: Vec<String>,",
        "}",
        "",
        "/// Modes.",
        "#[serde(rename_all = \"snake_case\")]",
        "pub enum Mode {",
        "    /// First.",
        "    #[default]",
        "    KeepRatio,",
        "    /// Second.",
        "    No,",
        "}",
    ];
    let source = &source.join("\n");
    let field = |name: &str, doc: &str, kind: &str, optional| Field {
        name: name.into(),
        doc: doc.into(),
        kind: kind.into(),
        optional,
    };
    let wanted = [
        field("one", "One, in two lines.", "Mode", true),
        field("where", "Two.", "Vec<String>", false),
    ];
    assert_eq!(fields(source, "Thing"), wanted);
    let wanted = [("keep_ratio".to_owned(), "First.".to_owned()), ("no".into(), "Second.".into())];
    assert_eq!(values(source, "Mode"), wanted);
    assert_eq!(values(source, "Other"), []);
}
