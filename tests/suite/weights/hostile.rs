//! Files that are cut short, damaged, or made to do harm.

use super::*;
use crate::backbone::pretrained;
use cbam::backbone::Arch;
use proptest::prelude::*;

#[test]
fn a_file_cut_short_anywhere_is_refused() {
    for name in ["kinds.pth", "views.pth", "wrapped.pth", "kinds.safetensors"] {
        let whole = std::fs::read(golden(name)).unwrap();
        for len in 0..whole.len() {
            let message = refusal(&whole[..len]);
            assert!(message.starts_with("some.pth: "), "{message}");
        }
        let mut longer = whole;
        longer.push(0);
        refusal(&longer);
    }
    let whole = std::fs::read(pretrained(Arch::EfficientNetLite0)).unwrap();
    for part in 1..40 {
        let message = refusal(&whole[..whole.len() * part / 40]);
        assert!(message.contains("cut short"), "{message}");
    }
}

/// A legacy file around the pickle of an object (without its protocol and STOP), with one f32 storage `"0"`.
fn legacy(object: &[u8], elements: u64, data: &[u8]) -> Vec<u8> {
    let mut file = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.".to_vec();
    file.extend(b"\x80\x02M\xe9\x03.");
    file.extend(b"\x80\x02}X\x0d\x00\x00\x00little_endian\x88s.");
    file.extend(b"\x80\x02");
    file.extend(object);
    file.extend(b".\x80\x02]X\x01\x00\x00\x000a.");
    file.extend(elements.to_le_bytes());
    file.extend(data);
    file
}

fn int(value: i64) -> Vec<u8> {
    [b"\x8a\x08".as_slice(), &value.to_le_bytes()].concat()
}

/// `{"x": _rebuild_tensor_v2(storage of `len` f32, offset, (size,), (stride,), False, OrderedDict())}`.
fn one_tensor(len: i64, offset: i64, size: i64, stride: i64) -> Vec<u8> {
    [
        b"}X\x01\x00\x00\x00xctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\n"
            .as_slice(),
        b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpu",
        &int(len),
        b"NtQ",
        &int(offset),
        &int(size),
        b"\x85",
        &int(stride),
        b"\x85\x89ccollections\nOrderedDict\n)RtRs",
    ]
    .concat()
}

#[test]
fn the_hand_made_file_is_otherwise_sound() {
    let data: Vec<u8> = [1.0_f32, 2.0, 3.0].into_iter().flat_map(f32::to_le_bytes).collect();
    let checkpoint = read(&legacy(&one_tensor(3, 1, 2, 1), 3, &data)).unwrap();
    assert!(checkpoint.tensors["x"].equal(&Tensor::from_slice(&[2.0_f32, 3.0])));
    // An OrderedDict as Python 2 wrote it: OrderedDict([["x", tensor]]).
    let tensor = &one_tensor(3, 1, 2, 1)[7..];
    let python2 =
        [b"ccollections\nOrderedDict\n(](U\x01x".as_slice(), &tensor[..tensor.len() - 1], b"\x86etR"].concat();
    let checkpoint = read(&legacy(&python2, 3, &data)).unwrap();
    assert!(checkpoint.tensors["x"].equal(&Tensor::from_slice(&[2.0_f32, 3.0])));
}

#[test]
fn a_pickle_that_would_run_something_is_refused_by_name() {
    for (object, named) in [
        (b"cos\nsystem\nX\x02\x00\x00\x00id\x85R".as_slice(), "os.system"),
        (b"}X\x01\x00\x00\x00xcbuiltins\neval\nX\x02\x00\x00\x0042\x85Rs", "builtins.eval"),
        (b"ctorch\nload\n", "torch.load"),
        (b"ctorch._utils\n_rebuild_tensor_v2.__globals__\n", "__globals__"),
        (b"(X\x02\x00\x00\x00idios\nsystem\n", "INST"),
        (b"X\x02\x00\x00\x00osX\x06\x00\x00\x00system\x93", "STACK_GLOBAL"),
        (b"ccollections\nOrderedDict\n)\x81", "NEWOBJ"),
        (b"I42\n", "INT"),
        (b"\x80\x05", "protocol 5"),
        (b"\xff", "0xff"),
    ] {
        let message = refusal(&legacy(object, 0, &[]));
        assert!(message.contains(named), "{named}: {message}");
    }
}

