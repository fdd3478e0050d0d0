//! Rows of delimited text (CSV, TSV), as pyarrow's reader takes them: a cell may be in double
//! quotes, in which a doubled quote is one, and the delimiter and ends of lines are text.
//!
//! What writers leave unquoted may begin with a quote that is never closed. Such a row, and one
//! with more or fewer cells than the header, is malformed: it is given as that, alone, and the rows
//! after it are read.

use std::collections::VecDeque;
use std::io::{self, BufRead};

use clip_guard::Line;

/// Longest cell over several lines, in bytes and in lines: what a quote that is never closed costs
/// at most.
const LONGEST: usize = 1 << 16;
const MOST_LINES: usize = 1024;

/// Reads rows; the first is the header.
pub struct Delimited<R> {
    reader: R,
    delimiter: u8,
    /// Lines that were read for a row that they turned out not to belong to.
    ahead: VecDeque<Vec<u8>>,
    /// The length of a line that follows those, and is too long.
    too_long: Option<u64>,
    /// The line that is read next, from 1.
    line: u64,
    header: Vec<String>,
}

/// The cells of a row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Row {
    /// Number of cells.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no cell.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// A cell's text; bytes that are no UTF-8 are U+FFFD.
    pub fn cell(&self, at: usize) -> Option<String> {
        let end = *self.ends.get(at)?;
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(String::from_utf8_lossy(&self.text[start..end]).into_owned())
    }
}

impl<R: BufRead> Delimited<R> {
    /// Reads the header. A byte-order mark before it is dropped.
    ///
    /// # Errors
    /// When the source cannot be read; an empty one has a header of no columns.
    pub fn new(reader: R, delimiter: u8) -> io::Result<Self> {
        let (ahead, header) = (VecDeque::new(), Vec::new());
        let mut rows = Self { reader, delimiter, ahead, too_long: None, line: 1, header };
        match rows.next_line()? {
            Read::End => {}
            Read::TooLong(length) => {
                rows.too_long = Some(length);
                rows.line -= 1;
            }
            Read::Line(first) => {
                let first =
                    first.strip_prefix("\u{feff}".as_bytes()).map(<[u8]>::to_vec).unwrap_or(first);
                rows.ahead.push_front(first);
                rows.line -= 1;
            }
        }
        let mut row = Row::default();
        match rows.read(&mut row, None)? {
            Some(Err(malformed)) => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, malformed));
            }
            Some(Ok(())) => rows.header = (0..row.len()).filter_map(|at| row.cell(at)).collect(),
            None => {}
        }
        Ok(rows)
    }

    /// Names of the columns.
    pub fn header(&self) -> &[String] {
        &self.header
    }

    /// Reads the next row into `row`; nothing at the end, and in words why a row is malformed.
    pub fn next_row(&mut self, row: &mut Row) -> io::Result<Option<Result<(), String>>> {
        self.read(row, Some(self.header.len()))
    }

    fn read(
        &mut self,
        row: &mut Row,
        columns: Option<usize>,
    ) -> io::Result<Option<Result<(), String>>> {
        let (line, number) = loop {
            let number = self.line;
            match self.next_line()? {
                Read::End => return Ok(None),
                Read::TooLong(length) => {
                    return Ok(Some(Err(format!("line {number}: {}", Line::reason(length)))));
                }
                Read::Line(line) if content(&line).is_empty() => {}
                Read::Line(line) => break (line, number),
            }
        };
        let mut parser = Parser::new(row, self.delimiter);
        parser.line(&line);
        let mut more: Vec<Vec<u8>> = Vec::new();
        while parser.is_open() && parser.row.text.len() < LONGEST && more.len() < MOST_LINES {
            match self.next_line()? {
                Read::End => break,
                Read::TooLong(length) => {
                    self.too_long = Some(length);
                    self.line -= 1;
                    break;
                }
                Read::Line(next) => {
                    parser.line(&next);
                    more.push(next);
                }
            }
        }
        let fault = parser.end(more.len(), columns);
        if fault.is_some() {
            // Only the first line is lost: those after it are rows of their own.
            self.line -= more.len() as u64;
            more.into_iter().rev().for_each(|line| self.ahead.push_front(line));
        }
        Ok(Some(fault.map_or(Ok(()), |fault| Err(format!("line {number}: {fault}")))))
    }

    fn next_line(&mut self) -> io::Result<Read> {
        let read = if let Some(line) = self.ahead.pop_front() {
            Read::Line(line)
        } else if let Some(length) = self.too_long.take() {
            Read::TooLong(length)
        } else {
            let mut line = Vec::new();
            match clip_guard::read_line(&mut self.reader, &mut line)? {
                Line::End => return Ok(Read::End),
                Line::TooLong(length) => Read::TooLong(length),
                Line::Whole => Read::Line(line),
            }
        };
        self.line += 1;
        Ok(read)
    }
}

/// The next line, if it is one that can be read.
enum Read {
    End,
    TooLong(u64),
    Line(Vec<u8>),
}

/// A line without its end.
fn content(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

enum State {
    /// At the beginning of a cell.
    Start,
    Plain,
    Quoted,
    /// After a quote in a quoted cell.
    Quote,
}

struct Parser<'a> {
    row: &'a mut Row,
    delimiter: u8,
    state: State,
    /// Whether text followed a closing quote.
    loose: bool,
}

impl<'a> Parser<'a> {
    fn new(row: &'a mut Row, delimiter: u8) -> Self {
        row.text.clear();
        row.ends.clear();
        Self { row, delimiter, state: State::Start, loose: false }
    }

