//! Columns that are read from a list, and those of a shard's table.

use clip_corpus::ShardNames;
use clip_pipeline::config::source::CaptionList;
use clip_pipeline::{Error, Result};

use super::DatasetConfig;
use crate::list::{Column, Format, ListFile};

/// Names that the table has of its own.
const RESERVED: [&str; 14] = [
    "key",
    "caption",
    "url",
    "width",
    "height",
    "original_width",
    "original_height",
    "status",
    "error_message",
    "error_kind",
    "exif",
    "md5",
    "sha256",
    "sha512",
];

/// The columns to read, in img2dataset's order: additional ones, boxes, caption, expected hash,
/// URL.
pub(super) fn wanted(config: &DatasetConfig, files: &[ListFile]) -> Result<Vec<Column>> {
    if let Some(name) =
        config.save_additional_columns.iter().find(|name| RESERVED.contains(&name.as_str()))
    {
        return Err(Error::Config(format!(
            "save_additional_columns: {name:?} is a column of the output\nhint: leave it out, or rename it in the list"
        )));
    }
    if let (Some((_, kind)), Some(hash)) = (&config.verify_hash, config.compute_hash)
        && *kind != hash
    {
        return Err(Error::Config(format!(
            "verify_hash is {}, but compute_hash is {}\nhint: give the same for both",
            kind.name(),
            hash.name()
        )));
    }
    let kept = |name: &str| Column { text: false, ..Column::text(name, name) };
    let mut columns: Vec<Column> =
        config.save_additional_columns.iter().map(|name| kept(name)).collect();
    if let Some(boxes) = &config.bbox_col
        && !config.save_additional_columns.contains(boxes)
    {
        columns.push(kept(boxes));
    }
    if config.caption_col.is_none() && config.caption_list != CaptionList::Refuse {
        let hint = "hint: caption_col names the column whose lists it is about";
        return Err(Error::Config(format!(
            "caption_list has no effect without caption_col\n{hint}"
        )));
    }
    columns.extend(
        config
            .caption_col
            .as_ref()
            .map(|name| Column { lists: config.caption_list, ..Column::text(name, "caption") }),
    );
    columns.extend(config.verify_hash.as_ref().map(|(name, kind)| Column::text(name, kind.name())));
    columns.push(Column::text(&config.url_col, "url"));
    if columns.len() > 1
        && let Some(file) = files.iter().find(|file| file.format == Format::Txt)
    {
        return Err(Error::Config(format!(
            "{}: a list of URLs has no other columns\nhint: --input_format says what the list is",
            file.path.display()
        )));
    }
    Ok(columns)
}

/// The names of a data set's shards and samples.
pub(super) fn names(config: &DatasetConfig) -> ShardNames {
    ShardNames::new(config.oom_shard_count, config.number_sample_per_shard)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_names_and_two_kinds_of_hash_are_refused() {
        let config =
            DatasetConfig { save_additional_columns: vec!["width".into()], ..Default::default() };
        assert!(wanted(&config, &[]).unwrap_err().to_string().contains("\"width\""));
        let verify_hash = Some(("h".into(), super::super::HashKind::Md5));
        let config = DatasetConfig { verify_hash, ..Default::default() };
        assert!(wanted(&config, &[]).unwrap_err().to_string().contains("md5"));
    }
}
