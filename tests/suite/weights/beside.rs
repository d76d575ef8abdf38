//! What stands beside a network, or among the layers of its classifier: it takes part, is refused, or has no way to the answer.

use super::answers::{tensors, written};
use super::*;
use cbam::Remedy;
use cbam::backbone::Arch;
use cbam::network::{Network, OpenOptions};
use cbam::weights::{RecogniseOptions, Recognised};
use tch::Device;

/// Tensors by name and shape.
type Layers<'a> = &'a [(&'a str, &'a [i64])];

/// Adds layers: of two axes or four with a bias, of one axis a BatchNorm; a name with `=` is of a tensor alone.
fn with(mut tensors: Tensors, layers: Layers<'_>) -> Tensors {
    for (name, shape) in layers {
        let parts: &[&str] = match (name.strip_prefix('='), shape.len()) {
            (Some(alone), _) => {
                tensors.insert(alone.to_owned(), zeros(shape));
                continue;
            }
            (None, 1) => &["weight", "bias", "running_mean", "running_var"],
            (None, _) => &["weight", "bias"],
        };
        for part in parts {
            let shape = if *part == "weight" { shape } else { &shape[..1] };
            tensors.insert(format!("{name}.{part}"), zeros(shape));
        }
    }
    tensors
}

fn recognise(tensors: Tensors) -> Result<Recognised, ErrorKind> {
    Checkpoint::new(tensors, BTreeMap::new()).recognise()
}

/// The message and the remedy with which a network is refused.
#[track_caller]
fn refused(tensors: Tensors) -> (String, Option<Remedy>) {
    match recognise(tensors) {
        Ok(found) => panic!("is taken for {found}, without {:?}", found.left_out),
        Err(ErrorKind::Weights { message, remedy, .. }) => (message, remedy),
        Err(error) => panic!("another error: {error}"),
    }
}

