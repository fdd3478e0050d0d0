//! Which captions say enough to be kept.

use clip_format::ImageFormat;
use serde::{Deserialize, Serialize};

/// `[caption]`: each rule names its reason. Settings beside a preset change it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Settings")]
pub struct CaptionFilter {
    /// Fewest words, by white space.
    pub min_words: usize,
    /// Most words.
    pub max_words: usize,
    /// Fewest characters.
    pub min_chars: usize,
    /// Most characters.
    pub max_chars: usize,
    /// Whether captions that are file names or camera numbers are dropped.
    pub drop_file_names: bool,
    /// Whether captions that are mostly URLs are dropped.
    pub drop_urls: bool,
    /// Largest share that one word may have of a caption of more than four words.
    pub max_repeated: f32,
}

/// A filter by name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CaptionPreset {
    /// DataComp's thresholds, and no file names, URLs, repetition or over-long captions.
    #[default]
    Standard,
    /// The text half of DataComp's `basic_filter`, and nothing else: more than 2 words, more than 5
    /// characters.
    Datacomp,
    /// Only empty captions are dropped.
    Off,
}

/// The section as it is written: what is absent is the preset's.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default)]
    preset: CaptionPreset,
    min_words: Option<usize>,
    max_words: Option<usize>,
    min_chars: Option<usize>,
    max_chars: Option<usize>,
    drop_file_names: Option<bool>,
    drop_urls: Option<bool>,
    max_repeated: Option<f32>,
}

impl From<Settings> for CaptionFilter {
    fn from(settings: Settings) -> Self {
        let preset = Self::preset(settings.preset);
        Self {
            min_words: settings.min_words.unwrap_or(preset.min_words),
            max_words: settings.max_words.unwrap_or(preset.max_words),
            min_chars: settings.min_chars.unwrap_or(preset.min_chars),
            max_chars: settings.max_chars.unwrap_or(preset.max_chars),
            drop_file_names: settings.drop_file_names.unwrap_or(preset.drop_file_names),
            drop_urls: settings.drop_urls.unwrap_or(preset.drop_urls),
            max_repeated: settings.max_repeated.unwrap_or(preset.max_repeated),
        }
    }
}

impl Default for CaptionFilter {
    fn default() -> Self {
        Self::preset(CaptionPreset::Standard)
    }
}

/// No limit, within what every format of numbers holds.
const ANY: usize = u32::MAX as usize;

impl CaptionFilter {
    /// What is wrong with the settings: they would drop every caption, or none by a rule.
    pub fn fault(&self) -> Option<String> {
        let hint = "hint: no caption would be left";
        if self.min_words > self.max_words {
            return Some(format!("`caption.min_words` is above `caption.max_words`\n{hint}"));
        }
        if self.min_chars > self.max_chars {
            return Some(format!("`caption.min_chars` is above `caption.max_chars`\n{hint}"));
        }
        let share = (0.0..=1.0).contains(&self.max_repeated);
        (!share).then(|| "`caption.max_repeated` must be between 0 and 1".to_owned())
    }

    /// The filter of that name.
    pub fn preset(preset: CaptionPreset) -> Self {
        let standard = preset == CaptionPreset::Standard;
        let lengths = if preset == CaptionPreset::Off { (0, 0) } else { (3, 6) };
        Self {
            min_words: lengths.0,
            max_words: ANY,
            min_chars: lengths.1,
            max_chars: if standard { 2_000 } else { ANY },
            drop_file_names: standard,
            drop_urls: standard,
            max_repeated: if standard { 0.5 } else { 1.0 },
        }
    }

    /// The reason of the first rule that a cleaned caption breaks.
    pub fn reject(&self, caption: &str) -> Option<&'static str> {
        let words = caption.split_whitespace().collect();
        let caption = Caption { words, chars: caption.chars().count() };
        RULES.iter().find(|(_, breaks)| breaks(self, &caption)).map(|(reason, _)| *reason)
    }
}

/// A caption as rules see it.
struct Caption<'a> {
    /// By white space.
    words: Vec<&'a str>,
    chars: usize,
}

/// Whether a caption breaks a rule under these settings.
type Breaks = fn(&CaptionFilter, &Caption) -> bool;

