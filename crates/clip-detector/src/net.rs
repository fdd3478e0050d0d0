//! The network: images in, unit vectors out.

use std::path::Path;

use clip_format::write_atomic;
use clip_model::{read_safetensors, write_safetensors};
use clip_torch::tch::{Device, Kind, Tensor};

use crate::config::{DetectorConfig, Kind as Block};
use crate::{Error, Result};

const CONFIG_FILE: &str = "detector.json";
const WEIGHTS_FILE: &str = "detector.safetensors";
/// What GELU leaves of a unit normal's second moment is 0.425: gains of its root's inverse keep
/// signals alive.
const GAIN: f64 = 1.53;
/// Residual branches start small, so that a deep network starts as a shallow one.
const BRANCH: f64 = 0.2;

/// Named parameters in the making.
struct Build {
    params: Vec<(String, Tensor)>,
    device: Device,
}

impl Build {
    fn add(&mut self, name: String, value: Tensor) -> Tensor {
        let tensor = value.to_device(self.device).set_requires_grad(true);
        self.params.push((name, tensor.shallow_clone()));
        tensor
    }
}

/// A convolution with weight normalisation (Salimans and Kingma 2016): `g v / |v|` for each output
/// channel.
struct Conv {
    direction: Tensor,
    length: Tensor,
    bias: Tensor,
    padding: i64,
}

impl Conv {
    fn new(b: &mut Build, name: &str, [from, to, side]: [i64; 3], gain: f64) -> Self {
        let f32 = (Kind::Float, Device::Cpu);
        let direction = Tensor::randn([to, from, side, side], f32);
        Self {
            direction: b.add(format!("{name}.v"), direction),
            length: b.add(format!("{name}.g"), Tensor::full([to, 1, 1, 1], gain, f32)),
            bias: b.add(format!("{name}.bias"), Tensor::zeros([to], f32)),
            padding: side / 2,
        }
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        let dims = [1i64, 2, 3];
        let norm =
            self.direction.square().sum_dim_intlist(dims.as_slice(), true, Kind::Float).sqrt();
        let weight = &self.direction * (&self.length / norm.clamp_min(1e-12));
        x.conv2d(&weight, Some(&self.bias), [1, 1], [self.padding; 2], [1, 1], 1)
    }
}

/// The kernel of [`blur_pool`], [1, 1, 3, 3]; made once, for a copy to a GPU waits for it.
fn blur_kernel(device: Device) -> Tensor {
    let sixteenths = [1f32, 2.0, 1.0, 2.0, 4.0, 2.0, 1.0, 2.0, 1.0];
    Tensor::from_slice(&sixteenths.map(|x| x / 16.0)).view([1, 1, 3, 3]).to_device(device)
}

/// Halves the side after a blur (Zhang 2019): a shift of one pixel stays a small change.
fn blur_pool(x: &Tensor, kernel: &Tensor) -> Tensor {
    let channels = x.size()[1];
    let kernel = kernel.to_kind(x.kind()).expand([channels, 1, 3, 3], false);
    x.reflection_pad2d([1, 1, 1, 1]).conv2d(
        &kernel,
        None::<Tensor>,
        [2, 2],
        [0, 0],
        [1, 1],
        channels,
    )
}

struct Residual {
    convs: Vec<Conv>,
    shortcut: Option<Conv>,
    halves: bool,
}

impl Residual {
    fn new(b: &mut Build, name: &str, kind: Block, [from, width]: [i64; 2], halves: bool) -> Self {
        let to = if kind == Block::Bottleneck { 4 * width } else { width };
        let shapes: Vec<[i64; 3]> = match kind {
            Block::Basic => vec![[from, width, 3], [width, to, 3]],
            Block::Bottleneck => vec![[from, width, 1], [width, width, 3], [width, to, 1]],
        };
        let last = shapes.len() - 1;
        let gain = |at: usize| if at == last { BRANCH } else { GAIN };
        let convs = shapes.iter().enumerate();
        let convs =
            convs.map(|(at, s)| Conv::new(b, &format!("{name}.conv{at}"), *s, gain(at))).collect();
        let shortcut =
            (from != to).then(|| Conv::new(b, &format!("{name}.shortcut"), [from, to, 1], 1.0));
        Self { convs, shortcut, halves }
    }

    fn forward(&self, x: &Tensor, blur: &Tensor) -> Tensor {
        let x = if self.halves { blur_pool(x, blur) } else { x.shallow_clone() };
        let mut branch = x.shallow_clone();
        for conv in &self.convs {
            branch = conv.forward(&branch.gelu("none"));
        }
        self.shortcut.as_ref().map_or(x.shallow_clone(), |conv| conv.forward(&x)) + branch
    }
}

/// The detector.
pub struct Detector {
    config: DetectorConfig,
    params: Vec<(String, Tensor)>,
    stem: Conv,
    blocks: Vec<Residual>,
    head: Tensor,
    blur: Tensor,
    device: Device,
}

