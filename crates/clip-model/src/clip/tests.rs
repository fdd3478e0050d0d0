//! The whole model: its towers, their first weights, its form for inference.

use super::*;
use crate::{TextConfig, VisionConfig};

fn tiny() -> ModelConfig {
    let vision_cfg = VisionConfig { head_width: 16, ..VisionConfig::vit(16, 8, 2, 32) };
    let text = TextConfig::paper(64);
    let text_cfg =
        TextConfig { context_length: 12, vocab_size: 50, width: 24, heads: 2, layers: 2, ..text };
    ModelConfig { embed_dim: 20, quick_gelu: true, vision_cfg, text_cfg }
}

fn std(model: &Clip, name: &str) -> f64 {
    let (_, tensor) = model.named_parameters().iter().find(|(n, _)| n == name).unwrap();
    tensor.std(false).double_value(&[])
}

#[test]
fn shorter_padding_changes_nothing() {
    let model = Clip::new(&tiny(), Device::Cpu);
    let tokens = Tensor::from_slice(&[48i64, 5, 6, 49, 0, 0, 48, 7, 49, 0, 0, 0]).view([2, 6]);
    let long = model.encode_text(&tokens);
    let short = model.encode_text(&tokens.narrow(1, 0, 4));
    assert_eq!(long.size(), [2, 20]);
    assert!((long - short).abs().max().double_value(&[]) < 1e-5);
}

#[test]
fn weights_are_drawn_as_openai_draws_them() {
    let config = ModelConfig {
        vision_cfg: VisionConfig { width: 192, head_width: 64, ..tiny().vision_cfg },
        text_cfg: TextConfig { width: 128, vocab_size: 500, ..tiny().text_cfg },
        ..tiny()
    };
    let model = Clip::new(&config, Device::Cpu);
    for (name, wanted) in [
        ("token_embedding.weight", 0.02),
        ("positional_embedding", 0.01),
        ("text_projection", 128f64.powf(-0.5)),
        ("transformer.resblocks.0.attn.in_proj_weight", 128f64.powf(-0.5)),
        ("transformer.resblocks.1.attn.out_proj.weight", 128f64.powf(-0.5) * 0.5),
        ("transformer.resblocks.0.mlp.c_fc.weight", 256f64.powf(-0.5)),
        ("transformer.resblocks.1.mlp.c_proj.weight", 128f64.powf(-0.5) * 0.5),
        ("visual.class_embedding", 192f64.powf(-0.5)),
        ("visual.proj", 192f64.powf(-0.5)),
        ("visual.conv1.weight", (3.0 * 64.0f64).powf(-0.5) / 3f64.sqrt()),
        ("visual.transformer.resblocks.0.attn.in_proj_weight", (2.0 / 768.0f64).sqrt()),
        ("visual.transformer.resblocks.0.attn.out_proj.weight", 192f64.powf(-0.5) / 3f64.sqrt()),
        ("visual.transformer.resblocks.1.mlp.c_proj.weight", 768f64.powf(-0.5) / 3f64.sqrt()),
        ("visual.transformer.resblocks.0.attn.in_proj_bias", 0.0),
        ("transformer.resblocks.0.attn.out_proj.bias", 0.0),
        ("ln_final.weight", 0.0),
    ] {
        let found = std(&model, name);
        let slack = if name == "visual.class_embedding" { 0.2 } else { 0.1 };
        assert!((found - wanted).abs() <= slack * wanted, "{name}: {found} against {wanted}");
    }
    let scale = model.logit_scale().double_value(&[]);
    assert!((scale - 2.6593).abs() < 1e-4);
}

#[test]
fn weights_of_resnets_are_drawn_as_openai_draws_them() {
    let vision_cfg = VisionConfig::resnet(64, [2, 1, 1, 1], 16);
    let model = Clip::new(&ModelConfig { vision_cfg, ..tiny() }, Device::Cpu);
    // Convolutions and biases are uniform over 1 / sqrt(fan in).
    let uniform = |fan_in: f64| fan_in.powf(-0.5) / 3f64.sqrt();
    for (name, wanted) in [
        ("visual.conv2.weight", uniform(8.0 * 9.0)),
        ("visual.layer1.0.conv2.weight", uniform(16.0 * 9.0)),
        ("visual.layer2.0.downsample.0.weight", uniform(64.0)),
        ("visual.layer4.0.conv3.weight", uniform(128.0)),
        ("visual.attnpool.q_proj.weight", 512f64.powf(-0.5)),
        ("visual.attnpool.c_proj.weight", 512f64.powf(-0.5)),
        ("visual.attnpool.k_proj.bias", uniform(512.0)),
        ("visual.attnpool.positional_embedding", 512f64.powf(-0.5)),
    ] {
        let found = std(&model, name);
        assert!((found - wanted).abs() <= 0.1 * wanted, "{name}: {found} against {wanted}");
    }
    for (name, tensor) in model.state_dict() {
        let all = |value: f64| tensor.eq(value).all().int64_value(&[]) == 1;
        if name.contains(".layer") && name.ends_with("bn3.weight") {
            assert!(all(0.0), "{name}");
        } else if name.contains("bn") && name.ends_with(".weight") || name.ends_with("running_var")
        {
            assert!(all(1.0), "{name}");
        } else if name.contains("bn") || name.ends_with("num_batches_tracked") {
            assert!(all(0.0), "{name}");
        }
    }
}

