//! One row: fetched, checked, resized, encoded.

use std::borrow::Cow;
use std::sync::Arc;

use clip_image::Exif;
use sha2::{Digest, Sha256, Sha512};

use super::asks::Ask;
use super::outcome::{Done, Ended, HASH_MISMATCH, HASH_MISMATCH_KIND, Status};
use super::{DatasetConfig, HashKind, HashMismatch, OutputFormat};
use crate::error::{BAD_ROW, Kind};
use crate::fetch::off_network;
use crate::host_queue::HostTurn;
use crate::{Client, FetchError, image};

/// Fetches rows.
pub(super) struct Fetcher {
    pub client: Client,
    pub config: Arc<DatasetConfig>,
}

impl Fetcher {
    /// The rows' ends, each with the encoded image when that is a good one: one request for all
    /// rows of the ask, in the host's turn.
    pub async fn one(&self, ask: Ask, turn: HostTurn) -> Vec<(Ended, Vec<u8>)> {
        let Ask { url, fault, variants } = ask;
        let failed = |kind, message: String| {
            let done = Done::failed(Status::FailedToDownload, kind, message);
            let rows = variants.iter().flat_map(|variant| variant.rows.iter().copied()).collect();
            vec![(Ended { rows, done }, Vec::new())]
        };
        if let Some(fault) = fault {
            return failed(BAD_ROW, fault);
        }
        let Some(url) = url else {
            return failed(Kind::BadUrl.name(), "no url given".to_owned());
        };
        let reply = self.client.image(&url).await;
        // The host need not wait for the pixels.
        drop(turn);
        let mut reply = match reply {
            Ok(reply) => reply,
            Err(FetchError { kind, message, .. }) => return failed(kind.name(), message),
        };
        let (config, rows) = (self.config.clone(), variants.clone());
        let made = off_network(move || {
            // The reply holds its share of the memory until its pixels are gone.
            let mut body = std::mem::take(&mut reply.body);
            let last = variants.len().saturating_sub(1);
            let mut ends = Vec::with_capacity(variants.len());
            for (at, variant) in variants.into_iter().enumerate() {
                let body = if at == last { std::mem::take(&mut body) } else { body.clone() };
                let (boxes, expected) = (&variant.boxes, variant.expected_hash.as_deref());
                let (done, image) = make(body, &config, boxes, expected);
                ends.push((Ended { rows: variant.rows, done }, image));
            }
            drop(reply);
            ends
        });
        made.await.unwrap_or_else(|why| {
            let rows = rows.into_iter().flat_map(|variant| variant.rows).collect();
            let done = Done::failed(Status::FailedToResize, "undecodable", why);
            vec![(Ended { rows, done }, Vec::new())]
        })
    }
}

fn make(
    bytes: Vec<u8>,
    config: &DatasetConfig,
    boxes: &[clip_image::BoundingBox],
    expected: Option<&str>,
) -> (Done, Vec<u8>) {
    let hash = config.compute_hash.map(|kind| hash(kind, &bytes));
    let differs = config.verify_hash.as_ref().zip(expected).is_some_and(|((_, kind), expected)| {
        let found = hash.clone().unwrap_or_else(|| self::hash(*kind, &bytes));
        !found.eq_ignore_ascii_case(expected)
    });
    if differs && config.hash_mismatch == HashMismatch::Drop {
        let message = HASH_MISMATCH.to_owned();
        let failed = Done::failed(Status::FailedToDownload, HASH_MISMATCH_KIND, message);
        return (failed, Vec::new());
    }
    let message = differs.then(|| HASH_MISMATCH.to_owned());
    let kind = differs.then_some(Cow::Borrowed(HASH_MISMATCH_KIND));
    let exif = |found: Option<Exif>| config.extract_exif.then(|| crate::exif::to_json(found));
    let good = |size, original, exif| Done {
        status: Status::Success,
        message,
        kind,
        size,
        original,
        exif,
        hash,
    };
    // Where statistics alone are written, no caller waits for the image.
    let kept = |image| if config.output_format == OutputFormat::Dummy { Vec::new() } else { image };
    if config.disable_all_reencoding {
        let exif = exif(Exif::of(&bytes));
        return (good(None, None, exif), kept(bytes));
    }
    let made = image::header(&bytes).and_then(|header| {
        let found = header.exif();
        Ok((image::encode(header, &config.image, boxes, &mut |_| {})?, found))
    });
    match made {
        Ok((made, found)) => {
            (good(Some(made.size), Some(made.original), exif(found)), kept(made.bytes))
        }
        Err(refusal) => {
            let failed = Done::failed(Status::FailedToResize, refusal.kind, refusal.message);
            (failed, Vec::new())
        }
    }
}

fn hash(kind: HashKind, bytes: &[u8]) -> String {
    match kind {
        HashKind::Md5 => hex::encode(md5::Md5::digest(bytes)),
        HashKind::Sha256 => hex::encode(Sha256::digest(bytes)),
        HashKind::Sha512 => hex::encode(Sha512::digest(bytes)),
    }
}

/// The extension of what is stored.
pub(super) fn extension(config: &DatasetConfig) -> &'static str {
    config.image.encode_format.format().extension()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_with_another_hash_fails_or_is_kept_and_marked() {
        let image = clip_image::Rgb { width: 8, height: 8, data: vec![90; 192] };
        let bytes = clip_image::encode_jpeg(&image, 90).unwrap();
        let right = hash(HashKind::Sha256, &bytes).to_uppercase();
        let mut config = DatasetConfig {
            verify_hash: Some(("sha256".into(), HashKind::Sha256)),
            ..DatasetConfig::default()
        };
        let wrong = "0".repeat(64);
        let made = |config: &DatasetConfig, expected: Option<&str>| {
            let (done, image) = make(bytes.clone(), config, &[], expected);
            (done.status, done.message, done.hash, !image.is_empty())
        };
        let mismatch = || Some(HASH_MISMATCH.to_owned());
        let found = || Some(right.to_lowercase());
        let good = (Status::Success, None, found(), true);
        for keep in [HashMismatch::Drop, HashMismatch::Keep] {
            config.hash_mismatch = keep;
            assert_eq!(made(&config, Some(&right)), good);
            assert_eq!(made(&config, None), good);
        }
        assert_eq!(
            made(&config, Some(&wrong)),
            (Status::Success, mismatch(), found(), true),
            "kept, with the hash that it has"
        );
        config.hash_mismatch = HashMismatch::Drop;
        let failed = (Status::FailedToDownload, mismatch(), None, false);
        assert_eq!(made(&config, Some(&wrong)), failed);
    }

    #[test]
    fn hashes_are_hex() {
        assert_eq!(hash(HashKind::Md5, b""), "d41d8cd98f00b204e9800998ecf8427e");
        assert!(
            hash(HashKind::Sha256, b"").starts_with("e3b0c44298fc1c149afbf4c8996fb92427ae41e4")
        );
        assert!(
            hash(HashKind::Sha512, b"").starts_with("cf83e1357eefb8bdf1542850d66d8007d620e405")
        );
    }
}
