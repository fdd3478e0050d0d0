//! Many items in several threads. Those of rayon's own pool are not there in a forked process.

use std::num::NonZero;

/// What `work` gives of each item, in the order of the items; the first failure of all.
pub fn map<I: Sync, T: Send, E: Send>(
    items: &[I],
    work: impl Fn(&I) -> Result<T, E> + Sync,
) -> Result<Vec<T>, E> {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let each = items.len().div_ceil(threads).max(1);
    if items.len() <= 1 || threads == 1 {
        return items.iter().map(work).collect();
    }
    let work = &work;
    std::thread::scope(|scope| {
        let part = |part| scope.spawn(move || part_of(part, work));
        let threads: Vec<_> = items.chunks(each).map(part).collect();
        let mut all = Vec::with_capacity(items.len());
        for thread in threads {
            match thread.join() {
                Ok(part) => all.extend(part?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(all)
    })
}

fn part_of<I, T, E>(part: &[I], work: impl Fn(&I) -> Result<T, E>) -> Result<Vec<T>, E> {
    part.iter().map(work).collect()
}
