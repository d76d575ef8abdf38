//! Files of every format, damaged in every way: by a law in the suite, and for as long as one likes.

use std::io::Write;
use std::time::{Duration, Instant};

use super::*;
use proptest::prelude::{ProptestConfig, proptest};
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The files that are damaged.
fn seeds() -> Vec<Vec<u8>> {
    let mut paths: Vec<PathBuf> = ["tests/golden/weights", "tests/golden/checkpoints"]
        .into_iter()
        .flat_map(|folder| std::fs::read_dir(file(folder)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension != "py"))
        .collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// One damaged file, the same for the same number.
fn damaged(seeds: &[Vec<u8>], number: u64) -> Vec<u8> {
    let mut random = ChaCha8Rng::seed_from_u64(number);
    let mut bytes = seeds.choose(&mut random).unwrap().clone();
    if bytes.starts_with(b"PK") && random.random_bool(0.7) {
        return rebuilt(&bytes, &mut random).unwrap_or(bytes);
    }
    if random.random_bool(0.05) {
        let other = seeds.choose(&mut random).unwrap();
        let (from, to) = (random.random_range(0..=other.len()), random.random_range(0..=bytes.len()));
        bytes.splice(to.., other[from..].iter().copied());
    }
    damage(&mut bytes, &mut random);
    bytes
}

/// Changes a few places.
fn damage(bytes: &mut Vec<u8>, random: &mut ChaCha8Rng) {
    const NUMBERS: [u64; 12] =
        [0, 1, 2, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, 1 << 40, i64::MAX as u64, u64::MAX];
    for _ in 0..random.random_range(1..=6) {
        let at = random.random_range(0..=bytes.len());
        let left = bytes.len() - at;
        match random.random_range(0..8) {
            0 if left > 0 => bytes[at] ^= 1 << random.random_range(0..8),
            1 | 2 if left > 0 => bytes[at] = random.random(),
            3 => {
                let width = *[1, 2, 4, 8].choose(random).unwrap();
                let number = NUMBERS.choose(random).unwrap().to_le_bytes();
                bytes.splice(at..at + width.min(left), number[..width].iter().copied());
            }
            4 => bytes.insert(at, random.random()),
            5 => drop(bytes.drain(at..at + random.random_range(0..=left.min(16)))),
            6 => {
                let again = bytes[at..at + random.random_range(0..=left.min(64))].to_vec();
                let to = random.random_range(0..=bytes.len());
                bytes.splice(to..to, again);
            }
            7 if random.random_bool(0.1) => bytes.truncate(at),
            _ => {}
        }
    }
}

/// The archive with damaged records, sound around them.
fn rebuilt(bytes: &[u8], random: &mut ChaCha8Rng) -> Option<Vec<u8>> {
    let archive = rawzip::ZipArchive::from_slice(bytes).ok()?;
    let mut out = Vec::new();
    let mut writer = rawzip::ZipArchiveWriter::new(&mut out);
    for header in archive.entries() {
        let header = header.ok()?;
        let mut path = String::from_utf8_lossy(header.file_path().as_bytes()).into_owned();
        let mut data = archive.get_entry(header.wayfinder()).ok()?.data().to_vec();
        let chance = if path.ends_with("data.pkl") { 0.9 } else { 0.1 };
        if random.random_bool(chance) {
            damage(&mut data, random);
        }
        match random.random_range(0..200) {
            0 => continue,
            1 => path.push('x'),
            _ => {}
        }
        let (mut entry, config) = writer.new_file(&path).start().ok()?;
        let mut content = config.wrap(&mut entry);
        content.write_all(&data).ok()?;
        let (_, descriptor) = content.finish().ok()?;
        entry.finish(descriptor).ok()?;
    }
    writer.finish().ok()?;
    Some(out)
}

/// Reads a file, which is read or refused, without a panic and without more memory than its size allows. Whether it was
/// read.
fn try_to_read(bytes: &[u8]) -> bool {
    match read(bytes) {
        Ok(checkpoint) => {
            let _ = checkpoint.recognise();
            let size = |tensor: &StoredTensor| tensor.bytes().len();
            let total: usize = checkpoint.tensors.values().map(size).sum();
            assert!(total <= 4 * bytes.len(), "{total} bytes of tensors from {} bytes", bytes.len());
            true
        }
        Err(error) => {
            assert!(error.to_string().starts_with("some.pth: "), "{error}");
            false
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn a_damaged_file_is_read_or_refused(number: u64) {
        static SEEDS: std::sync::LazyLock<Vec<Vec<u8>>> = std::sync::LazyLock::new(seeds);
        try_to_read(&damaged(&SEEDS, number));
    }
}

/// `FUZZ_SECONDS=600 cargo test --release fuzz -- --ignored --nocapture`; `FUZZ_SEED` repeats a run.
#[test]
#[ignore = "runs for as many seconds as FUZZ_SECONDS says, 60 if it says nothing"]
fn fuzz_weights_files() {
    let number = |name: &str, otherwise: u64| std::env::var(name).map_or(otherwise, |text| text.parse().unwrap());
    let seconds = number("FUZZ_SECONDS", 60);
    let first = number("FUZZ_SEED", crate::any_number());
    println!("from seed {first}; memory at the start {}", peak_memory());
    let (seeds, start) = (seeds(), Instant::now());
    let (mut count, mut sound) = (0_u64, 0_u64);
    let mut longest = (Duration::ZERO, first);
    while start.elapsed() < Duration::from_secs(seconds) {
        let seed = first.wrapping_add(count);
        let bytes = damaged(&seeds, seed);
        let before = Instant::now();
        let read = std::panic::catch_unwind(|| try_to_read(&bytes));
        sound += u64::from(read.unwrap_or_else(|_| panic!("seed {seed} breaks the reader")));
        longest = longest.max((before.elapsed(), seed));
        count += 1;
    }
    println!(
        "{count} files in {seconds} s, {sound} of them read; the slowest took {:?} (seed {}); peak memory {}",
        longest.0,
        longest.1,
        peak_memory()
    );
}

/// The most memory that this process has held, as the kernel tells it.
fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or_else(|| "unknown".to_owned(), |line| line.trim().to_owned())
}
