//! How a copy was recognised.

/// How an image was recognised.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum HitKind {
    /// The same bytes.
    Exact,
    /// The whole image, changed.
    Near,
    /// Mirrored left to right.
    Mirrored,
    /// Turned by any angle.
    Rotated,
    /// With inverted colours.
    Inverted,
    /// A part of the other.
    Crop,
    /// One of the two shows next to nothing.
    Flat,
    /// Close hashes of an image that was not there to be compared.
    Hash,
}

impl HitKind {
    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Near => "near",
            Self::Mirrored => "mirrored",
            Self::Rotated => "rotated",
            Self::Inverted => "inverted",
            Self::Crop => "crop",
            Self::Flat => "flat",
            Self::Hash => "hash",
        }
    }

    /// The kind of that name.
    pub fn of_name(name: &str) -> Option<Self> {
        let whole = [Self::Exact, Self::Near, Self::Mirrored, Self::Rotated, Self::Inverted];
        let mut all = whole.into_iter().chain([Self::Crop, Self::Flat, Self::Hash]);
        all.find(|kind| kind.name() == name)
    }
}
