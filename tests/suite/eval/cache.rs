//! Kept scores: what is kept, what is broken, and what a kill leaves behind.

use std::fs::{self, OpenOptions};
use std::io::Write;

use cbam::eval::ScoreCache;
use proptest::prelude::*;

#[test]
fn scores_come_back_exactly_and_the_last_one_counts() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (ScoreCache::key(&[b"a"]), ScoreCache::key(&[b"b"]));
    let mut cache = ScoreCache::open(folder.path()).unwrap();
    let score = vec![0.1_f64 + 0.2, 1.0 / 3.0, f64::MIN_POSITIVE];
    cache.put(&a, &vec![1.0]).unwrap();
    cache.put(&a, &score).unwrap();
    drop(cache);
    let cache = ScoreCache::open(folder.path()).unwrap();
    assert_eq!((cache.get::<Vec<f64>>(&a), cache.get::<Vec<f64>>(&b)), (Some(score), None));
    assert_eq!((cache.len(), cache.broken()), (1, 0));
    assert_eq!(cache.get::<String>(&a), None, "of another type");
}

#[test]
fn a_line_that_a_kill_cut_short_is_left_out_and_the_next_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scores.cache");
    let key = |name: &str| ScoreCache::key(&[name.as_bytes()]);
    let mut cache = ScoreCache::open(folder.path()).unwrap();
    cache.put(&key("one"), &1).unwrap();
    cache.put(&key("two"), &2).unwrap();
    drop(cache);
    let whole = fs::read(&path).unwrap();
    for cut in whole.len() / 2 + 1..whole.len() - 1 {
        fs::write(&path, &whole[..cut]).unwrap();
        let mut cache = ScoreCache::open(folder.path()).unwrap();
        assert_eq!((cache.get(&key("one")), cache.get::<i32>(&key("two"))), (Some(1), None), "{cut}");
        assert_eq!(cache.broken(), 1);
        cache.put(&key("three"), &3).unwrap();
        drop(cache);
        let cache = ScoreCache::open(folder.path()).unwrap();
        assert_eq!((cache.get(&key("one")), cache.get(&key("three"))), (Some(1), Some(3)));
    }
}

#[test]
fn a_changed_byte_is_never_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scores.cache");
    let key = ScoreCache::key(&[b"x"]);
    ScoreCache::open(folder.path()).unwrap().put(&key, &12345).unwrap();
    let whole = fs::read(&path).unwrap();
    for place in 0..whole.len() - 1 {
        let mut bytes = whole.clone();
        bytes[place] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let cache = ScoreCache::open(folder.path()).unwrap();
        assert_eq!(cache.get::<i32>(&key), None, "byte {place}");
        assert!(cache.broken() >= 1);
    }
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"\xff\xfe not text\n\n").unwrap();
    assert!(ScoreCache::open(folder.path()).is_ok());
}

#[test]
fn a_cache_in_memory_writes_nothing_and_a_folder_that_is_a_file_is_an_error() {
    let mut cache = ScoreCache::in_memory();
    cache.put("k", &1).unwrap();
    assert_eq!(cache.get("k"), Some(1));
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), b"").unwrap();
    assert!(ScoreCache::open(&folder.path().join("file")).is_err());
}

proptest! {
    #[test]
    fn the_key_knows_where_a_part_ends(a in ".{0,8}", b in ".{0,8}", cut in 0_usize..8) {
        let whole = format!("{a}{b}");
        let cut = (0..=whole.len()).filter(|place| whole.is_char_boundary(*place)).nth(cut).unwrap_or(0);
        let (c, d) = whole.split_at(cut);
        let same = (a.as_str(), b.as_str()) == (c, d);
        let key = |x: &str, y: &str| ScoreCache::key(&[x.as_bytes(), y.as_bytes()]);
        prop_assert_eq!(key(&a, &b) == key(c, d), same);
    }
}
