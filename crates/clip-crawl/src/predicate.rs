//! `clip-data retry --where "…"`: which rejected rows are meant.
//!
//! A small part of SQL over text columns: `=`, `!=`, `<>`, `in (…)`, `not in (…)`, `like`, `not
//! like`, `and`, `or`, `not`, parentheses. The columns are `error_kind` (also `reason`),
//! `error_message` (also `detail`), `url` and `caption`.

/// A condition on a rejected row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Predicate(Node);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Not(Box<Node>),
    In(Column, Vec<String>),
    Like(Column, String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Kind,
    Message,
    Url,
    Caption,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    Sign(&'static str),
}

impl Predicate {
    /// Reads a condition.
    ///
    /// # Errors
    /// In words, with a hint.
    pub fn parse(text: &str) -> Result<Self, String> {
        let hint = "hint: error_kind in ('timeout', 'http_5xx') and url like '%.jpg'";
        Self::whole(text).map_err(|why| format!("{text}: {why}\n{hint}"))
    }

    fn whole(text: &str) -> Result<Self, String> {
        let mut parser = Parser { tokens: tokens(text)?, at: 0 };
        let node = parser.any()?;
        match parser.tokens.get(parser.at) {
            None => Ok(Self(node)),
            Some(token) => Err(format!("{token:?} is not expected there")),
        }
    }

    /// Whether a row is meant.
    pub fn matches(&self, kind: &str, message: &str, url: &str, caption: &str) -> bool {
        self.0.matches(&|column| match column {
            Column::Kind => kind,
            Column::Message => message,
            Column::Url => url,
            Column::Caption => caption,
        })
    }
}

impl Node {
    fn matches<'a>(&self, cell: &dyn Fn(Column) -> &'a str) -> bool {
        match self {
            Self::And(a, b) => a.matches(cell) && b.matches(cell),
            Self::Or(a, b) => a.matches(cell) || b.matches(cell),
            Self::Not(node) => !node.matches(cell),
            Self::In(column, values) => values.iter().any(|value| value == cell(*column)),
            Self::Like(column, pattern) => like(pattern, cell(*column)),
        }
    }
}

