//! One black-box test binary.
