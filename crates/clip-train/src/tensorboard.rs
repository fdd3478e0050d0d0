//! TensorBoard's event files (TensorFlow's `record_writer` and `event.proto`): scalars.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::protobuf::{bytes, crc32, varint};
use crate::{Error, Result};

/// An event file that scalars are appended to.
pub struct Events {
    path: PathBuf,
    file: File,
}

impl Events {
    /// Creates a file of its own in the folder: TensorBoard shows all files of a folder as one run.
    pub fn create(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
        let (now, id) = (now(), std::process::id());
        let path = folder.join(format!("events.out.tfevents.{:010}.{id}.clip-data", now as u64));
        let file = File::create(&path).map_err(|e| Error::io(&path, e))?;
        let mut events = Self { path, file };
        let mut version = wall_time(now);
        bytes(&mut version, 3, b"brain.Event:2");
        events.record(&version)?;
        Ok(events)
    }

    /// Appends one event with scalars by tag.
    pub fn scalars(&mut self, step: u64, values: &[(String, f64)]) -> Result<()> {
        let mut event = wall_time(now());
        event.push(2 << 3);
        varint(&mut event, step);
        let mut summary = Vec::new();
        for (tag, value) in values {
            let mut one = Vec::new();
            bytes(&mut one, 1, tag.as_bytes());
            one.push(2 << 3 | 5);
            one.extend((*value as f32).to_le_bytes());
            bytes(&mut summary, 1, &one);
        }
        bytes(&mut event, 5, &summary);
        self.record(&event)
    }

    fn record(&mut self, data: &[u8]) -> Result<()> {
        let length = (data.len() as u64).to_le_bytes();
        let mut record = length.to_vec();
        record.extend(masked(&length).to_le_bytes());
        record.extend(data);
        record.extend(masked(data).to_le_bytes());
        self.file.write_all(&record).map_err(|e| Error::io(&self.path, e))
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

/// Field 1 of an event.
fn wall_time(seconds: f64) -> Vec<u8> {
    let mut event = vec![1 << 3 | 1];
    event.extend(seconds.to_le_bytes());
    event
}

/// The records' checksum: CRC-32C, rotated and shifted so that a checksum of a checksum is not
/// trivial.
fn masked(data: &[u8]) -> u32 {
    crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

fn crc32c(data: &[u8]) -> u32 {
    crc32(0x82f6_3b78, data.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_frame_their_events() {
        let folder = tempfile::tempdir().unwrap();
        let mut events = Events::create(folder.path()).unwrap();
        events.scalars(300, &[("train/loss".into(), 1.5)]).unwrap();
        let all = std::fs::read(&events.path).unwrap();
        let length = u64::from_le_bytes(all[..8].try_into().unwrap()) as usize;
        assert!(all[12..12 + length].ends_with(b"\x1a\x0dbrain.Event:2"));
        let second = &all[length + 16..];
        let length = u64::from_le_bytes(second[..8].try_into().unwrap()) as usize;
        let data = &second[12..12 + length];
        assert_eq!(data[9..12], [0x10, 0xac, 0x02]);
        let mut wanted = vec![0x2a, 19, 0x0a, 17, 0x0a, 10];
        wanted.extend(b"train/loss");
        wanted.push(0x15);
        wanted.extend(1.5f32.to_le_bytes());
        assert_eq!(data[12..], wanted);
        assert_eq!(second[12 + length..], masked(data).to_le_bytes());
    }
}
