//! What lies on disk: row schemas, ids, Parquet parts, WebDataset shards, manifests.
