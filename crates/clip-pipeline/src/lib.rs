//! Stages, plan, fingerprints, executor, resume, events and pipeline.toml.
