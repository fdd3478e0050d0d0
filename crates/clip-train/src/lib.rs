//! Loader, recipe, trainer, checkpoints and distributed data parallel.
