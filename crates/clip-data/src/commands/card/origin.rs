//! Where the pairs of a corpus come from: its source, hosts, captions and languages.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use clip_corpus::{columns, redacted, scan, schema_of};
use clip_pipeline::StageReader;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Settings of a source that name what it reads.
const READ: [&str; 4] = ["paths", "seeds", "regions", "images"];
/// Values of a column that are listed.
const LISTED: usize = 20;
/// Rows that are read at a time.
const ROWS: usize = 65_536;

/// Where pairs come from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// Kind of the source; none where the run does not say it.
    pub kind: Option<String>,
    /// What it reads, by setting: files and folders as they were named, pages to start from. What
    /// gives access to them is left out.
    pub read: BTreeMap<String, Vec<String>>,
    /// Hosts of the images; none where no image has a URL with one.
    pub hosts: Option<u64>,
    /// Pairs with a caption.
    pub captions: u64,
    /// Pairs by where their caption was.
    pub caption_sources: Option<Counted>,
    /// Pairs by language, where it was identified.
    pub languages: Option<Counted>,
}

/// Pairs by the value of a column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Counted {
    /// The column.
    pub column: String,
    /// The most frequent.
    pub most: Vec<(String, u64)>,
    /// Pairs with another.
    pub others: u64,
    /// Pairs without.
    pub none: u64,
}

impl Origin {
    /// By the settings of the first stage, and by the tables of the shards.
    pub fn read(first: Option<&StageReader>, tables: &[PathBuf]) -> anyhow::Result<Self> {
        let file = first.map(StageReader::file).transpose()?;
        let source = file.map(|file| file.fingerprint.config["source"].clone()).unwrap_or_default();
        let (hosts, captions) = hosts_and_captions(tables)?;
        Ok(Self {
            kind: source["kind"].as_str().map(str::to_owned),
            read: what_is_read(&source),
            hosts,
            captions,
            caption_sources: counted(tables, &[columns::SOURCE])?,
            languages: counted(tables, &[columns::LANGUAGE])?,
        })
    }
}

fn what_is_read(source: &Value) -> BTreeMap<String, Vec<String>> {
    let texts = |value: &Value| -> Vec<String> {
        let one = value.as_str().into_iter();
        let many = value.as_array().into_iter().flatten().filter_map(Value::as_str);
        one.chain(many).map(|text| redacted(text).into_owned()).collect()
    };
    let named = READ.map(|name| (name.to_owned(), texts(&source[name])));
    named.into_iter().filter(|(_, texts)| !texts.is_empty()).collect()
}

fn hosts_and_captions(tables: &[PathBuf]) -> anyhow::Result<(Option<u64>, u64)> {
    let (mut hosts, mut captions) = (HashSet::new(), 0);
    for table in tables {
        for batch in scan(table, &[columns::URL, columns::CAPTION], ROWS)? {
            let batch = batch?;
            let texts = |name| columns::text(&batch, name).into_iter().flatten().flatten();
            captions += texts(columns::CAPTION).filter(|text| !text.trim().is_empty()).count();
            for url in texts(columns::URL) {
                let url = url::Url::parse(url).ok();
                if let Some(host) = url.as_ref().and_then(url::Url::host_str)
                    && !hosts.contains(host)
                {
                    hosts.insert(host.to_owned());
                }
            }
        }
    }
    Ok(((!hosts.is_empty()).then_some(hosts.len() as u64), captions as u64))
}

/// Counts the values of the first column of these names that each table has; none where one has
/// none.
pub fn counted(tables: &[PathBuf], names: &[&str]) -> anyhow::Result<Option<Counted>> {
    let (mut counts, mut none, mut column) = (BTreeMap::<String, u64>::new(), 0, None);
    for table in tables {
        let Some(name) = column_of(table, names)? else { return Ok(None) };
        for batch in scan(table, &[&name], ROWS)? {
            let texts = cast(batch?.column(0), &DataType::Utf8)?;
            for text in texts.as_string::<i32>() {
                match text.map(str::trim).filter(|text| !text.is_empty()) {
                    Some(text) => *counts.entry(text.to_owned()).or_default() += 1,
                    None => none += 1,
                }
            }
        }
        column.get_or_insert(name);
    }
    let Some(column) = column else { return Ok(None) };
    let mut most: Vec<(String, u64)> = counts.into_iter().collect();
    most.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let others = most.iter().skip(LISTED).map(|(_, count)| count).sum();
    most.truncate(LISTED);
    Ok(Some(Counted { column, most, others, none }))
}

fn column_of(table: &Path, names: &[&str]) -> anyhow::Result<Option<String>> {
    let schema = schema_of(table)?;
    let known = |name: &str| names.iter().any(|known| known.eq_ignore_ascii_case(name));
    let found = schema.fields().iter().find(|field| known(field.name()));
    Ok(found.map(|field| field.name().clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_gives_access_to_a_source_is_left_out() {
        let source = json!({"kind": "list", "part_rows": 10_000, "paths":
            ["a.csv", "https://u:p@example.org/b.csv?token=abc", "s3://b/c.parquet"]});
        let read = what_is_read(&source);
        let paths = ["a.csv", "https://***@example.org/b.csv?token=***", "s3://b/c.parquet"];
        assert_eq!(read["paths"], paths);
        assert_eq!(read.len(), 1);
        let genome = json!({"kind": "visual-genome", "regions": "r.json", "images": "i.json"});
        assert_eq!(what_is_read(&genome)["regions"], ["r.json"]);
        assert!(what_is_read(&Value::Null).is_empty());
    }
}
