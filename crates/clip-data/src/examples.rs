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

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of a line, as a shell splits them.
    fn words(line: &str) -> Vec<String> {
        let (mut words, mut quote) = (vec![String::new()], None);
        for c in line.chars() {
            match (c, quote) {
                ('\'' | '"', None) => quote = Some(c),
                (_, Some(open)) if open == c => quote = None,
                (' ', None) => words.push(String::new()),
                _ => words.last_mut().unwrap().push(c),
            }
        }
        let end = words.iter().position(|word| word == ">").unwrap_or(words.len());
        words.truncate(end);
        words
    }

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
