//! Walking along the streams of a run: this process's rows of each step, planned ahead.

use std::collections::{HashSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use clip_random::mix;
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use super::StreamSampler;
use super::order::{Pass, Window};
use super::shard::WindowSamples;
use crate::planned::Planned;
use crate::{Error, Result};

/// Threads that open windows ahead.
const OPENERS: usize = 4;

/// This process's rows of each step from some step on.
pub(crate) struct StreamRows {
    sampler: StreamSampler,
    cursors: Vec<Cursor>,
    rows: Range<usize>,
    left: u64,
    openers: Sender<Opening>,
}

/// A window to be opened, and where its samples are waited for.
struct Opening(Window, Sender<Result<WindowSamples>>);

/// A place in one stream.
struct Cursor {
    stream: usize,
    /// Uses of the stream that are planned.
    place: u64,
    /// The pass of the windows, and where it begins.
    pass: Arc<Pass>,
    before: u64,
    windows: VecDeque<Window>,
    /// The next window, which is being opened.
    next: Option<(Window, Receiver<Result<WindowSamples>>)>,
    open: Option<OpenWindow>,
}

/// A window that is being used.
struct OpenWindow {
    window: Window,
    samples: Arc<WindowSamples>,
    order: Vec<u32>,
    at: usize,
    /// Uses that wait because their text was in the batch already.
    later: VecDeque<u32>,
}

impl StreamRows {
    /// The rows `rows` of every batch from step `first` on.
    pub fn new(sampler: &StreamSampler, rows: Range<usize>, first: u64) -> Self {
        let (openers, asked) = unbounded::<Opening>();
        for _ in 0..OPENERS {
            let (asked, stream) = (asked.clone(), Arc::clone(&sampler.stream));
            std::thread::spawn(move || {
                for Opening(window, answer) in asked {
                    // It may be waited for no more.
                    let _ = answer.send(stream.load(&window));
                }
            });
        }
        let each = sampler.order.rows();
        let streams = rows.start / each..rows.end.div_ceil(each);
        let cursor = |stream| Cursor::at(sampler, stream, first * each as u64);
        let mut cursors: Vec<Cursor> = streams.map(cursor).collect();
        for cursor in &mut cursors {
            cursor.prefetch(sampler, &openers);
        }
        let left = sampler.epochs().steps().saturating_sub(first);
        Self { sampler: sampler.clone(), cursors, rows, left, openers }
    }

    fn step(&mut self) -> Result<Vec<Planned>> {
        let each = self.sampler.order.rows();
        let first = self.cursors.first().map_or(0, |cursor| cursor.stream * each);
        let mut all = Vec::new();
        for cursor in &mut self.cursors {
            let end = all.len() + each;
            while all.len() < end {
                let room = end - all.len();
                cursor.fill(&self.sampler, &self.openers, room, &mut all)?;
            }
        }
        let own = self.rows.start - first..self.rows.end - first;
        Ok(all.drain(own).collect())
    }
}

impl Iterator for StreamRows {
    type Item = Result<Vec<Planned>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let rows = self.step();
        if rows.is_err() {
            self.left = 0;
        }
        Some(rows)
    }
}

impl Cursor {
    /// At a place of a stream.
    fn at(sampler: &StreamSampler, stream: usize, place: u64) -> Self {
        let (pass, before) = sampler.pass_at(stream, place);
        let windows = sampler.order.windows(&pass, before, stream);
        let ended = |window: &Window| window.place + window.len() <= place;
        let windows = windows.into_iter().skip_while(ended).collect();
        Self { stream, place, pass, before, windows, next: None, open: None }
    }

    /// Has the next window opened, unless that is done or the run has no further one.
    fn prefetch(&mut self, sampler: &StreamSampler, openers: &Sender<Opening>) {
        if self.next.is_some() {
            return;
        }
        while self.windows.is_empty() {
            self.before += self.pass.len();
            let number = self.pass.number + 1;
            if number as usize + 1 >= sampler.passes.len() {
                return;
            }
            self.pass = Arc::new(sampler.order.pass(number));
            self.windows = sampler.order.windows(&self.pass, self.before, self.stream).into();
        }
        let Some(window) = self.windows.pop_front() else { return };
        let (answer, opened) = bounded(1);
        // Without openers there is no answer, and that is seen.
        let _ = openers.send(Opening(window.clone(), answer));
        self.next = Some((window, opened));
    }

    /// Up to `room` uses of the stream, of one window.
    fn fill(
        &mut self,
        sampler: &StreamSampler,
        openers: &Sender<Opening>,
        room: usize,
        out: &mut Vec<Planned>,
    ) -> Result<()> {
        if self.open.as_ref().is_none_or(OpenWindow::is_used) {
            self.advance(sampler, openers)?;
        }
        let Some(open) = &mut self.open else {
            return Err(Error::Options("the stream has no more samples".into()));
        };
        let before = out.len();
        open.place(sampler, room, out)?;
        self.place += (out.len() - before) as u64;
        Ok(())
    }

    /// Takes the next window, and goes through what comes before this place in it: that decides
    /// which uses wait.
    fn advance(&mut self, sampler: &StreamSampler, openers: &Sender<Opening>) -> Result<()> {
        self.prefetch(sampler, openers);
        self.open = None;
        let Some((window, opened)) = self.next.take() else { return Ok(()) };
        let gone = |_| Error::Options("a thread that opens shards died".into());
        let samples = Arc::new(opened.recv().map_err(gone)??);
        self.prefetch(sampler, openers);
        let order = sampler.order.shuffled(&window);
        let each = sampler.order.rows() as u64;
        let mut skip = self.place - window.place;
        let mut room = (each - window.place % each) % each;
        let mut open = OpenWindow { window, samples, order, at: 0, later: VecDeque::new() };
        while skip > 0 {
            let take = if room == 0 { each } else { room }.min(skip);
            open.place(sampler, take as usize, &mut Vec::new())?;
            skip -= take;
            room = 0;
        }
        self.open = Some(open);
        Ok(())
    }
}

impl OpenWindow {
    fn is_used(&self) -> bool {
        self.at == self.order.len() && self.later.is_empty()
    }

    /// Up to `room` uses for one batch, no text of which comes twice: a use whose text is there
    /// already waits for a later batch of the window, unless the window has no other.
    fn place(
        &mut self,
        sampler: &StreamSampler,
        room: usize,
        out: &mut Vec<Planned>,
    ) -> Result<()> {
        let (mut seen, mut wait) = (HashSet::new(), VecDeque::new());
        let end = out.len() + room;
        while out.len() < end {
            let next = self.later.pop_front().or_else(|| {
                let next = self.order.get(self.at).copied();
                self.at += usize::from(next.is_some());
                next
            });
            let Some(at) = next else { break };
            let planned = self.planned(sampler, at)?;
            // This many waiting means texts that repeat too often to be kept apart.
            if wait.len() >= 8 * room || seen.insert(planned.text().map(str::to_owned)) {
                out.push(planned);
            } else {
                wait.push_back(at);
            }
        }
        while out.len() < end {
            let Some(at) = wait.pop_front() else { break };
            out.push(self.planned(sampler, at)?);
        }
        wait.append(&mut self.later);
        self.later = wait;
        Ok(())
    }

    fn planned(&self, sampler: &StreamSampler, at: u32) -> Result<Planned> {
        let Window { pass, first, .. } = self.window;
        let slot = first + u64::from(at);
        let bits = mix(sampler.order.seed ^ 0xca97, pass, slot);
        let sample = sampler.stream.planned(&self.samples, at, bits)?;
        Ok(Planned::streamed(pass, slot, sample))
    }
}
