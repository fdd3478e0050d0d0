//! Bytes to what the towers see.

use clip_torch::tch::{Device, Kind, Tensor};

use crate::PreprocessCfg;

/// Images of 8-bit RGB, row by row, `size` x `size` each, as one tensor of bytes [n, size, size,
/// 3]. Panics when they are of other sizes, as tch's own functions do.
pub fn image_bytes(images: &[&[u8]], size: i64) -> Tensor {
    Tensor::from_slice(&images.concat()).view([images.len() as i64, size, size, 3])
}

/// See [`crate::Clip::pixels`].
pub(crate) fn pixels(bytes: &Tensor, preprocess: &PreprocessCfg, device: Device) -> Tensor {
    // Made there: copying them would wait for all that the GPU has to do.
    let row = |values: [f64; 3]| {
        Tensor::cat(&values.map(|v| Tensor::full([1, 1, 1, 1], v, (Kind::Float, device))), 1)
    };
    let bytes = bytes.to_device_(device, Kind::Uint8, true, false);
    let images = bytes.permute([0, 3, 1, 2]).to_kind(Kind::Float) / 255.0;
    (images - row(preprocess.mean)) / row(preprocess.std)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_normalised_each_by_its_own() {
        let (mean, std) = ([0.5, 0.25, 0.125], [0.5, 1.0, 2.0]);
        let other = PreprocessCfg { mean, std, ..PreprocessCfg::default() };
        for cfg in [PreprocessCfg::default(), other] {
            let image = [0, 128, 255].repeat(4);
            let x = pixels(&image_bytes(&[&image, &image], 2), &cfg, Device::Cpu);
            assert_eq!((x.size(), x.stride()), (vec![2, 3, 2, 2], vec![12, 1, 6, 3]));
            for (channel, byte) in [0f32, 128.0, 255.0].into_iter().enumerate() {
                let wanted = (byte / 255.0 - cfg.mean[channel] as f32) / cfg.std[channel] as f32;
                assert_eq!(x.double_value(&[1, channel as i64, 1, 0]), f64::from(wanted));
            }
        }
    }
}