#[track_caller]
fn assumed(tensors: Tensors) -> String {
    let found = recognise(tensors).unwrap();
    found.assumptions.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// A ResNet-18 without a classifier.
fn headless() -> Tensors {
    tensors("head none")
}

/// A ResNet-18 under `backbone.`, without a classifier.
fn inside() -> Tensors {
    headless().into_iter().map(|(name, tensor)| (format!("backbone.{name}"), tensor)).collect()
}

/// A VGG-11 without its classifier, under `vgg.`.
fn vgg() -> Tensors {
    let features = tensors("vgg two layers").into_iter().filter(|(name, _)| name.starts_with("features."));
    features.map(|(name, tensor)| (format!("vgg.{name}"), tensor)).collect()
}

#[test]
fn the_classifier_of_a_vgg_is_all_of_its_layers() {
    const LAYERS: [&[i64]; 3] = [&[4096, 25088], &[4096, 4096], &[9, 4096]];
    let own = |places: [usize; 3]| {
        let names = places.map(|place| format!("classifier.{place}"));
        let layers: Vec<(&str, &[i64])> = names.iter().map(String::as_str).zip(LAYERS).collect();
        with(vgg(), &layers)
    };
    let found = recognise(own([0, 3, 6])).unwrap();
    assert!(found.classes == 9 && found.variant.hidden.is_empty() && found.left_out.is_empty());
    assert!(found.tensors.contains_key("backbone.classifier.3.weight"));
    // A BatchNorm between is folded into the layer before it.
    let normed = recognise(with(own([0, 3, 6]), &[("classifier.4", &[4096])])).unwrap();
    assert!(normed.classes == 9 && normed.variant.hidden.is_empty() && normed.left_out.is_empty());
    let said = normed.assumptions[0].to_string();
    assert!(said.contains("classifier.0, classifier.3, classifier.4, classifier.6"), "{said}");
    // Others are not known.
    for (other, said) in [
        (("=classifier.1.weight", &[4096_i64][..]), "classifier.0.weight [4096, 25088]"),
        (("norm", &[4096]), "norm.weight [4096]"),
        (("memory_bn", &[4096]), "memory_bn, a normalisation"),
    ] {
        let (message, _) = refused(with(own([0, 3, 6]), &[other]));
        assert!(message.contains(said), "{message}");
    }
    assert!(refused(own([0, 1, 2])).0.contains("a classifier of one layer"));
}

#[test]
fn what_a_gap_in_a_classifier_is_taken_for_is_said() {
    const LINEAR: &[i64] = &[9, 512];
    const NORM: &[i64] = &[512];
    for (layers, said) in [
        (
            &[("fc.0", NORM), ("fc.2", LINEAR)][..],
            "fc.0, fc.2 (512 to 9), in this order, and nothing but dropout between",
        ),
        (
            &[("fc.0", NORM), ("fc.2", NORM), ("fc.3", LINEAR)],
            "fc.0, fc.2, fc.3 (512 to 9), in this order, and nothing but dropout between",
        ),
        (&[("fc.0", LINEAR), ("fc.2", &[9])], "fc.0, fc.2 (512 to 9), in this order, and nothing but dropout between"),
        (
            &[("fc.0", NORM), ("fc.2", &[40, 512]), ("fc.4", &[9, 40])],
            "with a ReLU behind each hidden layer, and nothing but dropout where else there is room",
        ),
    ] {
        let found = assumed(with(headless(), layers));
        assert!(found.contains(said), "{layers:?}: {found}");
    }
    assert!(!assumed(with(headless(), &[("fc.0", NORM), ("fc.1", LINEAR)])).contains("the classifier is"));
    let found = assumed(with(headless(), &[("fc.0", NORM), ("fc.1", &[40, 512]), ("fc.3", &[9, 40])]));
    assert!(found.contains("with a ReLU behind each hidden layer;"), "{found}");
}

#[test]
fn what_has_a_way_to_the_answer_is_refused_whatever_its_name() {
    let refusals: [(Layers<'_>, &str); 12] = [
        (&[("fc", &[32, 512]), ("predictor", &[10, 32])], "predictor may stand behind the classifier of 32 classes"),
        (&[("fc", &[32, 512]), ("fc_proj", &[10, 32])], "fc_proj may stand behind"),
        (&[("embed", &[32, 512]), ("proj_cls", &[10, 32])], "proj_cls may stand behind"),
        (&[("fc", &[32, 512]), ("predictor.0", &[64, 32]), ("predictor.2", &[10, 64])], "predictor.0 may stand behind"),
        (&[("project", &[32, 512]), ("predictor", &[10, 32])], "predictor may be the classifier"),
        (&[("predictor.0", &[64, 512]), ("predictor.2", &[10, 64])], "predictor.0 may be the classifier"),
        (&[("feat_proj", &[512, 512]), ("head", &[9, 512])], "feat_proj, which gives out 512 features"),
        (&[("proj_down", &[64, 512]), ("proj_up", &[512, 64]), ("head", &[9, 512])], "proj_up, which gives out 512"),
        (&[("memory_bn", &[512]), ("head", &[9, 512])], "memory_bn, a BatchNorm that may stand before"),
        (&[("center", &[9]), ("head", &[9, 512])], "center, a normalisation"),
        (&[("=memory.weight", &[512]), ("=memory.bias", &[512]), ("head", &[9, 512])], "memory, a normalisation"),
        (&[("momentum_bn", &[3]), ("head", &[9, 512])], "momentum_bn, a normalisation"),
    ];
    for (layers, said) in refusals {
        for base in [headless(), inside()] {
            let (message, remedy) = refused(with(base.clone(), layers));
            assert!(message.contains(said), "{layers:?}: {message}");
            let taken_for = matches!(remedy, Some(Remedy::Backbone { arch, .. }) if arch == "resnet18");
            assert!(taken_for, "{layers:?}");
            let options = named(Arch::ResNet18);
            let taken = Checkpoint::new(with(base, layers), BTreeMap::new()).recognise_with(&options).unwrap();
            assert!(!taken.left_out.is_empty(), "{layers:?}");
        }
    }
    let taken: [(Layers<'_>, i64); 4] = [
        (&[("fc", &[9, 512]), ("projection_head.0", &[512, 512]), ("projection_head.2", &[128, 512])], 9),
        (&[("projector", &[256, 512]), ("predictor.0", &[64, 256]), ("predictor.2", &[256, 64])], 0),
        (&[("fc", &[9, 512]), ("metric_fc", &[9, 512])], 9),
        (&[("projector.0", &[256, 512]), ("projector.1", &[256]), ("projector.3", &[128, 256])], 0),
    ];
    for (layers, classes) in taken {
        let found = recognise(with(headless(), layers)).unwrap();
        assert_eq!(found.classes, classes, "{layers:?}");
        assert!(found.left_out.iter().all(|name| !name.starts_with("fc.")), "{:?}", found.left_out);
    }
}

fn named(arch: Arch) -> RecogniseOptions {
    let mut options = OpenOptions::default();
    options.arch = Some(arch);
    options.recognising()
}

#[test]
fn what_may_act_on_pictures_or_on_one_number_is_refused() {
    for layers in [
        &[("pre", &[3, 3, 1, 1][..])][..],
        &[("normalize", &[3])],
        &[("=act.weight", &[1])],
        &[("=colours", &[3, 3])],
        &[("=offsets", &[3, 1, 1])],
        &[("neck", &[64, 64, 1, 1])],
        &[("proj", &[64, 64, 1, 1])],
        &[("head", &[1, 512]), ("calib", &[1, 1])],
        &[("head", &[1, 512]), ("=calib.weight", &[1, 1])],
    ] {
        let (message, remedy) = refused(with(inside(), layers));
        let name = layers[layers.len() - 1].0.trim_start_matches('=').trim_end_matches(".weight");
        assert!(message.contains(name) && remedy.is_some(), "{layers:?}: {message}");
    }
}

#[test]
fn a_network_that_normalises_pictures_by_itself_is_known_by_its_numbers() {
    let normalised = |mean: [f32; 3], deviation: [f32; 3], shape: &[i64]| {
        let mut tensors = with(inside(), &[("head", &[9, 512])]);
        for (name, values) in [("mean", mean), ("std", deviation)] {
            tensors.insert(name.to_owned(), StoredTensor::from(ndarray::arr1(&values)).reshape(shape).unwrap());
        }
        tensors
    };
    let imagenet = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
    for (tensors, name) in [
        (normalised(imagenet.0, imagenet.1, &[1, 3, 1, 1]), "from 0 to 1"),
        (normalised([123.675, 116.28, 103.53], [58.395, 57.12, 57.375], &[3]), "from 0 to 255"),
    ] {
        assert_eq!(recognise(tensors).unwrap().left_out, ["mean", "std"], "{name}");
    }
    let mut alone = normalised(imagenet.0, imagenet.1, &[3, 1, 1]);
    alone.remove("std");
    for (tensors, names) in [
        (normalised([0.5; 3], [0.5; 3], &[1, 3, 1, 1]), "mean, std"),
        (normalised(imagenet.0, [1.0; 3], &[3]), "mean, std"),
        (normalised(imagenet.0, [58.395, 57.12, 57.375], &[3]), "mean, std"),
        (alone, "mean"),
    ] {
        let (message, remedy) = refused(tensors);
        let said = format!("pictures seem to be normalised in the network: {names}; only");
        let normalises = matches!(remedy, Some(Remedy::Backbone { normalises: true, .. }));
        assert!(message.contains(&said) && normalises, "{message}");
    }
}

/// Each program names the options that it has.
#[cfg(feature = "cli")]
#[test]
fn what_takes_a_file_that_is_refused_is_said_by_programs_that_have_it() {
    let mut normalising = tensors("head dropout");
    for name in ["mean", "std"] {
        normalising.insert(name.to_owned(), StoredTensor::from(ndarray::arr1(&[0.5; 3])));
    }
    let (folder, path) = written(normalising);
    let said = |name: &str, arguments: &[&str]| {
        let mut command = program(name);
        let output = command.current_dir(folder.path()).args(arguments).arg(&path).output().unwrap();
        String::from_utf8(output.stderr).unwrap() + &String::from_utf8(output.stdout).unwrap()
    };
    let run = said("cbam-run", &["--list-maps", "--weights"]);
    let advice = "--arch resnet18 takes it without";
    assert!(run.contains(advice) && run.contains("--mean and --std then say"), "{run}");
    let inspect = said("cbam-weights", &["inspect"]);
    assert!(inspect.contains(advice) && !inspect.contains("--mean"), "{inspect}");
    for class in ["classes/a", "classes/b"].map(|class| folder.path().join(class)) {
        std::fs::create_dir_all(&class).unwrap();
        for number in 0..30 {
            image::RgbImage::new(40, 40).save(class.join(format!("{number}.png"))).unwrap();
        }
    }
    let train = said("cbam-train", &["supervised", "--images", "classes", "--loader-only", "--backbone"]);
    assert!(train.contains("normalised in the network: mean, std") && !train.contains("--arch"), "{train}");
}

#[test]
fn two_heads_whose_names_differ_in_a_number_are_two() {
    let (message, _) = refused(with(headless(), &[("classifier", &[10, 512]), ("classifier2", &[10, 512])]));
    assert!(message.contains("2 heads, each of which may be the classifier: classifier, classifier2"), "{message}");
    let (message, _) = refused(with(headless(), &[("head.fc1", &[40, 512]), ("head.fc2", &[10, 30])]));
    assert!(message.contains("head.fc1, head.fc2 do not make one classifier"), "{message}");
    let (message, _) = refused(with(headless(), &[("classifier", &[10, 500])]));
    assert!(message.contains("classifier does not fit the 512 pooled features"), "{message}");
}

/// Gates where this crate puts its own are no sign that they are its own.
#[test]
fn a_backbone_of_somebody_else_leans_on_its_attention() {
    let late = tensors("behind every stage").into_iter();
    let late = late.filter(|(name, _)| !name.starts_with("cbam1.") && !name.starts_with("cbam2.")).collect();
    let (_folder, path) = written(late);
    let network = Network::open(path, Device::Cpu).unwrap();
    let places: Vec<&str> = network.config().attention.iter().map(|place| place.stage.as_str()).collect();
    assert_eq!(places, ["layer3", "layer4"]);
    assert!(network.leans_on_attention());
    assert!(Network::untrained_on(&network).unwrap_err().to_string().contains("trained together"));
    let (_folder, path) = written(tensors("head dropout"));
    assert!(!Network::open(path, Device::Cpu).unwrap().leans_on_attention());
}
