//! Asking again for rows that failed, in the data set they are missing from.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use arrow::array::{Array, AsArray, Int32Array, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::Int32Type;
use clip_corpus::{ShardIndex, columns};
use clip_pipeline::{Error, Result, RowCondition};

use super::columns::names;
use super::dispatch::some_rows;
use super::outcome::{Done, Ended, HASH_MISMATCH_KIND, Status, kind_of};
use super::output::Output;
use super::row::{Fetcher, extension};
use super::shards::Shard;
use super::{DatasetConfig, OutputFormat, Stats, Watch, folder, write};
use crate::Client;
use crate::error::not_asked;
use crate::retry::meant;
use crate::spool::{Place, Spool};

/// How a retry ended.
#[derive(Debug, Clone, Default)]
pub struct Retried {
    /// What happened to the rows that were meant.
    pub stats: Stats,
    /// Whether someone asked it to stop: what was written is whole.
    pub interrupted: bool,
}

/// Fetches the failed rows that `wanted` means, and writes their shards anew: samples that were
/// there stay as they are, rows keep their order and keys, and what was not asked keeps its error.
pub fn retry(
    config: &DatasetConfig,
    wanted: &dyn RowCondition,
    watch: &Arc<dyn Watch>,
    cancel: &AtomicBool,
) -> Result<Retried> {
    let output = Output::open(&config.output_folder, None)?;
    let folder = &config.output_folder;
    if config.output_format == OutputFormat::Dummy {
        let why = "statistics alone: no row can be asked again\nhint: fetch it with another format";
        return Err(Error::Config(format!("{}: {why}", folder.display())));
    }
    std::fs::create_dir_all(output.folder()).map_err(|e| Error::io(output.folder(), e))?;
    let _lock = folder::lock(output.folder(), false)?;
    output.publish_all(names(config))?;
    let client = Client::new(&config.fetch).map_err(|e| Error::Config(e.message))?;
    let here = output.folder().to_path_buf();
    let here = DatasetConfig { output_folder: here, ..config.clone() };
    let fetcher = Arc::new(Fetcher { client, config: Arc::new(here) });
    let mut shards: Vec<usize> = output.done()?.into_iter().collect();
    shards.sort_unstable();
    if shards.is_empty() {
        let why = "no shards here\nhint: name the output folder of a fetch";
        return Err(Error::Config(format!("{}: {why}", folder.display())));
    }
    let mut total = Retried::default();
    for id in shards {
        if cancel.load(Ordering::Relaxed) {
            total.interrupted = true;
            break;
        }
        one_shard(&fetcher, &output, id, wanted, watch, cancel, &mut total)?;
    }
    let scratch = output.folder().join("_tmp");
    if scratch.exists() {
        std::fs::remove_dir_all(&scratch).map_err(|e| Error::io(&scratch, e))?;
    }
    Ok(total)
}

fn one_shard(
    fetcher: &Arc<Fetcher>,
    output: &Output,
    id: usize,
    wanted: &dyn RowCondition,
    watch: &Arc<dyn Watch>,
    cancel: &AtomicBool,
    total: &mut Retried,
) -> Result<()> {
    let (config, started) = (&fetcher.config, SystemTime::now());
    let name = names(config).shard(id);
    let path = config.output_folder.join(format!("{name}.parquet"));
    output.bring(&format!("{name}.parquet"))?;
    let table = clip_corpus::read_parquet(&path)?;
    let Some(first) = table.first() else { return Ok(()) };
    let schema = first.schema();
    let without_images: Vec<usize> = (0..schema.fields().len())
        .filter(|&at| schema.field(at).name() != extension(config))
        .collect();
    let lean = table.iter().map(|batch| batch.project(&without_images)).collect::<Vec<_>>();
    let lean = lean.into_iter().collect::<std::result::Result<Vec<_>, _>>();
    let lean = lean.map_err(|e| Error::arrow("retry", e))?;
    let whole = concat_batches(&lean[0].schema(), &lean).map_err(|e| Error::arrow("retry", e))?;
    let (shard, mut rows) = parts(&path, id, &whole)?;
    // img2dataset's tables have no kinds.
    let kinds = rows.iter().map(|done| done.kind.as_deref()).collect::<StringArray>();
    let named = columns::with_column(&whole, "error_kind", true, Arc::new(kinds));
    let meant = meant(wanted, &named.map_err(|e| Error::arrow("retry", e))?)?;
    let asked: HashSet<usize> =
        (0..rows.len()).filter(|&row| meant[row] && rows[row].status != Status::Success).collect();
    if asked.is_empty() {
        return output.discard(&format!("{name}.parquet"));
    }
    match config.output_format {
        OutputFormat::Webdataset => output.bring(&format!("{name}.tar"))?,
        OutputFormat::Files => output.bring_samples(&name)?,
        OutputFormat::Parquet | OutputFormat::Dummy => {}
    }
    watch.note(&format!("shard {name}: asking again for {}", asked.len()));
    let mut spool = Spool::create(&config.output_folder.join("_tmp"))?;
    let mut fresh: HashMap<usize, Place> = HashMap::new();
    let mut stored = Stored::open(config, &name, &table, &mut spool)?;
    let (mut ends, mut changed) = (Stats::default(), false);
    let mut take = |ended: Ended, image: Vec<u8>| {
        let done = ended.done;
        let success = done.status == Status::Success;
        let place = if success { Some(spool.put(&image)?) } else { None };
        let answered = !done.kind.as_deref().is_some_and(not_asked);
        changed |= answered;
        for row in ended.rows {
            watch.row(done.status);
            ends.add(shard.text("url", row), &done);
            fresh.extend(place.map(|place| (row, place)));
            if answered {
                rows[row] = done.clone();
            }
        }
        Ok(())
    };
    some_rows(fetcher, &shard, &asked, &mut take, cancel)?;
    if ends.count < asked.len() as u64 {
        total.interrupted = true;
        return Ok(());
    }
    total.stats.merge(&ends);
    if !changed {
        return output.discard_shard(&name);
    }
    let keys = shard.keys(names(config));
    let mut images = |row: usize| match fresh.get(&row) {
        Some(place) => spool.get(*place),
        None => stored.get(row, keys.value(row), &mut spool),
    };
    let stats = write::shard(config, &shard, &rows, &mut images, started)?;
    output.publish(&name)?;
    watch.shard(id, &stats);
    Ok(())
}

