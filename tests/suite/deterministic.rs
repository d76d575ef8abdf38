//! The same bits for the same picture.

use std::path::Path;

use cbam::backbone::Arch;
use cbam::model::{Model, Question};
use cbam::network::{Network, NetworkConfig};
use cbam::photo::{Photo, Resampled};
use tch::Device;

const PHOTOS: [&str; 4] = ["astronaut.jpg", "chelsea.jpg", "coffee.jpg", "rocket.jpg"];
const ASSETS: &str = "assets/images";

/// Pictures of one size, as a network takes them.
fn pictures(network: &Network) -> Vec<Resampled> {
    let mut preprocess = network.config().preprocess();
    preprocess.short_side = 96;
    let photos = PHOTOS.iter().map(|name| {
        image::open(crate::file(Path::new(ASSETS).join(name))).unwrap().resize_exact(
            130,
            97,
            image::imageops::FilterType::Triangle,
        )
    });
    photos.map(|photo| preprocess.resample(&Photo::from(photo)).unwrap()).collect()
}

#[test]
fn a_picture_gives_the_same_bits_in_any_batch_and_with_any_threads() {
    let attentive = || Network::pretrained(Device::Cpu).unwrap();
    let official = || Network::new(NetworkConfig::official_cbam(Arch::ResNet18).unwrap(), Device::Cpu).unwrap();
    for network in [attentive().for_inference(), official().for_inference()] {
        assert!(network.unwrap().one_by_one().is_one_by_one());
    }
    for (network, fast) in [(attentive(), true), (official(), true), (official(), false)] {
        let (arch, pictures) = (network.config().arch, pictures(&network));
        let network = network.one_by_one();
        let network = if fast { network.to_look().unwrap() } else { Box::new(network) };
        let all: Vec<&Resampled> = pictures.iter().collect();
        let look = |pictures: &[&Resampled]| {
            let looks = network.look(pictures, &Question::default()).unwrap();
            looks.iter().map(|look| serde_json::to_string(&look.readout).unwrap()).collect::<Vec<_>>()
        };
        let alone: Vec<String> = all.iter().flat_map(|picture| look(&[picture])).collect();
        assert_ne!(alone[0], alone[1]);
        let turned: Vec<&Resampled> = all.iter().rev().copied().collect();
        assert!(look(&all) == alone && look(&all[..3]) == alone[..3], "{}", arch);
        let again: Vec<String> = look(&turned).into_iter().rev().collect();
        assert!(again == alone, "{arch}");
    }
}

#[test]
fn runs_with_other_threads_and_batches_write_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    for photo in PHOTOS {
        let picture = image::open(crate::file(Path::new(ASSETS).join(photo))).unwrap();
        for (copy, size) in [(1, [200, 130]), (2, [200, 130]), (3, [131, 190])] {
            let small = picture.resize_exact(size[0] + copy, size[1] + copy, image::imageops::FilterType::Triangle);
            small.save(folder.path().join(format!("{copy}-{}", photo.replace(".jpg", ".png")))).unwrap();
        }
    }
    let outputs = tempfile::tempdir().unwrap();
    let run = |out: &str, more: &str| {
        let out = outputs.path().join(out);
        let mut command = crate::program("cbam-run");
        command.current_dir(folder.path()).args([".", "--device", "cpu", "--deterministic", "--size", "96"]);
        command.args(["--map", "fused", "--map", "patch", "--map", "layercam:stage5", "--map", "spatial", "--quiet"]);
        command.arg("--out-dir").arg(out.join("o")).arg("--maps-dir").arg(out.join("m")).args(more.split(' '));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{more}: {}", String::from_utf8_lossy(&output.stderr));
        let files = walkdir::WalkDir::new(&out).sort_by_file_name();
        let files = files.into_iter().map(Result::unwrap).filter(|entry| entry.file_type().is_file());
        files.map(|file| (file.file_name().to_owned(), std::fs::read(file.path()).unwrap())).collect::<Vec<_>>()
    };
    let first = run("a", "--threads 1 --batch-size 1");
    assert_eq!(first.len(), 4 * 12 + 4 * 12);
    for (out, more) in [("b", "--threads 2 --batch-size 3"), ("c", "--threads 3"), ("d", "--threads 2 --batch-size 16")]
    {
        let other = run(out, more);
        for (file, expected) in other.iter().zip(&first) {
            assert!(file == expected, "{more}: {:?}", file.0);
        }
    }
}
