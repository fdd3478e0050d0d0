//! `srcset`, as the HTML standard parses it.

/// The candidate of a `srcset` with the largest width or density; those of no URL of their own do
/// not count.
pub(crate) fn largest_of(srcset: &str) -> Option<String> {
    let between = |c: char| c.is_ascii_whitespace() || c == ',';
    let (mut rest, mut best): (_, Option<(f64, &str)>) = (srcset.trim_start_matches(between), None);
    while !rest.is_empty() {
        // A URL may hold commas, so only white space ends it; a comma at its end says that it has
        // no size.
        let (url, after) =
            rest.split_at(rest.find(|c: char| c.is_ascii_whitespace()).unwrap_or(rest.len()));
        let end = if url.ends_with(',') { 0 } else { after.find(',').unwrap_or(after.len()) };
        let size = size_of(&after[..end]);
        let inline = url.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"));
        if !inline && best.is_none_or(|(most, _)| size > most) {
            best = Some((size, url.trim_end_matches(',')));
        }
        rest = after[end..].trim_start_matches(between);
    }
    best.map(|(_, url)| url.to_owned()).filter(|url| !url.is_empty())
}

/// The width or density among descriptors; a height is given beside a width.
fn size_of(descriptors: &str) -> f64 {
    let size = |word: &str| word.strip_suffix(['w', 'x'])?.parse().ok();
    descriptors.split_ascii_whitespace().find_map(size).unwrap_or(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_of_a_srcset_is_taken_however_it_is_spaced() {
        for (srcset, largest) in [
            ("s.jpg 320w, l.jpg 1024w", Some("l.jpg")),
            ("s.jpg 1x,l.jpg 2x", Some("l.jpg")),
            ("w_1,h_2/s.jpg 320w,\n w_3,h_4/l.jpg 640w,", Some("w_3,h_4/l.jpg")),
            ("s.jpg, l.jpg 1.5x", Some("l.jpg")),
            ("only.jpg", Some("only.jpg")),
            ("data:image/gif;base64,R0 9x, l.jpg 2x", Some("l.jpg")),
            ("s.jpg 320w 900h, l.jpg 640w 400h", Some("l.jpg")),
            ("l.jpg 900h 640w, s.jpg 320w", Some("l.jpg")),
            (" , ", None),
        ] {
            assert_eq!(largest_of(srcset).as_deref(), largest, "{srcset:?}");
        }
    }
}
