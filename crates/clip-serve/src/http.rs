//! Requests and replies, without the network.

use axum::http::{HeaderMap, Method, StatusCode};
use url::form_urlencoded;

use crate::{Error, Result};

/// Names and values of a query or a form, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Those of a URL-encoded text.
    pub fn parse(text: &[u8]) -> Self {
        Self(form_urlencoded::parse(text).into_owned().collect())
    }

    /// The value of a name; nothing where it is absent or blank.
    pub fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.iter().find(|(other, _)| other == name)?.1.trim();
        (!value.is_empty()).then_some(value)
    }

    /// The value of a name that must be there.
    pub fn need(&self, name: &str) -> Result<&str> {
        self.get(name).ok_or_else(|| Error::BadRequest(format!("no value for {name:?}")))
    }

    /// The number of a name.
    pub fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>> {
        let parse = |text: &str| {
            text.parse().map_err(|_| Error::BadRequest(format!("{name}: {text:?} is no number")))
        };
        self.get(name).map(parse).transpose()
    }

    /// As a query of a URL, with other values for some names: an empty one leaves the name out.
    pub fn with(&self, changes: &[(&str, &str)]) -> String {
        let mut text = form_urlencoded::Serializer::new(String::new());
        let kept = |(name, value): &&(String, String)| {
            !value.is_empty() && !changes.iter().any(|(other, _)| other == name)
        };
        for (name, value) in self.0.iter().filter(kept) {
            text.append_pair(name, value);
        }
        for (name, value) in changes.iter().filter(|(_, value)| !value.is_empty()) {
            text.append_pair(name, value);
        }
        text.finish()
    }
}

/// A URL of ours with a query of these fields.
pub(crate) fn link(path: &str, fields: &[(&str, &str)]) -> String {
    format!("{path}?{}", Fields::default().with(fields))
}

/// What a browser asks.
#[derive(Debug)]
pub(crate) struct Request {
    pub method: Method,
    /// As it is in the URL, which none of ours has to encode.
    pub path: String,
    pub query: Fields,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Request {
    /// The fields of a form.
    pub fn form(&self) -> Fields {
        Fields::parse(&self.body)
    }
}

/// What it is answered.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub status: StatusCode,
    pub media_type: &'static str,
    pub body: Vec<u8>,
    /// For a redirection, where to.
    pub location: Option<String>,
    /// A cookie to keep.
    pub cookie: Option<String>,
    /// Seconds for which a browser may keep it.
    pub max_age: u32,
    /// What the page may do, where that is not what all pages of ours may.
    pub policy: Option<&'static str>,
}

impl Reply {
    /// Bytes of a media type.
    pub fn new(media_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status: StatusCode::OK,
            media_type,
            body: body.into(),
            location: None,
            cookie: None,
            max_age: 0,
            policy: None,
        }
    }

    /// A page.
    pub fn html(text: String) -> Self {
        Self::new("text/html; charset=utf-8", text)
    }

    /// JSON.
    pub fn json(value: &serde_json::Value) -> Self {
        Self::new("application/json", value.to_string())
    }

    /// To another URL of ours, which is asked for with GET.
    pub fn see_other(location: String) -> Self {
        let to = Self::new("text/plain; charset=utf-8", Vec::new());
        Self { status: StatusCode::SEE_OTHER, location: Some(location), ..to }
    }

    /// The same with another status.
    pub fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// The same, which a browser may keep for some seconds.
    pub fn kept_for(self, max_age: u32) -> Self {
        Self { max_age, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_back_and_are_changed() {
        let fields = Fields::parse(b"of=0%2Fa&words=red+fox&min=&n=12&x=1&x=2");
        assert_eq!(fields.get("of"), Some("0/a"));
        assert_eq!((fields.get("words"), fields.get("min")), (Some("red fox"), None));
        assert_eq!(fields.number::<u64>("n").unwrap(), Some(12));
        assert!(fields.number::<u64>("words").is_err() && fields.need("min").is_err());
        assert_eq!(fields.with(&[("n", "13"), ("x", "")]), "of=0%2Fa&words=red+fox&n=13");
        assert_eq!(link("/pair", &[("of", "0"), ("row", "7&8")]), "/pair?of=0&row=7%268");
    }
}