impl Detector {
    /// With new weights, drawn from libtorch's generator.
    pub fn new(config: &DetectorConfig, device: Device) -> Result<Self> {
        config.check()?;
        let mut b = Build { params: Vec::new(), device };
        let stem = Conv::new(&mut b, "stem", [3, config.stem, 3], GAIN);
        let (mut blocks, mut from) = (Vec::new(), config.stem);
        for (stage, (&width, &count)) in config.widths.iter().zip(&config.blocks).enumerate() {
            for at in 0..count {
                let name = format!("stage{stage}.{at}");
                blocks.push(Residual::new(&mut b, &name, config.kind, [from, width], at == 0));
                from = if config.kind == Block::Bottleneck { 4 * width } else { width };
            }
        }
        let head =
            Tensor::randn([from, config.dim], (Kind::Float, Device::Cpu)) / (from as f64).sqrt();
        let head = b.add("head".into(), head);
        let (config, blur) = (config.clone(), blur_kernel(device));
        Ok(Self { config, params: b.params, stem, blocks, head, blur, device })
    }

    /// Its shape.
    pub fn config(&self) -> &DetectorConfig {
        &self.config
    }

    /// Where it computes.
    pub fn device(&self) -> Device {
        self.device
    }

    /// Name and tensor of each parameter.
    pub fn named_parameters(&self) -> &[(String, Tensor)] {
        &self.params
    }

    /// Vectors of length one, [batch, dim], of images [batch, 3, size, size] with bytes 0 to 255.
    pub fn forward(&self, images: &Tensor) -> Tensor {
        let x = images.to_device(self.device).to_kind(Kind::Float) / 64.0 - 2.0;
        let mut x = blur_pool(&self.stem.forward(&x), &self.blur);
        for block in &self.blocks {
            x = block.forward(&x, &self.blur);
        }
        let x =
            x.gelu("none").mean_dim([2i64, 3].as_slice(), false, Kind::Float).matmul(&self.head);
        let x = x.to_kind(Kind::Float);
        let norm = x.square().sum_dim_intlist([1i64].as_slice(), true, Kind::Float).sqrt();
        x / norm.clamp_min(1e-12)
    }

    /// Writes shape and weights into a folder.
    pub fn save(&self, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder).map_err(|e| Error::file(folder, e))?;
        let path = folder.join(CONFIG_FILE);
        let text = serde_json::to_string_pretty(&self.config).map_err(|e| Error::file(&path, e))?;
        write_safetensors(&folder.join(WEIGHTS_FILE), &self.params)?;
        write_atomic(&path, (text + "\n").as_bytes()).map_err(|e| Error::file(&path, e.source))
    }

    /// Reads what [`Detector::save`] wrote.
    pub fn load(folder: &Path, device: Device) -> Result<Self> {
        let path = folder.join(CONFIG_FILE);
        let hint = "hint: `clip-data detector train` makes such a folder";
        let text = std::fs::read(&path).map_err(|e| Error::file(&path, format!("{e}\n{hint}")))?;
        let config = serde_json::from_slice(&text).map_err(|e| Error::file(&path, e))?;
        let detector = Self::new(&config, device)?;
        let path = folder.join(WEIGHTS_FILE);
        let weights = read_safetensors(&path)?;
        let mut known: std::collections::BTreeMap<_, _> = weights.into_iter().collect();
        for (name, own) in &detector.params {
            let stored = known.remove(name).filter(|stored| stored.size() == own.size());
            let stored = stored.ok_or_else(|| {
                Error::file(&path, format!("{name} is missing or has another shape"))
            })?;
            clip_torch::tch::no_grad(|| own.shallow_clone().copy_(&stored));
        }
        Ok(detector)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiny(kind: Block) -> DetectorConfig {
        DetectorConfig { size: 32, stem: 8, widths: vec![8, 16], blocks: vec![1, 2], kind, dim: 12 }
    }

    #[test]
    fn vectors_have_length_one_and_do_not_depend_on_the_batch() {
        for kind in [Block::Basic, Block::Bottleneck] {
            clip_torch::tch::manual_seed(1);
            let net = Detector::new(&tiny(kind), Device::Cpu).unwrap();
            let images = Tensor::rand([5, 3, 32, 32], (Kind::Float, Device::Cpu)) * 255.0;
            let all = net.forward(&images);
            assert_eq!(all.size(), [5, 12]);
            let one = net.forward(&images.narrow(0, 3, 1));
            assert!(f64::try_from((all.narrow(0, 3, 1) - one).abs().max()).unwrap() < 1e-5);
            let norms = all.square().sum_dim_intlist([1i64].as_slice(), false, Kind::Float);
            assert!(f64::try_from((norms - 1.0).abs().max()).unwrap() < 1e-5);
        }
    }

    #[test]
    fn a_saved_detector_is_the_same_detector() {
        let dir = tempfile::tempdir().unwrap();
        let net = Detector::new(&tiny(Block::Basic), Device::Cpu).unwrap();
        net.save(dir.path()).unwrap();
        let again = Detector::load(dir.path(), Device::Cpu).unwrap();
        let images = Tensor::rand([2, 3, 32, 32], (Kind::Float, Device::Cpu)) * 255.0;
        let apart = (net.forward(&images) - again.forward(&images)).abs().max();
        assert!(f64::try_from(apart).unwrap() < 1e-6);
        assert!(Detector::load(&dir.path().join("none"), Device::Cpu).is_err());
    }

    #[test]
    fn the_papers_network_can_be_made() {
        let net = Detector::new(&DetectorConfig::preset("resnet50").unwrap(), Device::Cpu).unwrap();
        let count: usize = net.named_parameters().iter().map(|(_, p)| p.numel()).sum();
        assert!((24_000_000..28_000_000).contains(&count), "{count}");
        let mut odd = DetectorConfig::preset("small").unwrap();
        odd.blocks.pop();
        assert!(Detector::new(&odd, Device::Cpu).is_err());
    }
}
