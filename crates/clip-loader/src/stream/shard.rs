//! The samples of a shard and of a window: where their fields are, and nothing of what is in them.

use std::path::Path;

use clip_corpus::{Member, ShardIndex};
use clip_format::ImageFormat;

use crate::Result;

/// Where a field's content is in its shard; of no bytes where there is none.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Span {
    pub offset: u64,
    pub size: u32,
}

/// The fields of a sample.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Fields {
    pub image: Span,
    pub txt: Span,
    pub json: Span,
}

/// A shard's samples, in its order.
pub(crate) struct ShardView {
    pub shard: u32,
    samples: Vec<Fields>,
}

/// One use of a sample in a window: number of the piece, and of the sample in its shard.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Use {
    pub piece: u32,
    pub sample: u32,
}

/// The samples that are shuffled together.
pub(crate) struct WindowSamples {
    pub views: Vec<ShardView>,
    pub uses: Vec<Use>,
}

impl ShardView {
    /// Reads a shard's index.
    pub fn read(shard: u32, path: &Path) -> Result<Self> {
        let members = ShardIndex::of(path)?.members;
        let samples = members.chunk_by(|a, b| a.key == b.key).map(fields).collect();
        Ok(Self { shard, samples })
    }

    /// The keys of a shard's samples.
    pub fn read_keys(path: &Path) -> Result<Vec<String>> {
        let members = ShardIndex::of(path)?.members;
        let samples = members.chunk_by(|a, b| a.key == b.key);
        Ok(samples.map(|sample| sample[0].key.clone()).collect())
    }

    pub fn len(&self) -> u32 {
        self.samples.len() as u32
    }
}

fn fields(members: &[Member]) -> Fields {
    let span = |name: Option<&str>| {
        let member = members.iter().find(|member| Some(member.field.as_str()) == name);
        // A field of 4 GB is none.
        let fits = member.and_then(|m| Some((m.offset, u32::try_from(m.size).ok()?)));
        fits.map_or(Span::default(), |(offset, size)| Span { offset, size })
    };
    Fields {
        image: span(ImageFormat::first_of(members.iter().map(|m| m.field.as_str()))),
        txt: span(Some("txt")),
        json: span(Some("json")),
    }
}

impl WindowSamples {
    /// The shard and the fields of a use.
    pub fn fields(&self, at: u32) -> (&ShardView, Fields) {
        let Use { piece, sample } = self.uses[at as usize];
        let view = &self.views[piece as usize];
        (view, view.samples[sample as usize])
    }
}
