//! A query file: its header, which says what goes in and out, and its SQL.

use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use crate::functions::functions;
use crate::{Error, Result};

/// A table that a query reads, and the columns it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// The table's name.
    pub table: String,
    /// Its columns.
    pub columns: Vec<String>,
}

/// A query with a checked header.
///
/// ```sql
/// -- What it does, in a sentence.
/// -- inputs: pairs(row, url), counts(query, count)
/// -- outputs: row UInt64, reason Utf8?
/// -- functions: draw
/// -- parameters: seed, limit
/// SELECT …
/// ```
/// `?` marks an output that may be null; `functions` and `parameters` are left out where there are
/// none.
#[derive(Debug, Clone)]
pub struct Query {
    /// File name without `.sql`.
    pub name: String,
    /// What it does.
    pub summary: String,
    /// What it reads.
    pub inputs: Vec<Input>,
    /// Columns of the result.
    pub outputs: SchemaRef,
    /// Functions of this crate that it calls.
    pub functions: Vec<String>,
    /// Whole numbers that it is given, written `$name`.
    pub parameters: Vec<String>,
    text: String,
}

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../../sql/", $name, ".sql")))),*]
    };
}

const FILES: &[(&str, &str)] = files![
    "10_unique_pairs",
    "20_balance_counts",
    "20_balance_metaclip",
    "20_balance_assign",
    "20_balance_strict",
    "20_balance_online",
    "30_exact_files",
    "31_known_files",
    "32_keep_best",
    "33_cluster_captions",
    "50_funnel",
    "60_domains",
];

/// Every query that is built in, in the order of the files.
pub fn queries() -> Result<Vec<Query>> {
    FILES.iter().map(|(name, text)| Query::parse(name, text)).collect()
}

/// A query that is built in, by the name of its file without `.sql`.
pub fn query(name: &str) -> Result<Query> {
    let found = FILES.iter().find(|(known, _)| *known == name);
    let (_, text) = found.ok_or_else(|| Error::header(name, "no such query"))?;
    Query::parse(name, text)
}

/// Name and hash of queries, for the fingerprint of a stage that runs them.
pub fn resources(names: &[&str]) -> Vec<(String, String)> {
    let mine = FILES.iter().filter(|(name, _)| names.contains(name));
    mine.map(|(name, text)| {
        (format!("{name}.sql"), blake3::hash(text.as_bytes()).to_hex().to_string())
    })
    .collect()
}

impl Query {
    /// Reads a query from a file.
    pub fn open(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        Self::parse(&name, &text)
    }

    /// Reads a query and holds its text to its header.
    pub fn parse(name: &str, text: &str) -> Result<Self> {
        let header: Vec<&str> = text.lines().map_while(|line| line.strip_prefix("-- ")).collect();
        let section =
            |key: &str| header.iter().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
        let names = |key: &str| -> Vec<String> {
            section(key)
                .unwrap_or_default()
                .split(',')
                .map(str::trim)
                .filter(|s| !s.is_empty())
                .map(str::to_owned)
                .collect()
        };
        let needed = |key: &str| {
            section(key).ok_or_else(|| Error::header(name, format!("the header has no `{key}`")))
        };
        let query = Self {
            name: name.to_owned(),
            summary: header.first().copied().unwrap_or_default().to_owned(),
            inputs: inputs(name, needed("inputs")?)?,
            outputs: outputs(name, needed("outputs")?)?,
            functions: names("functions"),
            parameters: names("parameters"),
            text: text.to_owned(),
        };
        query.check()?;
        Ok(query)
    }

    fn check(&self) -> Result<()> {
        let body = self.body();
        for function in functions() {
            let declared = self.functions.iter().any(|name| name == function.name());
            if declared != calls(&body, function.name()) {
                let what =
                    if declared { "declared but not called" } else { "called but not declared" };
                let reason = format!("function `{}` is {what}", function.name());
                return Err(Error::header(&self.name, reason));
            }
        }
        for name in &self.functions {
            if !functions().iter().any(|function| function.name() == name) {
                return Err(Error::header(&self.name, format!("no function `{name}`")));
            }
        }
        let used = parameters(&body);
        let mut declared = self.parameters.clone();
        declared.sort_unstable();
        if used != declared {
            let reason = format!("parameters {used:?} are used, {declared:?} declared");
            return Err(Error::header(&self.name, reason));
        }
        Ok(())
    }

    /// The SQL without comments.
    fn body(&self) -> String {
        self.text
            .lines()
            .map(|line| line.split("--").next().unwrap_or_default())
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// The SQL with its parameters filled in.
    pub fn bind(&self, values: &[(&str, u64)]) -> Result<String> {
        for (name, _) in values {
            if !self.parameters.iter().any(|known| known == name) {
                return Err(Error::header(&self.name, format!("no parameter `{name}`")));
            }
        }
        let mut body = self.body();
        // Longer names first: `$limits` must not be cut by `$limit`.
        let mut names: Vec<&String> = self.parameters.iter().collect();
        names.sort_by_key(|name| std::cmp::Reverse(name.len()));
        for name in names {
            let value = values.iter().find(|(given, _)| given == name).map(|(_, value)| value);
            let missing = || Error::header(&self.name, format!("parameter `{name}` is missing"));
            body = body.replace(&format!("${name}"), &value.ok_or_else(missing)?.to_string());
        }
        Ok(body)
    }
}

/// Whether `name(` is in `body` as a word.
fn calls(body: &str, name: &str) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    body.match_indices(&format!("{name}(")).any(|(at, _)| !body[..at].ends_with(word))
}

