//! Arguments that name a model.

use std::path::PathBuf;

/// Which model, from where.
#[derive(Clone, clap::Args)]
#[allow(clippy::struct_field_names, reason = "names of options")]
pub struct ModelPath {
    /// Weights: a folder (open_clip's or transformers'), a .safetensors or .pt file, OpenAI's
    /// archive, a run of `clip-data train`, for its newest checkpoint, or hf-hub:ORG/NAME in the
    /// cache of Hugging Face
    #[arg(long, value_name = "PATH")]
    pub model: PathBuf,
    /// How it is opened.
    #[command(flatten)]
    pub options: ModelOptions,
}

/// What a model is, where its weights do not say it or another is wanted.
#[derive(Clone, Default, clap::Args)]
#[allow(clippy::struct_field_names, reason = "names of options")]
pub struct ModelOptions {
    /// The model's name (ViT-B-32-quickgelu) or model_cfg (.json), where the weights do not record
    /// it
    #[arg(long, value_name = "NAME")]
    pub model_name: Option<String>,
    /// Another image size: positional embeddings are interpolated
    #[arg(long, value_name = "PIXELS")]
    pub image_size: Option<i64>,
    /// Its preprocessing.
    #[command(flatten)]
    pub preprocess: PreprocessArgs,
}

impl ModelOptions {
    /// Whether any is given.
    pub fn is_given(&self) -> bool {
        let Self { model_name, image_size, preprocess } = self;
        let PreprocessArgs { image_mean, image_std, image_interpolation, image_resize_mode } =
            preprocess;
        model_name.is_some()
            || image_size.is_some()
            || image_mean.is_some()
            || image_std.is_some()
            || image_interpolation.is_some()
            || image_resize_mode.is_some()
    }
}

/// open_clip's flags over a model's `preprocess_cfg`.
#[derive(Clone, Default, clap::Args)]
#[allow(clippy::struct_field_names, reason = "names of options")]
pub struct PreprocessArgs {
    /// Mean of the pixels, three numbers or one [default: the model's]
    #[arg(long, value_name = "MEAN", num_args = 1..=3, allow_negative_numbers = true)]
    pub image_mean: Option<Vec<f64>>,
    /// Standard deviation of the pixels, three numbers or one [default: the model's]
    #[arg(long, value_name = "STD", num_args = 1..=3, allow_negative_numbers = true)]
    pub image_std: Option<Vec<f64>>,
    /// bicubic, bilinear, or random (either in training, else bicubic) [default: the model's]
    #[arg(long, value_name = "NAME")]
    pub image_interpolation: Option<String>,
    /// Resizing for evaluation: shortest (side, then the centre is cut out), longest (and padded)
    /// or squash [default: the model's]
    #[arg(long, value_name = "NAME")]
    pub image_resize_mode: Option<String>,
}

impl ModelPath {
    /// The weights at `path`, as they describe themselves.
    pub fn at(path: PathBuf) -> Self {
        Self { model: path, options: ModelOptions::default() }
    }

    /// The same, opened in another way.
    pub fn with(self, options: ModelOptions) -> Self {
        Self { options, ..self }
    }
}
