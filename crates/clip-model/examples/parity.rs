//! Compares a model with what `scripts/parity/models` stored of open_clip's: `parity FOLDER
//! eval|train`. Prints the differences as JSON, and fails when one is above its bound.
//!
//! Beside open_clip's gradients are those in 64 bits, the "exact" ones. A gradient that is further
//! than its bound from open_clip's passes where it is as near to the exact one as open_clip's: then
//! it is open_clip's rounding that is seen.

use std::collections::HashMap;
use std::path::Path;
use std::process::ExitCode;

use clip_model::{LoadOptions, Mode, open, read_safetensors};
use clip_torch::tch::{Device, Kind, Tensor};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn unit(features: &Tensor) -> Tensor {
    features / features.norm_scalaropt_dim(2.0, [-1i64].as_slice(), true)
}

fn distance(a: &Tensor, b: &Tensor) -> f64 {
    (a - b).abs().max().double_value(&[])
}

fn main() -> Outcome<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("usage: parity FOLDER eval|train")?;
    let train = arguments.next().as_deref() == Some("train");
    let golden: HashMap<String, Tensor> =
        read_safetensors(&Path::new(&folder).join("io.safetensors"))?.into_iter().collect();
    let get = |name: &str| golden.get(name).ok_or_else(|| format!("{name} is missing"));
    let mut model = open(Path::new(&folder), &LoadOptions::default())?;
    model.set_mode(if train { Mode::Train } else { Mode::Eval });
    let image = unit(&model.encode_image(get("images")?));
    let text = unit(&model.encode_text(get("tokens")?));
    let logits = model.logit_scale().exp() * image.matmul(&text.tr());
    let labels = Tensor::arange(logits.size()[0], (Kind::Int64, Device::Cpu));
    let sum =
        logits.cross_entropy_for_logits(&labels) + logits.tr().cross_entropy_for_logits(&labels);
    let loss: Tensor = sum / 2.0;
    loss.backward();
    let (mut worst, mut worst_small, mut at) = (0.0f64, 0.0f64, String::new());
    let (mut exact_there, mut fits) = ((0.0, 0.0), true);
    for (name, parameter) in model.named_parameters() {
        let wanted = get(&format!("gradient.{name}"))?;
        let norm = wanted.norm().double_value(&[]);
        let apart = |a: &Tensor, b: &Tensor| (a - b).norm().double_value(&[]);
        let difference = apart(&parameter.grad(), wanted);
        if norm <= 1e-6 {
            worst_small = worst_small.max(difference);
            continue;
        }
        let exact = get(&format!("exact.{name}"))?;
        let (ours, theirs) = (apart(&parameter.grad(), exact) / norm, apart(wanted, exact) / norm);
        fits &= difference / norm < 1e-4 || ours <= theirs;
        if difference / norm > worst {
            (worst, at, exact_there) = (difference / norm, name.clone(), (ours, theirs));
        }
    }
    let (logits, loss) = (distance(&logits, get("logits")?), distance(&loss, get("loss")?));
    let features = distance(&image, get("image")?).max(distance(&text, get("text")?));
    println!(
        "{{\"features\": {features:.2e}, \"logits\": {logits:.2e}, \"loss\": {loss:.2e}, \
         \"gradient\": {worst:.2e}, \"at\": \"{at}\", \"from_exact\": {:.2e}, \"theirs_from_exact\": {:.2e}, \
         \"gradient_near_zero\": {worst_small:.2e}}}",
        exact_there.0, exact_there.1
    );
    let good = logits < 1e-5 && loss < 1e-6 && fits && worst_small < 1e-6;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
