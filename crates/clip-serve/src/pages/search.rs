//! The images nearest to a sentence or to another image, by stored embeddings.

use clip_report::escape;

use super::build::run_tabs;
use super::rows::figures;
use crate::http::{Reply, Request};
use crate::neighbours::{Part, embedding, embedding_files, nearest};
use crate::page::{choice, fault, page};
use crate::stages::stages;
use crate::state::{State, name_of};
use crate::{Error, Result};

/// Images that are shown.
const SHOWN: usize = 48;

/// The nearest images; without a question, the form.
pub(crate) fn search(state: &State, request: &Request) -> Result<Reply> {
    let (query, path) = (&request.query, state.path(request)?);
    let of = query.need("of")?;
    let mut with = Vec::new();
    for stage in stages(&path)? {
        let files = embedding_files(&stage)?;
        if !files.is_empty() {
            with.push((stage, files));
        }
    }
    let mut body = run_tabs(of, "search");
    let chosen = query.get("rows").or(with.last().map(|(stage, _)| stage.name.as_str()));
    let Some((stage, files)) = with.iter().find(|(stage, _)| Some(stage.name.as_str()) == chosen)
    else {
        body.push_str(&fault(
            "No embeddings are stored in this run.\nhint: `embeddings = true` in a [[score]] of the pipeline stores them",
        ));
        return Ok(page(&name_of(&path), &body));
    };
    let (name, text) = (&stage.name, query.get("text"));
    let choices =
        with.iter().map(|(other, _)| choice(&other.name, &other.name, other.name == *name));
    body.push_str(&format!(
        "<form class=\"filters\" action=\"/search\"><input type=\"hidden\" name=\"of\" value=\"{}\">\
         <label>embeddings of <select name=\"rows\">{}</select></label>\
         <label>images nearest to <input type=\"search\" name=\"text\" placeholder=\"a sentence\" value=\"{}\"></label>\
         <button>search</button></form>\n",
        escape(of),
        choices.collect::<String>(),
        escape(text.unwrap_or_default())
    ));
    let corpus = state.corpus_of(&path, Some(name))?;
    // The files of rows and of embeddings are of the same parts, in their order.
    if corpus.tables.files().count() != files.len() {
        return Err(Error::absent(format!("{name}: embeddings of all parts")));
    }
    files.iter().try_for_each(|file| state.roots.check(file))?;
    let parts = corpus.tables.files().zip(files);
    let parts = parts.map(|(table, file)| Part { file: file.clone(), rows: table.rows.clone() });
    let parts: Vec<Part> = parts.collect();
    let vector = match (text, query.number::<u64>("like")?) {
        (Some(text), _) => match state.encode(stage, text) {
            Ok(vector) => vector,
            Err(why) => {
                body.push_str(&fault(&why));
                return Ok(page(&name_of(&path), &body));
            }
        },
        (None, Some(row)) => embedding(&parts, row)?,
        (None, None) => {
            body.push_str(
                "<p>Ask for a sentence, or follow <i>alike</i> at an image of these pairs:</p>\n",
            );
            let first: Vec<u64> = (0..corpus.tables.rows().min(SHOWN as u64)).collect();
            body.push_str(&figures(&corpus, (of, name), &first, &[])?);
            return Ok(page(&name_of(&path), &body));
        }
    };
    let found = nearest(&parts, &vector, SHOWN)?;
    let (rows, cosines): (Vec<u64>, Vec<f32>) = found.into_iter().unzip();
    body.push_str("<p id=\"found\">The nearest first, with their cosines.</p>\n");
    body.push_str(&figures(&corpus, (of, name), &rows, &cosines)?);
    Ok(page(&name_of(&path), &body))
}
