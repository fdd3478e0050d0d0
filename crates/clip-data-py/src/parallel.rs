//! Many items in several threads. Those of rayon's own pool are not there in a forked process.

use std::num::NonZero;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};

use pyo3::prelude::*;

use crate::interrupt::ASK;

/// What `work` gives of each item, in the order of the items; the first failure of all, or what
/// Ctrl-C raises, after which no other item is begun.
pub fn map<I: Sync, T: Send, E: Send + Into<Failure>>(
    py: Python<'_>,
    items: &[I],
    work: impl Fn(&I) -> Result<T, E> + Sync,
) -> PyResult<Vec<T>> {
    let work = &work;
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let each = items.len().div_ceil(threads).max(1);
    if items.len() <= 1 {
        return py.detach(|| items.iter().map(work).collect::<Result<_, _>>()).map_err(raised);
    }
    let stop = &AtomicBool::new(false);
    py.detach(|| {
        std::thread::scope(|scope| {
            let (done, all_done) = channel();
            let part = |part| {
                let done = done.clone();
                scope.spawn(move || part_of(part, work, stop, done))
            };
            let threads: Vec<_> = items.chunks(each).map(part).collect();
            drop(done);
            while let Err(RecvTimeoutError::Timeout) = all_done.recv_timeout(ASK) {
                Python::attach(|py| py.check_signals())
                    .inspect_err(|_| stop.store(true, Ordering::Relaxed))?;
            }
            let mut all = Vec::with_capacity(items.len());
            for thread in threads {
                match thread.join() {
                    Ok(part) => all.extend(part.map_err(raised)?),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            Ok(all)
        })
    })
}

/// A failure of an item, which becomes an exception.
pub struct Failure(PyErr);

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self(crate::error::message(text))
    }
}

impl From<std::convert::Infallible> for Failure {
    fn from(none: std::convert::Infallible) -> Self {
        match none {}
    }
}

fn raised(failure: impl Into<Failure>) -> PyErr {
    failure.into().0
}

/// The part of a thread. `_done` is given back at its end, also where it panics.
fn part_of<I, T, E>(
    part: &[I],
    work: impl Fn(&I) -> Result<T, E>,
    stop: &AtomicBool,
    _done: Sender<()>,
) -> Result<Vec<T>, E> {
    part.iter().take_while(|_| !stop.load(Ordering::Relaxed)).map(work).collect()
}
