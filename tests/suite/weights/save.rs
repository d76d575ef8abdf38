//! What this crate writes.

use super::*;
use cbam::weights::Precision;
use proptest::prelude::*;
use tch::{Device, Kind};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// What is saved is what is read, and saving it again gives the same bytes.
    #[test]
    fn saving_and_reading_give_the_same(
        tensors in prop::collection::btree_map("[a-z_.é]{1,12}", (0..10_usize, prop::collection::vec(0..4_i64, 0..4), any::<u32>()), 0..6),
        metadata in prop::collection::btree_map(".{0,8}", ".{0,8}", 0..5),
    ) {
        let tensors: BTreeMap<_, _> =
            tensors.into_iter().map(|(name, (kind, shape, seed))| (name, sample(kind, &shape, seed))).collect();
        let saved = Checkpoint::new(store_all(tensors).unwrap(), metadata);
        let folder = tempfile::tempdir().unwrap();
        let [first, second] = ["first.safetensors", "second.safetensors"].map(|name| folder.path().join(name));
        saved.save(&first, Precision::Keep).unwrap();
        let found = Checkpoint::open(&first).unwrap();
        assert_same(&found.tensors, &saved.tensors);
        prop_assert_eq!(&found.metadata, &saved.metadata);
        found.save(&second, Precision::Keep).unwrap();
        prop_assert_eq!(std::fs::read(first).unwrap(), std::fs::read(second).unwrap());
    }
}

/// Some tensor of the given kind and shape.
fn sample(kind: usize, shape: &[i64], seed: u32) -> Tensor {
    const KINDS: [Kind; 10] = [
        Kind::Double,
        Kind::Float,
        Kind::Half,
        Kind::BFloat16,
        Kind::Int64,
        Kind::Int,
        Kind::Int16,
        Kind::Int8,
        Kind::Uint8,
        Kind::Bool,
    ];
    let count: i64 = shape.iter().product();
    let ramp = Tensor::arange(count, (Kind::Float, Device::Cpu)) + f64::from(seed % 100);
    ramp.reshape(shape).to_kind(KINDS[kind])
}

#[test]
fn views_of_one_storage_are_saved_as_what_they_show() {
    let views = Checkpoint::open(golden("views.pth")).unwrap();
    assert!(views.tensors.values().any(|tensor| tensor.strides().is_some()));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("views.safetensors");
    views.save(&path, Precision::Keep).unwrap();
    assert_same(&Checkpoint::open(&path).unwrap().tensors, &views.tensors);
}

#[test]
fn saving_replaces_a_file_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    std::fs::write(&path, "before").unwrap();

    let large = Tensor::from_slice2(&[[1.0_f32, 70_000.0]]);
    let tensors = BTreeMap::from([("fc.weight".to_owned(), large)]);
    let checkpoint = Checkpoint::new(store_all(tensors).unwrap(), BTreeMap::new());
    let error = checkpoint.save(&path, Precision::HalfMatrices).unwrap_err().to_string();
    assert!(error.contains("fc.weight") && error.contains("f16"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), b"before");

    checkpoint.save(&path, Precision::Keep).unwrap();
    assert_eq!(Checkpoint::open(&path).unwrap().tensors["fc.weight"].values()[1], 70_000.0);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "a temporary file is left");
    let nowhere = path.join("weights.safetensors"); // a file is no folder
    assert!(matches!(checkpoint.save(nowhere, Precision::Keep), Err(ErrorKind::Io { .. })));

    let reserved = BTreeMap::from([("__metadata__".to_owned(), Tensor::from_slice(&[1_i64]))]);
    assert!(matches!(
        Checkpoint::new(store_all(reserved).unwrap(), BTreeMap::new()).save(&path, Precision::Keep),
        Err(ErrorKind::Weights { .. })
    ));
}

#[test]
fn half_matrices_keep_vectors_and_integers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("half.safetensors");
    let tensors = BTreeMap::from([
        ("conv.weight".to_owned(), Tensor::ones([2, 1, 3, 3], (Kind::Float, Device::Cpu)) / 3.0),
        ("bn.running_var".to_owned(), Tensor::from_slice(&[1e-9_f32])),
        ("bias".to_owned(), Tensor::from_slice(&[0.5_f64])),
        ("table".to_owned(), Tensor::from_slice2(&[[1_i64, 70_000]])),
    ]);
    Checkpoint::new(store_all(tensors).unwrap(), BTreeMap::new()).save(&path, Precision::HalfMatrices).unwrap();
    let found = Checkpoint::open(&path).unwrap().tensors;
    let kinds: Vec<_> = found.iter().map(|(name, tensor)| (name.as_str(), tensor.dtype())).collect();
    assert_eq!(
        kinds,
        [("bias", Dtype::F32), ("bn.running_var", Dtype::F32), ("conv.weight", Dtype::F16), ("table", Dtype::I64)]
    );
    assert_eq!(found["bn.running_var"].values()[0], 1e-9);
}
