//! The frame of all pages, and what several of them show.

use clip_report::{escape, grouped};

use crate::http::{Reply, link};

/// A page of ours: `body` is markup in which every text is escaped already.
pub(crate) fn page(title: &str, body: &str) -> Reply {
    let title = escape(title);
    Reply::html(format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title} – clip-data</title>\n<link rel=\"icon\" href=\"data:,\">\n\
         <link rel=\"stylesheet\" href=\"/serve.css\">\n<script src=\"/serve.js\" defer></script>\n\
         </head>\n<body>\n<nav><a href=\"/\">clip-data</a></nav>\n<main>\n<h1>{title}</h1>\n{body}</main>\n\
         </body>\n</html>\n"
    ))
}

/// What went wrong, with the hint on a line of its own.
pub(crate) fn fault(text: &str) -> String {
    let (message, hint) = text.split_once("\nhint: ").unwrap_or((text, ""));
    let mut html = format!("<p class=\"fault\" role=\"alert\">{}</p>\n", escape(message));
    if !hint.is_empty() {
        html.push_str(&format!("<p class=\"about\">hint: {}</p>\n", escape(hint)));
    }
    html
}

/// A link of ours, whose text is escaped here.
pub(crate) fn anchor(path: &str, fields: &[(&str, &str)], text: &str) -> String {
    format!("<a href=\"{}\">{}</a>", escape(&link(path, fields)), escape(text))
}

/// A link to the pairs that a stage dropped for a reason.
pub(crate) fn of_reason(of: &str, stage: &str, reason: &str) -> String {
    let rows = format!("{stage}:dropped");
    let condition = format!("reason = '{}'", reason.replace('\'', "''"));
    anchor("/rows", &[("of", of), ("rows", &rows), ("where", &condition)], reason)
}

/// A link to the pairs of a host.
pub(crate) fn of_host(of: &str, host: &str) -> String {
    anchor("/rows", &[("of", of), ("domain", host)], host)
}

/// Links to other pages about the same thing, by path and text; no link for the one that is shown.
pub(crate) fn tabs(of: &str, pages: &[(&str, &str)], shown: &str) -> String {
    let tab = |(path, text): &(&str, &str)| {
        let here = if *text == shown { " aria-current=\"page\"" } else { "" };
        format!("<a{here} href=\"{}\">{}</a>", escape(&link(path, &[("of", of)])), escape(text))
    };
    format!("<p class=\"tabs\">{}</p>\n", pages.iter().map(tab).collect::<Vec<_>>().join(" "))
}

/// An option of a list, chosen or not.
pub(crate) fn choice(value: &str, text: &str, chosen: bool) -> String {
    let chosen = if chosen { " selected" } else { "" };
    format!("<option value=\"{}\"{chosen}>{}</option>", escape(value), escape(text))
}

/// "1 pair", "2 pairs", "1,234 pairs".
pub(crate) fn counted(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(count), if count == 1 { "" } else { "s" })
}

/// An outer link, where a text is a URL of the web.
pub(crate) fn outer(url: &str) -> String {
    if url.starts_with("https://") || url.starts_with("http://") {
        let url = escape(url);
        return format!("<a href=\"{url}\" rel=\"noreferrer\" target=\"_blank\">{url}</a>");
    }
    escape(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_cannot_break_out_of_a_page() {
        let html = String::from_utf8(page("<script>x", &fault("a <b>\nhint: \"c\"")).body).unwrap();
        assert!(!html.contains("<script>") && !html.contains("<b>"), "{html}");
        assert!(html.contains("<p class=\"about\">hint: &quot;c&quot;</p>"), "{html}");
        assert!(!outer("javascript:alert(1)").contains("href"));
        assert!(outer("http://x/\"><i>").contains("href=\"http://x/&quot;&gt;&lt;i&gt;\""));
        assert_eq!(
            anchor("/pair", &[("of", "0/a&b")], "<"),
            "<a href=\"/pair?of=0%2Fa%26b\">&lt;</a>"
        );
        assert_eq!(
            (counted(1, "pair"), counted(1200, "pair")),
            ("1 pair".into(), "1,200 pairs".into())
        );
    }
}
