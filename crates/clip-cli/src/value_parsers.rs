//! Values of options.

/// Which of the shares of some work one process does: `i/N` with `i` from 0.
///
/// # Errors
/// When it is something else; the message is for clap, which names the option.
pub fn part(text: &str) -> Result<(usize, usize), String> {
    let parsed = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
    parsed.filter(|(i, n)| i < n).ok_or_else(|| "must be I/N with I from 0 to N-1".to_owned())
}

/// A count from 1.
pub fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("at least 1".into()),
        Ok(count) => Ok(count),
        Err(error) => Err(format!("{error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_from_zero() {
        assert_eq!(part("1/3"), Ok((1, 3)));
        for wrong in ["3/3", "x", "1", "-1/2", "0/0"] {
            assert!(part(wrong).is_err(), "{wrong}");
        }
    }
}
