//! Statistics: Clopper-Pearson, binomial tail, bootstrap, effective robustness.
