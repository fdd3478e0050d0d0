//! The query list of the paper's section 2.2: build it, match captions against it, balance by it.
