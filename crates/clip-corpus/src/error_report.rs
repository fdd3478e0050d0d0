//! An error as it is printed.

use std::error::Error;

/// An error and its causes on one line, each once, and the hints of all of them below; URLs without
/// what gives access. A hint is a line that begins with `hint: ` and all that follows it in the
/// same error, as an expected tree of files.
pub fn error_report(error: &(dyn Error + 'static)) -> String {
    let (mut text, mut hints) = (String::new(), Vec::new());
    let mut next: Option<&dyn Error> = Some(error);
    while let Some(error) = next {
        next = error.source();
        let cause = error.to_string();
        let mut lines: Vec<&str> = cause.lines().collect();
        let first = lines.iter().position(|line| line.starts_with("hint: "));
        let hint = lines.split_off(first.unwrap_or(lines.len())).join("\n");
        let lines = lines.join("\n");
        // Many an error names its cause in its own words.
        if !text.contains(&lines) {
            text = if text.is_empty() { lines } else { format!("{text}: {lines}") };
        }
        if !hint.is_empty() && !hints.contains(&hint) {
            hints.push(hint);
        }
    }
    clip_store::redacted(&[vec![text], hints].concat().join("\n")).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Failure(&'static str, Option<Box<Failure>>);

    impl std::fmt::Display for Failure {
        fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Failure {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|cause| cause as _)
        }
    }

    #[test]
    fn causes_are_reported_once_and_hints_come_last() {
        let cause = Failure("gone\nhint: look elsewhere", None);
        let error = Failure(
            "b\nhint: try c",
            Some(Box::new(Failure("a.txt: gone", Some(Box::new(cause))))),
        );
        assert_eq!(error_report(&error), "b: a.txt: gone\nhint: try c\nhint: look elsewhere");
    }

    #[test]
    fn a_hint_keeps_the_lines_that_follow_it() {
        let cause =
            Failure("/data: no such folder\nhint: the expected tree is\n  a/*.jpg\n  b.txt", None);
        let error = Failure("pets", Some(Box::new(cause)));
        let wanted = "pets: /data: no such folder\nhint: the expected tree is\n  a/*.jpg\n  b.txt";
        assert_eq!(error_report(&error), wanted);
    }
}
