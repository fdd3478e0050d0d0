//! Every command with its arguments and options.

use clap::{Arg, Command};

use super::cell::cell;

const HEAD: &str = "# Commands and their options

Made from the commands themselves by `scripts/reference`; a test fails when it is stale. `clip-data COMMAND --help` \
prints the same with examples. Every command also has `--quiet` (results, warnings and errors only) and `--help`.
";

/// The page.
pub fn page() -> String {
    let mut command = crate::command();
    command.build();
    let mut page = HEAD.to_owned();
    section(&command, &mut page);
    page
}

fn section(command: &Command, page: &mut String) {
    let shown = command.get_subcommands().filter(|sub| !sub.is_hide_set());
    for sub in shown.filter(|sub| sub.get_name() != "help") {
        if !sub.has_subcommands() {
            page.push_str(&leaf(sub));
        }
        section(sub, page);
    }
}

fn leaf(command: &Command) -> String {
    let name = command.get_bin_name().unwrap_or(command.get_name());
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let mut text = format!("\n## {name}\n\n{}.\n", about.trim_end_matches('.'));
    let own = |arg: &&Arg| {
        !arg.is_hide_set()
            && !arg.is_global_set()
            && !["help", "version"].contains(&arg.get_id().as_str())
    };
    let args: Vec<&Arg> = command.get_arguments().filter(own).collect();
    if args.is_empty() {
        return text;
    }
    text.push_str("\n| | | default |\n|---|---|---|\n");
    for arg in args {
        text.push_str(&format!("| {} | {} | {} |\n", spelled(arg), meaning(arg), default(arg)));
    }
    text
}

/// Its names and its value.
fn spelled(arg: &Arg) -> String {
    let value = || {
        let names =
            arg.get_value_names().map(|names| names.iter().map(ToString::to_string).collect());
        let names: Vec<String> =
            names.unwrap_or_else(|| vec![arg.get_id().as_str().to_uppercase()]);
        names.join(" ")
    };
    let takes = arg.get_num_args().is_some_and(|range| range.takes_values());
    let mut names = Vec::new();
    names.extend(arg.get_short().map(|short| format!("-{short}")));
    names.extend(arg.get_long().map(|long| format!("--{long}")));
    let text = match (names.is_empty(), takes) {
        (true, _) => value(),
        (false, true) => format!("{} {}", names.join(", "), value()),
        (false, false) => names.join(", "),
    };
    format!("`{}`", cell(&text))
}

fn meaning(arg: &Arg) -> String {
    let mut text = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let takes = arg.get_num_args().is_some_and(|range| range.takes_values());
    let values = arg.get_possible_values();
    if takes && !values.is_empty() && !values.iter().all(|value| text.contains(value.get_name())) {
        let shown = values.iter().filter(|value| !value.is_hide_set());
        let shown: Vec<_> = shown.map(|value| format!("`{}`", value.get_name())).collect();
        text.push_str(&format!(": {}", shown.join(", ")));
    }
    if arg.is_required_set() {
        text.push_str(" (required)");
    }
    cell(&text)
}

fn default(arg: &Arg) -> String {
    let takes = arg.get_num_args().is_some_and(|range| range.takes_values());
    let values: Vec<_> =
        arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if !takes || values.is_empty() || arg.is_hide_default_value_set() {
        return String::new();
    }
    format!("`{}`", cell(&values.join(" ")))
}
