//! What a model can do: zero-shot transfer, retrieval, choices, linear probes, few-shot curves,
//! robustness.
//!
//! ```
//! use clip_eval::{rank_of, roc_auc, softmax};
//!
//! // The place of the right class among an image's scores.
//! assert_eq!(rank_of(&[0.1, 0.7, 0.2], 2), 1);
//! assert_eq!(softmax(&[0.0, 0.0]), [0.5, 0.5]);
//! assert_eq!(roc_auc(&[0.1, 0.4, 0.35, 0.8], &[false, false, true, true]), Some(0.75));
//! ```

mod choice;
mod classifier;
mod doctor;
mod error;
mod features;
mod geo;
mod metrics;
mod predictions;
mod probe;
mod result;
mod retrieval;
mod scoring;
mod zero_shot;

pub use choice::{ChoiceResult, ChoiceScores, choices, score_choices};
pub use classifier::{Classifier, Names, embed_texts};
pub use doctor::{Finding, diagnose, examine};
pub use error::{Error, Result};
pub use features::{
    FeatureOptions, Features, Sample, Space, embed, image_features, pixels, prepare_image,
};
pub use geo::{GeoScores, Place, geolocate, kilometres};
pub use metrics::*;
pub use predictions::{Prediction, read_predictions, write_predictions};
pub use probe::*;
pub use result::{DataCompLine, DataCompMetrics, Hashes, Metrics, ResultFile, ResultRecord};
pub use retrieval::{Retrieval, retrieval};
pub use scoring::{LogitItems, Scheme, Score, Scored, group_metric, score};
pub use zero_shot::{AuditedItems, ZeroShot, ZeroShotOptions, zero_shot};
