//! Bytes to what the towers see.

use clip_torch::tch::Tensor;

use crate::{MEAN, STD};

/// Pictures of 8-bit RGB, row by row, `size` x `size` each, to normalised pixels [n, 3, size, size] in f32: byte by
/// byte what torchvision's `ToTensor` and `Normalize` give. In memory the channels come last, as convolutions on
/// the processor want them.
pub fn pixels(images: &[&[u8]], size: i64) -> Tensor {
    let table: Vec<[f32; 3]> = (0..=255u8)
        .map(|byte| {
            let value = f32::from(byte) / 255.0;
            [0, 1, 2].map(|channel| (value - MEAN[channel] as f32) / STD[channel] as f32)
        })
        .collect();
    let mut values = Vec::with_capacity(images.len() * (size * size * 3) as usize);
    for pixel in images.iter().flat_map(|image| image.chunks_exact(3)) {
        values.extend([0, 1, 2].map(|channel| table[usize::from(pixel[channel])][channel]));
    }
    Tensor::from_slice(&values).view([images.len() as i64, size, size, 3]).permute([0, 3, 1, 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_normalised_each_by_its_own() {
        let image = [0, 128, 255].repeat(4);
        let x = pixels(&[&image, &image], 2);
        assert_eq!(x.size(), [2, 3, 2, 2]);
        for (channel, value) in [(0, 0.0), (1, 128.0 / 255.0), (2, 1.0)] {
            let wanted = (value - MEAN[channel]) / STD[channel];
            assert!((x.double_value(&[1, channel as i64, 1, 0]) - wanted).abs() < 1e-6);
        }
    }
}
