//! Contamination without a model: candidates, aligned verification, decisions and statistics.
