//! The learned duplicate detector of the paper's appendix C.
