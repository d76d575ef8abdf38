//! What a weights file claims about its network, against what it holds.

use cbam::backbone::Arch;
use cbam::maps::HEAD;
use cbam::network::Network;
use serde_json::{Value, json};
use tch::Device;

use super::*;

/// The configuration under which this crate's own weights file runs, and its tensors.
fn bundled() -> (Value, Tensors) {
    let path = crate::file("assets/weights/efficientnet-lite0-attention.safetensors");
    let checkpoint = Checkpoint::open(path).unwrap();
    (serde_json::from_str(&checkpoint.metadata["network"]).unwrap(), checkpoint.tensors)
}

/// The message with which a file of this configuration and these tensors is refused; none if it opens.
fn refused(config: &str, tensors: &Tensors) -> Option<String> {
    let file = tempfile::NamedTempFile::with_suffix(".safetensors").unwrap();
    let metadata = BTreeMap::from([("network".to_owned(), config.to_owned())]);
    Checkpoint::new(tensors.clone(), metadata).save(file.path(), cbam::weights::Precision::Keep).unwrap();
    let message = Network::open(file.path(), Device::Cpu).err()?.to_string();
    assert!(message.contains(file.path().file_name().unwrap().to_str().unwrap()), "{message}");
    Some(message)
}

/// Every number in a configuration, by its path.
fn numbers(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Number(_) => found.push(path.to_owned()),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| numbers(item, &format!("{path}/{index}"), found));
        }
        Value::Object(entries) => {
            entries.iter().for_each(|(key, item)| numbers(item, &format!("{path}/{key}"), found));
        }
        _ => {}
    }
}

#[test]
fn no_number_of_a_configuration_is_taken_on_trust() {
    let (config, tensors) = bundled();
    assert_eq!(refused(&config.to_string(), &tensors), None);
    let mut paths = Vec::new();
    numbers(&config, "", &mut paths);
    assert!(paths.len() > 12, "{paths:?}");
    for path in &paths {
        for number in [
            json!(0),
            json!(-1),
            json!(3),
            json!(999_999),
            json!(i32::MAX),
            json!(1_i64 << 31),
            json!(1_i64 << 40),
            json!(1_i64 << 62),
            json!(i64::MAX),
            json!(i64::MIN),
            json!(u64::MAX),
            json!(0.5),
            json!(1e39),
            json!(1e300),
            json!("NaN"),
            json!(null),
        ] {
            let mut claimed = config.clone();
            *claimed.pointer_mut(path).unwrap() = number.clone();
            let Some(message) = refused(&claimed.to_string(), &tensors) else {
                // The gain is any number, and a temperature one of a range.
                let gain = path.ends_with("gain") && number.as_f64().is_some_and(|gain| gain.abs() < 1e38);
                let temperature = path == "/temperature" && [json!(3), json!(0.5)].contains(&number);
                assert!(gain || temperature, "{path} = {number} opens");
                continue;
            };
            assert!(message.contains("\"network\"") && message.len() < 600, "{path} = {number}: {message}");
        }
    }
    for number in ["1e400", "-1e999", "NaN", "Infinity"] {
        let text = config.to_string().replacen("224", number, 1);
        assert!(refused(&text, &tensors).unwrap().contains("\"network\""), "{number}");
    }
}

#[test]
fn other_gates_numbers_and_lists_are_not_taken_on_trust_either() {
    let (config, tensors) = bundled();
    let with = |gate: Value| {
        let mut claimed = config.clone();
        claimed["attention"] = json!([gate]);
        refused(&claimed.to_string(), &tensors).unwrap_or_else(|| panic!("opens: {gate}"))
    };
    for number in [0_i64, -3, 1 << 31, 1 << 40, i64::MAX] {
        for gate in [
            json!({"stage": "stage5", "se": {"reduction": number}}),
            json!({"stage": "stage5", "eca": {"kernel_size": number}}),
            json!({"stage": "stage5", "bam": {"reduction": number}}),
            json!({"stage": "stage5", "bam": {"dilation": number}}),
            json!({"stage": HEAD, "patch": {"patch_size": number}}),
            json!({"stage": "stage6.expansion", "cbam": {"channel": {"reduction": number}}}),
        ] {
            with(gate);
        }
    }
    assert!(with(json!({"stage": "stage5", "cbam": {"channel": {"pools": vec!["avg"; 1000]}}})).contains("1000 pools"));
    let long = "x".repeat(1 << 20);
    assert!(with(json!({"stage": long})).len() < 1000);
    let mut many = config.clone();
    many["attention"] = json!(vec![json!({"stage": "stage5"}); 100_000]);
    assert!(refused(&many.to_string(), &tensors).unwrap().contains("not behind the one before it"));
}

#[test]
fn a_small_file_of_a_large_backbone_is_refused_before_it_is_built() {
    let small = BTreeMap::from([("backbone.x".to_owned(), zeros(&[4]))]);
    for arch in Arch::ALL {
        let config = json!({"arch": arch.name(), "classes": 1000, "short_side": 224, "attention": []}).to_string();
        let message = refused(&config, &small).unwrap();
        assert!(message.contains("weights at least, and the file holds 4"), "{message}");
    }
    // A tensor without elements says any number of classes.
    let file = tempfile::NamedTempFile::with_suffix(".safetensors").unwrap();
    let tensors = BTreeMap::from([("fc.weight".to_owned(), zeros(&[1_000_000, 0]))]);
    Checkpoint::new(tensors, BTreeMap::new()).save(file.path(), cbam::weights::Precision::Keep).unwrap();
    for arch in [Arch::ResNet18, Arch::Vgg19] {
        Network::open_as(file.path(), arch, Device::Cpu).unwrap_err();
    }
}

/// What was found by attack stays refused, within a bound on memory that its claims are far beyond.
#[cfg(all(feature = "cli", target_os = "linux"))]
#[test]
fn hostile_files_end_in_a_named_error_and_little_memory() {
    let picture = crate::file("assets/images/coffee.jpg");
    let folder = tempfile::tempdir().unwrap();
    for name in ["heads_2e40", "headdim_2e20", "kernel_2e31-1", "patchsize_2e20", "plain"] {
        let file = crate::file(format!("tests/regressions/weights/net_{name}.safetensors"));
        let mut command = std::process::Command::new("bash");
        // What a run takes in address space, of which it uses a tenth, and less than the least of the claims.
        command.args(["-c", "ulimit -v 6000000; exec \"$@\"", "bash"]).arg(crate::program("cbam-run").get_program());
        command
            .arg(&picture)
            .args(["--threads", "2"])
            .arg("--weights")
            .arg(&file)
            .arg("--overlay")
            .arg(folder.path().join("o.png"));
        let output = command.output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(matches!(output.status.code(), Some(1 | 2)), "{name}: {:?} {message}", output.status);
        assert!(message.contains(&format!("net_{name}.safetensors: the metadata's \"network\"")), "{message}");
    }
    let mut command = crate::program("cbam-run");
    let file = crate::file("tests/regressions/weights/esc.safetensors");
    let output = command.arg(&picture).args(["--threads", "2"]).arg("--weights").arg(file).output().unwrap();
    assert!(!output.status.success() && !output.stderr.contains(&0x1b) && !output.stderr.contains(&7));
    assert!(String::from_utf8_lossy(&output.stderr).contains("evil"));
}