#[test]
fn the_form_for_inference_gives_the_same_features() {
    clip_torch::tch::manual_seed(2);
    for (vision_cfg, quick_gelu) in [
        (tiny().vision_cfg, true),
        (tiny().vision_cfg, false),
        (VisionConfig::resnet(32, [1, 1, 2, 1], 8), true),
    ] {
        let size = vision_cfg.image_size;
        let model = Clip::new(&ModelConfig { quick_gelu, vision_cfg, ..tiny() }, Device::Cpu);
        no_grad(|| {
            for (name, tensor) in model.state_dict() {
                if tensor.dim() == 1 && !name.ends_with("running_var") {
                    let _ = tensor.shallow_clone().g_add_(&(tensor.rand_like() * 0.3));
                }
            }
        });
        let images = Tensor::randn([2, 3, size, size], (Kind::Float, Device::Cpu));
        let tokens = Tensor::from_slice(&[48i64, 5, 49, 48, 6, 49]).view([2, 3]);
        let both = |model: &Clip, kind| {
            no_grad(|| [model.encode_image(&images.to_kind(kind)), model.encode_text(&tokens)])
        };
        let wanted = both(&model, Kind::Float);
        let model = model.for_inference(Kind::Float);
        for (found, wanted) in both(&model, Kind::Float).iter().zip(&wanted) {
            assert!(found.allclose(wanted, 1e-4, 1e-5, false));
        }
        let model = model.for_inference(Kind::BFloat16);
        for (found, wanted) in both(&model, Kind::BFloat16).iter().zip(&wanted) {
            let found = found.to_kind(Kind::Float);
            let cosine = (&found * wanted).sum(Kind::Float) / (found.norm() * wanted.norm());
            assert!(cosine.double_value(&[]) > 0.999);
        }
    }
}

#[test]
#[ignore = "needs a GPU"]
fn cuda_encodes_as_the_processor_does() {
    clip_torch::init(None).unwrap();
    for vision_cfg in [tiny().vision_cfg, VisionConfig::resnet(32, [1, 1, 2, 1], 8)] {
        let size = vision_cfg.image_size;
        let config = ModelConfig { vision_cfg, ..tiny() };
        let model = Clip::new(&config, Device::Cpu);
        let weights = model.state_dict().iter().map(|(name, tensor)| (name.clone(), tensor.copy()));
        let weights = weights.collect();
        let other = Clip::from_weights(&config, weights, Device::Cuda(0)).unwrap();
        let images = Tensor::randn([2, 3, size, size], (Kind::Float, Device::Cpu));
        let tokens = Tensor::from_slice(&[48i64, 5, 49, 48, 6, 49]).view([2, 3]);
        let both = |model: &Clip, kind| {
            let (images, tokens) =
                (images.to_device(model.device()), tokens.to_device(model.device()));
            no_grad(|| [model.encode_image(&images.to_kind(kind)), model.encode_text(&tokens)])
                .map(|features| features.to_kind(Kind::Float).to_device(Device::Cpu))
        };
        let wanted = both(&model, Kind::Float);
        let apart = |found: [Tensor; 2], wanted: &[Tensor; 2]| {
            let cosine = |a: &Tensor, b: &Tensor| {
                ((a * b).sum(Kind::Float) / (a.norm() * b.norm())).double_value(&[])
            };
            1.0 - cosine(&found[0], &wanted[0]).min(cosine(&found[1], &wanted[1]))
        };
        assert!(apart(both(&other, Kind::Float), &wanted) < 1e-5);
        let other = other.for_inference(Kind::Float);
        assert!(apart(both(&other, Kind::Float), &wanted) < 1e-5);
        let other = other.for_inference(Kind::BFloat16);
        assert!(apart(both(&other, Kind::BFloat16), &wanted) < 1e-3);
    }
}

#[test]
fn both_towers_learn() {
    clip_torch::tch::manual_seed(1);
    let model = Clip::new(&tiny(), Device::Cpu);
    let images = Tensor::randn([2, 3, 16, 16], (Kind::Float, Device::Cpu));
    let tokens = Tensor::from_slice(&[48i64, 5, 49, 48, 6, 49]).view([2, 3]);
    let product = model.encode_image(&images) * model.encode_text(&tokens);
    (product.sum(Kind::Float) * model.logit_scale().exp()).backward();
    for (name, tensor) in model.named_parameters() {
        let gradient = tensor.grad();
        assert!(gradient.defined() && gradient.isfinite().all().int64_value(&[]) == 1, "{name}");
    }
}
