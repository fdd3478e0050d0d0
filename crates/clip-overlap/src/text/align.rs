//! How many words of a caption must be changed so that a text has it.

use std::cmp::Reverse;

/// A text as numbers of words, and the tokens between white space that they are parts of:
/// `Star-Wars-2014` is three words of one token.
#[derive(Debug, Clone, Default)]
pub struct Words {
    pub words: Vec<u32>,
    /// For each word the number of its token; ascending.
    tokens: Vec<u32>,
}

impl Words {
    /// Of a text, by the number of each word.
    pub fn new(text: &str, mut number: impl FnMut(String) -> u32) -> Self {
        let mut found = Self::default();
        for (token, part) in text.split_whitespace().enumerate() {
            for word in super::words(part) {
                found.words.push(number(word));
                found.tokens.push(token as u32);
            }
        }
        found
    }

    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// The first and the last token of some of the words.
    pub fn tokens(&self, from: usize, to: usize) -> (u32, u32) {
        (self.tokens[from], self.tokens[to])
    }

    /// Whether a token begins with a word.
    fn begins(&self, at: usize) -> bool {
        at == 0 || self.tokens[at - 1] != self.tokens[at]
    }

    /// Where the token begins that ends before a word, if one does.
    fn ended(&self, before: usize) -> Option<usize> {
        let token = *self.tokens.get(before.checked_sub(1)?)?;
        let ends = self.tokens.get(before).is_none_or(|next| *next != token);
        ends.then(|| {
            self.tokens[..before].iter().rposition(|own| *own != token).map_or(0, |at| at + 1)
        })
    }
}

/// How much of a caption may be changed.
#[derive(Debug, Clone, Copy)]
pub struct Allowed {
    /// Words and whole tokens that are inserted, dropped or changed.
    pub changes: usize,
    /// Words of the caption that are dropped or changed.
    pub lost: usize,
}

/// A caption laid over a run of a text; the fewest changes are the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Laid {
    /// As in [`Allowed`].
    pub changes: usize,
    /// As in [`Allowed`].
    pub lost: usize,
    /// Where the run begins: of equal ones the shorter.
    from: Reverse<usize>,
}

impl Laid {
    fn with(self, changes: usize, lost: usize) -> Self {
        Self { changes: self.changes + changes, lost: self.lost + lost, ..self }
    }
}

/// The fewest changes by which `caption` becomes a run of `text`'s words, and the length of that
/// run; none where there are more than allowed. What is between two spaces changes as a whole.
pub fn changes_within(caption: &Words, text: &Words, most: Allowed) -> Option<(Laid, usize)> {
    let start = |at| Laid { changes: 0, lost: 0, from: Reverse(at) };
    let least = |row: &[Laid]| row.iter().map(|laid| laid.changes).min();
    let ended: Vec<Option<usize>> = (0..=text.len()).map(|at| text.ended(at)).collect();
    // What the caption's words so far need; the same before the word's token.
    let mut above: Vec<Laid> = (0..=text.len()).map(start).collect();
    let mut before = Vec::new();
    for (done, word) in caption.words.iter().enumerate() {
        if caption.begins(done) {
            before.clone_from(&above);
        }
        let token = caption.ended(done + 1).map(|start| done + 1 - start);
        let token = token.filter(|words| *words <= most.lost);
        let mut row: Vec<Laid> = Vec::with_capacity(above.len());
        for (at, theirs) in ended.iter().copied().enumerate() {
            let mut best = above[at].with(1, 1);
            if at > 0 {
                let differs = usize::from(text.words[at - 1] != *word);
                best = best.min(above[at - 1].with(differs, differs));
                // Inserted, as a word or as a token.
                let inserted = [at - 1, theirs.unwrap_or(at - 1)].map(|from| row[from].with(1, 0));
                best = best.min(inserted[0]).min(inserted[1]);
            }
            if let Some(words) = token {
                best = best.min(before[at].with(1, words));
                best = best.min(before[theirs.unwrap_or(at)].with(1, words));
            }
            row.push(best);
        }
        above = row;
        if least(&above).min(least(&before)) > Some(most.changes) {
            return None;
        }
    }
    let ends = above.iter().enumerate().map(|(end, &laid)| (laid, end - laid.from.0));
    let within = |laid: Laid| laid.changes <= most.changes && laid.lost <= most.lost;
    ends.filter(|&(laid, run)| within(laid) && run > 0).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(text: &str) -> Words {
        let number =
            |word: String| word.bytes().fold(7, |sum, byte| sum * 31 % 10_007 + u32::from(byte));
        Words::new(text, number)
    }

    fn changes(caption: &str, text: &str) -> Option<(usize, usize, usize)> {
        let most = Allowed { changes: 2, lost: 6 };
        let (laid, run) = changes_within(&ids(caption), &ids(text), most)?;
        Some((laid.changes, laid.lost, run))
    }

    #[test]
    fn words_are_laid_over_each_other() {
        assert_eq!(changes("a red car", "a red car"), Some((0, 0, 3)));
        assert_eq!(changes("a red car", "see a red car here"), Some((0, 0, 3)));
        assert_eq!(changes("a red car parks", "a blue car parks"), Some((1, 1, 4)));
        assert_eq!(changes("a red car parks", "a car parks"), Some((1, 1, 3)));
        assert_eq!(changes("a red car parks", "x a red old car parks y"), Some((1, 0, 5)));
        assert_eq!(changes("a red car parks", "the dog runs home"), None);
        assert_eq!(changes("a red car parks", ""), None);
        assert_eq!(changes("", "a red car"), None);
    }

    #[test]
    fn what_is_between_two_spaces_changes_as_a_whole() {
        let caption = "poster of Star-Wars-2014 at night";
        assert_eq!(changes(caption, "poster of car at night"), Some((1, 3, 5)));
        assert_eq!(changes(caption, "poster of Star_Trek_2009_II at night"), Some((1, 3, 8)));
        assert_eq!(changes(caption, "poster of at night"), Some((1, 3, 4)));
        assert_eq!(changes(caption, "see poster of Star Wars 2014 at night"), Some((0, 0, 7)));
        assert_eq!(changes("a red car parks", "a red IMG_20140102_0007.jpg car parks"), {
            Some((1, 0, 8))
        });
        // At most two tokens.
        assert_eq!(changes("a-b-c d-e-f g-h-i j", "x y z j"), None);
        assert_eq!(changes("a-b-c d-e-f g j", "x y g j"), Some((2, 6, 2)));
        // A token that is most of the caption changes by its words alone.
        assert_eq!(changes("a-b-c-d-e-f-g h", "word h"), None);
        assert_eq!(changes("a-b-c-d-e-f-g h", "a-b-x-d-e-f-y h"), Some((2, 2, 8)));
    }
}
