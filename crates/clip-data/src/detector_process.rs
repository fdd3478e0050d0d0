//! The learned detector, asked through a process that links libtorch.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout};
use std::sync::Mutex;

use clip_image::Rgb;
use clip_overlap::{Embedder, Error, Result};

use crate::torch;
use crate::unusable::Unusable;

/// A running `clip-data-torch detector serve`; it ends when this does.
pub struct DetectorProcess {
    id: String,
    size: u32,
    dim: usize,
    streams: Mutex<(ChildStdin, ChildStdout)>,
    child: Mutex<Child>,
}

impl DetectorProcess {
    /// Starts it with the detector of a folder.
    ///
    /// # Errors
    /// Without libtorch, or when the folder holds no detector.
    pub fn start(model: &Path) -> anyhow::Result<Self> {
        let weights = model.join("detector.safetensors");
        let hint = "hint: `clip-data detector train` makes such a folder";
        let bytes = std::fs::read(&weights)
            .map_err(|e| anyhow::anyhow!("{}: {e}\n{hint}", weights.display()))?;
        let id = blake3::hash(&bytes).to_hex()[..16].to_owned();
        let mut command = torch::program("detector")?;
        command.args(["detector", "serve", "--model"]).arg(model);
        let (mut child, input, mut output) = torch::spawn_piped(&mut command, "the detector")?;
        let mut head = [0; 8];
        if output.read_exact(&mut head).is_err() {
            // What was wrong, it has said itself on standard error.
            return Err(Unusable::Ended("the detector".to_owned(), child.wait()?).into());
        }
        let number =
            |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (size, dim) = (number(0), number(4) as usize);
        Ok(Self { id, size, dim, streams: Mutex::new((input, output)), child: Mutex::new(child) })
    }
}

impl Drop for DetectorProcess {
    fn drop(&mut self) {
        // It may be in the middle of an answer that no process will read.
        if let Ok(child) = self.child.get_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Embedder for DetectorProcess {
    fn id(&self) -> &str {
        &self.id
    }

    fn size(&self) -> u32 {
        self.size
    }

    fn embed(&self, images: &[Rgb]) -> Result<Vec<Vec<f32>>> {
        let gone = |e: std::io::Error| Error::file("the detector's process", e);
        let Ok(mut streams) = self.streams.lock() else {
            return Err(Error::file("the detector's process", "a thread that asked it panicked"));
        };
        let (input, output) = &mut *streams;
        let mut vectors = Vec::with_capacity(images.len());
        let mut bytes = vec![0; self.dim * 4];
        // The other side reads a question of this length whole before it answers.
        for images in images.chunks(256) {
            input.write_all(&(images.len() as u32).to_le_bytes()).map_err(gone)?;
            for image in images {
                input.write_all(&image.data).map_err(gone)?;
            }
            input.flush().map_err(gone)?;
            for _ in images {
                output.read_exact(&mut bytes).map_err(gone)?;
                let words = bytes.as_chunks::<4>().0;
                vectors.push(words.iter().map(|&word| f32::from_le_bytes(word)).collect());
            }
        }
        Ok(vectors)
    }
}
