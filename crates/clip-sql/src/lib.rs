//! The DataFusion session, its functions, and sql/*.sql as stages.
