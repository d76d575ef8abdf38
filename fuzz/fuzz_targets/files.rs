//! Tar archives of pictures, caches of scores, names of classes.
#![no_main]

use cbam_core::classes::read_labels;
use cbam_core::eval::{PictureSource, Remarks, ScoreCache};
use libfuzzer_sys::fuzz_target;

/// The longest picture of an archive.
const MOST: u64 = 1 << 16;

fn tar(data: &[u8]) {
    let source = PictureSource::Tar(cbam_fuzz::file("pictures.tar", data));
    let Ok(names) = source.names(&mut Remarks::default()) else { return };
    let names: Vec<&str> = names.iter().map(String::as_str).chain(["missing.jpg"]).collect();
    let mut visits = vec![0; names.len()];
    let visited = source.visit(&names, MOST, |place, bytes| {
        visits[place] += 1;
        assert!(bytes.is_err() || bytes.is_ok_and(|bytes| bytes.len() as u64 <= MOST));
        Ok(())
    });
    if visited.is_ok() {
        assert!(visits.iter().all(|visits| *visits == 1), "{names:?} {visits:?}");
    }
}

fn cache(data: &[u8]) {
    let folder = cbam_fuzz::folder().join("cache");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(ScoreCache::file(&folder), data).expect("a cache");
    let mut cache = ScoreCache::open(&folder).expect("a cache of any content opens");
    let lines = data.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
    assert!(cache.len() + cache.broken() <= lines);
    cache.put("key", &[1.5, 2.0]).expect("a score is kept");
    let again = ScoreCache::open(&folder).expect("a cache opens again");
    assert_eq!((again.get::<[f64; 2]>("key"), again.broken()), (Some([1.5, 2.0]), cache.broken()));
}

fn labels(data: &[u8]) {
    if let Ok(labels) = read_labels(cbam_fuzz::file("labels.txt", data)) {
        assert!(!labels.is_empty() && labels.iter().all(|label| !label.is_empty() && label.trim() == label));
    }
}

fuzz_target!(init: cbam_fuzz::begin(), |data: &[u8]| {
    let Some((kind, data)) = data.split_first() else { return };
    match kind % 3 {
        0 => tar(data),
        1 => cache(data),
        _ => labels(data),
    }
});
