//! `[source]`: where pairs come from.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `[source]`, by its `kind`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum SourceConfig {
    /// Web pages, from seeds.
    Web(Web),
    /// Lists of (URL, caption), in img2dataset's formats.
    List(List),
    /// Common Crawl WAT files: links as JSON.
    Wat(Archive),
    /// WARC files: pages as they came.
    Warc(Archive),
    /// Images in folders, captions beside them.
    Folder(Corpus),
    /// WebDataset shards, img2dataset's among them.
    Webdataset(Corpus),
    /// MS-COCO's `captions_*.json`.
    Coco(Files),
    /// Visual Genome's region descriptions.
    VisualGenome(VisualGenome),
    /// YFCC100M's metadata, with the paper's filter.
    Yfcc100m(Files),
    /// Google's WIT, as tsv.
    Wit(Files),
}

impl SourceConfig {
    /// Columns that are kept besides those of every pair.
    pub fn columns(&self) -> &[String] {
        match self {
            Self::List(list) => &list.columns,
            Self::Folder(corpus) | Self::Webdataset(corpus) => &corpus.columns,
            Self::Web(_)
            | Self::Wat(_)
            | Self::Warc(_)
            | Self::Coco(_)
            | Self::VisualGenome(_)
            | Self::Yfcc100m(_)
            | Self::Wit(_) => &[],
        }
    }
}

/// `kind = "wat"` and `kind = "warc"`: archives in gzip members, read in ranges.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Archive {
    /// Files, folders or globs.
    pub paths: Vec<PathBuf>,
    /// Compressed bytes in a part: what a failed part costs.
    #[serde(default = "default_part_bytes")]
    pub part_bytes: u64,
}

/// `kind = "folder"` and `kind = "webdataset"`: images that are here already.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Corpus {
    /// Folders; or shards, as files, folders, globs or braces.
    pub paths: Vec<PathBuf>,
    /// Where the caption is in a .json, when there is no .txt.
    #[serde(default = "default_caption_col")]
    pub json_key: String,
    /// Fields of the .json that are kept as columns of text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
}

/// `kind = "coco"`, `"yfcc100m"` and `"wit"`: published files.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Files {
    /// Files, folders or globs; a file is a part.
    pub paths: Vec<PathBuf>,
}

/// `kind = "visual-genome"`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VisualGenome {
    /// `region_descriptions.json`.
    pub regions: PathBuf,
    /// `image_data.json`, which has the URLs.
    pub images: PathBuf,
}

fn default_part_bytes() -> u64 {
    64 << 20
}

/// `kind = "web"`: pages from seeds, breadth first, host by host.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Web {
    /// Pages to start from. A host's pages are one part.
    pub seeds: Vec<String>,
    /// Links to follow from a seed.
    #[serde(default = "default_depth")]
    pub depth: usize,
    /// Most pages of one host.
    #[serde(default = "default_pages")]
    pub max_pages_per_host: usize,
    /// Whether pages that the sitemaps in robots.txt name are visited as well.
    #[serde(default)]
    pub sitemaps: bool,
    /// Which links are followed.
    #[serde(default)]
    pub follow: Follow,
    /// Further hosts whose pages may be visited; `.example.org` means that host and those under
    /// it.
    #[serde(default)]
    pub allow: Vec<String>,
}

/// Which links of a page are followed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Follow {
    /// Those to the seed's host and port.
    #[default]
    Host,
    /// Those to hosts under the seed's as well, `www.` apart.
    Site,
}

fn default_depth() -> usize {
    3
}

fn default_pages() -> usize {
    10_000
}

/// `kind = "list"`: files with one pair a row.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Files, folders, globs or URLs; .txt, .csv, .tsv, .json, .jsonl (each also .gz) and
    /// .parquet.
    pub paths: Vec<PathBuf>,
    /// What the files are, where their names do not say it: `csv`, `tsv.gz` and so on.
    #[serde(default)]
    pub format: Option<String>,
    /// Column of the image's URL; its letters may be large or small.
    #[serde(default = "default_url_col")]
    pub url_col: String,
    /// Column of the caption, likewise; `""` where the list has none.
    #[serde(default = "default_caption_col")]
    pub caption_col: String,
    /// What a list of captions in the caption column means.
    #[serde(default)]
    pub caption_list: CaptionList,
    /// Further columns that are kept, with their types where the files are Parquet and as text
    /// where they are not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// Rows in a part.
    #[serde(default = "default_part_rows")]
    pub part_rows: usize,
}

/// What a cell of the caption column that holds a list of captions means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CaptionList {
    /// An error: neither of the others is meant by accident.
    #[default]
    Refuse,
    /// The first caption; the others are left out.
    First,
    /// A row for each caption, with the same URL.
    All,
}

fn default_url_col() -> String {
    "url".into()
}

fn default_caption_col() -> String {
    "caption".into()
}

fn default_part_rows() -> usize {
    10_000
}
