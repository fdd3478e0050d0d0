//! What is asked of a model that scores (image, text) pairs, without libtorch: its heads and
//! classes, the names of its columns, and the protocol between the process that has the pairs and
//! the one that has the model.
//!
//! ```
//! let head: clip_score::Head = "aesthetic=sac.safetensors,activation=relu".parse().unwrap();
//! assert_eq!(head.name, "aesthetic");
//! assert_eq!(head.to_string(), "aesthetic=sac.safetensors,activation=relu,output=none");
//! ```

mod columns;
mod head;
mod protocol;

pub use columns::{Similarity, arrays, check_names};
pub use head::{Activation, Head, HeadOutput, parse_class};
pub use protocol::{
    CHUNK, Fault, Greeting, Pair, PairEmbeddings, PairScores, Scored, read_answer, read_greeting,
    read_question, write_answer, write_greeting, write_question,
};
