//! A training run, or two side by side.

use std::path::Path;

use clip_report::{Axis, Cell, Line, Scale, Section, Table, escape, line_chart};
use serde_json::Value;

use crate::http::{Reply, Request};
use crate::page::{choice, page};
use crate::roots::ItemKind;
use crate::state::State;
use crate::training_log::TrainingLog;
use crate::{Error, Result};

/// A training run with its name.
struct Named {
    name: String,
    log: TrainingLog,
}

/// Loss, speed and scores; with `with`, those of another run beside.
pub(crate) fn training(state: &State, request: &Request) -> Result<Reply> {
    let of = request.query.need("of")?;
    let items = state.roots.items();
    let known: Vec<_> = items.iter().filter(|item| item.kind == ItemKind::Training).collect();
    let open = |of: &str| {
        let item = known.iter().find(|item| item.of == of);
        let item = item.ok_or_else(|| Error::absent(format!("{of}: a training run")))?;
        let log = read(state, &item.of)?;
        let name = item.name.rsplit('/').next().unwrap_or_default().to_owned();
        Ok::<_, Error>(Named { name, log })
    };
    let mut runs = vec![open(of)?];
    let with = request.query.get("with").filter(|with| *with != of);
    runs.extend(with.map(open).transpose()?);
    if let [first, second] = &mut runs[..]
        && first.name == second.name
    {
        (first.name, second.name) = (of.to_owned(), with.unwrap_or_default().to_owned());
    }
    let mut body = String::new();
    if known.len() > 1 {
        let others = known.iter().filter(|item| item.of != of);
        let others = others.map(|item| choice(&item.of, &item.name, with == Some(&item.of)));
        body.push_str(&format!(
            "<form class=\"filters\" action=\"/training\"><input type=\"hidden\" name=\"of\" value=\"{}\">\
             <label>compared with <select name=\"with\"><option value=\"\">no other run</option>{}</select></label>\
             <button>compare</button></form>\n",
            escape(of),
            others.collect::<String>()
        ));
    }
    let title = runs.iter().map(|run| run.name.as_str()).collect::<Vec<_>>().join(" and ");
    let sections = [summary(&runs), loss(&runs), speed(&runs), scores(&runs), params(&runs)];
    let sections: String =
        sections.iter().filter(|section| !section.is_empty()).map(Section::html).collect();
    body.push_str(&format!("<div id=\"live\">\n{sections}</div>\n"));
    Ok(page(&title, &body))
}

fn read(state: &State, of: &str) -> Result<TrainingLog> {
    let folder = state.roots.resolve(of)?;
    let files = ["steps.jsonl", "checkpoints/results.jsonl", "params.txt"];
    let files = files.map(|file| folder.join(file));
    files.iter().filter(|file| Path::exists(file)).try_for_each(|file| state.roots.check(file))?;
    TrainingLog::read(&folder)
}

fn head(first: &str, runs: &[Named]) -> Vec<String> {
    std::iter::once(first.to_owned()).chain(runs.iter().map(|run| run.name.clone())).collect()
}