/// The rules by their reasons, in the order in which they are applied.
const RULES: [(&str, Breaks); 8] = [
    ("empty_caption", |_, caption| caption.words.is_empty()),
    ("file_name", |filter, caption| filter.drop_file_names && is_file_name(&caption.words)),
    ("url_caption", |filter, caption| filter.drop_urls && is_url(&caption.words)),
    ("few_words", |filter, caption| caption.words.len() < filter.min_words),
    ("many_words", |filter, caption| caption.words.len() > filter.max_words),
    ("short_caption", |filter, caption| caption.chars < filter.min_chars),
    ("long_caption", |filter, caption| caption.chars > filter.max_chars),
    ("repeated_words", |filter, caption| repeated(&caption.words) > filter.max_repeated),
];

/// `IMG_2041.png`, `DSC0042`, `20160716_113957.JPG` (the paper drops such titles from YFCC100M,
/// section 2.2).
fn is_file_name(words: &[&str]) -> bool {
    let [name] = words else {
        // A name with spaces still ends in its extension.
        return words.last().is_some_and(|last| names_image(last)) && words.len() <= 3;
    };
    let lower = name.to_lowercase();
    let camera = ["img", "dsc", "dscn", "dscf", "pict", "image", "photo", "screenshot", "untitled"];
    let stem = lower.trim_end_matches(|c: char| c.is_ascii_digit() || "_-() ".contains(c));
    names_image(name) || (stem.len() < lower.len() && (stem.is_empty() || camera.contains(&stem)))
}

/// Whether a word ends in the extension of an image, of one that is not decoded too.
fn names_image(word: &str) -> bool {
    let undecoded = |ext: &str| ["svg", "heic"].iter().any(|known| ext.eq_ignore_ascii_case(known));
    word.rsplit_once('.').is_some_and(|(stem, ext)| {
        !stem.is_empty() && (ImageFormat::of_extension(ext).is_some() || undecoded(ext))
    })
}

/// Whether at least half of the words are URLs.
fn is_url(words: &[&str]) -> bool {
    let url = |word: &&&str| {
        let word = word.to_ascii_lowercase();
        word.contains("://") || word.starts_with("www.")
    };
    words.iter().filter(url).count() * 2 >= words.len()
}

/// Share of the most frequent word.
fn repeated(words: &[&str]) -> f32 {
    if words.len() <= 4 {
        return 0.0;
    }
    let mut sorted = words.to_vec();
    sorted.sort_unstable();
    let longest = sorted.chunk_by(|a, b| a == b).map(<[_]>::len).max().unwrap_or(0);
    longest as f32 / words.len() as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_has_its_reason() {
        let filter = CaptionFilter::default();
        for (caption, reason) in [
            ("", Some("empty_caption")),
            ("IMG_2041.png", Some("file_name")),
            ("DSC00042", Some("file_name")),
            ("20160716_113957.JPG", Some("file_name")),
            ("my photo.jpeg", Some("file_name")),
            ("my new photo.avif", Some("file_name")),
            ("diagram.pgm", Some("file_name")),
            ("my photo.heic", Some("file_name")),
            ("http://example.org/a.html", Some("url_caption")),
            ("red apple", Some("few_words")),
            ("a b c", Some("short_caption")),
            ("sale sale sale sale sale now", Some("repeated_words")),
            ("a drawing of a red apple", None),
            ("the road to Img 5", None),
        ] {
            assert_eq!(filter.reject(caption), reason, "{caption}");
        }
        assert_eq!(filter.reject(&"word and more ".repeat(200)), Some("long_caption"));
        let filter = CaptionFilter { max_words: 5, ..filter };
        assert_eq!(filter.reject("one two three four five six"), Some("many_words"));
    }

    #[test]
    fn datacomps_filter_has_its_thresholds_and_no_other() {
        let filter = CaptionFilter::preset(CaptionPreset::Datacomp);
        // `len(text.split()) > 2 and len(text) > 5`
        for (caption, reason) in [
            ("red apple", Some("few_words")),
            ("a b c", Some("short_caption")),
            ("a bc d", None),
            ("ä ö üß", None),
            ("http://a.b/c and http://d.e", None),
            ("my new photo.jpeg", None),
            ("sale sale sale sale sale sale", None),
            ("", Some("empty_caption")),
        ] {
            assert_eq!(filter.reject(caption), reason, "{caption}");
        }
        assert_eq!(filter.reject(&"word and more ".repeat(5_000)), None);
        assert_eq!(CaptionFilter::preset(CaptionPreset::Off).reject("IMG_2041.png"), None);
    }
}
