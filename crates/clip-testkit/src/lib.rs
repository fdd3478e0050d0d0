//! The fault-injecting web site, the emoji site and tiny data sets for tests and the demo.
