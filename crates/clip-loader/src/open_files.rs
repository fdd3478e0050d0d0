//! Shards that are open: no more at a time than the process may have.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::Result;

/// The files that were used last.
pub(crate) struct OpenFiles {
    most: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    files: HashMap<u32, Opened>,
    /// Counts uses.
    clock: u64,
}

struct Opened {
    file: Arc<File>,
    used: u64,
}

impl OpenFiles {
    /// A quarter of what the process may have, up to 512: others need some, too.
    pub fn new() -> Self {
        Self::of((open_limit() / 4).clamp(8, 512))
    }

    fn of(most: usize) -> Self {
        Self { most, state: Mutex::default() }
    }

    /// A file by its number, opened unless it is open.
    pub fn get(&self, number: u32, open: impl FnOnce() -> Result<File>) -> Result<Arc<File>> {
        let lock = || self.state.lock().unwrap_or_else(PoisonError::into_inner);
        {
            let State { files, clock } = &mut *lock();
            *clock += 1;
            if let Some(opened) = files.get_mut(&number) {
                opened.used = *clock;
                return Ok(Arc::clone(&opened.file));
            }
        }
        // Opening may mean downloading: others must not wait for it.
        let file = Arc::new(open()?);
        let State { files, clock } = &mut *lock();
        // What was removed, to make room on the disk, takes its room for as long as it is open.
        files.retain(|_, opened| opened.file.metadata().is_ok_and(|status| status.nlink() > 0));
        if files.len() >= self.most
            && let Some(oldest) = files.iter().min_by_key(|(_, opened)| opened.used)
        {
            let oldest = *oldest.0;
            files.remove(&oldest);
        }
        files.insert(number, Opened { file: Arc::clone(&file), used: *clock });
        Ok(file)
    }
}

/// Files that this process may have open at a time.
fn open_limit() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next());
    soft.and_then(|soft| soft.parse().ok()).unwrap_or(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_that_was_used_longest_ago_is_closed() {
        let files = OpenFiles::of(2);
        let opened = std::cell::Cell::new(0);
        let get = |number| {
            let open = || {
                opened.set(opened.get() + 1);
                Ok(File::open("/dev/null").unwrap())
            };
            files.get(number, open).unwrap();
            opened.get()
        };
        assert_eq!([1, 2, 1, 3, 1, 2].map(get), [1, 2, 2, 3, 3, 4]);
        // One that was removed is closed when the next is opened.
        let removed = tempfile::NamedTempFile::new().unwrap();
        files.get(9, || Ok(removed.reopen().unwrap())).unwrap();
        drop(removed);
        files.get(10, || Ok(File::open("/dev/null").unwrap())).unwrap();
        assert!(!files.state.lock().unwrap().files.contains_key(&9));
        assert!(open_limit() > 8);
    }
}
