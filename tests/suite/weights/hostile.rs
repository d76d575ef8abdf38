//! Files that are cut short, damaged, or made to do harm.

use super::*;
use crate::backbone::pretrained;
use cbam::backbone::Arch;

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
    for name in ["kinds.pt", "training-2.pth", "training-4.pth", "no-checksums.pt", "training-5.pth.tar"] {
        let whole = std::fs::read(checkpoint(name)).unwrap();
        for len in 0..whole.len() {
            refusal(&whole[..len]);
        }
        refusal(&[whole.as_slice(), b"0"].concat());
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

/// The dictionary of [`one_tensor`], with another pickled name.
fn one_tensor_named(name: &[u8]) -> Vec<u8> {
    [b"}".as_slice(), name, &one_tensor(3, 0, 2, 1)[7..]].concat()
}

/// A tensor of as many axes.
fn wide_tensor(axes: usize) -> Vec<u8> {
    let tensor = one_tensor(3, 0, 1, 1);
    let size = [int(1), b"\x85".to_vec()].concat();
    let at = tensor.windows(size.len()).position(|window| window == size).unwrap();
    [&tensor[..at], b"(", &b"K\x01".repeat(axes), b"t", &tensor[at + size.len()..]].concat()
}

/// A tensor whose seventh argument is a dictionary of as many entries.
fn tensor_with_bits(count: usize) -> Vec<u8> {
    let tensor = one_tensor(3, 0, 2, 1);
    let end = tensor.len() - b"tRs".len();
    [&tensor[..end], b"}(", &b"NN".repeat(count), b"utRs"].concat()
}

#[test]
fn the_hand_made_file_is_otherwise_sound() {
    let data: Vec<u8> = [1.0_f32, 2.0, 3.0].into_iter().flat_map(f32::to_le_bytes).collect();
    let checkpoint = read(&legacy(&one_tensor(3, 1, 2, 1), 3, &data)).unwrap();
    assert!(checkpoint.tensors["x"].values().as_ref() == [2.0, 3.0]);
    // An OrderedDict as Python 2 wrote it: OrderedDict([["x", tensor]]).
    let tensor = &one_tensor(3, 1, 2, 1)[7..];
    let python2 =
        [b"ccollections\nOrderedDict\n(](U\x01x".as_slice(), &tensor[..tensor.len() - 1], b"\x86etR"].concat();
    let checkpoint = read(&legacy(&python2, 3, &data)).unwrap();
    assert!(checkpoint.tensors["x"].values().as_ref() == [2.0, 3.0]);
}

#[test]
fn a_pickle_that_would_run_something_is_refused_by_name() {
    for (object, named) in [
        (b"cos\nsystem\nX\x02\x00\x00\x00id\x85R".as_slice(), "os.system"),
        (b"}X\x01\x00\x00\x00xcbuiltins\neval\nX\x02\x00\x00\x0042\x85Rs", "builtins.eval"),
        (b"ctorch\nload\n", "torch.load"),
        (b"ctorch._utils\n_rebuild_tensor_v2.__globals__\n", "__globals__"),
        (b"(X\x02\x00\x00\x00idios\nsystem\n", "INST"),
        (b"X\x02\x00\x00\x00osX\x06\x00\x00\x00system\x93", "os.system"),
        (b"\x8c\x05posix\x8c\x06system\x93\x8c\x02id\x85\x81", "posix.system"),
        (b"}X\x01\x00\x00\x00xccodecs\nopen\n)}\x92s", "codecs.open"),
        (b"ctorch.storage\n_load_from_bytes\n", "torch.storage._load_from_bytes"),
        (b"cbuiltins\ngetattr\n", "builtins.getattr"),
        (b"I42\n", "INT"),
        (b"(dios\n", "DICT"),
        (b"\x82\x01", "EXT1"),
        (b"\x80\x06", "protocol 6"),
        (b"\xff", "0xff"),
    ] {
        let message = refusal(&legacy(object, 0, &[]));
        assert!(message.contains(named), "{named}: {message}");
    }
}

#[test]
fn only_attributes_of_the_files_own_classes_are_taken() {
    let attribute = |of: &[u8], name: &str| {
        let name = [&[b'U', name.len() as u8], name.as_bytes()].concat();
        [b"}U\x01xcbuiltins\ngetattr\n".as_slice(), of, &name, b"\x86Rs"].concat()
    };
    for (of, name) in [
        (b"ctorch._utils\n_rebuild_tensor_v2\n".as_slice(), "x"),
        (b"cmy\nClass\n", "__globals__"),
        (b"cmy\nClass\n", "__class__"),
        (b"}", "get"),
        (b"U\x01a", "format"),
    ] {
        let message = refusal(&legacy(&attribute(of, name), 0, &[]));
        assert!(message.contains("builtins.getattr"), "{name}: {message}");
    }
    // An unknown class's is an object like another, and beside nothing there are no weights.
    let message = refusal(&legacy(&attribute(b"cmy\nClass\n", "LARGE"), 0, &[]));
    assert!(message.contains("without tensors; its entries are \"x\""), "{message}");
}

#[test]
fn opaque_objects_cannot_exhaust_the_memory_or_the_time() {
    // Objects of unknown classes without end; one into which all go; one that holds itself.
    let class = b"cmy\nClass\nq\x00";
    let many = [class.as_slice(), &b")\x81h\x00".repeat(1_100_000)].concat();
    assert!(refusal(&legacy(&many, 0, &[])).contains("objects"));
    let one = [class.as_slice(), b")\x81q\x01(", &b"h\x01".repeat(2_500_000), b"e"].concat();
    assert!(refusal(&legacy(&one, 0, &[])).contains("objects"));
    let itself = [class.as_slice(), b")\x81q\x01h\x01b"].concat();
    assert!(refusal(&legacy(&itself, 0, &[])).contains("my.Class"));
    // Many objects that share what is large, in a dictionary of weights.
    let shared = [class.as_slice(), b")\x81(", &b"NN\x86".repeat(100_000), b"tbq\x010"].concat();
    let holders = [b"}".as_slice(), &b"U\x01xh\x00h\x01\x85\x81s".repeat(100_000)].concat();
    let start = std::time::Instant::now();
    assert!(refusal(&legacy(&[shared, holders].concat(), 0, &[])).contains("without tensors"));
    assert!(start.elapsed() < std::time::Duration::from_secs(20), "{:?}", start.elapsed());
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
        (b"}X\x05\x00\x00\x00epochK\x03s".to_vec(), 3, "a dictionary without tensors; its entries are \"epoch\""),
        (one_tensor_named(b"K\x01"), 3, "name is an integer"),
        (b"}".to_vec(), 3, "not declared"),
        (wide_tensor(65), 3, "65 axes"),
        (tensor_with_bits(65), 3, "65 attributes"),
        (b"h\x07".to_vec(), 3, "no entry 7"),
        (b"K\x01(0".to_vec(), 3, "holds an integer"),
        (b"(K\x012".to_vec(), 3, "DUP"),
        (b"K\x01(R".to_vec(), 3, "empty stack"),
        (b"t".to_vec(), 3, "no mark"),
        (b"}(K\x01u".to_vec(), 3, "no value"),
        (b"X\xff\xff\xff\xffx".to_vec(), 3, "cut short"),
        (b"X\x01\x00\x00\x00\xff".to_vec(), 3, "UTF-8"),
        ([b"\x8a\xff".as_slice(), &[0; 255]].concat(), 3, "another object, not a dictionary"),
        (b"\x95\xff\xff\xff\xff\xff\xff\xff\xff}".to_vec(), 3, "a frame"),
        (b"K\x01K\x02\x93".to_vec(), 3, "not named by strings"),
        (b"}K\x01\x90".to_vec(), 3, "no mark"),
        (b"(K\x011}K\x010".to_vec(), 3, "stored but not declared"),
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
    assert!(refusal(&legacy(&nested(1_000_000), 0, &[])).contains("a dictionary without tensors"));
    assert!(refusal(&legacy(&nested(3_000_000), 0, &[])).contains("objects"));
    // A dictionary that holds itself, under every name that is looked for.
    assert!(refusal(&legacy(b"}q\x00X\x01\x00\x00\x00xh\x00s", 0, &[])).contains("without tensors"));
    let names = [b"model".as_slice(), b"net", b"state_dict", b"ema"];
    let cycles: Vec<u8> =
        names.iter().flat_map(|name| [b"U", [name.len() as u8].as_slice(), name, b"h\x00s"].concat()).collect();
    let tensor = one_tensor(3, 1, 2, 1);
    let cyclic = [b"}q\x00".as_slice(), &cycles, &tensor[1..]].concat();
    assert!(refusal(&legacy(&cyclic, 3, &[0; 12])).contains("by no usual name"));
    // Marks, and entries of the memo, without end.
    assert!(refusal(&legacy(&b"(".repeat(3_000_000), 0, &[])).contains("objects"));
    let puts: Vec<u8> = (0..3_000_000_u32).flat_map(|key| [b"r".as_slice(), &key.to_le_bytes()].concat()).collect();
    assert!(refusal(&legacy(&[b"}", puts.as_slice()].concat(), 0, &[])).contains("objects"));
    // One long tuple as the size of many tensors; parameters of parameters of parameters.
    let chain = [b"ctorch._utils\n_rebuild_parameter\nq\x01".as_slice(), b"N", b"\x85R".as_slice()].concat();
    let chain = [chain, b"q\x020h\x01h\x02\x85R".repeat(10)].concat();
    assert!(
        refusal(&legacy(&[b"}U\x01x".as_slice(), &chain, b"s"].concat(), 0, &[])).contains("x: a tensor in more than")
    );
    // A parameter of a parameter of … a list that holds itself.
    let parameter = b"ctorch._utils\n_rebuild_parameter\n]q\x00h\x00a\x85R";
    assert!(
        refusal(&legacy(&[b"}X\x01\x00\x00\x00x".as_slice(), parameter, b"s"].concat(), 0, &[])).contains("x: a list")
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
        (b"PK\x03\x04archive/data.pkl", "a broken zip archive"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b"\x28\xb5\x2f\xfd\x00", "zstd"),
        (b"\x08\x08\x12\x07pytorch\x1a\x062.11.0", "an ONNX model"),
        (b"\x08\x01\x12\x07\x0a\x05graph", "a TensorFlow model"),
        (b"\x1c\x00\x00\x00TFL3\x14\x00", "TensorFlow Lite"),
        (b"\x93NUMPY\x01\x00v", ".npy"),
        (b"GGUF\x03\x00\x00\x00", "GGUF"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (b"\n<!DOCTYPE html><html>", "a web page"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "a picture"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (b"\x89PNG\r\n\x1a\n", "a picture: neither"),
        (b"\x80\x02cos\nsystem\n", "a pickle, but not one that torch.save wrote"),
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
    assert!(matches!(Checkpoint::open("/nonexistent/weights.pth"), Err(ErrorKind::Io { .. })));
}

/// An archive of these stored records.
fn archive(records: &[(&str, &[u8])]) -> Vec<u8> {
    use std::io::Write;
    let mut out = Vec::new();
    let mut writer = rawzip::ZipArchiveWriter::new(&mut out);
    for (path, data) in records {
        let (mut entry, config) = writer.new_file(*path).start().unwrap();
        let mut content = config.wrap(&mut entry);
        content.write_all(data).unwrap();
        let (_, descriptor) = content.finish().unwrap();
        entry.finish(descriptor).unwrap();
    }
    writer.finish().unwrap();
    out
}

/// `one_tensor` as a whole pickle.
fn one_pickle(len: i64, offset: i64, size: i64, stride: i64) -> Vec<u8> {
    [b"\x80\x02".as_slice(), &one_tensor(len, offset, size, stride), b"."].concat()
}

#[test]
fn an_archive_that_contradicts_itself_is_refused() {
    let data: Vec<u8> = [1.0_f32, 2.0, 3.0].into_iter().flat_map(f32::to_le_bytes).collect();
    let object = one_pickle(3, 1, 2, 1);
    let sound: [(&str, &[u8]); 2] = [("a/b/data.pkl", &object), ("a/b/data/0", &data)];
    assert!(read(&archive(&sound)).unwrap().tensors["x"].values().as_ref() == [2.0, 3.0]);
    assert!(read(&archive(&[("data.pkl", &object), ("data/0", &data)])).is_ok());

    let longer = [object.as_slice(), b"."].concat();
    let with = |extra: (&'static str, &'static [u8])| archive(&[sound[0], sound[1], extra]);
    for (bytes, named) in [
        (archive(&sound[..1]), "storage \"0\": declared but not stored"),
        (archive(&[sound[0], ("b/data/0", &data)]), "declared but not stored"),
        (archive(&[sound[0], ("a/b/data/0", &data[..8])]), "declared with 3 elements, stored with 8 bytes"),
        (archive(&[("a/data.pkl", &longer), ("a/data/0", &data)]), "1 bytes are left after the pickle"),
        (archive(&[("a/data.pkl", &one_pickle(3, 0, 1 << 50, 0)), ("a/data/0", &data)]), "would take"),
        (archive(&[("a/data.pkl", &one_pickle(3, 0, 2, -1)), ("a/data/0", &data)]), "do not fit"),
        (archive(&[("a/data.pkl", &one_pickle(1 << 62, 0, 2, 1)), ("a/data/0", &data)]), "stored with 12 bytes"),
        (archive(&[("x.pkl", &object)]), "without data.pkl"),
        (with(("c/data.pkl", b"")), "more than one data.pkl"),
        (with(("a/b/data/0", b"")), "two records"),
        (with(("a/b/byteorder", b"big")), "big-endian"),
        (with(("a/b/byteorder", b"?")), "neither little nor big"),
        (with(("a/b/version", b"99\n")), "layout version 99"),
        (with(("a/b/version", b"three")), "not a number"),
        (with(("a/b/code/m.py", b"")), "TorchScript"),
        (with(("a/b/constants.pkl", b"")), "TorchScript"),
    ] {
        let message = refusal(&bytes);
        assert!(message.contains(named), "{named}: {message}");
    }
    let mut damaged = archive(&sound);
    let at = damaged.windows(12).position(|window| window == data).unwrap();
    damaged[at] ^= 1;
    assert!(refusal(&damaged).contains("data/0 is damaged"));
}

#[test]
fn an_archive_that_claims_more_than_it_holds_is_refused() {
    let data = [0; 64];
    let object = one_pickle(16, 0, 16, 1);
    let sound = archive(&[("a/data.pkl", &object), ("a/data/0", &data), ("a/data/1", &data)]);
    let header = |name: &[u8]| sound.windows(name.len()).rposition(|window| window == name).unwrap() - 46;
    let (zero, one) = (header(b"a/data/0"), header(b"a/data/1"));
    // The second storage is the first one again: its local header lies where the other's does.
    let mut overlapping = sound.clone();
    overlapping.copy_within(zero + 42..zero + 46, one + 42);
    assert!(refusal(&overlapping).contains("records overlap"));
    for (field, named) in [(20, "broken zip archive"), (24, "announced"), (42, "broken zip archive")] {
        let mut larger = sound.clone();
        larger[zero + field..zero + field + 4].copy_from_slice(&0x7fff_ffff_u32.to_le_bytes());
        let message = refusal(&larger);
        assert!(message.contains(named), "{named}: {message}");
    }
    // A zip bomb: a gigabyte of zeros that deflate packs into a megabyte is named, not unpacked.
    let mut bomb = sound.clone();
    bomb[zero + 10] = 8;
    bomb[zero + 24..zero + 28].copy_from_slice(&0x4000_0000_u32.to_le_bytes());
    assert!(refusal(&bomb).contains("data/0 is compressed (deflate)"));
    // More records announced than there are.
    let mut more = sound.clone();
    let end = more.len() - 22;
    more[end + 8..end + 12].copy_from_slice(&[0xff, 0x7f, 0xff, 0x7f]);
    assert!(refusal(&more).contains("32767 announced"));
}
