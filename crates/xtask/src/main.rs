//! Developer tasks: dependency direction, house rules.

fn main() {}
