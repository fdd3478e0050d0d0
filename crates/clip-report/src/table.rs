//! Tables.

use crate::markup::{escape, grouped, percent};

/// What a cell shows.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Text.
    Text(String),
    /// A number of things.
    Count(u64),
    /// A share, as a percentage.
    Share(f64),
    /// Markup, in which every text is escaped already.
    Markup(String),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<u64> for Cell {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl Cell {
    fn html(&self) -> String {
        match self {
            Self::Text(text) => escape(text),
            Self::Count(count) => grouped(*count),
            Self::Share(share) => percent(*share),
            Self::Markup(html) => html.clone(),
        }
    }
}

/// A table. Columns are set to the right, as numbers are, but for the first and those of words;
/// where it is wider than a telephone, each row becomes a list of its cells with the names of their
/// columns.
#[derive(Debug, Clone)]
pub struct Table {
    head: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// An empty table with these columns.
    pub fn new<T: Into<String>>(head: impl IntoIterator<Item = T>) -> Self {
        Self { head: head.into_iter().map(T::into).collect(), rows: Vec::new() }
    }

    /// Facts: a name and a value a row, without names of columns.
    pub fn of_facts<N: Into<Cell>>(facts: impl IntoIterator<Item = (N, Cell)>) -> Self {
        let mut table = Self::new(["", ""]);
        facts.into_iter().for_each(|(name, value)| table.push([name.into(), value]));
        table
    }

    /// Appends a row.
    pub fn push(&mut self, row: impl IntoIterator<Item = Cell>) {
        self.rows.push(row.into_iter().collect());
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether a column has words in place of numbers.
    fn is_of_words(&self, column: usize) -> bool {
        let word = |cell: &Cell| match cell {
            Cell::Text(text) => text.starts_with(char::is_alphabetic),
            Cell::Markup(html) => html.starts_with("<div class=\"reasons\">"),
            Cell::Count(_) | Cell::Share(_) => false,
        };
        let number = |cell: &Cell| matches!(cell, Cell::Count(_) | Cell::Share(_));
        let cells = || self.rows.iter().filter_map(|row| row.get(column));
        cells().any(word) && !cells().any(number)
    }

    /// Its markup.
    pub fn html(&self) -> String {
        let text = |column: usize| if self.is_of_words(column) { " class=\"text\"" } else { "" };
        let texts: Vec<&str> = (0..self.head.len()).map(text).collect();
        // More columns than fit a telephone.
        let class = if self.head.len() > 3 { " class=\"stacked\"" } else { "" };
        let mut html = format!("<div class=\"wide\"><table{class}>\n");
        if self.head.iter().any(|name| !name.is_empty()) {
            html.push_str("<thead><tr>");
            let cells = self.head.iter().zip(&texts);
            html.extend(cells.map(|(cell, class)| format!("<th{class}>{}</th>", escape(cell))));
            html.push_str("</tr></thead>\n");
        }
        html.push_str("<tbody>\n");
        for row in &self.rows {
            html.push_str("<tr>");
            let cells = self.head.iter().zip(row).zip(&texts);
            html.extend(cells.map(|((name, cell), class)| {
                format!("<td{class} data-column=\"{}\">{}</td>", escape(name), cell.html())
            }));
            html.push_str("</tr>\n");
        }
        html.push_str("</tbody></table></div>\n");
        html
    }
}

/// A table whose cells are markup.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut table = Table::new(head.iter().copied());
    table.extend(rows.iter().map(|row| row.iter().cloned().map(Cell::Markup)));
    table.html()
}

impl<R: IntoIterator<Item = Cell>> Extend<R> for Table {
    fn extend<T: IntoIterator<Item = R>>(&mut self, rows: T) {
        rows.into_iter().for_each(|row| self.push(row));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_escaped_and_wide_tables_name_their_columns_in_each_cell() {
        let mut table = Table::new(["set", "pairs", "share", "<note>"]);
        table.push(["<a>".into(), 1234.into(), Cell::Share(0.5), Cell::Markup("<b>x</b>".into())]);
        let html = table.html();
        for part in [
            "<table class=\"stacked\">",
            "<th>&lt;note&gt;</th>",
            "<td data-column=\"set\">&lt;a&gt;</td>",
            "<td data-column=\"pairs\">1,234</td>",
            "<td data-column=\"share\">50.0%</td>",
            "<td data-column=\"&lt;note&gt;\"><b>x</b></td>",
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
        let mut verdicts = Table::new(["set", "p", "verdict"]);
        verdicts.push(["a".into(), "0.010".into(), "significant".into()]);
        verdicts.push(["b".into(), "–".into(), "–".into()]);
        let html = verdicts.html();
        for part in [
            "<th>p</th><th class=\"text\">verdict</th>",
            "<td class=\"text\" data-column=\"verdict\">–",
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
        let facts = Table::of_facts([("steps", 7.into())]).html();
        assert!(!facts.contains("<thead>") && !facts.contains("stacked"), "{facts}");
    }
}
