//! What a step reports of itself.

use serde::Serialize;

/// What one step did.
#[derive(Debug, Clone, Default, Serialize)]
pub struct StepMetrics {
    /// Its number, from 0.
    pub step: u64,
    /// The epoch it began in, from 0.
    pub epoch: u64,
    /// The loss, over all processes.
    pub loss: f64,
    /// The learning rate.
    pub lr: f64,
    /// The inverse of the temperature, after the step.
    pub logit_scale: f64,
    /// Norm of all gradients together, before clipping; none when float16 overflowed.
    pub grad_norm: f64,
    /// Whether float16 overflowed and the step changed nothing.
    pub skipped: bool,
    /// Seconds spent waiting for data.
    pub data_wait: f64,
    /// Seconds of the forward passes and the loss.
    pub forward: f64,
    /// Seconds of the backward passes.
    pub backward: f64,
    /// Seconds of the update.
    pub optimizer: f64,
    /// Seconds of talking to other processes that no computing hid.
    pub communication: f64,
    /// Seconds of the whole step.
    pub seconds: f64,
    /// Pairs a second, over all processes.
    pub samples_per_second: f64,
}
