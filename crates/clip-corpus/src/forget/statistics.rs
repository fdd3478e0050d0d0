//! The `_stats.json` of a shard, made anew of the rows that are left.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use arrow::array::{Array, StringArray};
use serde_json::{Map, Value, json};
use url::Url;

use crate::{Error, IoContext, Replacement, Result, columns, scan};

/// Reasons of rows whose URL was not asked: there is none that can be, the name of its host is not
/// known, the host or a private network was left alone, or a file of the host forbids it.
pub const NOT_ASKED: [&str; 7] =
    ["bad_row", "bad_url", "blocked_address", "dns", "host_given_up", "robots_txt", "ai_txt"];

/// A message as `status_dict` counts it: one of a page's or an image's own opt-out without what
/// decided it, which differs from row to row.
pub fn status_key(message: &str) -> &str {
    match message.split_once(": ") {
        Some((reason, _)) if reason.starts_with("Use of image disallowed by ") => reason,
        _ => message,
    }
}

/// Stages the statistics beside a shard, where there are some, as those of `table`, the one that
/// will be there; without one, `removed` is taken off. Of `changed`, the keys that they have.
pub(super) fn stage(
    folder: &Path,
    stem: &str,
    table: Option<&Path>,
    removed: u64,
    changed: impl IntoIterator<Item = (&'static str, Value)>,
    replacement: &mut Replacement,
) -> Result<()> {
    let name = format!("{stem}_stats.json");
    let path = folder.join(&name);
    if !path.is_file() {
        return Ok(());
    }
    let damaged = |reason: String| Error::Damaged { path: path.clone(), reason };
    let text = std::fs::read(&path).at(&path)?;
    let value: Value = crate::json::from_slice(&text).map_err(|e| damaged(e.to_string()))?;
    let Value::Object(mut stats) = value else {
        return Err(damaged("it is not an object".into()));
    };
    let counted = table.map(of_table).transpose()?.flatten();
    let counted = counted.unwrap_or_else(|| {
        let less = |key: &str| {
            let count = stats.get(key)?.as_u64()?.saturating_sub(removed);
            Some((key.to_owned(), count.into()))
        };
        ["count", "successes"].into_iter().filter_map(less).collect()
    });
    let changed = changed.into_iter().map(|(key, value)| (key.to_owned(), value));
    for (key, new) in counted.into_iter().chain(changed) {
        stats.entry(key).and_modify(|old| *old = new);
    }
    let text = format!("{:#}\n", Value::Object(stats));
    clip_format::write_atomic(&replacement.stage(&name)?, text.as_bytes())?;
    Ok(())
}

/// What the statistics of a table's rows say; none where it has no statuses.
fn of_table(table: &Path) -> Result<Option<Map<String, Value>>> {
    let mut statuses: BTreeMap<String, u64> = BTreeMap::new();
    let (mut messages, mut kinds) = (statuses.clone(), statuses.clone());
    let mut hosts: BTreeMap<String, (u64, BTreeMap<String, u64>)> = BTreeMap::new();
    let (mut count, mut urls) = (0u64, HashSet::new());
    for batch in scan(table, &[columns::URL, "status", "error_message", "error_kind"], 8192)? {
        let batch = batch?;
        let Some(status) = columns::text(&batch, "status") else { return Ok(None) };
        let cells = |name: &str| columns::text(&batch, name);
        let (of_url, message, kind) =
            (cells(columns::URL), cells("error_message"), cells("error_kind"));
        for (row, status) in status.iter().enumerate() {
            let cell = |column: Option<&StringArray>| {
                column.filter(|c| c.is_valid(row)).map(|c| c.value(row).to_owned())
            };
            let (url, message, kind) = (cell(of_url), cell(message), cell(kind));
            let status = status.unwrap_or_default();
            count += 1;
            *statuses.entry(status.to_owned()).or_default() += 1;
            let message = message.as_deref().map_or("success", status_key);
            *messages.entry(message.to_owned()).or_default() += 1;
            let asked = kind.as_deref().is_none_or(|kind| !NOT_ASKED.contains(&kind));
            urls.extend(url.iter().filter(|_| asked).map(|url| url.trim().to_owned()));
            let host = url.and_then(|url| Url::parse(url.trim()).ok());
            let host = host.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
            let host = hosts.entry(host).or_default();
            host.0 += 1;
            if let Some(kind) = kind.filter(|_| status != "success") {
                *host.1.entry(kind.clone()).or_default() += 1;
                *kinds.entry(kind).or_default() += 1;
            }
        }
    }
    let hosts = hosts
        .into_iter()
        .map(|(name, (count, kinds))| (name, json!({"count": count, "error_kinds": kinds})));
    let of = |status: &str| json!(statuses.get(status).copied().unwrap_or(0));
    let named = [
        ("count", json!(count)),
        ("urls", json!(urls.len())),
        ("successes", of("success")),
        ("failed_to_download", of("failed_to_download")),
        ("failed_to_resize", of("failed_to_resize")),
        ("status_dict", json!(messages)),
        ("error_kinds", json!(kinds)),
        ("hosts", hosts.collect::<Map<_, _>>().into()),
    ];
    Ok(Some(named.map(|(key, value)| (key.to_owned(), value)).into_iter().collect()))
}
