//! The hashes by their names.

use super::{ahash, dhash, imagehash, pdq, phash, whash};
use crate::Rgb;

/// One of the hashes of a tool.
#[derive(Debug, Clone, Copy)]
pub enum Algorithm {
    /// Of 64 bits.
    Short(fn(&Rgb) -> u64),
    /// PDQ's 256.
    Pdq,
}

impl Algorithm {
    /// Which hash: the names that [`Algorithm::named`] knows.
    pub const KINDS: [&str; 5] = ["phash", "dhash", "ahash", "whash", "pdq"];
    /// Whose bits; of `pdq` there is one kind.
    pub const TOOLS: [&str; 2] = ["imagededup", "imagehash"];

    /// The hash `kind`, with the bits of `tool`.
    ///
    /// # Errors
    /// The names that are known.
    pub fn named(kind: &str, tool: &str) -> Result<Self, String> {
        Ok(match (kind, tool) {
            ("pdq", "imagededup" | "imagehash") => Self::Pdq,
            ("phash", "imagededup") => Self::Short(phash),
            ("dhash", "imagededup") => Self::Short(dhash),
            ("ahash", "imagededup") => Self::Short(ahash),
            ("whash", "imagededup") => Self::Short(whash),
            ("phash", "imagehash") => Self::Short(imagehash::phash),
            ("dhash", "imagehash") => Self::Short(imagehash::dhash),
            ("ahash", "imagehash") => Self::Short(imagehash::ahash),
            ("whash", "imagehash") => Self::Short(imagehash::whash),
            _ => {
                let (kinds, tools) = (Self::KINDS.join(", "), Self::TOOLS.join(", "));
                return Err(format!(
                    "there is no hash {kind:?} of {tool:?}\nhint: {kinds}; of {tools}"
                ));
            }
        })
    }

    /// The bits of an image, the first as the highest of each word.
    pub fn hash(self, image: &Rgb) -> Vec<u64> {
        match self {
            Self::Short(hash) => vec![hash(image)],
            Self::Pdq => pdq::Pdq::of(image).bits.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_a_hash() {
        let data = (0..64 * 48 * 3).map(|i| (i * i % 253) as u8).collect();
        let image = Rgb { width: 64, height: 48, data };
        for kind in Algorithm::KINDS {
            for tool in Algorithm::TOOLS {
                let words = Algorithm::named(kind, tool).unwrap().hash(&image);
                assert_eq!(words.len(), if kind == "pdq" { 4 } else { 1 });
            }
        }
        let words = Algorithm::named("dhash", "imagededup").unwrap().hash(&image);
        assert_eq!(words, [dhash(&image)]);
        let message = Algorithm::named("dhash", "x").unwrap_err();
        assert!(message.contains("no hash \"dhash\" of \"x\"\nhint: phash, "), "{message}");
    }
}
