//! Networks with published attention: where it stands, what it adds, and that every gate agrees with PyTorch.

use cbam::attention::{BamConfig, CbamConfig, EcaConfig, SqueezeExciteConfig};
use cbam::backbone::Arch;
use cbam::maps::{MapName, MapRange};
use cbam::model::Model;
use cbam::network::{Network, NetworkConfig, StageAttention};
use cbam::photo::{Geometry, ImageSize};
use tch::{Device, Tensor, no_grad};

use super::{CLASSES, compare, fill, filled, golden, parameters, picture, sample, unit};

#[test]
fn the_official_attention_agrees_block_by_block() {
    let golden = golden();
    let cbam = |arch| NetworkConfig::official_cbam(arch).unwrap();
    for (name, config) in [
        ("cbam_resnet18", cbam(Arch::ResNet18)),
        ("cbam_resnet50", cbam(Arch::ResNet50)),
        ("bam_resnet50", NetworkConfig::official_bam(Arch::ResNet50)),
    ] {
        let network = filled(NetworkConfig { classes: CLASSES, ..config });
        let output = no_grad(|| network.forward(&picture(), false)).unwrap();
        compare(&golden, &format!("{name}.logits"), &output.logits.squeeze_dim(0));
        let mut compared = 1;
        for block in &output.attention {
            let (channel, spatial) = (block.channel.as_ref().unwrap(), block.spatial.as_ref().unwrap());
            compare(&golden, &format!("{name}.channel:{}", block.stage), &sample(&channel.gate, 7, 16));
            compare(&golden, &format!("{name}.spatial:{}", block.stage), &sample(&spatial.gate, 7, 16));
            compared += 2;
        }
        assert_eq!(compared, golden.keys().filter(|key| key.starts_with(&format!("{name}."))).count());
    }
}

#[test]
fn official_networks_have_as_many_parameters_as_their_authors() {
    let cbam = |arch| NetworkConfig::official_cbam(arch).unwrap();
    for (config, count) in [
        (cbam(Arch::ResNet18), 11_779_392),
        (cbam(Arch::ResNet34), 21_960_468),
        (cbam(Arch::ResNet50), 28_089_624),
        (cbam(Arch::ResNet101), 49_330_172),
        (NetworkConfig::official_bam(Arch::ResNet50), 25_915_099),
        (NetworkConfig::official_se(Arch::ResNet50).unwrap(), 28_088_024),
        (NetworkConfig::official_eca(Arch::ResNet50).unwrap(), 25_557_118),
    ] {
        let network = Network::new(config, Device::Cpu).unwrap();
        let first = &network.config().attention[0];
        assert_eq!(parameters(network.variables()), count, "{} with {first:?}", network.config().arch);
    }
}

#[test]
fn networks_without_residual_blocks_take_attention_after_stages_only() {
    let error = NetworkConfig::official_cbam(Arch::Vgg16).unwrap_err().to_string();
    assert!(error.contains("vgg16") && error.contains("residual"), "{error}");
    let stages = NetworkConfig::official_bam(Arch::Vgg16).attention;
    assert_eq!(stages.iter().map(|at| at.stage.as_str()).collect::<Vec<_>>(), ["stage1", "stage2", "stage3", "stage4"]);
}

#[test]
fn the_bundled_attention_stands_before_the_last_halving_and_at_the_end() {
    for (arch, stages) in [
        (Arch::EfficientNetLite0, &["stage5", "stage6.expansion", "stage7"][..]),
        (Arch::MobileNetV2, &["stage5", "stage6.expansion", "stage7"]),
        (Arch::ResNeXt50, &["layer3", "layer4"]),
        (Arch::Vgg13, &["stage4", "stage5"]),
    ] {
        let attention = NetworkConfig::attentive(arch).attention;
        assert_eq!(attention.iter().map(|at| at.stage.as_str()).collect::<Vec<_>>(), stages);
        let reductions: Vec<_> = attention.iter().map(|at| at.cbam.as_ref().unwrap().channel.reduction).collect();
        assert_eq!(reductions, [8, 16, 16][..stages.len()]);
    }
    let network = Network::new(NetworkConfig::attentive(Arch::ResNet18), Device::Cpu).unwrap();
    let output = no_grad(|| network.forward(&picture(), false)).unwrap();
    let grids: Vec<_> = output.attention.iter().map(|block| block.patch.as_ref().unwrap().grid).collect();
    assert_eq!(grids, [[5, 7], [3, 4]]);
}