/// The `$names` in `body`, sorted, each once.
fn parameters(body: &str) -> Vec<String> {
    let names = body
        .split('$')
        .skip(1)
        .map(|rest| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
    let mut names: Vec<String> = names.collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn inputs(name: &str, text: &str) -> Result<Vec<Input>> {
    let mut inputs = Vec::new();
    for table in text.split_inclusive(')') {
        let table = table.trim_start_matches([',', ' ']).trim();
        let parsed = table.strip_suffix(')').and_then(|table| table.split_once('('));
        let (table, columns) = parsed.ok_or_else(|| {
            Error::header(name, format!("input {table:?} is not table(column, …)"))
        })?;
        let columns = columns.split(',').map(|column| column.trim().to_owned()).collect();
        inputs.push(Input { table: table.trim().to_owned(), columns });
    }
    Ok(inputs)
}

fn outputs(name: &str, text: &str) -> Result<SchemaRef> {
    let mut fields = Vec::new();
    for column in text.split(',') {
        let parsed = column.trim().split_once(' ').and_then(|(column, kind)| {
            let (kind, nullable) =
                kind.strip_suffix('?').map_or((kind, false), |kind| (kind, true));
            let kind = match kind {
                "UInt64" => DataType::UInt64,
                "UInt32" => DataType::UInt32,
                "Float64" => DataType::Float64,
                "Float32" => DataType::Float32,
                "Boolean" => DataType::Boolean,
                "Utf8" => DataType::Utf8,
                _ => return None,
            };
            Some(Field::new(column, kind, nullable))
        });
        let field = parsed
            .ok_or_else(|| Error::header(name, format!("output {column:?} is not `name Type`")))?;
        fields.push(field);
    }
    Ok(Arc::new(Schema::new(fields)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_keeps_its_header() {
        let queries = queries().unwrap();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sql");
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .filter_map(|entry| {
                let path = entry.unwrap().path();
                (path.extension()? == "sql")
                    .then(|| path.file_stem().unwrap().to_string_lossy().into_owned())
            })
            .collect();
        files.sort();
        let mut names: Vec<_> = queries.iter().map(|query| query.name.clone()).collect();
        names.sort();
        assert_eq!(names, files);
        for query in queries {
            assert!(query.summary.ends_with('.'), "{}", query.name);
        }
    }

    #[test]
    fn the_columns_of_decisions_are_known_as_a_builds_own() {
        for query in queries().unwrap() {
            let outputs: Vec<_> = query.outputs.fields().iter().map(|f| f.name().clone()).collect();
            if !outputs.iter().any(|name| name == "reason") || query.name == "50_funnel" {
                continue;
            }
            for name in outputs {
                let known = clip_corpus::columns::BUILD.contains(&name.as_str());
                assert!(known, "{}: {name}", query.name);
            }
        }
    }

    #[test]
    fn headers_that_lie_are_refused_by_name() {
        let head = "-- A test.\n-- inputs: t(a)\n-- outputs: a UInt64\n";
        let error = |text: String| Query::parse("x", &text).unwrap_err().to_string();
        assert_eq!(
            error(format!("{head}SELECT host(a) FROM t")),
            "x: function `host` is called but not declared"
        );
        assert_eq!(
            error(format!("{head}-- functions: host\nSELECT a FROM t")),
            "x: function `host` is declared but not called"
        );
        assert_eq!(
            error(format!("{head}SELECT a + $n FROM t")),
            "x: parameters [\"n\"] are used, [] declared"
        );
        assert_eq!(error("SELECT 1".into()), "x: the header has no `inputs`");
        assert!(
            error("-- inputs: t\n-- outputs: a UInt64\n".into())
                .contains("is not table(column, …)")
        );
    }

    #[test]
    fn parameters_are_filled_in_or_missed_by_name() {
        let text = "-- A test.\n-- inputs: t(a)\n-- outputs: a UInt64\n-- parameters: n, nn\nSELECT $nn, $n";
        let query = Query::parse("x", text).unwrap();
        assert_eq!(query.bind(&[("n", 1), ("nn", 22)]).unwrap().trim(), "SELECT 22, 1");
        assert_eq!(
            query.bind(&[("n", 1)]).unwrap_err().to_string(),
            "x: parameter `nn` is missing"
        );
        assert_eq!(query.bind(&[("m", 1)]).unwrap_err().to_string(), "x: no parameter `m`");
    }
}
