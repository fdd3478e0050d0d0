//! How many words of a caption must be changed so that a text has it.

/// The least number of words to insert, drop or change in `caption` so that it is a run of `text`'s
/// words, and the length of that run; none where it is more than `most`.
pub fn changes_within(caption: &[u32], text: &[u32], most: usize) -> Option<(usize, usize)> {
    // Row by row of the caption: changes so far, and where the run began.
    let mut row: Vec<(usize, usize)> = (0..=text.len()).map(|at| (0, at)).collect();
    for (done, word) in caption.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = (done + 1, 0);
        let mut least = row[0].0;
        for (at, other) in text.iter().enumerate() {
            let changed = (diagonal.0 + usize::from(word != other), diagonal.1);
            let dropped = (row[at + 1].0 + 1, row[at + 1].1);
            let inserted = (row[at].0 + 1, row[at].1);
            diagonal = row[at + 1];
            // Of equal ones the later start: the shorter run.
            let best = [changed, dropped, inserted]
                .into_iter()
                .min_by_key(|&(n, from)| (n, std::cmp::Reverse(from)));
            row[at + 1] = best.unwrap_or(changed);
            least = least.min(row[at + 1].0);
        }
        if least > most {
            return None;
        }
    }
    let ends = row.iter().enumerate().map(|(end, &(changes, from))| (changes, end - from));
    ends.filter(|&(changes, run)| changes <= most && run > 0).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(text: &str) -> Vec<u32> {
        let number =
            |word: &str| word.bytes().fold(7, |sum, byte| sum * 31 % 10_007 + u32::from(byte));
        text.split(' ').map(number).collect()
    }

    fn changes(caption: &str, text: &str) -> Option<(usize, usize)> {
        changes_within(&ids(caption), &ids(text), 2)
    }

    #[test]
    fn words_are_laid_over_each_other() {
        assert_eq!(changes("a red car", "a red car"), Some((0, 3)));
        assert_eq!(changes("a red car", "see a red car here"), Some((0, 3)));
        assert_eq!(changes("a red car parks", "a blue car parks"), Some((1, 4)));
        assert_eq!(changes("a red car parks", "a car parks"), Some((1, 3)));
        assert_eq!(changes("a red car parks", "x a red old car parks y"), Some((1, 5)));
        assert_eq!(changes("a red car parks", "the dog runs home"), None);
        assert_eq!(changes("a red car parks", ""), None);
        assert_eq!(changes_within(&[1, 2], &[], 2), None);
    }
}
