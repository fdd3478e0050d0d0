//! `Content-Usage` (draft-ietf-aipref-attach, draft-ietf-aipref-vocab): preferences as a dictionary
//! of structured fields (RFC 9651).

/// The preference for training: some where `train-ai` is the token `y` or `n`. The last one of the
/// same key counts, as in any dictionary of structured fields.
pub(crate) fn train_ai(dictionary: &str) -> Option<bool> {
    let mut preference = None;
    for member in members(dictionary) {
        let (key, value) = member.split_once('=').unwrap_or((member, ""));
        if key.trim() == "train-ai" {
            // Parameters mean nothing here.
            preference = match value.split(';').next().unwrap_or_default().trim() {
                "y" => Some(true),
                "n" => Some(false),
                _ => None,
            };
        }
    }
    preference
}

/// The members of a dictionary: commas within strings part none.
fn members(dictionary: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    dictionary.split(move |c| {
        let parts = c == ',' && !quoted;
        quoted ^= c == '"' && !escaped;
        escaped = c == '\\' && quoted && !escaped;
        parts
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_tokens_of_the_vocabulary_are_preferences() {
        for (text, preference) in [
            ("train-ai=n", Some(false)),
            (" search=y ,  train-ai=y;a=\"b,train-ai=n\"", Some(true)),
            ("x=\"train-ai=n, \\\" train-ai=n\"", None),
            ("train-ai", None),
            ("train-ai=?0", None),
            ("TRAIN-AI=n", None),
            ("train-ai=n, train-ai=no", None),
            ("", None),
        ] {
            assert_eq!(train_ai(text), preference, "{text}");
        }
    }
}
