//! Values of options as Python Fire reads them, which img2dataset's command line is made by.

use serde::de::DeserializeOwned;

/// Python's and everyone's words for yes and no.
pub fn truth(text: &str) -> Result<bool, String> {
    match text.to_lowercase().as_str() {
        "true" | "1" | "yes" => Ok(true),
        "false" | "0" | "no" => Ok(false),
        _ => Err("must be True or False".into()),
    }
}

/// A word that a setting of the pipeline knows.
pub fn word<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let plain = text.trim_matches(['"', '\'']);
    serde_json::from_value(plain.into()).map_err(|e| e.to_string())
}

/// `["a","b"]`, `['a', 'b']`, `[a,b]` or `a,b`: what Python Fire takes for a list.
pub fn list(text: &str) -> Vec<String> {
    if let Ok(items) = serde_json::from_str(text) {
        return items;
    }
    let inner = text.trim().trim_start_matches(['[', '(']).trim_end_matches([']', ')']);
    let items = inner.split(',').map(|item| item.trim().trim_matches(['"', '\'']));
    items.filter(|item| !item.is_empty() && *item != "None").map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_as_python_fire_reads_them() {
        for text in [
            r#"["NSFW","similarity"]"#,
            "['NSFW', 'similarity']",
            "[NSFW,similarity]",
            "NSFW,similarity",
        ] {
            assert_eq!(list(text), ["NSFW", "similarity"], "{text}");
        }
        assert!(list("[]").is_empty() && list("None").is_empty());
    }
}