#[test]
fn a_pickle_that_contradicts_itself_is_refused() {
    let data = [0; 12];
    for (object, elements, named) in [
        (one_tensor(1 << 60, 0, 2, 1), 1 << 60, "cut short"),
        (one_tensor(1 << 62, 0, 2, 1), 1 << 62, "cut short"),
        (one_tensor(3, 0, 2, 1), 4, "declared with 3"),
        (one_tensor(2, 0, 2, 1), 2, "left after"),
        (one_tensor(3, 2, 2, 1), 3, "do not fit"),
        (one_tensor(3, -1, 2, 1), 3, "do not fit"),
        (one_tensor(3, 0, 2, -1), 3, "do not fit"),
        (one_tensor(3, 0, -2, 1), 3, "do not fit"),
        (one_tensor(3, 0, 2, i64::MAX), 3, "do not fit"),
        (one_tensor(3, i64::MAX, 2, 1), 3, "do not fit"),
        (one_tensor(3, 0, 1 << 50, 0), 3, "would take"),
        (b"]".to_vec(), 3, "a list, not a dictionary of tensors"),
        (b"}X\x05\x00\x00\x00epochK\x03s".to_vec(), 3, "epoch: an integer, not a tensor"),
        (b"}K\x01K\x02s".to_vec(), 3, "name is an integer"),
        (b"}".to_vec(), 3, "not declared"),
        (b"h\x07".to_vec(), 3, "no entry 7"),
        (b"K\x01(0".to_vec(), 3, "POP"),
        (b"K\x01(R".to_vec(), 3, "empty stack"),
        (b"t".to_vec(), 3, "no mark"),
        (b"}(K\x01u".to_vec(), 3, "no value"),
        (b"X\xff\xff\xff\xffx".to_vec(), 3, "cut short"),
        (b"X\x01\x00\x00\x00\xff".to_vec(), 3, "UTF-8"),
        ([b"\x8a\xff".as_slice(), &[0; 255]].concat(), 3, "255 bytes"),
        (b"K\x01)R".to_vec(), 3, "calls an integer"),
        (b"ctorch\nFloatStorage\n)R".to_vec(), 3, "makes no tensor"),
        (b"ctorch._utils\n_rebuild_tensor_v2\n)R}b".to_vec(), 3, "sets attributes of a tensor"),
    ] {
        let message = refusal(&legacy(&object, elements, &data));
        assert!(message.contains(named), "{named}: {message}");
    }
}

#[test]
fn a_pickle_cannot_exhaust_the_stack_or_the_memory() {
    // A tuple in a tuple in a tuple, as deep as allowed, and deeper.
    let nested = |depth: usize| [b"}X\x01\x00\x00\x00x)".to_vec(), vec![0x85; depth], b"s".to_vec()].concat();
    assert!(refusal(&legacy(&nested(1_000_000), 0, &[])).contains("x: a tuple, not a tensor"));
    assert!(refusal(&legacy(&nested(2_000_000), 0, &[])).contains("objects"));
    // A dictionary that holds itself.
    assert!(refusal(&legacy(b"}q\x00X\x01\x00\x00\x00xh\x00s", 0, &[])).contains("x: a dictionary, not a tensor"));
    // A parameter of a parameter of … a list that holds itself.
    let parameter = b"ctorch._utils\n_rebuild_parameter\n]q\x00h\x00a\x85R";
    assert!(
        refusal(&legacy(&[b"}X\x01\x00\x00\x00x".as_slice(), parameter, b"s"].concat(), 0, &[])).contains("a list")
    );
    // One long list, made into a dictionary again and again.
    let pairs = [b"](".to_vec(), b"NN\x86".repeat(1000), b"eq\x00".to_vec()].concat();
    let again = b"ccollections\nOrderedDict\nh\x00\x85R".repeat(5000);
    assert!(refusal(&legacy(&[pairs, again].concat(), 0, &[])).contains("objects"));
}

#[test]
fn other_files_are_named_for_what_they_are() {
    for (bytes, named) in [
        (b"".as_slice(), "empty"),
        (b"PK\x03\x04archive/data.pkl", "zip archive"),
        (b"\x89PNG\r\n\x1a\n", "neither"),
        (b"\x80\x02cos\nsystem\n", "neither"),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff{}", "broken safetensors"),
        (b"\x02\x00\x00\x00\x00\x00\x00\x00{}x", "broken safetensors"),
    ] {
        let message = refusal(bytes);
        assert!(message.contains(named), "{named}: {message}");
    }
    let big_endian = std::fs::read(golden("views.pth")).unwrap();
    let at = big_endian.windows(13).position(|window| window == b"little_endian").unwrap();
    let mut big_endian = big_endian;
    let flag = at + big_endian[at..].iter().position(|&byte| byte == 0x88).unwrap();
    big_endian[flag] = 0x89;
    assert!(refusal(&big_endian).contains("big-endian"));
    assert!(matches!(Checkpoint::open("/nonexistent/weights.pth"), Err(Error::Io { .. })));
}

/// Changes to a file: at a place, so many bytes out, these bytes in.
fn edits() -> impl Strategy<Value = Vec<(prop::sample::Index, usize, Vec<u8>)>> {
    prop::collection::vec((any::<prop::sample::Index>(), 0..4_usize, prop::collection::vec(any::<u8>(), 0..4)), 1..6)
}

fn edited(name: &str, edits: &[(prop::sample::Index, usize, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = std::fs::read(golden(name)).unwrap();
    for (place, out, into) in edits {
        let start = place.index(bytes.len() + 1);
        let end = (start + out).min(bytes.len());
        bytes.splice(start..end, into.iter().copied());
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// A damaged file is read or refused; it neither panics nor asks for more memory than its size allows.
    #[test]
    fn damaged_files_do_no_harm(name in prop::sample::select(vec!["kinds.pth", "views.pth", "wrapped.pth", "kinds.safetensors"]), edits in edits()) {
        let bytes = edited(name, &edits);
        match read(&bytes) {
            Ok(checkpoint) => {
                let size = |tensor: &Tensor| tensor.numel() * tensor.kind().elt_size_in_bytes();
                let total: usize = checkpoint.tensors.values().map(size).sum();
                prop_assert!(total <= 4 * bytes.len());
            }
            Err(error) => prop_assert!(error.to_string().starts_with("some.pth: ")),
        }
    }
}
