//! Sources of (image URL, caption) pairs and the polite downloader.
