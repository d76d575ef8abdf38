//! Which network a file is of: its configuration in the metadata, or the names and shapes of somebody else's tensors.
#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use cbam_core::model::{Model, Question};
use cbam_core::network::{NetworkConfig, NetworkFile, OpenOptions};
use cbam_core::photo::{Preprocess, decode};
use cbam_core::weights::{Checkpoint, Dtype, StoredTensor};
use libfuzzer_sys::fuzz_target;

static BUNDLED: LazyLock<NetworkFile> = LazyLock::new(|| NetworkFile::pretrained().expect("the bundled network"));

/// More values than this are not made numbers of.
const LARGE: usize = 1 << 20;
/// The most values of all tensors, which no file stands behind here.
const MOST: usize = 1 << 25;

/// A tensor in each line, its name and its sides; `~` before a name stands for a BatchNorm of it.
fn tensors(text: &str) -> BTreeMap<String, StoredTensor> {
    let mut tensors = BTreeMap::new();
    for line in text.lines() {
        let mut words = line.split(' ');
        let first = words.next().unwrap_or_default();
        let name = if first == "~" { words.next().unwrap_or_default() } else { first };
        let shape: Vec<i64> = words.filter_map(|word| word.parse().ok()).collect();
        let Ok(tensor) = StoredTensor::zeros(Dtype::F32, &shape) else { continue };
        if first == "~" {
            for part in ["weight", "bias", "running_mean", "running_var"] {
                tensors.insert(format!("{name}.{part}"), tensor.clone());
            }
        } else {
            tensors.insert(name.to_owned(), tensor);
        }
    }
    tensors
}

fuzz_target!(init: cbam_fuzz::begin(), |data: &[u8]| {
    let Some((kind, data)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(data) else { return };
    let configured = |text: &str| BTreeMap::from([("network".to_owned(), text.to_owned())]);
    let checkpoint = match kind % 4 {
        // Attention without its backbone, which is the bundled one.
        0 => {
            let attention = BUNDLED.tensors.iter().filter(|(name, _)| name.starts_with("attention."));
            let attention = attention.map(|(name, tensor)| (name.clone(), tensor.clone()));
            Checkpoint::new(attention.collect(), configured(text))
        }
        1 => Checkpoint::new(BUNDLED.tensors.clone(), configured(text)),
        // A configuration, an empty line, and tensors.
        2 => {
            let (config, shapes) = text.split_once("\n\n").unwrap_or((text, ""));
            Checkpoint::new(tensors(shapes), configured(config))
        }
        _ => Checkpoint::new(tensors(text), BTreeMap::new()),
    };
    let values = |tensors: &BTreeMap<String, StoredTensor>| tensors.values().map(StoredTensor::len).sum::<usize>();
    if values(&checkpoint.tensors) > MOST {
        return;
    }
    if let Ok(found) = checkpoint.recognise() {
        // Biases that were not there, and layers of a classifier that became one.
        assert!(values(&found.tensors) <= 2 * MOST + (1 << 26));
    }
    let Ok(file) = NetworkFile::of(&checkpoint, &OpenOptions::default()) else { return };
    let _ = file.notes();
    let json = serde_json::to_string(&file.config).expect("a configuration is written");
    assert_eq!(serde_json::from_str::<NetworkConfig>(&json).ok().as_ref(), Some(&file.config));
    // Building takes long: few of the large ones, always the same.
    if values(&file.tensors) < LARGE || data.iter().fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(*byte)) == 0 {
        look(&file);
    }
});

/// A network that can be built looks at a small picture, or says why not.
fn look(file: &NetworkFile) {
    let Ok(network) = file.for_inference() else { return };
    let small = Preprocess { short_side: 32, ..network.preprocess().clone() };
    let Ok(network) = network.with_preprocess(small) else { return };
    let grey = decode("grey.pgm".as_ref(), b"P5 4 3 255\nabcdefghijkl", &cbam_fuzz::LIMITS).expect("a picture");
    let Ok(picture) = network.preprocess().resample(&grey) else { return };
    if let Ok(looks) = network.look(&[&picture], &Question::about(&[])) {
        assert_eq!(looks.len(), 1);
    }
}
