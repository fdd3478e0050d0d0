//! The names of embeddings, as clip-retrieval has them.

/// The files of some items, relative to the folder of all: row by row the same items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddingNames {
    /// Embeddings of images, `.npy`.
    pub images: String,
    /// Embeddings of texts, `.npy`.
    pub texts: String,
    /// What the rows are of, Parquet.
    pub metadata: String,
}

impl EmbeddingNames {
    /// The folder of [`Self::images`].
    pub const IMAGES: &str = "img_emb/";
    /// The folder of [`Self::texts`].
    pub const TEXTS: &str = "text_emb/";
    /// The folder of [`Self::metadata`].
    pub const METADATA: &str = "metadata/";

    /// Those of a number, which is written with leading zeros: files are read in the order of their
    /// names.
    pub fn new(number: &str) -> Self {
        Self {
            images: format!("{}img_emb_{number}.npy", Self::IMAGES),
            texts: format!("{}text_emb_{number}.npy", Self::TEXTS),
            metadata: format!("{}metadata_{number}.parquet", Self::METADATA),
        }
    }

    /// Those of a file of metadata, by its name in its folder.
    pub fn of_metadata(name: &str) -> Option<Self> {
        let number = name.strip_prefix("metadata_")?.strip_suffix(".parquet")?;
        Some(Self::new(number))
    }

    /// Both files of embeddings.
    pub fn arrays(&self) -> [&str; 2] {
        [&self.images, &self.texts]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_clip_retrieval() {
        let names = EmbeddingNames::new("0007");
        assert_eq!(names.arrays(), ["img_emb/img_emb_0007.npy", "text_emb/text_emb_0007.npy"]);
        assert_eq!(names.metadata, "metadata/metadata_0007.parquet");
        assert_eq!(EmbeddingNames::of_metadata("metadata_0007.parquet"), Some(names));
        assert_eq!(EmbeddingNames::of_metadata("other_7.parquet"), None);
    }
}
