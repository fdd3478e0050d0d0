//! Hosts over processes: while one asks a host, the others that share its folder or its object
//! storage wait.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clip_store::Store;
use serde::{Deserialize, Serialize};

/// How long an object says that a host is taken; renewed long before.
const TERM: Duration = Duration::from_secs(60);
/// How often storage may fail while a request waits for its host.
const FAULTS: u32 = 60;
/// A host in object storage is given back so long after its last request: each change is a request,
/// too.
const KEPT: Duration = Duration::from_secs(1);

/// Hosts are distinguished by as many numbers: with 4096 hosts in flight, a process keeps another
/// from one host in 256 that it does not ask.
const NUMBERS: u32 = 1 << 20;

/// Locks on hosts, each a file or an object that the processes of a job share.
///
/// The lock on a file goes with its process, however that ends; an object's runs out. Both hold
/// the moment from which the host may be asked again, so that the pause between two requests also
/// holds from one process to the next.
pub(crate) struct Leases {
    place: Place,
    /// Pause between two looks at a host that another process has.
    look: Duration,
    hosts: Mutex<Hosts>,
}

enum Place {
    Folder(PathBuf),
    Objects { store: Store, owner: String },
}

#[derive(Default)]
struct Hosts {
    held: HashMap<u32, Held>,
    /// Objects that are being given back.
    leaving: HashSet<u32>,
}

struct Held {
    /// Locked; none where an object is the lock.
    file: Option<File>,
    users: usize,
    /// The moment from which the host may be asked again.
    next: Duration,
    /// When the last user left, and when the object was last written.
    idle: Duration,
    written: Duration,
}

/// What is in an object: who has the host until when, and when it may be asked again
/// (milliseconds since 1970).
#[derive(Serialize, Deserialize)]
struct LeaseRecord {
    owner: String,
    until: u64,
    next: u64,
}

/// A host that this process may ask until all of its leases are dropped.
pub(crate) struct Lease {
    leases: Arc<Leases>,
    number: u32,
}

impl Leases {
    /// In a folder.
    pub fn new(folder: PathBuf) -> io::Result<Arc<Self>> {
        std::fs::create_dir_all(&folder)?;
        let (place, look) = (Place::Folder(folder), Duration::from_millis(100));
        Ok(Arc::new(Self { place, look, hosts: Mutex::default() }))
    }

