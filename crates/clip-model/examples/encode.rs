//! How fast a model encodes: `encode FOLDER fp32|bf16 BATCH STEPS`. Prints JSON: the best images
//! and texts a second, with texts as long as captions are, and with every position computed.

use std::path::Path;
use std::time::Instant;

use clip_model::{LoadOptions, image_bytes, open};
use clip_torch::tch::{Kind, Tensor, no_grad};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, precision, batch, steps] = &arguments[..] else {
        return Err("usage: encode FOLDER fp32|bf16 BATCH STEPS".into());
    };
    let (batch, steps): (usize, usize) = (batch.parse()?, steps.parse()?);
    clip_torch::init(std::env::var("OMP_NUM_THREADS").ok().and_then(|n| n.parse().ok()))?;
    let kind = if precision == "bf16" { Kind::BFloat16 } else { Kind::Float };
    let model = open(Path::new(folder), &LoadOptions::default())?.for_inference(kind);
    let size = model.config().vision_cfg.image_size;
    let image: Vec<u8> = (0..size * size * 3).map(|i| (i * 31 % 251) as u8).collect();
    let images = image_bytes(&vec![image.as_slice(); batch], size);
    let images = model.pixels(&images).to_kind(kind);
    // As in a caption of 19 tokens between start and end.
    let mut row = vec![0i64; 77];
    row[0] = 49_406;
    for (at, id) in row.iter_mut().enumerate().take(20).skip(1) {
        *id = 300 + at as i64 * 17;
    }
    row[20] = 49_407;
    let texts = Tensor::from_slice(&row.repeat(batch)).view([batch as i64, 77]);
    let short = texts.narrow(1, 0, 21);
    let best = |work: &dyn Fn() -> Tensor| {
        let run = |_| {
            let start = Instant::now();
            let _ = no_grad(work);
            start.elapsed().as_secs_f64()
        };
        let fastest = (0..steps + 2).map(run).skip(2).fold(f64::INFINITY, f64::min);
        batch as f64 / fastest
    };
    let image = best(&|| model.encode_image(&images));
    let text = best(&|| model.encode_text(&short));
    let padded = best(&|| model.encode_text(&texts));
    println!(
        "{{\"image_per_s\": {image:.2}, \"text_per_s\": {text:.2}, \"padded_text_per_s\": {padded:.2}}}"
    );
    Ok(())
}
