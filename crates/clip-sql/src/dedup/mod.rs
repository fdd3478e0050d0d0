//! The barrier that makes equal and near-equal images one.

mod clusters;
mod components;
mod decisions;
mod images;
mod known;
mod likeness;
mod near;
mod options;
mod records;
#[cfg(test)]
mod tests;
mod thumbs;

use clip_pipeline::{Barrier, Context, DecisionSink, PartInfo};

use crate::{Result, Session, query, table_of};
use components::Edges;
use images::Images;
pub use known::tables;
pub use options::{Compare, Deduplicate};
use records::Scratch;

/// Bytes that a sort may hold; at most three are filled at a time.
const MEMORY: usize = 256 << 20;

impl Deduplicate {
    fn run(
        &self,
        inputs: &[PartInfo],
        cx: &Context,
        memory: usize,
        out: &mut DecisionSink,
    ) -> Result<()> {
        let scratch = Scratch::new(cx.scratch(), memory)?;
        let session = Session::for_barrier(cx)?;
        let [exact, known] = [Self::QUERIES[0], Self::QUERIES[1]].map(query);
        session.table_for(&[&exact?, &known?], "images", &table_of(inputs))?;
        let mut edges = Edges::new(&scratch);
        let images = Images::read(self, &session, &scratch, &mut edges)?;
        if self.radius > 0 {
            let with_images = inputs.iter().any(|input| input.images.is_some());
            let (radius, hashes) = (self.radius, &images.hashes);
            match self.compare.as_deref().filter(|_| with_images) {
                None => near::join(hashes, radius, cx, &scratch, &mut edges)?,
                Some(compare) => {
                    likeness::join(compare, hashes, radius, inputs, cx, &scratch, &mut edges)?;
                }
            }
        }
        let clusters = components::members(&edges.components()?, &scratch)?;
        let kept = clusters::keep(self, &session, &clusters, inputs, cx, &scratch)?;
        decisions::write(&images, &kept, &session, out)
    }
}

impl Barrier for Deduplicate {
    fn needs_images(&self) -> bool {
        self.compare.is_some()
    }

    fn decide(
        &self,
        inputs: &[PartInfo],
        cx: &Context,
        out: &mut DecisionSink,
    ) -> clip_pipeline::Result<()> {
        self.run(inputs, cx, MEMORY, out).map_err(|e| e.into_stage_error(cx.stage()))
    }
}
