//! Columns that are read from a list, and those of a shard's table.

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
/// address.
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
            "{}: a list of addresses has no other columns\nhint: --input_format says what the list is",
            file.path.display()
        )));
    }
    Ok(columns)
}

/// Digits of a row's number in a shard: 4 for 10,000 rows.
fn digits(rows: usize) -> usize {
    rows.saturating_sub(1).checked_ilog10().map_or(0, |digits| digits as usize + 1)
}

/// The key of a row: the shard's number, then the row's.
pub(super) fn key(config: &DatasetConfig, shard: usize, row: usize) -> String {
    let digits = digits(config.number_sample_per_shard);
    let number = shard as u128 * 10u128.pow(digits as u32) + row as u128;
    format!("{number:0width$}", width = digits + config.oom_shard_count)
}

/// The name of a shard.
pub(super) fn shard_name(config: &DatasetConfig, shard: usize) -> String {
    format!("{shard:0width$}", width = config.oom_shard_count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_img2datasets() {
        let config = |rows| DatasetConfig { number_sample_per_shard: rows, ..Default::default() };
        assert_eq!(key(&config(10_000), 1, 23), "000010023");
        assert_eq!(key(&config(1_000), 1, 23), "00001023");
        assert_eq!(key(&config(1), 7, 0), "00007");
        assert_eq!(key(&config(5), 0, 4), "000004");
        assert_eq!(shard_name(&config(5), 12), "00012");
    }

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