/// SQL's LIKE: `%` is any text, `_` any character.
fn like(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        if pattern.get(p) == Some(&'%') {
            star = Some((p, t));
            p += 1;
        } else if pattern.get(p).is_some_and(|&c| c == '_' || c == text[t]) {
            (p, t) = (p + 1, t + 1);
        } else if let Some((at, from)) = star {
            star = Some((at, from + 1));
            (p, t) = (at + 1, from + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&c| c == '%')
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let sign = ["!=", "<>", "=", "(", ")", ","].into_iter().find(|sign| rest.starts_with(sign));
        if let Some(sign) = sign {
            tokens.push(Token::Sign(sign));
            rest = &rest[sign.len()..];
        } else if first == '\'' || first == '"' {
            let end = rest[1..].find(first).ok_or("a quote is not closed")?;
            tokens.push(Token::Text(rest[1..=end].to_owned()));
            rest = &rest[end + 2..];
        } else {
            let inside = |c: char| c.is_alphanumeric() || c == '_';
            let end = rest.find(|c| !inside(c)).unwrap_or(rest.len());
            if end == 0 {
                return Err(format!("{first:?} is not expected there"));
            }
            tokens.push(Token::Word(rest[..end].to_lowercase()));
            rest = &rest[end..];
        }
        rest = rest.trim_start();
    }
    Ok(tokens)
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn take(&mut self, wanted: &Token) -> bool {
        let found = self.tokens.get(self.at) == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn word(&mut self, word: &str) -> bool {
        self.take(&Token::Word(word.to_owned()))
    }

    fn any(&mut self) -> Result<Node, String> {
        let mut node = self.all()?;
        while self.word("or") {
            node = Node::Or(Box::new(node), Box::new(self.all()?));
        }
        Ok(node)
    }

    fn all(&mut self) -> Result<Node, String> {
        let mut node = self.one()?;
        while self.word("and") {
            node = Node::And(Box::new(node), Box::new(self.one()?));
        }
        Ok(node)
    }

    fn one(&mut self) -> Result<Node, String> {
        if self.word("not") {
            return Ok(Node::Not(Box::new(self.one()?)));
        }
        if self.take(&Token::Sign("(")) {
            let node = self.any()?;
            return if self.take(&Token::Sign(")")) {
                Ok(node)
            } else {
                Err("a ) is missing".into())
            };
        }
        let column = self.column()?;
        let not = self.word("not");
        let node = if self.word("in") {
            Node::In(column, self.list()?)
        } else if self.word("like") {
            Node::Like(column, self.text()?)
        } else if !not && self.take(&Token::Sign("=")) {
            Node::In(column, vec![self.text()?])
        } else if !not && (self.take(&Token::Sign("!=")) || self.take(&Token::Sign("<>"))) {
            return Ok(Node::Not(Box::new(Node::In(column, vec![self.text()?]))));
        } else {
            return Err("=, !=, in or like is missing".into());
        };
        Ok(if not { Node::Not(Box::new(node)) } else { node })
    }

    fn column(&mut self) -> Result<Column, String> {
        let column = match self.tokens.get(self.at) {
            Some(Token::Word(word)) => match word.as_str() {
                "error_kind" | "reason" => Column::Kind,
                "error_message" | "detail" => Column::Message,
                "url" => Column::Url,
                "caption" => Column::Caption,
                other => return Err(format!("there is no column {other:?}")),
            },
            _ => return Err("a column is missing".into()),
        };
        self.at += 1;
        Ok(column)
    }

    fn text(&mut self) -> Result<String, String> {
        let Some(Token::Text(text)) = self.tokens.get(self.at).cloned() else {
            return Err("a text in quotes is missing".into());
        };
        self.at += 1;
        Ok(text)
    }

    /// `('a', 'b')`.
    fn list(&mut self) -> Result<Vec<String>, String> {
        if !self.take(&Token::Sign("(")) {
            return Err("in needs a list in ( )".into());
        }
        let mut values = vec![self.text()?];
        while self.take(&Token::Sign(",")) {
            values.push(self.text()?);
        }
        if self.take(&Token::Sign(")")) { Ok(values) } else { Err("a ) is missing".into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_mean_what_sql_means() {
        for (text, kind, url, expected) in [
            ("error_kind in ('timeout', 'http_5xx')", "http_5xx", "", true),
            ("error_kind in ('timeout','http_5xx')", "http_4xx", "", false),
            ("error_kind NOT IN ('dns')", "timeout", "", true),
            ("error_kind = 'dns' or error_kind = \"timeout\"", "timeout", "", true),
            ("error_kind like 'http%' and not url like '%.gif'", "http_4xx", "a.gif", false),
            ("error_kind like 'http%' and not url like '%.gif'", "http_4xx", "a.jpg", true),
            ("(reason != 'dns') and (url like 'h_t%')", "x", "hat", true),
            ("reason <> 'dns'", "dns", "", false),
        ] {
            let predicate = Predicate::parse(text).unwrap();
            assert_eq!(predicate.matches(kind, "", url, ""), expected, "{text} on {kind} {url}");
        }
    }

    #[test]
    fn what_is_no_condition_says_why() {
        for (text, words) in [
            ("", "a column is missing"),
            ("kind = 'x'", "no column \"kind\""),
            ("url like", "text in quotes"),
            ("url = 'a' url", "not expected"),
            ("url in ('a'", ") is missing"),
            ("url = 'a", "not closed"),
            ("url ; 'a'", "not expected"),
        ] {
            let message = Predicate::parse(text).unwrap_err();
            assert!(message.contains(words), "{text}: {message}");
        }
    }
}
