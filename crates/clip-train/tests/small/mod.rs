//! The batches and settings of the small model that outside programs trained.

use std::time::Duration;

use clip_torch::tch::Tensor;
use clip_train::{Batch, TrainOptions};

pub const ROWS: usize = 8;
pub const CONTEXT: usize = 16;
const SIDE: usize = 16;
const VOCABULARY: i64 = 32;

/// The formula of `scripts/oracles/resume.py` and `optimizers.py`.
pub fn batch(step: u64) -> Batch {
    let pixel =
        |at: u64| (((at + step * 1_000_003).wrapping_mul(2_654_435_761) % (1 << 32)) >> 24) as u8;
    let pixels: Vec<u8> = (0..(ROWS * SIDE * SIDE * 3) as u64).map(pixel).collect();
    let mut ids = vec![0i64; ROWS * CONTEXT];
    for (row, ids) in ids.chunks_mut(CONTEXT).enumerate() {
        let (step, row) = (step as i64, row as i64);
        let length = 3 + (step * 5 + row * 3) % 10;
        ids[0] = VOCABULARY - 2;
        for at in 1..length {
            ids[at as usize] = 1 + (step * 17 + row * 29 + at * 7) % (VOCABULARY - 3);
        }
        ids[length as usize] = VOCABULARY - 1;
    }
    let side = SIDE as i64;
    Batch {
        step,
        images: Tensor::from_slice(&pixels).view([ROWS as i64, side, side, 3]),
        tokens: Tensor::from_slice(&ids).view([ROWS as i64, CONTEXT as i64]),
        len: ROWS,
    }
}

pub fn options() -> TrainOptions {
    TrainOptions {
        seed: 0,
        chunk: ROWS,
        threads: 1,
        save_every: Duration::from_secs(3600),
        save_steps: 0,
        save_epochs: 0,
        keep: 1,
        log_steps: 1,
        val_epochs: 0,
        zeroshot_epochs: 0,
        grad_checkpointing: false,
    }
}
