//! The row-local and whole-corpus stages: filter, match, balance, dedup, check, shard.
