//! The command cbam-weights.

use std::process::Output;

use super::*;
use crate::backbone::pretrained;
use cbam::backbone::Arch;
use cbam::network::{NetworkConfig, NetworkFile, OpenOptions};

fn cbam_weights(arguments: &[&str]) -> Output {
    program("cbam-weights").args(arguments).output().unwrap()
}

#[test]
fn inspect_lists_every_tensor() {
    let output = cbam_weights(&["inspect", golden("kinds.pth").to_str().unwrap()]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("format      legacy PyTorch (pickle)\ntensors     13\n"), "{text}");
    for line in ["bfloat16   bf16  [2, 3]", "scalar     f32   []", "empty      f32   [0, 3]", "bool       bool  [1, 3]"]
    {
        assert!(text.lines().any(|found| found == line), "{line:?} is not in\n{text}");
    }
}

fn inspect(path: &Path) -> String {
    let output = cbam_weights(&["inspect", path.to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn inspect_tells_what_lies_around_the_weights_and_which_network_they_are_of() {
    let text = inspect(&checkpoint("training-2.pth"));
    for line in [
        "format      PyTorch (zip)",
        "part        state_dict",
        "beside      epoch = 90",
        "beside      args = Namespace",
        "prefix      module. taken off every name",
    ] {
        assert!(text.lines().any(|found| found == line), "{line:?} is not in\n{text}");
    }
    assert!(
        text.contains("network     unknown: no network that is known here: its keys begin with 0.weight"),
        "{text}"
    );
    let text = inspect(&pretrained(Arch::EfficientNetLite1));
    assert!(text.contains("network     efficientnet-lite1, 1000 classes\nlayout      EfficientNet-Lite\n"), "{text}");
    let text = inspect(&file("assets/weights/efficientnet-lite0-attention.safetensors"));
    assert!(text.contains("network     of this program, configured by its metadata\n"), "{text}");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cbam.safetensors");
    let saved = Checkpoint::new(super::layouts::network("timm cbam resnet18"), BTreeMap::new());
    saved.save(&path, cbam::weights::Precision::HalfMatrices).unwrap();
    let text = inspect(&path);
    for line in [
        "network     resnet18, 10 classes, cbam at 8 places, layer1.0 to layer4.1",
        "layout      timm",
        "attention   layer4.1  512 channels, cbam, reduction 16, no bias; 7×7 over mean, max, BatchNorm",
    ] {
        assert!(text.lines().any(|found| found == line), "{line:?} is not in\n{text}");
    }
}

#[test]
fn what_helps_is_said_by_the_names_of_options() {
    let said = |arguments: &[&str]| String::from_utf8(cbam_weights(arguments).stderr).unwrap();
    let file = |name: &str| checkpoint(name).to_str().unwrap().to_owned();
    let several = said(&["diff", &file("students.pt"), &file("students.pt")]);
    let advice = "no usual name; choose one of \"student\", \"teacher\" with --part, or write it alone with cbam-weights convert";
    assert!(several.contains(advice), "{several}");
    let one = said(&["inspect", &file("whole-and-average.pt")]);
    assert!(one.contains("instead; \"ema\" can be read, with --part"), "{one}");
    let script = said(&["inspect", &file("refused-script.pt")]);
    assert!(
        script.contains("a TorchScript program") && script.contains("give TorchScript as --torchscript"),
        "{script}"
    );
}

#[test]
fn inspect_refuses_options_without_effect_and_says_no_network_that_does_not_open() {
    let folder = tempfile::tempdir().unwrap();
    let write = |tensors| {
        let path = folder.path().join("theirs.safetensors");
        Checkpoint::new(tensors, BTreeMap::new()).save(&path, cbam::weights::Precision::Keep).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let mut tensors = super::answers::tensors("head dropout");
    let path = write(tensors.clone());
    let text = inspect(Path::new(&path));
    assert!(
        text.contains("assumed     a max pooling follows the first convolution (else --stem-pool none)\n"),
        "{text}"
    );
    assert!(text.contains("assumed     all else as torchvision's resnet18"), "{text}");
    assert!(text.contains("(cbam-run --check compares)\n") && !text.contains("--mean"), "{text}");
    let output = cbam_weights(&["inspect", &path, "--stride-in", "3x3"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && said.contains("--stride-in has no effect"), "{said}");
    // Names of a network, and a shape that is not.
    tensors.insert("layer3.1.conv2.weight".to_owned(), zeros(&[256, 128, 3, 3]));
    let path = write(tensors);
    let text = inspect(Path::new(&path));
    assert!(
        text.contains("network     unknown: not quite resnet18") && text.contains("layer3.1.conv2.weight"),
        "{text}"
    );
}

#[test]
fn a_part_can_be_converted_and_what_was_read_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.safetensors");
    let (input, output) = (checkpoint("model.pt"), out.to_str().unwrap());
    let run = cbam_weights(&["convert", input.to_str().unwrap(), output, "--part", "ema"]);
    assert!(run.status.success(), "{run:?}");
    let said = String::from_utf8(run.stderr).unwrap();
    assert_eq!(said, "cbam-weights: the tensors of \"ema.module\", module. taken off every name\n");
    assert_same(
        &Checkpoint::open(&out).unwrap().tensors,
        &Checkpoint::open(checkpoint("weights.safetensors")).unwrap().tensors,
    );
}

#[test]
fn diff_lists_what_differs_and_says_so_by_its_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, tensors: &[(&str, Tensor)]| {
        let tensors = store_all(tensors.iter().map(|(name, tensor)| ((*name).to_owned(), tensor))).unwrap();
        let path = folder.path().join(name).to_str().unwrap().to_owned();
        Checkpoint::new(tensors, BTreeMap::new()).save(&path, cbam::weights::Precision::Keep).unwrap();
        path
    };
    let row = |values: [f32; 2]| Tensor::from_slice(&values);
    let first = write(
        "first.safetensors",
        &[
            ("a", row([1.0, f32::NAN])),
            ("b", row([1.0, f32::INFINITY])),
            ("c", row([1.0, 2.0])),
            ("d", row([1.0, 2.0])),
            ("e", row([1.0, 2.0])),
            ("f", row([1.0, f32::NAN])),
        ],
    );
    let second = write(
        "second.safetensors",
        &[
            ("a", row([1.0, f32::NAN])),
            ("b", row([1.5, f32::INFINITY])),
            ("c", row([1.0, 2.0]).to_kind(tch::Kind::Half)),
            ("d", row([1.0, 2.0]).unsqueeze(0)),
            ("f", row([1.0, 2.0])),
            ("g", row([1.0, 2.0])),
        ],
    );
    let output = cbam_weights(&["diff", &first, &second]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    let expected = [
        "values              b  largest difference 5e-1",
        "dtype               c  f32 / f16, largest difference 0e0",
        "shape               d  f32 [2] / f32 [1, 2]",
        "only in the first   e  f32 [2]",
        "values              f  largest difference NaN",
        "only in the second  g  f32 [2]",
        "1 tensors the same, 6 differ",
    ];
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    let output = cbam_weights(&["diff", &first, &second, "--tolerance", "0.5"]);
    assert!(!String::from_utf8(output.stdout).unwrap().contains("values              b"));
    // The same weights, wrapped and in another format.
    let files = ["training-4.pth.tar", "weights.safetensors"].map(|name| checkpoint(name).to_str().unwrap().to_owned());
    assert_eq!(cbam_weights(&["diff", &files[0], &files[1]]).status.code(), Some(0));
    assert_eq!(cbam_weights(&["diff", &first, "/nonexistent"]).status.code(), Some(2));
    assert_eq!(cbam_weights(&["diff", &first, &second, "--tolerance", "-1"]).status.code(), Some(2));
}

#[test]
fn convert_writes_safetensors_with_metadata() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.safetensors");
    let (input, output) = (golden("wrapped.pth"), out.to_str().unwrap());
    let run = cbam_weights(&["convert", input.to_str().unwrap(), output, "--half-matrices", "--metadata", "arch=a=b"]);
    assert!(run.status.success(), "{run:?}");
    let found = Checkpoint::open(&out).unwrap();
    let kinds: Vec<_> = found.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor.dtype())).collect();
    let float = Dtype::F32;
    assert_eq!(
        kinds,
        [
            ("0.weight", Dtype::F16),
            ("1.bias", float),
            ("1.running_mean", float),
            ("1.running_var", float),
            ("1.weight", float)
        ]
    );
    assert_eq!(found.metadata, BTreeMap::from([("arch".to_owned(), "a=b".to_owned())]));
    let text = String::from_utf8(cbam_weights(&["inspect", output]).stdout).unwrap();
    assert!(text.contains("metadata    arch = a=b\n"), "{text}");
}

#[test]
fn convert_gives_a_network_its_temperature() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.safetensors");
    let own = crate::file("assets/weights/efficientnet-lite0-attention.safetensors");
    let converted = |input: &Path, temperature: &str| {
        let words = ["convert", input.to_str().unwrap(), out.to_str().unwrap(), "--temperature", temperature];
        cbam_weights(&words)
    };
    assert!(converted(&own, "0.625").status.success());
    let [given, found] = [&own, &out].map(|path| NetworkFile::open(path, &OpenOptions::default()).unwrap());
    assert_eq!(found.config, NetworkConfig { temperature: 0.625, ..given.config });
    assert_eq!(found.tensors.len(), given.tensors.len());
    std::fs::remove_file(&out).unwrap();
    for (input, temperature, said) in [
        (own, "0", "must be 0.01 to 100"),
        (golden("wrapped.pth"), "0.625", "wrapped.pth: has no place for a temperature"),
    ] {
        let run = converted(&input, temperature);
        let text = String::from_utf8(run.stderr).unwrap();
        assert!(run.status.code() == Some(2) && text.contains(said) && !out.exists(), "{text}");
    }
}

#[test]
fn errors_name_the_file_once_and_usage_errors_exit_with_2() {
    let output = cbam_weights(&["inspect", golden("gen.py").to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(text.matches("gen.py").count(), 1, "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    for arguments in [
        ["convert", "in.pth", "out.pth"].as_slice(),
        &["inspect"],
        &["convert", "a", "b.safetensors", "--metadata", "x"],
    ] {
        assert_eq!(cbam_weights(arguments).status.code(), Some(2), "{arguments:?}");
    }
}