    fn line(&mut self, line: &[u8]) {
        let inner = content(line);
        inner.iter().for_each(|&byte| self.byte(byte));
        if self.is_open() {
            self.row.text.extend_from_slice(&line[inner.len()..]);
        }
    }

    fn byte(&mut self, byte: u8) {
        match (&self.state, byte) {
            (State::Start, b'"') => self.state = State::Quoted,
            (State::Quoted, b'"') => self.state = State::Quote,
            (State::Quote, b'"') => {
                self.row.text.push(byte);
                self.state = State::Quoted;
            }
            (State::Start | State::Plain | State::Quote, byte) if byte == self.delimiter => {
                self.row.ends.push(self.row.text.len());
                self.state = State::Start;
            }
            (State::Quoted, byte) => self.row.text.push(byte),
            (State::Start | State::Plain | State::Quote, byte) => {
                self.loose |= matches!(self.state, State::Quote);
                self.row.text.push(byte);
                self.state = State::Plain;
            }
        }
    }

    fn is_open(&self) -> bool {
        matches!(self.state, State::Quoted)
    }

    /// Ends the row; what is wrong with it. Over several lines a quote must be closed where a cell
    /// ends: else it was none.
    fn end(self, more_lines: usize, columns: Option<usize>) -> Option<String> {
        if self.is_open() || (self.loose && more_lines > 0) {
            return Some("a quote is not closed".into());
        }
        self.row.ends.push(self.row.text.len());
        let cells = self.row.ends.len();
        columns.filter(|columns| *columns != cells).map(|columns| {
            format!(
                "{cells} cell{} where the header has {columns}",
                if cells == 1 { "" } else { "s" }
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str, delimiter: u8) -> Vec<Result<Vec<String>, String>> {
        let mut reader = Delimited::new(text.as_bytes(), delimiter).unwrap();
        let (mut rows, mut row) = (Vec::new(), Row::default());
        while let Some(read) = reader.next_row(&mut row).unwrap() {
            rows.push(read.map(|()| (0..row.len()).map(|at| row.cell(at).unwrap()).collect()));
        }
        rows
    }

    fn cells<const N: usize>(cells: [&str; N]) -> Result<Vec<String>, String> {
        Ok(cells.map(str::to_owned).to_vec())
    }

    #[test]
    fn what_pythons_writers_quote_is_text() {
        // csv.writer(file, delimiter="\t"); pandas' to_csv(sep="\t") ends lines with \n alone.
        let text = "caption\turl\r\n\"left\tright\"\tu1\r\n\"line one\nline two\"\tu2\r\n\"say \"\"hi\"\"\"\tu3\r\nplain\tu4\r\n";
        for text in [
            text.to_owned(),
            text.replace("\r\n", "\n"),
            format!("\u{feff}{text}"),
            text.trim_end().into(),
        ] {
            let expected = [
                cells(["left\tright", "u1"]),
                cells(["line one\nline two", "u2"]),
                cells(["say \"hi\"", "u3"]),
                cells(["plain", "u4"]),
            ];
            assert_eq!(rows(&text, b'\t'), expected, "{text:?}");
        }
        assert_eq!(
            rows("a,b\n\"x,\"\"y\"\"\",\n,\n", b','),
            [cells(["x,\"y\"", ""]), cells(["", ""])]
        );
    }

    #[test]
    fn stray_quotes_cost_their_own_row_at_most() {
        let text = "caption\turl\n5\" disk\tu1\n\"never closed\tu2\nplain\tu3\n\"a\" and \"b\"\tu4\nx\"\"y\tu5\n\"open\tu6\n\"q\"\tu7\n\"last\tu8\n";
        let expected = [
            cells(["5\" disk", "u1"]),
            Err("line 3: a quote is not closed".into()),
            cells(["plain", "u3"]),
            cells(["a and \"b\"", "u4"]),
            cells(["x\"\"y", "u5"]),
            Err("line 7: a quote is not closed".into()),
            cells(["q", "u7"]),
            Err("line 9: a quote is not closed".into()),
        ];
        assert_eq!(rows(text, b'\t'), expected);
    }

    #[test]
    fn rows_of_another_length_are_malformed() {
        let expected = [
            Err("line 2: 1 cell where the header has 2".into()),
            cells(["c", "d"]),
            Err("line 5: 3 cells where the header has 2".into()),
        ];
        assert_eq!(rows("a\tb\nx\n\nc\td\n1\t2\t3\n", b'\t'), expected);
        assert_eq!(rows("", b','), []);
    }

    #[test]
    fn a_line_that_is_too_long_is_a_malformed_row_and_its_neighbours_are_read() {
        let long = "y".repeat(clip_guard::LONGEST_LINE + 1);
        let found = rows(&format!("a\tb\n\"open\tu1\n{long}\nc\td\n"), b'\t');
        assert_eq!(found.len(), 3);
        assert_eq!(found[0], Err("line 2: a quote is not closed".into()));
        let fault = found[1].as_ref().unwrap_err();
        assert!(fault.starts_with("line 3: the line has") && fault.contains("16 MiB"), "{fault}");
        assert_eq!(found[2], cells(["c", "d"]));
        assert!(Delimited::new(long.as_bytes(), b',').is_err(), "a header that is too long");
    }

    #[test]
    fn a_quote_that_is_never_closed_costs_little() {
        let mut text = "a\tb\n".to_owned();
        for row in 0..3000 {
            text.push_str(&format!("\"x{row}\t{}\n", "y".repeat(100)));
        }
        let rows = rows(&text, b'\t');
        assert_eq!(rows.len(), 3000);
        assert!(rows.iter().all(Result::is_err));
    }
}