    /// In object storage.
    pub fn stored(store: Store) -> io::Result<Arc<Self>> {
        // A folder of objects has no conditional writes, but locks.
        if let Some(folder) = store.address().strip_prefix("file://") {
            return Self::new(folder.into());
        }
        let random = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), ());
        let owner = format!("{}-{random:016x}", std::process::id());
        let place = Place::Objects { store, owner };
        let look = Duration::from_secs(1);
        let leases = Arc::new(Self { place, look, hosts: Mutex::default() });
        let kept = Arc::downgrade(&leases);
        std::thread::spawn(move || keep(&kept));
        Ok(leases)
    }

    fn hosts(&self) -> MutexGuard<'_, Hosts> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until no other process asks the host; the second part is how long it must still be
    /// left alone.
    pub async fn take(self: &Arc<Self>, host: &str) -> io::Result<(Lease, Duration)> {
        // Hosts that share a number wait for each other for nothing, which is rare and harmless.
        let hash = blake3::hash(host.as_bytes());
        let [a, b, c, ..] = *hash.as_bytes();
        let number = u32::from_le_bytes([a, b, c, 0]) % NUMBERS;
        let mut faults = 0;
        loop {
            let leases = self.clone();
            // Whoever stops waiting here lets go of what was taken meanwhile.
            let taken = tokio::task::spawn_blocking(move || {
                let pause = leases.try_take(number)?;
                io::Result::Ok(pause.map(|pause| (Lease { leases, number }, pause)))
            });
            match taken.await.map_err(io::Error::other)? {
                Ok(Some(taken)) => return Ok(taken),
                Ok(None) => {}
                // A row must not fall because storage was away for a while.
                Err(_) if faults < FAULTS => faults += 1,
                Err(e) => return Err(e),
            }
            tokio::time::sleep(self.look).await;
        }
    }

    fn try_take(&self, number: u32) -> io::Result<Option<Duration>> {
        let mut hosts = self.hosts();
        if hosts.leaving.contains(&number) {
            return Ok(None);
        }
        if let Some(held) = hosts.held.get_mut(&number) {
            held.users += 1;
            return Ok(Some(Duration::ZERO));
        }
        let (file, next) = match &self.place {
            Place::Folder(folder) => {
                let path = folder.join(format!("{number:05x}"));
                let mut file = File::options()
                    .read(true)
                    .write(true)
                    .create(true)
                    .truncate(false)
                    .open(path)?;
                match file.try_lock() {
                    Ok(()) => {}
                    Err(std::fs::TryLockError::WouldBlock) => return Ok(None),
                    Err(std::fs::TryLockError::Error(e)) => return Err(e),
                }
                let mut text = String::new();
                file.read_to_string(&mut text)?;
                (Some(file), Duration::from_millis(text.trim().parse().unwrap_or(0)))
            }
            Place::Objects { store, owner } => {
                // Others of this process ask for the same object meanwhile; one of them gets it.
                drop(hosts);
                let Some(next) = claim(store, owner, number)? else { return Ok(None) };
                hosts = self.hosts();
                if hosts.leaving.contains(&number) {
                    return Ok(None);
                }
                if let Some(held) = hosts.held.get_mut(&number) {
                    held.users += 1;
                    return Ok(Some(Duration::ZERO));
                }
                (None, next)
            }
        };
        let held = Held { file, users: 1, next, idle: Duration::ZERO, written: now() };
        hosts.held.insert(number, held);
        Ok(Some(next.saturating_sub(now())))
    }

    /// Renews objects that are in use and gives back those that are not.
    fn tend(&self, store: &Store, owner: &str) {
        let now = now();
        let (mut renewed, mut left) = (Vec::new(), Vec::new());
        {
            let mut hosts = self.hosts();
            for (&number, held) in &mut hosts.held {
                if held.users == 0 && held.idle + KEPT < now {
                    left.push((number, held.next));
                } else if held.written + TERM / 3 < now {
                    held.written = now;
                    renewed.push((number, held.next));
                }
            }
            for (number, _) in &left {
                hosts.held.remove(number);
                hosts.leaving.insert(*number);
            }
        }
        // What cannot be written runs out.
        at_once(&renewed, |&(number, next)| {
            let _ = rewrite(store, owner, number, || slip(owner, self::now() + TERM, next));
        });
        at_once(&left, |&(number, next)| {
            let _ = rewrite(store, owner, number, || slip("", Duration::ZERO, next));
            self.hosts().leaving.remove(&number);
        });
    }
}

/// Renews the objects as long as the leases are in use.
fn keep(leases: &Weak<Leases>) {
    loop {
        std::thread::sleep(KEPT / 4);
        let Some(leases) = leases.upgrade() else { return };
        let Place::Objects { store, owner } = &leases.place else { return };
        leases.tend(store, owner);
    }
}

/// Does something for each, many at a time: each waits for storage.
fn at_once<T: Sync>(items: &[T], work: impl Fn(&T) + Sync) {
    for some in items.chunks(32) {
        std::thread::scope(|scope| some.iter().for_each(|item| drop(scope.spawn(|| work(item)))));
    }
}

/// Writes an object that is still ours.
fn rewrite(store: &Store, owner: &str, number: u32, slip: impl Fn() -> Vec<u8>) -> io::Result<()> {
    let name = name(number);
    let Some(seen) = store.get(&name)? else { return Ok(()) };
    let last: LeaseRecord = serde_json::from_slice(&seen.bytes).map_err(io::Error::other)?;
    if last.owner == owner { store.replace(&name, seen, slip()).map(drop) } else { Ok(()) }
}

fn name(number: u32) -> String {
    format!("{number:05x}.json")
}

fn slip(owner: &str, until: Duration, next: Duration) -> Vec<u8> {
    let (until, next) = (until.as_millis() as u64, next.as_millis() as u64);
    serde_json::json!(LeaseRecord { owner: owner.to_owned(), until, next }).to_string().into_bytes()
}