/// A shard's table as the list's columns, and what became of each row.
fn parts(path: &Path, id: usize, table: &RecordBatch) -> Result<(Shard, Vec<Done>)> {
    let bad = |name: &str| {
        let hint = "hint: this is no shard of a fetch";
        Error::Config(format!("{}: no column {name:?} of the right kind\n{hint}", path.display()))
    };
    let listed: Vec<usize> = (0..table.schema().index_of("key").map_err(|_| bad("key"))?).collect();
    let rows = table.project(&listed).map_err(|e| Error::arrow("retry", e))?;
    let texts = |name: &str| table.column_by_name(name).and_then(|c| c.as_string_opt::<i32>());
    let numbers =
        |name: &str| table.column_by_name(name).and_then(|c| c.as_primitive_opt::<Int32Type>());
    let keys = texts("key").filter(|keys| keys.null_count() == 0).ok_or_else(|| bad("key"))?;
    let statuses = texts("status").ok_or_else(|| bad("status"))?;
    let cell = |name: &str, row: usize| {
        texts(name).filter(|c| c.is_valid(row)).map(|c| c.value(row).to_owned())
    };
    let pair = |width: Option<&Int32Array>, height: Option<&Int32Array>, row: usize| {
        let number = |c: Option<&Int32Array>| {
            c.filter(|c| c.is_valid(row)).map(|c| c.value(row).max(0) as u32)
        };
        number(width).zip(number(height))
    };
    let hash = ["md5", "sha256", "sha512"].into_iter().find(|name| texts(name).is_some());
    let done = (0..table.num_rows()).map(|row| {
        let status = Status::named(statuses.value(row)).ok_or_else(|| bad("status"))?;
        let message = cell("error_message", row);
        let recorded = cell("error_kind", row).map(Cow::Owned);
        let kind = recorded
            .or_else(|| message.as_deref().map(|m| Cow::Borrowed(kind_of(m).unwrap_or("broken"))));
        Ok(Done {
            status,
            message,
            kind: kind
                .filter(|kind| status != Status::Success || kind.as_ref() == HASH_MISMATCH_KIND),
            size: pair(numbers("width"), numbers("height"), row),
            original: pair(numbers("original_width"), numbers("original_height"), row),
            exif: cell("exif", row),
            hash: hash.and_then(|name| cell(name, row)),
        })
    });
    let done = done.collect::<Result<_>>()?;
    Ok((Shard { id, rows, keys: Some(keys.clone()) }, done))
}

/// The images that a shard has.
enum Stored {
    Tar(File, HashMap<String, (u64, u64)>),
    Files(std::path::PathBuf, &'static str),
    Spooled(Vec<Option<Place>>),
}

impl Stored {
    fn open(
        config: &DatasetConfig,
        name: &str,
        table: &[RecordBatch],
        spool: &mut Spool,
    ) -> Result<Self> {
        let field = extension(config);
        Ok(match config.output_format {
            OutputFormat::Webdataset => {
                let path = config.output_folder.join(format!("{name}.tar"));
                let members = ShardIndex::scan(&path)?.members.into_iter();
                let images = members.filter(|member| member.field == field);
                let places = images.map(|member| (member.key, (member.offset, member.size)));
                Self::Tar(File::open(&path).map_err(|e| Error::io(&path, e))?, places.collect())
            }
            OutputFormat::Files | OutputFormat::Dummy => {
                Self::Files(config.output_folder.join(name), field)
            }
            OutputFormat::Parquet => {
                let mut places = Vec::new();
                for batch in table {
                    let column = batch.column_by_name(field).and_then(|c| c.as_binary_opt::<i32>());
                    let lacks = || Error::stage("retry", format!("shard {name} has no images"));
                    let column = column.ok_or_else(lacks)?;
                    for image in column {
                        places.push(image.map(|bytes| spool.put(bytes)).transpose()?);
                    }
                }
                Self::Spooled(places)
            }
        })
    }

    fn get(&mut self, row: usize, key: &str, spool: &mut Spool) -> Result<Vec<u8>> {
        let lost = || Error::stage("retry", format!("the image of {key} is not in its shard"));
        match self {
            Self::Tar(file, places) => {
                let &(offset, size) = places.get(key).ok_or_else(lost)?;
                let mut bytes = vec![0; size as usize];
                file.read_exact_at(&mut bytes, offset).map_err(|e| Error::io(Path::new(key), e))?;
                Ok(bytes)
            }
            Self::Files(folder, field) => {
                let path = clip_corpus::below(folder, &format!("{key}.{field}"));
                let path = path.map_err(|e| Error::stage("retry", format!("key {key:?}: {e}")))?;
                std::fs::read(&path).map_err(|e| Error::io(&path, e))
            }
            Self::Spooled(places) => {
                spool.get(places.get(row).copied().flatten().ok_or_else(lost)?)
            }
        }
    }
}
