//! What is computed from scores and truths.

mod area;
mod class;
mod precision;
mod rank;
mod recall;

pub use area::roc_auc;
pub use class::{Accuracy, Scores, by_group, macro_f1, mean_per_class, worst_group};
pub use precision::{average_precision, eleven_points, mean_average_precision};
pub use rank::{best, log_softmax, rank_of, softmax, top_k};
pub use recall::{Recall, RetrievalScores, jaccard, retrieval_scores};
