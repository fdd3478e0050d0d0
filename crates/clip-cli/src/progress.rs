//! Progress on standard error: in place on a terminal, elsewhere a line now and then, JSON for
//! programs. A log file never gets a `\r`.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use crate::{print_error, printable, quiet};

/// How progress is shown, on standard error.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Show {
    /// Bars on a terminal, else lines
    #[default]
    Auto,
    /// Lines
    Plain,
    /// One JSON object a line
    Json,
    /// Nothing
    None,
}

/// `--progress`.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct ProgressArgs {
    /// How progress is shown
    #[arg(long, value_enum, default_value_t, conflicts_with = "quiet")]
    progress: Show,
}

impl ProgressArgs {
    /// How it is shown, `--quiet` considered.
    pub fn show(self) -> Show {
        if quiet() { Show::None } else { self.progress }
    }
}

impl Show {
    /// How a command shows progress that has no `--progress`.
    pub fn default_here() -> Self {
        ProgressArgs::default().show()
    }

    /// Whether it is drawn in place.
    pub fn in_place(self) -> bool {
        self == Self::Auto && std::io::stderr().is_terminal()
    }
}

/// Time to the first line where there is no terminal.
const FIRST: Duration = Duration::from_secs(3);
/// Time between two lines there.
const EVERY: Duration = Duration::from_secs(10);
/// The same on a terminal.
const FRAME: Duration = Duration::from_millis(100);

fn bar_style() -> ProgressStyle {
    style("{prefix:>12} [{bar:28}] {elapsed} {msg}").progress_chars("=> ")
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// The progress of one task that counts something: its rows, images or bytes.
pub struct StatusLine {
    name: String,
    show: Show,
    bar: Option<ProgressBar>,
    every: Duration,
    said: Mutex<Instant>,
}

impl StatusLine {
    /// A task; with `total`, of as many units, a terminal has a bar.
    pub fn new(show: Show, name: &str, total: Option<u64>) -> Self {
        let bar = show.in_place().then(|| {
            let (bar, style) = match total {
                Some(total) => (ProgressBar::new(total), bar_style()),
                None => {
                    (ProgressBar::new_spinner(), style("{prefix:>12} {spinner} {elapsed} {msg}"))
                }
            };
            bar.set_style(style);
            bar.set_prefix(name.to_owned());
            bar.enable_steady_tick(2 * FRAME);
            bar
        });
        let every = if bar.is_some() { FRAME } else { EVERY };
        Self { name: name.to_owned(), show, bar, every, said: before_first(every) }
    }

    /// The same with another time between two lines where there is no terminal.
    pub fn every(self, every: Duration) -> Self {
        let every = if self.bar.is_some() { self.every } else { every };
        Self { every, said: before_first(every), ..self }
    }

    /// The number of units, where it is known only now, or is another one: a terminal gets a bar.
    pub fn set_total(&self, total: u64) {
        if let Some(bar) = &self.bar
            && bar.length() != Some(total)
        {
            bar.set_style(bar_style());
            bar.set_length(total);
        }
    }

    /// `done` units are done; `line` says so in words and as JSON, and is asked only when it is
    /// time for one.
    pub fn update(&self, done: u64, line: impl FnOnce() -> (String, Value)) {
        self.update_with(|| done, line);
    }

    /// The same where the count of units is asked for only when it is time for a line.
    pub fn update_with(&self, done: impl FnOnce() -> u64, line: impl FnOnce() -> (String, Value)) {
        let Ok(mut said) = self.said.try_lock() else { return };
        if self.show == Show::None || said.elapsed() < self.every {
            return;
        }
        *said = Instant::now();
        drop(said);
        self.show(done(), line());
    }

    /// The same whether or not it is time for a line.
    pub fn show(&self, done: u64, (text, json): (String, Value)) {
        match (&self.bar, self.show) {
            (Some(bar), _) => {
                bar.set_position(done);
                bar.set_message(printable(&text).into_owned());
            }
            (None, Show::None) => {}
            (None, Show::Json) => print_error(&format!("{json}\n")),
            (None, _) if self.name.is_empty() => print_error(&format!("{text}\n")),
            (None, _) => print_error(&format!("{}: {text}\n", self.name)),
        }
    }

    /// A line beside the progress, which is a JSON object where a program reads.
    pub fn note(&self, text: &str) {
        match (&self.bar, self.show) {
            (Some(bar), _) => bar.println(printable(text)),
            (None, Show::None) => {}
            (None, Show::Json) => {
                let note = serde_json::json!({"event": "note", "message": text});
                print_error(&format!("{note}\n"));
            }
            (None, _) => print_error(&format!("{text}\n")),
        }
    }

    /// An object for programs; nothing for people.
    pub fn event(&self, json: &Value) {
        if self.show == Show::Json {
            print_error(&format!("{json}\n"));
        }
    }

    /// The last line: it stays, also where none was due.
    pub fn finish(&self, done: u64, line: (String, Value)) {
        self.show(done, line);
        if let Some(bar) = &self.bar {
            bar.finish();
        }
    }

    /// The end without a line.
    pub fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// When a line would have been printed, for the next one to be the first.
fn before_first(every: Duration) -> Mutex<Instant> {
    let now = Instant::now();
    Mutex::new(now.checked_sub(every.saturating_sub(FIRST)).unwrap_or(now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_line_is_made_only_when_one_is_due() {
        let asked = std::cell::Cell::new(0);
        let line = || {
            asked.set(asked.get() + 1);
            (String::new(), json!({}))
        };
        let never = StatusLine::new(Show::None, "x", None).every(Duration::ZERO);
        never.update(1, line);
        let later = StatusLine::new(Show::Plain, "x", None);
        later.update(1, line);
        assert_eq!(asked.get(), 0);
        StatusLine::new(Show::Json, "x", Some(3)).every(Duration::ZERO).update(1, line);
        assert_eq!(asked.get(), 1);
    }
}
