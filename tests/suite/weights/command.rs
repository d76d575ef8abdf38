//! The command cbam-weights.

use std::process::{Command, Output};

use super::*;
use tch::Kind;

fn cbam_weights(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cbam-weights")).args(arguments).output().unwrap()
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

#[test]
fn convert_writes_safetensors_with_metadata() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.safetensors");
    let (input, output) = (golden("wrapped.pth"), out.to_str().unwrap());
    let run = cbam_weights(&["convert", input.to_str().unwrap(), output, "--half-matrices", "--metadata", "arch=a=b"]);
    assert!(run.status.success(), "{run:?}");
    let found = Checkpoint::open(&out).unwrap();
    let kinds: Vec<_> = found.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor.kind())).collect();
    let float = Kind::Float;
    assert_eq!(
        kinds,
        [
            ("0.weight", Kind::Half),
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
fn errors_name_the_file_once_and_usage_errors_exit_with_2() {
    let output = cbam_weights(&["inspect", golden("gen.py").to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
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
