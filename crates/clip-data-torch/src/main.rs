//! The torch half of the command line: train, eval, embed, convert, detector.

fn main() {}
