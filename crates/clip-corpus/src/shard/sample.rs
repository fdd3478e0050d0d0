//! One sample of a shard.

use clip_format::ImageFormat;

/// The members of a shard that share a key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sample {
    /// The key, folders included.
    pub key: String,
    /// Field (extension without its first dot, lower case) and content, in the order of the shard.
    pub fields: Vec<(String, Vec<u8>)>,
}

impl Sample {
    /// The content of a field.
    pub fn get(&self, extension: &str) -> Option<&[u8]> {
        self.fields.iter().find(|(name, _)| name == extension).map(|(_, bytes)| bytes.as_slice())
    }

    /// The first image of the sample: its extension and its encoded bytes.
    pub fn image(&self) -> Option<(&str, &[u8])> {
        let field = ImageFormat::first_of(self.fields.iter().map(|(name, _)| name.as_str()))?;
        Some((field, self.get(field)?))
    }
}

/// Key and field of a member's name, or nothing when it has no dot in its base name.
///
/// `/some/path/22.0/1.1.png` gives `/some/path/22.0/1` and `1.png`.
pub fn split_name(name: &str) -> Option<(&str, String)> {
    let base = name.rfind('/').map_or(0, |slash| slash + 1);
    let dot = base + name[base..].find('.')?;
    (dot > base).then(|| (&name[..dot], name[dot + 1..].to_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_have_every_extension_that_is_decoded() {
        for field in ["jpg", "tif", "jpe", "jfif", "ppm"] {
            let fields = vec![("txt".into(), b"text".to_vec()), (field.into(), b"image".to_vec())];
            let sample = Sample { key: "0".into(), fields };
            assert_eq!(sample.image(), Some((field, &b"image"[..])));
        }
    }

    #[test]
    fn keys_end_at_the_first_dot_of_the_base_name() {
        let split = |name| split_name(name).map(|(key, field)| (key.to_owned(), field));
        let some = |key: &str, field: &str| Some((key.to_owned(), field.to_owned()));
        assert_eq!(split("/some/path/22.0/1.1.png"), some("/some/path/22.0/1", "1.png"));
        assert_eq!(split("a/000.JPG"), some("a/000", "jpg"));
        assert_eq!(split("README"), None);
        assert_eq!(split("a/.hidden"), None);
    }
}
