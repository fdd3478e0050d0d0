//! Positional embeddings at another resolution or text length, as open_clip interpolates them. The
//! paper's ViT-L/14@336px begins so from ViT-L/14 (section 2.5).

use clip_torch::tch::Tensor;

use crate::{ModelConfig, Result};

/// Fits the positional embeddings among `weights` to `config`; what fits already stays as it is.
pub fn interpolate_positions(weights: &mut [(String, Tensor)], config: &ModelConfig) -> Result<()> {
    let grid = config.vision_cfg.grid();
    for (name, tensor) in weights {
        if tensor.dim() != 2 {
            continue;
        }
        *tensor = match name.as_str() {
            "visual.positional_embedding" | "visual.attnpool.positional_embedding" => {
                image(tensor, grid)?
            }
            "positional_embedding" => text(tensor, config.text_cfg.context_length)?,
            _ => continue,
        };
    }
    Ok(())
}

/// [1 + old², width] to [1 + grid², width]: bicubic with antialiasing, the first position apart.
fn image(positions: &Tensor, grid: i64) -> Result<Tensor> {
    let (rows, width) = (positions.size()[0], positions.size()[1]);
    let old = ((rows - 1) as f64).sqrt().round() as i64;
    // What is no square of positions is reported as a misfit of shapes.
    if old == grid || old * old != rows - 1 || rows < 2 {
        return Ok(positions.shallow_clone());
    }
    let (first, cells) = (positions.narrow(0, 0, 1), positions.narrow(0, 1, rows - 1));
    let cells = cells.f_to_kind(clip_torch::tch::Kind::Float)?.f_reshape([1, old, old, width])?;
    let cells = cells.permute([0, 3, 1, 2]);
    let cells = cells.f_internal_upsample_bicubic2d_aa([grid, grid], false, None, None)?;
    let cells = cells.permute([0, 2, 3, 1]).f_reshape([grid * grid, width])?;
    Ok(Tensor::f_cat(&[first.f_to_kind(cells.kind())?, cells], 0)?)
}

/// [old, width] to [length, width], linear.
fn text(positions: &Tensor, length: i64) -> Result<Tensor> {
    if positions.size()[0] == length || positions.size()[0] == 0 {
        return Ok(positions.shallow_clone());
    }
    let rows = positions.f_to_kind(clip_torch::tch::Kind::Float)?.tr().f_unsqueeze(0)?;
    Ok(rows.f_upsample_linear1d([length], false, None)?.f_squeeze_dim(0)?.tr().f_contiguous()?)
}
