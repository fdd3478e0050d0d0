//! Lines and whole files of bounded length: a packed file of a few megabytes may hold a line of
//! gigabytes.

use std::io::{self, BufRead, Read};

/// Longest line of a list, a table or a text. Rows with an image of some megabytes in base64 are
/// shorter.
pub const LONGEST_LINE: usize = 16 << 20;

/// What [`read_line`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// Nothing: the source has ended.
    End,
    /// A line, which is in the buffer with its end.
    Whole,
    /// A line of this many bytes, more than [`LONGEST_LINE`]; the buffer is empty, and the source
    /// after the line.
    TooLong(u64),
}

impl Line {
    /// Why a line is not given.
    pub fn reason(length: u64) -> String {
        format!(
            "the line has {length} bytes, more than the {} MiB that are read of one",
            LONGEST_LINE >> 20
        )
    }
}

/// Reads up to and with the next line end into `line`, whose former content is dropped.
///
/// # Errors
/// When the source cannot be read.
pub fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Line> {
    read_line_up_to(reader, line, LONGEST_LINE)
}

fn read_line_up_to(reader: &mut impl BufRead, line: &mut Vec<u8>, most: usize) -> io::Result<Line> {
    line.clear();
    let read = reader.by_ref().take(most as u64).read_until(b'\n', line)?;
    if read == 0 {
        return Ok(Line::End);
    }
    if read < most || line.ends_with(b"\n") {
        return Ok(Line::Whole);
    }
    // What is left of the line is read and dropped, a buffer at a time.
    let mut length = read as u64;
    loop {
        let buffer = match reader.fill_buf() {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            buffer => buffer?,
        };
        let end = memchr::memchr(b'\n', buffer);
        let taken = end.map_or(buffer.len(), |at| at + 1);
        let ended = end.is_some() || taken == 0;
        reader.consume(taken);
        length += taken as u64;
        if ended {
            break;
        }
    }
    if length == most as u64 {
        return Ok(Line::Whole);
    }
    *line = Vec::new();
    Ok(Line::TooLong(length))
}

/// Calls `each` for every line, with its number from 1 and without its end (`\n` or `\r\n`); for
/// one that is too long, with the reason.
///
/// # Errors
/// Those of `each`, and that the source cannot be read.
pub fn read_lines<E: From<io::Error>>(
    mut reader: impl BufRead,
    mut each: impl FnMut(u64, Result<&[u8], String>) -> Result<(), E>,
) -> Result<(), E> {
    let mut line = Vec::new();
    for number in 1.. {
        match read_line(&mut reader, &mut line)? {
            Line::End => break,
            Line::TooLong(length) => each(number, Err(Line::reason(length)))?,
            Line::Whole => {
                let text = line.strip_suffix(b"\n").unwrap_or(&line);
                each(number, Ok(text.strip_suffix(b"\r").unwrap_or(text)))?;
            }
        }
    }
    Ok(())
}

/// The rest of a source that is small by nature.
///
/// # Errors
/// When it cannot be read, or is longer than `most` bytes.
pub fn read_whole(reader: impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        let reason =
            format!("it is longer than the {} MiB that are read of such a file", most >> 20);
        return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufReader;

    /// What lines are read of `text`, and how many bytes of each that is too long, with a buffer of
    /// `buffer` bytes.
    fn lines(text: &str, most: usize, buffer: usize) -> Vec<Result<String, u64>> {
        let mut reader = BufReader::with_capacity(buffer, text.as_bytes());
        let (mut found, mut line) = (Vec::new(), Vec::new());
        loop {
            match read_line_up_to(&mut reader, &mut line, most).unwrap() {
                Line::End => return found,
                Line::Whole => found.push(Ok(String::from_utf8(line.clone()).unwrap())),
                Line::TooLong(length) => found.push(Err(length)),
            }
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_dropped_and_those_after_it_are_read() {
        let whole = |text: &str| Ok(text.to_owned());
        for buffer in [1, 3, 4, 5, 1024] {
            assert_eq!(lines("", 4, buffer), []);
            assert_eq!(lines("a\n\nb", 4, buffer), [whole("a\n"), whole("\n"), whole("b")]);
            assert_eq!(
                lines("abc\nabcd\nabcdefg\nx\n", 4, buffer),
                [whole("abc\n"), Err(5), Err(8), whole("x\n")]
            );
            assert_eq!(lines("x\nabcd", 4, buffer), [whole("x\n"), whole("abcd")]);
            assert_eq!(lines("x\nabcde", 4, buffer), [whole("x\n"), Err(5)]);
        }
    }

    /// Without a bound it would be one allocation of 8 GiB.
    #[test]
    fn a_line_of_gigabytes_takes_no_memory() {
        let mut reader = BufReader::with_capacity(1 << 20, io::repeat(b'a').take(8 << 30));
        let mut line = Vec::new();
        assert_eq!(read_line(&mut reader, &mut line).unwrap(), Line::TooLong(8 << 30));
        assert_eq!(line.capacity(), 0);
        assert_eq!(read_line(&mut reader, &mut line).unwrap(), Line::End);
    }

    #[test]
    fn whole_files_and_lines_say_what_is_too_long() {
        assert_eq!(read_whole(&b"abc"[..], 3).unwrap(), b"abc");
        let refused = read_whole(io::repeat(0), 2 << 20).unwrap_err();
        assert!(refused.to_string().contains("2 MiB"), "{refused}");
        let mut found = Vec::new();
        let read: io::Result<()> = read_lines(&b"a\r\n\nb"[..], |number, line| {
            found.push((number, line.unwrap().to_vec()));
            Ok(())
        });
        assert!(read.is_ok());
        assert_eq!(found, [(1, b"a".to_vec()), (2, b"".to_vec()), (3, b"b".to_vec())]);
        assert!(Line::reason(1 << 33).contains("8589934592 bytes, more than the 16 MiB"));
    }
}
