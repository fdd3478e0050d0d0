//! Memory of a session: what can spill shares one part of it, what cannot has the other.

use std::sync::Arc;

use datafusion::error::Result;
use datafusion::execution::memory_pool::{
    FairSpillPool, GreedyMemoryPool, MemoryConsumer, MemoryPool, MemoryReservation,
};

/// A third for sorts and aggregates, which spill at their fair share, and the rest for merges and
/// joins: those are small, but cannot do with less.
///
/// In one [`FairSpillPool`] the sorts' shares add up to all of it, and the merge of what they
/// spilled finds nothing left.
#[derive(Debug)]
pub struct SplitPool {
    spills: FairSpillPool,
    stays: GreedyMemoryPool,
}

impl SplitPool {
    /// A pool of `bytes` in all.
    pub fn new(bytes: usize) -> Self {
        let stays = bytes / 3 * 2;
        Self { spills: FairSpillPool::new(bytes - stays), stays: GreedyMemoryPool::new(stays) }
    }

    fn of(&self, consumer: &MemoryConsumer) -> &dyn MemoryPool {
        if consumer.can_spill() { &self.spills } else { &self.stays }
    }
}

impl std::fmt::Display for SplitPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} and {}", self.spills, self.stays)
    }
}

impl MemoryPool for SplitPool {
    fn name(&self) -> &'static str {
        "split"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.of(consumer).register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.of(consumer).unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.of(reservation.consumer()).grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.of(reservation.consumer()).shrink(reservation, shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        self.of(reservation.consumer()).try_grow(reservation, additional)
    }

    fn reserved(&self) -> usize {
        self.spills.reserved() + self.stays.reserved()
    }
}

/// The pool as DataFusion wants it.
pub fn pool(bytes: usize) -> Arc<dyn MemoryPool> {
    Arc::new(SplitPool::new(bytes))
}