/// The attention of every kind, after a stage, inside one and on the head: it starts as the identity, and its maps have names.
#[test]
fn every_kind_of_gate_may_stand_at_every_kind_of_place() {
    let with = |kind: &str, at: StageAttention| match kind {
        "cbam" => at.with_cbam(CbamConfig::default()),
        "se" => at.with_se(SqueezeExciteConfig::default()),
        "eca" => at.with_eca(EcaConfig::default()),
        _ => at.with_bam(BamConfig::default()),
    };
    let plain = NetworkConfig { classes: 7, ..NetworkConfig::plain(Arch::ResNet18) };
    let expected = no_grad(|| filled(plain.clone()).forward(&picture(), false)).unwrap().logits;
    for kind in ["cbam", "se", "eca", "bam"] {
        let sites = ["layer2.1", "layer3", "head"];
        let at = |site: &str| {
            let attention = with(kind, StageAttention::at(site));
            let gain = attention.identity_gain();
            attention.with_gain(gain)
        };
        let config = NetworkConfig { attention: sites.map(at).into(), ..plain.clone() };
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<NetworkConfig>(&json).unwrap(), config, "{json}");
        let network = Network::new(config, Device::Cpu).unwrap();
        for (name, variable) in network.variables().variables() {
            match name.strip_prefix("backbone.") {
                Some(name) => fill(name, &variable),
                None => assert!(name.starts_with("attention.") && name.contains(&format!(".{kind}.")), "{name}"),
            }
        }
        let output = no_grad(|| network.forward(&picture(), false)).unwrap();
        let off = (&output.logits - &expected).abs().max().double_value(&[]);
        assert!(off < 1e-3, "{kind}: the identity changes the logits by {off}");
        for block in &output.attention {
            let half = |gate: &Tensor| (gate - 0.5).abs().max().double_value(&[]) < 1e-6;
            assert!(half(&block.channel.as_ref().unwrap().gate), "{kind} at {}", block.stage);
            assert_eq!(block.spatial.is_some(), matches!(kind, "cbam" | "bam"));
            assert!(block.spatial.as_ref().is_none_or(|spatial| half(&spatial.gate)));
        }
        let names: Vec<_> = network.describe().maps.iter().map(ToString::to_string).collect();
        assert!(names.contains(&"channel:layer2.1".to_owned()), "{names:?}");
        assert_eq!(names.contains(&"spatial:layer2.1".to_owned()), matches!(kind, "cbam" | "bam"), "{names:?}");
        assert_eq!(names.contains(&"fused".to_owned()), matches!(kind, "cbam" | "bam"), "{names:?}");
    }
    let two = StageAttention::at("layer3").with_se(SqueezeExciteConfig::default()).with_eca(EcaConfig::default());
    let error = Network::new(NetworkConfig { attention: vec![two], ..plain }, Device::Cpu).unwrap_err().to_string();
    assert!(error.contains("layer3") && error.contains("several kinds"), "{error}");
}

/// A photo's run: every block's gates by name, the fused map on the third stage's grid, Grad-CAM.
#[test]
fn every_map_of_an_official_network_can_be_had() {
    let network = filled(NetworkConfig { classes: 11, ..NetworkConfig::official_cbam(Arch::ResNet18).unwrap() });
    let size = ImageSize::new(96, 64);
    let geometry = Geometry::whole(size, size);
    let values = unit("photo", 2 * 3 * 64 * 96);
    let batch = ndarray::Array4::from_shape_vec((2, 3, 64, 96), values).unwrap();
    let readout = network.run(&batch.view(), &[]).unwrap().remove(1);
    let names = readout.map_names();
    assert_eq!(names[0], MapName::Fused);
    assert_eq!(names.iter().filter(|name| matches!(name, MapName::Spatial(_))).count(), 8);
    for (name, grid) in [
        ("fused", (4, 6)),
        ("object", (4, 6)),
        ("spatial:layer1.0", (16, 24)),
        ("spatial:layer3.1", (4, 6)),
        ("spatial", (2, 3)),
        ("gradcam", (2, 3)),
    ] {
        let map = readout.map(&name.parse().unwrap(), &geometry).unwrap();
        assert_eq!(map.values().dim(), grid, "{name}");
        assert_eq!(map.range() == MapRange::Unit, name.starts_with("spatial") || name == "object", "{name}");
        assert!(map.values().iter().any(|value| *value != map.values()[[0, 0]]), "{name} is flat");
    }
    assert_eq!(readout.channel("layer4.1").unwrap().len(), 512);
    let held = network.describe().maps;
    assert!(names.iter().all(|name| held.contains(name)), "what a run has was announced");
}
