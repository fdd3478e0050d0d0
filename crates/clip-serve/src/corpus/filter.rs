//! What a visitor looks for, as a condition on rows.

use arrow::datatypes::{DataType, Schema};
use clip_corpus::columns;
use clip_query::QueryList;
use clip_sql::Condition;
use clip_sql::condition::quoted;

use crate::http::Fields;
use crate::{Error, Result};

/// Columns that a caption may be in: a build's, and those of lists.
const CAPTIONS: [&str; 4] = [columns::CAPTION, "TEXT", "text", "caption_text"];

/// Fields that a filter is made of, in the order of the form. The choice of a score is none before
/// it has a bound.
pub(crate) const FIELDS: [&str; 9] =
    ["words", "domain", "query", "language", "width", "height", "least", "most", "where"];

/// The column with the captions, if there is one.
pub(crate) fn caption_column(schema: &Schema) -> Option<&str> {
    CAPTIONS.into_iter().find(|name| has(schema, name))
}

/// The columns of real numbers: scores.
pub(crate) fn score_columns(schema: &Schema) -> Vec<&str> {
    let real =
        |kind: &DataType| matches!(kind, DataType::Float16 | DataType::Float32 | DataType::Float64);
    let fields = schema.fields().iter().filter(|field| real(field.data_type()));
    fields.map(|field| field.name().as_str()).collect()
}

fn has(schema: &Schema, name: &str) -> bool {
    schema.field_with_name(name).is_ok()
}

