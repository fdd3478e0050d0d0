//! A section of a page, and the parts that it is made of.

use crate::markup::escape;
use crate::table::Table;

/// A section: its title, what it shows in a sentence, and its parts.
#[derive(Debug, Clone, Default)]
pub struct Section {
    title: String,
    about: String,
    body: String,
}

impl Section {
    /// A section without parts, which no page shows.
    pub fn new(title: impl Into<String>, about: impl Into<String>) -> Self {
        Self { title: title.into(), about: about.into(), body: String::new() }
    }

    /// Appends a table, if it has rows.
    #[must_use]
    pub fn table(self, table: &Table) -> Self {
        if table.is_empty() { self } else { self.markup(&table.html()) }
    }

    /// Appends a paragraph.
    #[must_use]
    pub fn text(self, text: &str) -> Self {
        self.markup(&format!("<p>{}</p>\n", escape(text)))
    }

    /// Appends a heading, and what the parts below it show.
    #[must_use]
    pub fn heading(self, title: &str, about: &str) -> Self {
        let about = match about {
            "" => String::new(),
            about => format!("<p class=\"about\">{}</p>\n", escape(about)),
        };
        self.markup(&format!("<h3>{}</h3>\n{about}", escape(title)))
    }

    /// Appends images with their captions, side by side; none is left out.
    #[must_use]
    pub fn images(self, figures: &str) -> Self {
        if figures.is_empty() {
            return self;
        }
        self.markup(&format!("<div class=\"grid\">\n{figures}</div>\n"))
    }

    /// Appends markup, in which every text is escaped already ([`escape`]): charts, and what a page
    /// has of its own.
    #[must_use]
    pub fn markup(mut self, html: &str) -> Self {
        self.body.push_str(html);
        self
    }

    /// Whether it has no parts.
    pub fn is_empty(&self) -> bool {
        self.body.is_empty()
    }

    /// Its markup, for a page of its own making.
    pub fn html(&self) -> String {
        let (title, about, body) = (escape(&self.title), escape(&self.about), &self.body);
        format!("<section>\n<h2>{title}</h2>\n<p class=\"about\">{about}</p>\n{body}</section>\n")
    }
}