/// What the last step shows.
fn summary(runs: &[Named]) -> Section {
    let number = |value: &Value, digits: usize| match value.as_f64() {
        Some(value) if value != 0.0 && value.abs() < 1e-3 => Cell::Text(format!("{value:.1e}")),
        Some(value) => Cell::Text(format!("{value:.digits$}")),
        None => "–".into(),
    };
    let last = |run: &Named, name: &str, digits| {
        run.log.last().map_or_else(|| "–".into(), |step| number(&step[name], digits))
    };
    let mut table = Table::new(head("", runs));
    for (title, name, digits, add) in [
        ("steps done", "step", 0, 1.0),
        ("epoch", "epoch", 0, 1.0),
        ("loss", "loss", 4, 0.0),
        ("learning rate", "lr", 6, 0.0),
        ("logit scale", "logit_scale", 2, 0.0),
        ("gradient norm", "grad_norm", 3, 0.0),
    ] {
        let cell = |run: &Named| match run.log.last().and_then(|step| step[name].as_f64()) {
            Some(value) if add > 0.0 => number(&(value + add).into(), digits),
            _ => last(run, name, digits),
        };
        table.push(std::iter::once(title.into()).chain(runs.iter().map(cell)));
    }
    let rate = |run: &Named| {
        run.log.rate().map_or_else(|| "–".into(), |rate| Cell::Text(format!("{rate:.1}")))
    };
    table.push(std::iter::once("pairs a second, all steps".into()).chain(runs.iter().map(rate)));
    let sampled = runs.iter().any(|run| run.log.sampled);
    let about = if sampled {
        "As of the last step that was written; the speed is that of all steps. Of these long logs some steps are read, evenly."
    } else {
        "As of the last step that was written; the speed is that of all steps."
    };
    if runs.iter().all(|run| run.log.steps.is_empty()) {
        return Section::new("Now", "No step was written yet.")
            .text("The training has just begun.");
    }
    Section::new("Now", about).table(&table)
}

fn lines(runs: &[Named], points: impl Fn(&TrainingLog) -> Vec<(f64, f64)>) -> Vec<Line> {
    runs.iter().map(|run| Line { name: run.name.clone(), points: points(&run.log) }).collect()
}

const STEP: Axis = Axis { name: "optimizer step", scale: Scale::Linear };

fn loss(runs: &[Named]) -> Section {
    let chart = line_chart(
        &lines(runs, |log| log.points("loss")),
        STEP,
        Axis { name: "loss, nats", scale: Scale::Linear },
    );
    Section::new("Loss", "The contrastive loss of each step, means of neighbours.").markup(&chart)
}

fn speed(runs: &[Named]) -> Section {
    let chart = line_chart(
        &lines(runs, |log| log.points("samples_per_second")),
        STEP,
        Axis { name: "pairs a second", scale: Scale::Linear },
    );
    Section::new("Speed", "Pairs a second of each step, of all processes together.").markup(&chart)
}

/// The scores of evaluations: a table, and a chart of each that has several epochs.
fn scores(runs: &[Named]) -> Section {
    let mut names = Vec::new();
    for name in runs.iter().flat_map(|run| run.log.scores()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let mut table = Table::new(head("score", runs));
    for name in &names {
        let last = |run: &Named| {
            let curve = run.log.curve(name);
            Cell::Text(curve.last().map_or("–".into(), |(_, value)| format!("{value:.4}")))
        };
        table.push(std::iter::once(name.as_str().into()).chain(runs.iter().map(last)));
    }
    let about = "Evaluations during the training, as of the last epoch, and their curves: zero-shot, and held-out pairs.";
    let mut section = Section::new("Scores", about).table(&table);
    for name in &names {
        let chart = line_chart(
            &lines(runs, |log| log.curve(name)),
            Axis { name: "epoch", scale: Scale::Linear },
            Axis { name, scale: Scale::Linear },
        );
        section = section.markup(&chart);
    }
    section
}

/// The settings: all of one run, those that differ of two.
fn params(runs: &[Named]) -> Section {
    let mut names: Vec<&String> = runs.iter().flat_map(|run| run.log.params.keys()).collect();
    names.sort();
    names.dedup();
    let value = |run: &Named, name: &String| {
        run.log.params.get(name).cloned().unwrap_or_else(|| "–".into())
    };
    let mut table = Table::new(head("setting", runs));
    for name in names {
        let values: Vec<String> = runs.iter().map(|run| value(run, name)).collect();
        if values.len() == 1 || values[0] != values[1] {
            let values = values.into_iter().map(Cell::Text);
            table.push(std::iter::once(name.as_str().into()).chain(values));
        }
    }
    match runs.len() {
        1 => Section::new("Settings", "As params.txt has them.").table(&table),
        _ => Section::new("Settings that differ", "All others are equal.").table(&table),
    }
}
