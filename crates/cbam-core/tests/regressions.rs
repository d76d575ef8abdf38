//! Files that once broke a reader: they are read or refused, and take no more memory than they are worth.

use std::collections::BTreeMap;
use std::path::Path;

use cbam_core::photo::{Limits, Photo, decode};
use cbam_core::weights::{Checkpoint, Dtype, StoredTensor};

/// A file of the tests.
fn file(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests").join(name)).unwrap()
}

fn picture(name: &str) -> cbam_core::Result<Photo> {
    decode(name.as_ref(), &file(&format!("regressions/pictures/{name}")), &Limits::default())
}

/// The most that this process has asked for, in KiB, as the kernel tells it.
#[cfg(target_os = "linux")]
fn most_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// 70 bytes of which one chunk says that it has 2 GB.
#[cfg(target_os = "linux")]
#[test]
fn metadata_of_a_webp_take_no_more_memory_than_there_is_of_them() {
    let before = most_memory();
    let photo = picture("webp_exif_2GB.webp").unwrap();
    assert_eq!((photo.size().width, photo.size().height), (1, 1));
    let more = most_memory() - before;
    assert!(more < 1 << 20, "{more} KiB");
}

/// Metadata that are there count: 3 by 2 pixels, which EXIF turns on their side.
#[test]
fn a_webp_is_turned_as_its_exif_says() {
    const TURNED: &[u8] = b"RIFFR\0\0\0WEBPVP8X\n\0\0\0\x08\0\0\0\x02\0\0\x01\0\0VP8L\x11\0\0\0/\x02@\0\0\x07P\x85\"W\xa1\xff\x81\x88\xe8\x7f\0\0\
        EXIF\x1a\0\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    assert_eq!(TURNED.len(), 90);
    let size = decode("turned.webp".as_ref(), TURNED, &Limits::default()).unwrap().size();
    assert_eq!((size.width, size.height), (2, 3));
}

/// Its packets were read as packed bits, and so as more pixels than it has.
#[test]
fn a_tiff_of_coarser_chroma_in_few_bits_is_refused() {
    let message = picture("tiff_chroma_1bit.tiff").unwrap_err().to_string();
    assert!(message.contains("luma and coarser chroma (YCbCr) of 1 bits"), "{message}");
}

/// Its palette would end behind the last place that 32 bits count. With the compiler's checks on that was a panic, else another place.
#[test]
fn a_bmp_whose_pixels_begin_at_the_end_of_all_numbers_is_refused() {
    let message = picture("bmp_palette_behind_4GiB.bmp").unwrap_err().to_string();
    assert!(!message.contains("the decoder failed on it"), "{message}");
}

#[test]
fn zeros_take_no_memory_in_another_shape_either() {
    let zeros = StoredTensor::zeros(Dtype::F32, &[1 << 40, 6]).unwrap();
    let other = zeros.reshape(&[3, 1 << 41]).unwrap();
    assert_eq!((other.len(), other.shape()), (zeros.len(), &[3, 1 << 41][..]));
    assert!(zeros.reshape(&[3, 1 << 40]).is_err());
    let few = StoredTensor::zeros(Dtype::F32, &[2, 3]).unwrap().reshape(&[6]).unwrap();
    assert_eq!(*few.values(), [0.0; 6]);
}

/// A classifier of two layers, through one number: as one layer it has 512 times as many weights as the file holds of it.
#[test]
fn a_narrow_classifier_asks_for_no_more_memory_than_a_wide_one() {
    let text = String::from_utf8(file("golden/layouts/layouts.txt")).unwrap();
    let resnet = text.split("= ").find(|part| part.starts_with("official cbam resnet18\n")).unwrap();
    let with_classes = |classes: i64| {
        let lines = resnet.lines().skip(1).filter(|line| !line.starts_with("fc."));
        let mut tensors = BTreeMap::new();
        let layers = format!("fc.0.weight 1 512\nfc.0.bias 1\nfc.1.weight {classes} 1\nfc.1.bias {classes}");
        for line in lines.chain(layers.lines()) {
            let (norm, line) = line.strip_prefix("~ ").map_or((false, line), |line| (true, line));
            let mut words = line.split(' ');
            let name = words.next().unwrap();
            let shape: Vec<i64> = words.map(|word| word.parse().unwrap()).collect();
            let parts = if norm { &["weight", "bias", "running_mean", "running_var"][..] } else { &[""] };
            for part in parts {
                let name = if norm { format!("{name}.{part}") } else { name.to_owned() };
                tensors.insert(name, StoredTensor::zeros(Dtype::F32, &shape).unwrap());
            }
        }
        Checkpoint::new(tensors, BTreeMap::new()).recognise()
    };
    assert_eq!(with_classes(7).unwrap().classes, 7);
    let message = with_classes(1 << 20).unwrap_err().to_string();
    assert!(message.contains("two layers that would be one of 1048576 outputs and 512 inputs"), "{message}");
}
