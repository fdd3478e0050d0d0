//! A folder of object storage.

use std::fmt;
use std::io;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use object_store::path::Path as Key;
use object_store::{
    ObjectStore, ObjectStoreExt, PutMode, PutPayload, UpdateVersion, WriteMultipart,
};
use tokio::io::AsyncReadExt;

use crate::connect::{client, io_error};
use crate::remote::parts;
use crate::runtime::wait;

/// Files up to this length go up in one request, longer ones in pieces of it.
const PIECE: usize = 16 << 20;
/// Pieces of one file on their way at a time.
const AT_ONCE: usize = 4;
/// Small objects on their way at a time.
const READS: usize = 64;
/// Files that are sent at a time, each of up to a piece in memory.
const SENDS: usize = 16;

/// A folder of object storage; keys are relative to it, with `/` between names.
#[derive(Clone)]
pub struct Store {
    client: Arc<dyn ObjectStore>,
    folder: Key,
    address: String,
}

/// What an object held, and which of its versions that was.
#[derive(Debug, Clone)]
pub struct Version {
    /// The bytes.
    pub bytes: Vec<u8>,
    update: UpdateVersion,
}

impl Store {
    /// The folder at a URL, whether anything is there or not.
    ///
    /// # Errors
    /// When it is no URL of object storage, or this executable cannot speak to it.
    pub fn open(address: &str) -> io::Result<Self> {
        let (scheme, bucket, folder) = parts(address)?;
        let folder = Key::parse(folder.trim_matches('/')).map_err(io::Error::other)?;
        let address = address.trim_end_matches('/').to_owned();
        Ok(Self { client: client(scheme, bucket)?, folder, address })
    }

    /// A folder in this one.
    pub fn at(&self, name: &str) -> Self {
        let address = format!("{}/{name}", self.address);
        Self { client: self.client.clone(), folder: self.key(name), address }
    }

    /// Where it is.
    pub fn address(&self) -> &str {
        &self.address
    }

    fn key(&self, name: &str) -> Key {
        name.split('/').filter(|part| !part.is_empty()).fold(self.folder.clone(), Key::join)
    }

    /// An object's bytes; nothing where there is none.
    pub fn get(&self, name: &str) -> io::Result<Option<Version>> {
        let read = async {
            let found = self.client.get(&self.key(name)).await?;
            let (e_tag, version) = (found.meta.e_tag.clone(), found.meta.version.clone());
            let bytes = found.bytes().await?.to_vec();
            Ok(Version { bytes, update: UpdateVersion { e_tag, version } })
        };
        match wait(read)? {
            Ok(found) => Ok(Some(found)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(io_error(e)),
        }
    }

    /// Many objects' bytes, in the order asked for.
    pub fn get_all(&self, names: &[String]) -> io::Result<Vec<Vec<u8>>> {
        let read = |name: &String| {
            let (client, key) = (self.client.clone(), self.key(name));
            async move { Ok::<_, object_store::Error>(client.get(&key).await?.bytes().await?.to_vec()) }
        };
        let all = futures::stream::iter(names.iter().map(read)).buffered(READS);
        wait(all.try_collect())?.map_err(io_error)
    }

    /// Writes an object, over whatever is there.
    pub fn put(&self, name: &str, bytes: Vec<u8>) -> io::Result<()> {
        wait(self.client.put(&self.key(name), bytes.into()))?.map_err(io_error)?;
        Ok(())
    }

    /// Writes an object where there is none; `false` where there is one.
    pub fn create(&self, name: &str, bytes: Vec<u8>) -> io::Result<bool> {
        self.put_if(name, bytes, PutMode::Create)
    }

    /// Writes an object over the version that was read; `false` where it is another by now.
    pub fn replace(&self, name: &str, seen: Version, bytes: Vec<u8>) -> io::Result<bool> {
        self.put_if(name, bytes, PutMode::Update(seen.update))
    }

    fn put_if(&self, name: &str, bytes: Vec<u8>, mode: PutMode) -> io::Result<bool> {
        let key = self.key(name);
        match wait(self.client.put_opts(&key, PutPayload::from(bytes), mode.into()))? {
            Ok(_) => Ok(true),
            Err(
                object_store::Error::AlreadyExists { .. }
                | object_store::Error::Precondition { .. },
            ) => Ok(false),
            Err(e) => Err(io_error(e)),
        }
    }

    /// Copies a file there.
    pub fn upload(&self, name: &str, file: &std::path::Path) -> io::Result<()> {
        wait(self.send(name, file))?
    }

    /// Copies files of a folder there, in any order.
    pub fn upload_all(&self, folder: &std::path::Path, names: &[String]) -> io::Result<()> {
        let sends = names.iter().map(|name| async move {
            let path = folder.join(name);
            self.send(name, &path).await
        });
        wait(futures::stream::iter(sends).buffer_unordered(SENDS).try_collect())?
    }

    async fn send(&self, name: &str, file: &std::path::Path) -> io::Result<()> {
        let key = self.key(name);
        if tokio::fs::metadata(file).await?.len() <= PIECE as u64 {
            let bytes = tokio::fs::read(file).await?;
            self.client.put(&key, bytes.into()).await.map_err(io_error)?;
            return Ok(());
        }
        let mut file = tokio::fs::File::open(file).await?;
        let upload = self.client.put_multipart(&key).await.map_err(io_error)?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, PIECE);
        if let Err(e) = pieces(&mut file, &mut upload).await {
            // What was sent of it would be kept, and paid for.
            let _ = upload.abort().await;
            return Err(e);
        }
        upload.finish().await.map_err(io_error)?;
        Ok(())
    }