/// A text as SQL has it.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A pattern for a text that ends with another, whatever is in it.
fn ending(text: &str) -> String {
    let mut pattern = String::from("%");
    for letter in text.chars() {
        if matches!(letter, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern
}

/// The same for a text that contains another.
fn containing(text: &str) -> String {
    literal(&(ending(text) + "%"))
}

/// The host that is meant, in small letters: of a URL, before a port, or after `*.`.
fn host_of(text: &str) -> String {
    let text = text.to_lowercase();
    let text = text.split_once("://").map_or(&*text, |(_, rest)| rest);
    let text = text.split(['/', '?', '#']).next().unwrap_or_default();
    let text = text.rsplit_once('@').map_or(text, |(_, rest)| rest);
    let text = text.trim_start_matches("*.");
    match text.split_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host.to_owned(),
        _ => text.to_owned(),
    }
}

/// The condition that the fields of a form mean together; nothing where they are empty.
///
/// # Errors
/// When a field is about a column that is not there, a query is unknown, or a number is none.
pub(crate) fn condition(
    fields: &Fields,
    schema: &Schema,
    queries: Option<&QueryList>,
) -> Result<Option<String>> {
    let need = |name: &'static str, column: &'static str| {
        let absent = || format!("{name}: these rows have no column {column:?}");
        has(schema, column).then(|| quoted(column)).ok_or_else(|| Error::BadRequest(absent()))
    };
    let mut all = Vec::new();
    if let Some(words) = fields.get("words") {
        let column = caption_column(schema).ok_or_else(|| {
            Error::BadRequest("words: these rows have no column with captions".into())
        })?;
        let word = |word: &str| format!("{} ILIKE {}", quoted(column), containing(word));
        all.extend(words.split_whitespace().map(word));
    }
    if let Some(query) = fields.get("query") {
        let column = need("query", columns::QUERIES)?;
        all.push(format!("array_has({column}, {})", query_id(query, queries)?));
    }
    if let Some(language) = fields.get("language") {
        all.push(format!("{} = {}", need("language", columns::LANGUAGE)?, literal(language)));
    }
    if let Some(domain) = fields.get("domain") {
        let (url, domain) = (need("domain", columns::URL)?, host_of(domain));
        // Few URLs contain it, and only theirs are taken apart.
        let (name, below) = (literal(&domain), literal(&ending(&format!(".{domain}"))));
        all.push(format!(
            "{url} ILIKE {} AND (host({url}) = {name} OR host({url}) LIKE {below})",
            containing(&domain)
        ));
    }
    for (name, column) in [("width", "width"), ("height", "height")] {
        if let Some(least) = fields.number::<u64>(name)? {
            all.push(format!("{} >= {least}", need(name, column)?));
        }
    }
    all.extend(score(fields, schema)?);
    if let Some(own) = fields.get("where") {
        // By itself first: an error is about what was written.
        Condition::new(own, schema)?;
        // A comment at its end must not reach beyond it.
        all.push(format!("(\n{own}\n)"));
    }
    Ok((!all.is_empty()).then(|| all.join(" AND ")))
}

/// The bounds of a score.
fn score(fields: &Fields, schema: &Schema) -> Result<Vec<String>> {
    let bounds = [("least", ">="), ("most", "<=")];
    let mut found = Vec::new();
    for (name, sign) in bounds {
        let Some(bound) = fields.number::<f64>(name)? else { continue };
        let column = fields.need("score")?;
        if !score_columns(schema).contains(&column) {
            return Err(Error::BadRequest(format!("score: no column of real numbers {column:?}")));
        }
        found.push(format!("{} {sign} {bound:?}", quoted(column)));
    }
    Ok(found)
}

/// The id of a query, by its number or its text.
fn query_id(query: &str, queries: Option<&QueryList>) -> Result<u64> {
    if let Ok(id) = query.parse() {
        return Ok(id);
    }
    let Some(list) = queries else {
        let hint = "hint: give its number, or start `clip-data serve` with --queries and the list that this run was matched with";
        return Err(Error::BadRequest(format!(
            "query {query:?}: no list of queries is here\n{hint}"
        )));
    };
    let at = list.queries().iter().position(|known| known.text == query);
    at.map(|at| at as u64)
        .ok_or_else(|| Error::BadRequest(format!("query {query:?} is not in the list of queries")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{
        ArrayRef, Float32Array, ListBuilder, RecordBatch, StringArray, UInt32Array, UInt32Builder,
    };
    use clip_pipeline::RowCondition;
    use clip_sql::CompiledCondition;
    use std::sync::Arc;

    fn rows() -> RecordBatch {
        let texts = |texts: [&str; 4]| -> ArrayRef { Arc::new(StringArray::from(texts.to_vec())) };
        let mut queries = ListBuilder::new(UInt32Builder::new());
        for ids in [&[1u32, 7][..], &[], &[7], &[2]] {
            queries.values().append_slice(ids);
            queries.append(true);
        }
        let columns: [(&str, ArrayRef); 6] = [
            ("caption", texts(["A Red fox", "100% red_wine", "l'été", "1000 redswine \\"])),
            (
                "url",
                texts([
                    "https://img.a.example/1.jpg",
                    "http://A.example:80/2.jpg",
                    "http://ba.example/a.example.jpg",
                    "http://xa.example/3",
                ]),
            ),
            ("language", texts(["en", "en", "fr", "en"])),
            ("width", Arc::new(UInt32Array::from(vec![10, 20, 30, 40]))),
            ("clip_similarity", Arc::new(Float32Array::from(vec![0.1, 0.2, f32::NAN, 0.4]))),
            ("queries", Arc::new(queries.finish())),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.map(|(n, c)| (n, c, true))).unwrap()
    }

    fn meant(form: &str) -> Vec<usize> {
        let rows = rows();
        let text =
            condition(&Fields::parse(form.as_bytes()), &rows.schema(), None).unwrap().unwrap();
        let found = CompiledCondition::parse(&text).unwrap().matches(&rows).unwrap();
        (0..found.len()).filter(|&row| found[row]).collect()
    }

    #[test]
    fn fields_mean_rows() {
        for (form, expected) in [
            ("words=red", vec![0, 1, 3]),
            ("words=fox+RED", vec![0]),
            ("words=red_wine", vec![1]),
            ("words=100%25", vec![1]),
            ("words=%5C", vec![3]),
            ("words=l'%C3%89t%C3%A9", vec![2]),
            ("words='+OR+true+OR+'", vec![]),
            ("query=7", vec![0, 2]),
            ("language=en&width=15", vec![1, 3]),
            ("domain=a.example", vec![0, 1]),
            ("domain=A.Example", vec![0, 1]),
            ("domain=a.example:443", vec![0, 1]),
            ("domain=https://me@A.example/1.jpg", vec![0, 1]),
            ("domain=*.a.example", vec![0, 1]),
            ("score=clip_similarity&least=0.15", vec![1, 3]),
            ("score=clip_similarity&least=0.05&most=0.3", vec![0, 1]),
            ("where=width+%3E+10+or+language+%3D+'en'+--+x&width=20", vec![1, 2, 3]),
        ] {
            assert_eq!(meant(form), expected, "{form}");
        }
        let none = Fields::parse(b"words=&score=clip_similarity");
        assert_eq!(condition(&none, &rows().schema(), None).unwrap(), None);
    }

    #[test]
    fn what_cannot_be_asked_says_why() {
        let narrow = rows().project(&[3]).unwrap().schema();
        for (form, why) in [
            ("words=a", "no column with captions"),
            ("language=en", "no column \"language\""),
            ("width=wide", "\"wide\" is no number"),
            ("least=0.3", "no value for \"score\""),
            ("least=0.3&score=width", "no column of real numbers \"width\""),
            ("domain=a.example", "no column \"url\""),
        ] {
            let error = condition(&Fields::parse(form.as_bytes()), &narrow, None).unwrap_err();
            assert!(error.to_string().contains(why), "{form}: {error}");
        }
        let unknown = condition(&Fields::parse(b"query=fox"), &rows().schema(), None).unwrap_err();
        assert!(unknown.to_string().contains("\nhint: give its number"), "{unknown}");
    }
}
