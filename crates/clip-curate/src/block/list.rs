//! Files with an entry a line.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use clip_guard::read_lines;
use clip_pipeline::{Error, Result};

/// Where an entry is: a file by its place, and a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    file: u32,
    line: u32,
}

/// Files of entries, for naming one.
#[derive(Debug, Default)]
pub(super) struct Lists {
    names: Vec<String>,
}

impl Lists {
    /// Calls `entry` with each line of each file that is neither empty nor a comment (`#`).
    ///
    /// # Errors
    /// Naming file and line, those of `entry` too.
    pub(super) fn read(
        &mut self,
        paths: &[PathBuf],
        mut entry: impl FnMut(&str, Place) -> std::result::Result<(), String>,
    ) -> Result<()> {
        for path in paths {
            let file = self.names.len() as u32;
            self.names.push(path.file_name().unwrap_or_default().to_string_lossy().into_owned());
            let opened = File::open(path).map_err(|e| Error::io(path, e))?;
            let named = |number: u64, reason: String| {
                Error::Config(format!("{}: line {number}: {reason}", path.display()))
            };
            // An error of the file itself, or of a line.
            let mut fault = None;
            let read = read_lines(BufReader::new(opened), |number, line| {
                let text = line.and_then(|line| {
                    std::str::from_utf8(line).map_err(|_| "the line is not UTF-8".to_owned())
                });
                let place = Place { file, line: u32::try_from(number).unwrap_or(u32::MAX) };
                let done = text.and_then(|text| match text.trim() {
                    "" => Ok(()),
                    comment if comment.starts_with('#') => Ok(()),
                    text => entry(text, place),
                });
                done.map_err(|reason| {
                    fault = Some(named(number, reason));
                    std::io::Error::other("stop")
                })
            });
            match (read, fault) {
                (_, Some(fault)) => return Err(fault),
                (Err(e), None) => return Err(Error::io(path, e)),
                (Ok(()), None) => {}
            }
        }
        Ok(())
    }

    /// File and line of an entry.
    pub(super) fn name(&self, place: Place) -> String {
        format!("{} line {}", self.names[place.file as usize], place.line)
    }
}

/// The first word of a line: lists of hashes may have names after them, as `clip-data hash` and
/// `sha256sum` print them.
pub(super) fn first_word(line: &str) -> &str {
    line.split_whitespace().next().unwrap_or(line)
}

/// The bits of a hash in hexadecimal digits.
///
/// # Errors
/// In words, when it has another number of digits than `N` words of 16.
pub(super) fn hex<const N: usize>(text: &str) -> std::result::Result<[u64; N], String> {
    let mut bits = [0; N];
    let wrong = || format!("{text:?} is not a hash of {} hexadecimal digits", 16 * N);
    if text.len() != 16 * N || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    for (at, word) in bits.iter_mut().enumerate() {
        *word = u64::from_str_radix(&text[16 * at..][..16], 16).map_err(|_| wrong())?;
    }
    Ok(bits)
}
