//! Options of other tools, and what they are called here: a hint beneath the parser's own message.

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Options that commands do not know, and what to give instead; the first row that fits counts.
const KNOWN: &[(&str, &str)] = &[
    (
        "--dataset_root",
        "the folder belongs to the dataset: `--dataset cifar10=PATH`, or `--dataset PATH` for what is recognised",
    ),
    (
        "--pretrained",
        "`--model` takes the weights: a file, a folder, a run, or hf-hub:ORG/NAME in the cache of Hugging Face",
    ),
    ("--task", "the task is a command: `clip-data eval zero-shot`, `retrieval`, `linear-probe`"),
    ("--prompt", "`--templates FILE` has a template a line, as in `a photo of a {}.`"),
    ("--max-steps", "`--epochs`, `--train-num-samples` and `--max-minutes` bound a run"),
];

/// What was likely meant by an argument that is not known.
pub fn hint(error: &clap::Error) -> Option<String> {
    if error.kind() != ErrorKind::UnknownArgument {
        return None;
    }
    let Some(ContextValue::String(given)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    if given.ends_with(".toml") {
        return Some(format!("a pipeline is given as `--config {given}`"));
    }
    let usage = error.get(ContextKind::Usage).map(ToString::to_string).unwrap_or_default();
    if given == "--model" && usage.contains("clip-data eval [OPTIONS] <COMMAND>") {
        return Some("what to evaluate comes first: `clip-data eval zero-shot --model …`".into());
    }
    KNOWN.iter().find(|(name, _)| name == given).map(|(_, hint)| (*hint).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint_of(line: &str) -> String {
        let words = ["clip-data"].into_iter().chain(line.split_whitespace());
        let error = crate::command().try_get_matches_from(words).unwrap_err();
        hint(&error).unwrap_or_default()
    }

    #[test]
    fn options_of_other_tools_have_a_hint() {
        let of_eval = |rest: &str| hint_of(&format!("eval zero-shot --model m --dataset d {rest}"));
        assert!(of_eval("--dataset_root /data").contains("--dataset cifar10=PATH"));
        assert!(of_eval("--pretrained openai").contains("`--model` takes the weights"));
        assert!(of_eval("--prompt x").contains("--templates FILE"));
        assert!(hint_of("eval --model m").contains("eval zero-shot --model"));
        assert!(hint_of("train --max-steps 9").contains("--max-minutes"));
        assert_eq!(
            hint_of("build mine/pipeline.toml"),
            "a pipeline is given as `--config mine/pipeline.toml`"
        );
        assert_eq!(of_eval("--nonsense"), "");
        assert_eq!(hint_of("biuld"), "");
    }
}
