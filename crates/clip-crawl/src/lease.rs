//! Hosts over processes: while one asks a host, the others that share its folder wait.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Pause between two looks at a host that another process has.
const LOOK: Duration = Duration::from_millis(100);

/// Locks on hosts, each a file in a folder that the processes of a job share.
///
/// A lock goes with its process, however that ends. In the file lies the moment from which the host may be asked
/// again, so that the pause between two requests also holds from one process to the next.
pub(crate) struct Leases {
    folder: PathBuf,
    held: Mutex<HashMap<u16, Held>>,
}

struct Held {
    file: File,
    users: usize,
}

/// A host that this process may ask until all of its leases are dropped.
pub(crate) struct Lease {
    leases: Arc<Leases>,
    number: u16,
}

impl Leases {
    pub fn new(folder: PathBuf) -> std::io::Result<Arc<Self>> {
        std::fs::create_dir_all(&folder)?;
        Ok(Arc::new(Self { folder, held: Mutex::default() }))
    }

    fn held(&self) -> MutexGuard<'_, HashMap<u16, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until no other process asks the host; the second part is how long it must still be left alone.
    pub async fn take(self: &Arc<Self>, host: &str) -> std::io::Result<(Lease, Duration)> {
        // Hosts that share a number wait for each other for nothing, which is rare and harmless.
        let hash = blake3::hash(host.as_bytes());
        let number = u16::from_le_bytes([hash.as_bytes()[0], hash.as_bytes()[1]]);
        loop {
            if let Some(pause) = self.try_take(number)? {
                return Ok((Lease { leases: self.clone(), number }, pause));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn try_take(&self, number: u16) -> std::io::Result<Option<Duration>> {
        let mut held = self.held();
        if let Some(held) = held.get_mut(&number) {
            held.users += 1;
            return Ok(Some(Duration::ZERO));
        }
        let path = self.folder.join(format!("{number:04x}"));
        let mut file =
            File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Ok(None),
            Err(std::fs::TryLockError::Error(e)) => return Err(e),
        }
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let next = Duration::from_millis(text.trim().parse().unwrap_or(0));
        held.insert(number, Held { file, users: 1 });
        Ok(Some(next.saturating_sub(now())))
    }
}

impl Lease {
    /// Notes how long the host must be left alone from now on, for whoever asks it next.
    pub fn pause(&self, pause: Duration) {
        let until = (now() + pause).as_millis().to_string();
        if let Some(held) = self.leases.held().get_mut(&self.number) {
            // What cannot be noted costs the next process's pause, not the host's lock.
            let _ = held
                .file
                .seek(SeekFrom::Start(0))
                .and_then(|_| held.file.write_all(until.as_bytes()));
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut held = self.leases.held();
        if let Some(entry) = held.get_mut(&self.number) {
            entry.users -= 1;
            if entry.users == 0 {
                held.remove(&self.number);
            }
        }
    }
}

/// Since 1970: the one clock that machines share.
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_host_belongs_to_one_process_and_its_pause_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        // Two openings of a file lock each other out like two processes.
        let (a, b) = (
            Leases::new(folder.path().into()).unwrap(),
            Leases::new(folder.path().into()).unwrap(),
        );
        let (first, pause) = a.take("e.com").await.unwrap();
        assert_eq!(pause, Duration::ZERO);
        let (second, _) = a.take("e.com").await.unwrap();
        let waits = |leases: Arc<Leases>| async move {
            tokio::time::timeout(Duration::from_millis(150), leases.take("e.com")).await.is_err()
        };
        assert!(waits(b.clone()).await);
        first.pause(Duration::from_secs(5));
        drop(first);
        assert!(waits(b.clone()).await, "one request is still under way");
        drop(second);
        let (_third, pause) = b.take("e.com").await.unwrap();
        assert!(pause > Duration::from_secs(4), "{pause:?}");
        assert!(b.take("other.com").await.unwrap().1.is_zero());
    }
}