    /// An object's bytes from a place on.
    pub fn read(&self, name: &str, from: u64) -> io::Result<Body> {
        let key = self.key(name);
        let from_there = object_store::GetOptions {
            range: (from > 0).then_some(object_store::GetRange::Offset(from)),
            ..Default::default()
        };
        let found = wait(self.client.get_opts(&key, from_there))?.map_err(io_error)?;
        let length = found.meta.size;
        Ok(Body { stream: found.into_stream(), length, piece: bytes::Bytes::new() })
    }

    /// The objects below this folder and their lengths, by name.
    pub fn list(&self) -> io::Result<Vec<(String, u64)>> {
        let found = wait(self.client.list(Some(&self.folder)).try_collect::<Vec<_>>())?;
        let found = found.map_err(io_error)?;
        let own = self.folder.as_ref().len();
        let name = |key: &Key| key.as_ref()[own..].trim_start_matches('/').to_owned();
        let mut names: Vec<_> =
            found.iter().map(|meta| (name(&meta.location), meta.size)).collect();
        names.sort();
        Ok(names)
    }

    /// What is in this folder itself: objects, and folders without what is in them.
    pub fn names(&self) -> io::Result<Vec<String>> {
        let found = wait(self.client.list_with_delimiter(Some(&self.folder)))?;
        let found = found.map_err(io_error)?;
        let keys = found.objects.iter().map(|meta| &meta.location).chain(&found.common_prefixes);
        let mut names: Vec<String> =
            keys.filter_map(|key| Some(key.filename()?.to_owned())).collect();
        names.sort();
        Ok(names)
    }

    /// Removes an object.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        wait(self.client.delete(&self.key(name)))?.map_err(io_error)
    }

    /// Removes every object below this folder.
    pub fn clear(&self) -> io::Result<()> {
        self.list()?.iter().try_for_each(|(name, _)| self.remove(name))
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.address)
    }
}

async fn pieces(file: &mut tokio::fs::File, upload: &mut WriteMultipart) -> io::Result<()> {
    loop {
        let mut piece = bytes::BytesMut::with_capacity(PIECE);
        if file.read_buf(&mut piece).await? == 0 {
            return Ok(());
        }
        upload.wait_for_capacity(AT_ONCE).await.map_err(io_error)?;
        upload.put(piece.freeze());
    }
}

/// An object that is being read. A connection that breaks is taken up again where it was.
pub struct Body {
    stream: futures::stream::BoxStream<'static, object_store::Result<bytes::Bytes>>,
    pub(crate) length: u64,
    piece: bytes::Bytes,
}

