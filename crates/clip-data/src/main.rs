//! The command line: collects, curates and checks a corpus; finds libtorch for the rest.

fn main() {}
