//! Zero-shot transfer, retrieval, probes, few-shot and robustness.
