//! The text classifier (paper, section 3.1.4): prompt ensembling in embedding space.

use clip_datasets::{EvalSet, Label};
use clip_model::Clip;
use clip_text::Tokenizer;
use clip_torch::tch::{Kind, Tensor, no_grad};

use crate::Result;

/// Prompts that are embedded at a time.
const BATCH: usize = 256;

/// One unit vector for each class, [embed_dim, classes]: the mean of its prompts' unit embeddings, of unit
/// length again.
pub fn classifier(model: &Clip, tokenizer: &Tokenizer, set: &EvalSet) -> Result<Tensor> {
    let prompts: Vec<String> =
        (0..set.classes.len()).flat_map(|class| set.prompts(Label(class))).collect();
    let embedded = prompts.chunks(BATCH).map(|chunk| embed(model, tokenizer, chunk));
    let embedded = Tensor::cat(&embedded.collect::<Result<Vec<_>>>()?, 0);
    let (classes, templates) = (set.classes.len() as i64, set.templates.len() as i64);
    let dim = embedded.size()[1];
    let mean = embedded.view([classes, templates, dim]).mean_dim(1, false, Kind::Float);
    Ok(unit(&mean).transpose(0, 1).contiguous())
}

fn embed(model: &Clip, tokenizer: &Tokenizer, texts: &[String]) -> Result<Tensor> {
    let context = model.config().text_cfg.context_length as usize;
    let ids: Vec<i64> = texts.iter().flat_map(|text| tokenizer.tokenize(text, context)).collect();
    let tokens = Tensor::from_slice(&ids).view([texts.len() as i64, context as i64]);
    // Padding after the longest text changes nothing but the time.
    let longest = tokens.ne(0).sum_dim_intlist(1, false, Kind::Int64).max().int64_value(&[]);
    let tokens = tokens.narrow(1, 0, longest).to_device(model.device());
    Ok(no_grad(|| unit(&model.encode_text(&tokens).to_kind(Kind::Float))))
}

/// Rows of unit length.
pub(crate) fn unit(rows: &Tensor) -> Tensor {
    rows / rows.norm_scalaropt_dim(2.0, [1i64], true).clamp_min(1e-12)
}
