//! Evaluation datasets: registry, prompts, and loaders without downloads.
