//! Printing what came from elsewhere: without control of the terminal, and without a panic when
//! the reader has gone.

use std::borrow::Cow;
use std::io::{ErrorKind, Write};

use clip_format::ErrorClass;

/// The text with its control characters as `\u001b`, except line ends and tabs. JSON with such
/// characters stays the same document.
pub fn printable(text: &str) -> Cow<'_, str> {
    let escaped = |c: char| c.is_control() && c != '\n' && c != '\t';
    if !text.contains(escaped) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if escaped(c) {
            shown.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// A writer of text that goes through [`printable`], for many lines in one buffer.
pub struct Printable<W>(pub W);

impl<W: Write> Write for Printable<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write_all(printable(&String::from_utf8_lossy(bytes)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

/// Writes to standard output. A reader that went away (`| head`) ends the process with success; any
/// other failure ends it with an error, for a result that was not written must not look like one.
pub fn print_result(text: &str) {
    let Err(error) = std::io::stdout().write_all(printable(text).as_bytes()) else { return };
    if error.kind() == ErrorKind::BrokenPipe {
        std::process::exit(0);
    }
    print_error(&format!("error: standard output: {error}\n"));
    let refused = clip_format::is_disk_refusal(&error);
    let class = if refused { ErrorClass::Environment } else { ErrorClass::Usage };
    std::process::exit(i32::from(class as u8));
}

/// Writes to standard error, where a failure has nowhere to be reported. A leading `\r` is kept: it
/// begins a line of progress anew.
pub fn print_error(text: &str) {
    let (start, rest) = match text.strip_prefix('\r') {
        Some(rest) => ("\r", rest),
        None => ("", text),
    };
    let _ = std::io::stderr().write_all(format!("{start}{}", printable(rest)).as_bytes());
}

/// `std::println` by way of [`print_result`].
#[macro_export]
macro_rules! println {
    () => { $crate::print_result("\n") };
    ($($arg:tt)*) => { $crate::print_result(&(::std::format!($($arg)*) + "\n")) };
}

/// `std::print` by way of [`print_result`].
#[macro_export]
macro_rules! print {
    ($($arg:tt)*) => { $crate::print_result(&::std::format!($($arg)*)) };
}

/// `std::eprintln` by way of [`print_error`].
#[macro_export]
macro_rules! eprintln {
    () => { $crate::print_error("\n") };
    ($($arg:tt)*) => { $crate::print_error(&(::std::format!($($arg)*) + "\n")) };
}

/// A line on standard error that is neither a warning nor an error: nothing with `--quiet`.
#[macro_export]
macro_rules! note {
    ($($arg:tt)*) => {
        if !$crate::quiet() {
            $crate::print_error(&(::std::format!($($arg)*) + "\n"));
        }
    };
}

/// `std::eprint` by way of [`print_error`].
#[macro_export]
macro_rules! eprint {
    ($($arg:tt)*) => { $crate::print_error(&::std::format!($($arg)*)) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_are_not_controlled_and_json_stays_the_same() {
        assert_eq!(printable("plain\ttext\nü 猫"), "plain\ttext\nü 猫");
        assert!(matches!(printable("plain"), Cow::Borrowed(_)));
        assert_eq!(
            printable("a\u{1b}]0;title\u{7}b\r\u{9b}2J"),
            "a\\u001b]0;title\\u0007b\\u000d\\u009b2J"
        );
        assert_eq!(printable("\u{7f}"), "\\u007f");
    }
}
