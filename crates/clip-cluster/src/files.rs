//! What queries of a cluster can open: files below the roots, to read.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::error::DataFusionError;
use datafusion::execution::object_store::ObjectStoreRegistry;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::object_store::local::LocalFileSystem;
use datafusion::object_store::path::Path;
use datafusion::object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use url::Url;

use crate::Roots;

/// What queries run in: it opens files below `roots` alone, and spills into `scratch`.
pub(crate) fn confined(
    roots: &Roots,
    scratch: Option<PathBuf>,
) -> datafusion::error::Result<Arc<RuntimeEnv>> {
    let files = Files { files: LocalFileSystem::new(), roots: roots.clone() };
    let mut environment =
        RuntimeEnvBuilder::new().with_object_store_registry(Arc::new(OnlyFiles(Arc::new(files))));
    if let Some(scratch) = scratch {
        environment = environment.with_temp_file_path(scratch);
    }
    environment.build_arc()
}

/// The registry with one store, which cannot be replaced.
#[derive(Debug)]
struct OnlyFiles(Arc<Files>);

impl ObjectStoreRegistry for OnlyFiles {
    fn register_store(&self, _: &Url, _: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        None
    }

    fn get_store(&self, url: &Url) -> datafusion::error::Result<Arc<dyn ObjectStore>> {
        if url.scheme() == "file" {
            return Ok(self.0.clone());
        }
        let reason = format!("{}: queries of a cluster read files only", url.scheme());
        Err(DataFusionError::Plan(reason))
    }
}

#[derive(Debug)]
struct Files {
    files: LocalFileSystem,
    roots: Roots,
}

impl fmt::Display for Files {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{:?}", self.roots)
    }
}

impl Files {
    fn check(&self, location: &Path) -> Result<()> {
        let path = self.files.path_to_filesystem(location)?;
        self.roots.check(&path).map_err(|e| refused(location, e))
    }

    fn check_folder(&self, prefix: Option<&Path>) -> Result<()> {
        self.check(prefix.unwrap_or(&Path::ROOT))
    }
}

fn refused(location: &Path, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::PermissionDenied { path: location.to_string(), source: source.into() }
}

fn unwritten<T>(location: &Path) -> Result<T> {
    Err(refused(location, "queries of a cluster write no files"))
}

#[async_trait]
impl ObjectStore for Files {
    async fn put_opts(&self, to: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        unwritten(to)
    }

    async fn put_multipart_opts(
        &self,
        to: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        unwritten(to)
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.check(location)?;
        self.files.get_opts(location, options).await
    }

    async fn get_ranges(
        &self,
        location: &Path,
        ranges: &[Range<u64>],
    ) -> Result<Vec<bytes::Bytes>> {
        self.check(location)?;
        self.files.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        locations.map(|location| unwritten(&location?)).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.check_folder(prefix) {
            Ok(()) => self.files.list(prefix),
            Err(error) => stream::iter([Err(error)]).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.check_folder(prefix)?;
        self.files.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, _: &Path, to: &Path, _: CopyOptions) -> Result<()> {
        unwritten(to)
    }
}
