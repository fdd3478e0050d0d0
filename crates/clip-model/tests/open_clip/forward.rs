//! Features, logits, loss and gradients of tiny models with all weights randomised.

use clip_model::{Clip, Mode, ModelConfig};
use clip_torch::tch::{Device, Kind, Tensor, no_grad};

use crate::formula::{batch, distance, tensor, unpacked, weights};

fn unit(features: &Tensor) -> Tensor {
    let norm = features.norm_scalaropt_dim(2.0, [-1i64].as_slice(), true);
    features / norm
}

/// open_clip's loss: the mean of both cross-entropies.
fn loss(logits: &Tensor) -> Tensor {
    let labels = Tensor::arange(logits.size()[0], (Kind::Int64, Device::Cpu));
    (logits.cross_entropy_for_logits(&labels) + logits.tr().cross_entropy_for_logits(&labels)) / 2.0
}

#[test]
fn features_logits_loss_and_gradients_are_open_clips() {
    let golden: serde_json::Value = serde_json::from_slice(&unpacked("tiny.json.gz")).unwrap();
    for (name, golden) in golden.as_object().unwrap() {
        let config = ModelConfig::parse(&golden["config"].to_string()).unwrap();
        let (images, tokens) = batch(&config);
        let mut model = Clip::from_weights(&config, weights(&config), Device::Cpu).unwrap();
        for (mode, label) in [(Mode::Eval, "eval"), (Mode::Train, "train")] {
            let golden = &golden[label];
            model.set_mode(mode);
            for (_, parameter) in model.named_parameters() {
                parameter.shallow_clone().zero_grad();
            }
            let image = unit(&model.encode_image(&images));
            let text = unit(&model.encode_text(&tokens));
            let logits = model.logit_scale().exp() * image.matmul(&text.tr());
            let loss = loss(&logits);
            loss.backward();
            let at = format!("{name}, {label}");
            assert!(distance(&image, &golden["image"]) < 1e-6, "{at}");
            assert!(distance(&text, &golden["text"]) < 1e-6, "{at}");
            assert!(distance(&logits, &golden["logits"]) < 1e-5, "{at}");
            let wanted = golden["loss"].as_f64().unwrap();
            assert!((loss.double_value(&[]) - wanted).abs() < 1e-6, "{at}");
            for (name, parameter) in model.named_parameters() {
                let gradient = parameter.grad().to_kind(Kind::Double);
                let direction = tensor(&format!("d {name}"), &parameter.size());
                let along = (&gradient * &direction).sum(Kind::Double).double_value(&[]);
                let norm = gradient.norm().double_value(&[]);
                let [wanted_norm, wanted_along] =
                    [0, 1].map(|i| golden["gradients"][name][i].as_f64().unwrap());
                // A gradient that cancels to nothing has only noise to compare.
                let allowed = (1e-4 * wanted_norm).max(1e-6);
                assert!((norm - wanted_norm).abs() < allowed, "{at}, {name}: {norm} {wanted_norm}");
                let reach = direction.norm().double_value(&[]).max(1.0);
                assert!(
                    (along - wanted_along).abs() < allowed * reach,
                    "{at}, {name}: {along} {wanted_along}"
                );
            }
        }
        for (buffer, wanted) in golden["buffers"].as_object().unwrap() {
            let (_, found) = model.state_dict().iter().find(|(n, _)| n == buffer).unwrap();
            assert!(distance(found, wanted) < 1e-6, "{name}, {buffer}");
        }
    }
}

#[test]
fn a_second_pass_leaves_the_statistics_alone() {
    let golden: serde_json::Value = serde_json::from_slice(&unpacked("tiny.json.gz")).unwrap();
    let config = ModelConfig::parse(&golden["rn"]["config"].to_string()).unwrap();
    let (images, _) = batch(&config);
    let mut model = Clip::from_weights(&config, weights(&config), Device::Cpu).unwrap();
    let copy = |model: &Clip| -> Vec<Tensor> {
        model.state_dict().iter().map(|(_, t)| t.copy()).collect()
    };
    let before = copy(&model);
    model.set_mode(Mode::Recompute);
    let replayed = no_grad(|| model.encode_image(&images));
    assert!(copy(&model).iter().zip(&before).all(|(a, b)| a.equal(b)));
    model.set_mode(Mode::Train);
    assert!(no_grad(|| model.encode_image(&images)).equal(&replayed));
    let changed = copy(&model).iter().zip(&before).filter(|(a, b)| !a.equal(b)).count();
    let norms =
        model.state_dict().iter().filter(|(name, _)| name.ends_with("running_mean")).count();
    assert_eq!(changed, 3 * norms);
}
