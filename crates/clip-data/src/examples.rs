//! Examples of each command, at the end of its `--help`.

use clap::Command;

/// A command line a line; it belongs to the command that it runs.
const EXAMPLES: &str = include_str!("examples.txt");

/// The command with the examples of all its subcommands.
pub fn with_examples(command: Command) -> Command {
    let name = command.get_name().to_owned();
    with_path(command, &name)
}

fn with_path(command: Command, path: &str) -> Command {
    if command.has_subcommands() {
        return command.mut_subcommands(|sub| {
            let path = format!("{path} {}", sub.get_name());
            with_path(sub, &path)
        });
    }
    let own: Vec<String> = of(path).map(|line| format!("\n  {line}")).collect();
    if own.is_empty() { command } else { command.after_help(format!("Examples:{}", own.concat())) }
}

fn of(path: &str) -> impl Iterator<Item = &'static str> {
    EXAMPLES.lines().filter(move |line| {
        line.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    })
}

/// The words of a line, as a shell splits them, up to a comment or a redirection.
#[cfg(test)]
pub fn words(line: &str) -> Vec<String> {
    let (mut words, mut quote) = (vec![String::new()], None);
    for c in line.chars() {
        match (c, quote) {
            ('\'' | '"', None) => quote = Some(c),
            (_, Some(open)) if open == c => quote = None,
            (' ', None) => words.push(String::new()),
            _ => words.last_mut().unwrap().push(c),
        }
    }
    let ends = |word: &String| word == ">" || word.starts_with('#');
    let end = words.iter().position(ends).unwrap_or(words.len());
    words.truncate(end);
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(command: &Command, path: &str, all: &mut Vec<String>) {
        if !command.has_subcommands() {
            all.push(path.to_owned());
        }
        for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
            leaves(sub, &format!("{path} {}", sub.get_name()), all);
        }
    }

    #[test]
    fn every_command_has_an_example_and_every_example_is_a_command() {
        let mut all = Vec::new();
        leaves(&crate::command(), "clip-data", &mut all);
        for path in &all {
            assert!(of(path).next().is_some(), "{path}: write one in examples.txt");
        }
        for line in EXAMPLES.lines() {
            let words = words(line).into_iter().map(Into::into);
            let parsed = crate::command()
                .try_get_matches_from(crate::commands::fetch::normalize_flags(words));
            assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
        }
    }

    #[test]
    fn every_evaluation_with_a_model_has_the_size_of_its_batch() {
        let command = crate::command();
        let eval = command.find_subcommand("eval").unwrap();
        let has = |task: &Command, name: &str| {
            task.get_arguments().any(|argument| argument.get_long() == Some(name))
        };
        let with_model: Vec<&Command> =
            eval.get_subcommands().filter(|task| has(task, "model")).collect();
        assert!(with_model.len() >= 7);
        for task in with_model {
            assert!(has(task, "batch-size"), "eval {}", task.get_name());
        }
    }

    #[test]
    fn help_ends_with_examples() {
        let mut command = crate::command();
        command.build();
        let plan = command.find_subcommand_mut("plan").unwrap();
        let help = plan.render_help().to_string();
        assert!(
            help.trim_end().ends_with("clip-data plan -c corpus/pipeline.toml --explain"),
            "{help}"
        );
    }
}
