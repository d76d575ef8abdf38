//! What torch.save wrote before PyTorch 1.6, and the pretrained files.

use super::*;
use crate::backbone::pretrained;
use cbam::backbone::Arch;
use cbam::weights::Format;
use tch::Kind;

#[test]
fn legacy_files_hold_what_torch_saved() {
    for (name, count) in [("kinds", 13), ("views", 8), ("wrapped", 6)] {
        let found = Checkpoint::open(golden(&format!("{name}.pth"))).unwrap();
        let expected = Checkpoint::open(golden(&format!("{name}.safetensors"))).unwrap();
        assert_eq!(found.format(), Some(Format::LegacyPyTorch));
        assert_eq!(expected.format(), Some(Format::Safetensors));
        assert_eq!(found.tensors.len(), count);
        assert_same(&found.tensors, &expected.tensors);
    }
    let kinds = Checkpoint::open(golden("kinds.pth")).unwrap();
    assert_eq!(kinds.tensors["bfloat16"].dtype(), Dtype::BF16);
    assert_eq!(kinds.tensors["float16"].doubles()[0], -3.75);
}

#[test]
fn views_of_one_storage_share_its_memory() {
    let views = Checkpoint::open(golden("views.pth")).unwrap().tensors;
    assert_eq!(views["transposed"].strides(), Some([1, 6].as_slice()));
    assert_eq!(views["tied"].bytes().as_ptr(), views["whole"].bytes().as_ptr());
}

#[test]
fn the_pretrained_files_are_read() {
    for (arch, entries, parameters) in [
        (Arch::EfficientNetLite0, 296, 4_652_008),
        (Arch::EfficientNetLite1, 386, 5_416_680),
        (Arch::EfficientNetLite2, 386, 6_092_072),
    ] {
        let checkpoint = Checkpoint::open(pretrained(arch)).unwrap();
        assert_eq!((checkpoint.tensors.len(), checkpoint.parameters()), (entries, parameters), "{arch}");
    }
}

#[test]
fn the_bundled_weights_are_the_pretrained_ones_rounded() {
    let mut source = Checkpoint::open(pretrained(Arch::EfficientNetLite0)).unwrap();
    source.drop_counters();
    let bundled = Checkpoint::open(file("assets/weights/efficientnet-lite0.safetensors")).unwrap();
    let round = |tensor: &StoredTensor| match tensor.shape().len() {
        0 | 1 => tensor.clone(),
        _ => store(&restore(tensor).unwrap().to_kind(Kind::Half)).unwrap(),
    };
    let rounded = source.tensors.iter().map(|(name, tensor)| (name.clone(), round(tensor))).collect();
    assert_same(&bundled.tensors, &rounded);
    assert_eq!(bundled.metadata["arch"], "efficientnet-lite0");
    assert_eq!(bundled.metadata["license"], "Apache-2.0");
}