impl io::Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match wait(self.stream.try_next())?.map_err(io_error)? {
                Some(piece) => self.piece = piece,
                None => return Ok(0),
            }
        }
        let length = buffer.len().min(self.piece.len());
        buffer[..length].copy_from_slice(&self.piece.split_to(length));
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn exercised(store: &Store) {
        assert!(store.get("absent").unwrap().is_none());
        assert!(store.create("a/one", b"1".to_vec()).unwrap());
        assert!(!store.create("a/one", b"2".to_vec()).unwrap(), "there is one already");
        assert_eq!(store.get("a/one").unwrap().unwrap().bytes, b"1");
        store.put("a/one", b"3".to_vec()).unwrap();
        store.put("b", vec![7; 10]).unwrap();
        let both = store.get_all(&["b".to_owned(), "a/one".to_owned()]).unwrap();
        assert_eq!(both, [vec![7; 10], b"3".to_vec()]);
        assert_eq!(store.list().unwrap(), [("a/one".to_owned(), 1), ("b".to_owned(), 10)]);
        assert_eq!(store.at("a").list().unwrap(), [("one".to_owned(), 1)]);
        assert_eq!(store.names().unwrap(), ["a", "b"]);
        // Longer than two pieces, and not a whole number of them.
        let folder = tempfile::tempdir().unwrap();
        let long: Vec<u8> = (0..2 * PIECE + 12_345).map(|i| (i / 7) as u8).collect();
        std::fs::write(folder.path().join("long"), &long).unwrap();
        store.upload("c/long", &folder.path().join("long")).unwrap();
        assert!(store.get("c/long").unwrap().unwrap().bytes == long);
        let mut rest = Vec::new();
        let mut body = store.read("c/long", 2 * PIECE as u64).unwrap();
        body.read_to_end(&mut rest).unwrap();
        assert!(rest == long[2 * PIECE..] && body.length == long.len() as u64);
        let names: Vec<String> = (0..40).map(|n| format!("many/{n:02}")).collect();
        std::fs::create_dir(folder.path().join("many")).unwrap();
        names.iter().for_each(|name| std::fs::write(folder.path().join(name), name).unwrap());
        store.upload_all(folder.path(), &names).unwrap();
        assert_eq!(store.get_all(&names).unwrap()[39], b"many/39");
        let absent = store.upload_all(folder.path(), &["absent".to_owned()]);
        assert_eq!(absent.unwrap_err().kind(), io::ErrorKind::NotFound);
        store.remove("many/00").unwrap();
        assert_eq!(store.at("many").names().unwrap().len(), 39);
        store.at("many").clear().unwrap();
        assert_eq!(store.read("absent", 0).err().unwrap().kind(), io::ErrorKind::NotFound);
        store.at("a").clear().unwrap();
        assert_eq!(store.list().unwrap().len(), 2);
        store.clear().unwrap();
        assert!(store.list().unwrap().is_empty());
    }

    #[test]
    fn a_folder_is_a_store() {
        let folder = tempfile::tempdir().unwrap();
        exercised(&Store::open(&format!("file://{}", folder.path().display())).unwrap());
    }

    /// `scripts/test` starts a server and says here where its bucket is.
    #[test]
    fn a_bucket_is_a_store() {
        let Ok(address) = std::env::var("CLIP_DATA_TEST_STORE") else {
            assert!(
                std::env::var_os("CLIP_DATA_REQUIRE_ALL").is_none(),
                "no S3 server: run under scripts/s3"
            );
            eprintln!("skipped: CLIP_DATA_TEST_STORE names no bucket");
            return;
        };
        let store = Store::open(&address).unwrap().at("store-test");
        exercised(&store);
        store.put("lease", b"a".to_vec()).unwrap();
        let (first, second) =
            (store.get("lease").unwrap().unwrap(), store.get("lease").unwrap().unwrap());
        assert!(store.replace("lease", first, b"b".to_vec()).unwrap());
        assert!(
            !store.replace("lease", second, b"c".to_vec()).unwrap(),
            "another process was faster"
        );
        assert_eq!(store.get("lease").unwrap().unwrap().bytes, b"b");
        store.clear().unwrap();
    }
}
