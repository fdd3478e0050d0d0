//! The detector as a filter: images on one stream, vectors on the other.
//!
//! A process that links no libtorch asks one that does. First comes the answer to no question: the
//! image's side and the vector's length. A question is the number of images n, then n squares of
//! RGB bytes; its answer is n vectors. Numbers are 32 bits, little-endian, vectors f32; the end of
//! the questions ends the process.

use std::io::{ErrorKind, Read, Write};

use clip_torch::tch::{Tensor, no_grad};
use clip_torch::{Precision, autocast, require_finite};

use crate::{Detector, Error, Result};

/// Images computed at a time.
const CHUNK: usize = 256;
/// No question is larger.
const MOST: usize = 1 << 16;

/// Answers until the questions end.
pub fn serve(
    detector: &Detector,
    precision: Precision,
    questions: &mut dyn Read,
    answers: &mut dyn Write,
) -> Result<()> {
    let broken = |e: std::io::Error| Error::file("the detector's stream", e);
    let (size, dim) = (detector.config().size, detector.config().dim);
    let mut head = (size as u32).to_le_bytes().to_vec();
    head.extend((dim as u32).to_le_bytes());
    answers.write_all(&head).and_then(|()| answers.flush()).map_err(broken)?;
    let length = (size * size * 3) as usize;
    loop {
        let mut count = [0; 4];
        match questions.read_exact(&mut count) {
            Err(e) if e.kind() == ErrorKind::UnexpectedEof => return Ok(()),
            read => read.map_err(broken)?,
        }
        let count = u32::from_le_bytes(count) as usize;
        if count > MOST {
            return Err(Error::Data(format!(
                "{count} images in one question, {MOST} are the most"
            )));
        }
        let mut left = count;
        while left > 0 {
            let n = left.min(CHUNK);
            let mut bytes = vec![0; n * length];
            questions.read_exact(&mut bytes).map_err(broken)?;
            let images =
                Tensor::from_slice(&bytes).view([n as i64, size, size, 3]).permute([0, 3, 1, 2]);
            let vectors =
                no_grad(|| autocast(precision, detector.device(), || detector.forward(&images)));
            let asked = count - left;
            require_finite(&vectors, |row| format!("image {} of a question", asked + row))?;
            let values: Vec<f32> =
                Vec::try_from(vectors.to_device(clip_torch::tch::Device::Cpu).view([-1]))?;
            let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            answers.write_all(&bytes).map_err(broken)?;
            left -= n;
        }
        answers.flush().map_err(broken)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{DetectorConfig, Kind};
    use clip_torch::tch::Device;

    #[test]
    fn every_image_is_answered_in_order() {
        let config = DetectorConfig {
            size: 16,
            stem: 4,
            widths: vec![8],
            blocks: vec![1],
            kind: Kind::Basic,
            dim: 6,
        };
        let detector = Detector::new(&config, Device::Cpu).unwrap();
        let images: Vec<u8> = (0..3 * 16 * 16 * 3).map(|i| (i * 13 % 251) as u8).collect();
        let mut questions = Vec::new();
        for range in [0..2usize, 2..3] {
            questions.extend((range.len() as u32).to_le_bytes());
            questions.extend(&images[range.start * 768..range.end * 768]);
        }
        let mut answers = Vec::new();
        serve(&detector, Precision::F32, &mut questions.as_slice(), &mut answers).unwrap();
        assert_eq!(answers[..8], [16, 0, 0, 0, 6, 0, 0, 0]);
        assert_eq!(answers.len(), 8 + 3 * 6 * 4);
        let pixels = Tensor::from_slice(&images).view([3, 16, 16, 3]).permute([0, 3, 1, 2]);
        let expected: Vec<f32> = Vec::try_from(detector.forward(&pixels).view([-1])).unwrap();
        for (bytes, value) in answers[8..].chunks_exact(4).zip(expected) {
            let found = f32::from_le_bytes(bytes.try_into().unwrap());
            assert!((found - value).abs() < 1e-5);
        }
    }
}