/// Takes an object that no process has, or whose time has run out; gives the moment from which the
/// host may be asked.
fn claim(store: &Store, owner: &str, number: u32) -> io::Result<Option<Duration>> {
    let name = name(number);
    let Some(seen) = store.get(&name)? else {
        let taken = store.create(&name, slip(owner, now() + TERM, Duration::ZERO))?;
        return Ok(taken.then_some(Duration::ZERO));
    };
    let last: LeaseRecord = serde_json::from_slice(&seen.bytes).map_err(io::Error::other)?;
    if last.owner != owner && u128::from(last.until) > now().as_millis() {
        return Ok(None);
    }
    let next = Duration::from_millis(last.next);
    Ok(store.replace(&name, seen, slip(owner, now() + TERM, next))?.then_some(next))
}

impl Lease {
    /// Notes how long the host must be left alone from now on, for whoever asks it next.
    pub fn pause(&self, pause: Duration) {
        let until = now() + pause;
        if let Some(held) = self.leases.hosts().held.get_mut(&self.number) {
            held.next = until;
            if let Some(file) = &mut held.file {
                // What cannot be noted costs the next process's pause, not the host's lock.
                let _ = file
                    .seek(SeekFrom::Start(0))
                    .and_then(|_| file.write_all(until.as_millis().to_string().as_bytes()));
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut hosts = self.leases.hosts();
        if let Some(held) = hosts.held.get_mut(&self.number) {
            held.users -= 1;
            held.idle = now();
            if held.users == 0 && held.file.is_some() {
                hosts.held.remove(&self.number);
            }
        }
    }
}

impl Drop for Leases {
    fn drop(&mut self) {
        let Place::Objects { store, owner } = &self.place else { return };
        // The last one may continue a thread that must not wait.
        let (store, owner) = (store.clone(), owner.clone());
        let held = std::mem::take(&mut *self.hosts()).held;
        let held: Vec<_> = held.into_iter().map(|(number, held)| (number, held.next)).collect();
        let give = move || {
            at_once(&held, |&(number, next)| {
                let _ = rewrite(&store, &owner, number, || slip("", Duration::ZERO, next));
            });
        };
        let _ = std::thread::spawn(give).join();
    }
}

/// Since 1970: the one clock that machines share.
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two openings of a place stand for two processes.
    async fn excludes(a: Arc<Leases>, b: Arc<Leases>) {
        let (first, pause) = a.take("e.com").await.unwrap();
        assert_eq!(pause, Duration::ZERO);
        let (second, _) = a.take("e.com").await.unwrap();
        let waits = |leases: Arc<Leases>| async move {
            tokio::time::timeout(Duration::from_millis(150), leases.take("e.com")).await.is_err()
        };
        assert!(waits(b.clone()).await);
        first.pause(Duration::from_secs(9));
        drop(first);
        assert!(waits(b.clone()).await, "one request is still in flight");
        drop(second);
        let (_third, pause) = b.take("e.com").await.unwrap();
        assert!(pause > Duration::from_secs(4), "{pause:?}");
        assert!(b.take("other.com").await.unwrap().1.is_zero());
    }

    #[tokio::test]
    async fn a_host_belongs_to_one_process_and_its_pause_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Leases::new(folder.path().into()).unwrap();
        excludes(open(), open()).await;
    }

    /// `scripts/test` starts a server and says here where its bucket is.
    #[tokio::test]
    async fn the_same_holds_over_object_storage() {
        let Ok(address) = std::env::var("CLIP_DATA_TEST_STORE") else {
            assert!(
                std::env::var_os("CLIP_DATA_REQUIRE_ALL").is_none(),
                "no S3 server: run under scripts/s3"
            );
            eprintln!("skipped: CLIP_DATA_TEST_STORE names no bucket");
            return;
        };
        let open = || Store::open(&format!("{address}/lease-test-{}", std::process::id())).unwrap();
        let (a, b) = (Leases::stored(open()).unwrap(), Leases::stored(open()).unwrap());
        excludes(a, b).await;
        // A process that died left a slip that runs out.
        let store = open();
        let gone = slip("gone", now() + Duration::from_millis(200), Duration::ZERO);
        store_on_thread(move || {
            store.put(&name(7), gone).unwrap();
            assert!(claim(&store, "me", 7).unwrap().is_none());
            std::thread::sleep(Duration::from_millis(300));
            assert!(claim(&store, "me", 7).unwrap().is_some());
            store.clear().unwrap();
        });
    }

    /// Storage is waited for outside the test's runtime.
    fn store_on_thread(work: impl FnOnce() + Send + 'static) {
        std::thread::spawn(work).join().unwrap();
    }
}
