//! `clip-data eval datasets` and `export`.

use std::process::ExitCode;

use anyhow::bail;
use clip_cli::torch::{DatasetsArgs, ExportArgs};
use clip_datasets::{
    Dataset, Protocol, Split, datacomp, datasets, models, prompts, tree, visual_n_grams,
};

use super::inputs::open_set;

/// Lists the registry.
pub fn run(args: DatasetsArgs) -> anyhow::Result<ExitCode> {
    if let Some(name) = &args.name {
        print!("{}", one(clip_datasets::dataset(name)?));
    } else if args.datacomp {
        println!("{:<48} {:<24} {:>7} {:>8}  metric", "task", "name", "items", "chance");
        for task in datacomp() {
            let chance = task.chance.map_or("-".into(), |c| format!("{:.2}%", 100.0 * c));
            println!(
                "{:<48} {:<24} {:>7} {chance:>8}  {}",
                task.key, task.name, task.size, task.metric
            );
        }
    } else if args.n_grams {
        println!("{:<16} {:>16} {:>8}", "dataset", "Visual N-Grams", "CLIP");
        for row in visual_n_grams() {
            println!("{:<16} {:>15.1}% {:>7.1}%", row.dataset, row.n_grams, row.clip);
        }
    } else {
        println!(
            "{:<16} {:<30} {:>7} {:>9} {:>8} {:>8}  {:<22} layout",
            "name", "dataset", "classes", "train", "test", "chance", "metric"
        );
        for d in datasets() {
            let number = |n: Option<u64>| n.map_or("-".into(), |n| n.to_string());
            let classes = number(d.classes.map(|n| n as u64));
            let chance = d.chance.map_or("-".into(), |c| format!("{:.2}%", 100.0 * c));
            println!(
                "{:<16} {:<30} {classes:>7} {:>9} {:>8} {chance:>8}  {:<22} {}",
                d.id,
                d.name,
                number(d.train),
                number(d.test),
                d.metric.name(),
                d.loader
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn one(dataset: &Dataset) -> String {
    let number = |n: Option<u64>| n.map_or("-".into(), |n| n.to_string());
    let mut text = format!(
        "{} ({})\nmetric {}, {} to fit on, {} to score; {}\n{}layout {}:\n{}\n",
        dataset.name,
        dataset.id,
        dataset.metric.name(),
        number(dataset.train),
        number(dataset.test),
        dataset.split,
        if dataset.aliases.is_empty() {
            String::new()
        } else {
            format!("also called {}\n", dataset.aliases.join(", "))
        },
        dataset.loader,
        dataset.layouts().filter_map(tree).collect::<Vec<_>>().join("\n")
    );
    for protocol in [Protocol::OpenAi, Protocol::ClipBenchmark] {
        if let Some(prompts) = prompts(&dataset.id, protocol) {
            let names: Vec<String> =
                prompts.names.iter().take(5).map(|names| names.join(" / ")).collect();
            text.push_str(&format!(
                "{}: {} classes ({}, …), {} templates ({:?}, …), hash {}\n",
                protocol.name(),
                prompts.names.len(),
                names.join(", "),
                prompts.templates.len(),
                prompts.templates[0],
                &prompts.hash()[..16]
            ));
        }
    }
    for model in models() {
        if let Some((value, verified)) = dataset.published(model) {
            let note = if verified { "" } else { "  as recalled" };
            text.push_str(&format!("paper, zero-shot {model:<16} {value:>5.1}{note}\n"));
        }
    }
    text
}

/// Writes a set as shards.
pub fn export(args: ExportArgs) -> anyhow::Result<ExitCode> {
    let split = match args.split.as_str() {
        "train" => Split::Train,
        "val" => Split::Val,
        _ => Split::Test,
    };
    if args.set.skip_unreadable {
        bail!("--skip-unreadable: no effect on an export, which copies images as they are");
    }
    let set = open_set(&args.set, split)?;
    let total = args.set.limit.map(|_| set.count()).transpose()?;
    let sample = args.set.limit.zip(total);
    let count = clip_datasets::export(&set, &args.out, args.per_shard, sample)?;
    let of = total.map_or(String::new(), |total| format!(" of the {total}"));
    println!("{count}{of} items of {} ({}): {}", set.name, set.protocol.name(), args.out.display());
    let out = args.out.display().to_string();
    if clip_datasets::set_name(&out) != set.name {
        println!("evaluate it under its name: --dataset {}={out}", set.name);
    }
    Ok(ExitCode::SUCCESS)
}
