//! Pictures from elsewhere, and maps that are told.

use std::fs;

use ndarray::{Array1, array};

use super::bench::{Bench, Fake};
use crate::Error;
use crate::pipeline::{Elsewhere, Job, KeptMap, Source};

#[test]
fn pictures_come_from_elsewhere_and_their_maps_are_told() {
    let mut bench = Bench::new();
    bench.options.maps = ["spatial", "channel:stage5"].map(|name| name.parse().unwrap()).into();
    let mut jobs: Vec<Job> = (0..9u8)
        .map(|index| {
            let file = bench.grey(&format!("{index}.png"), (60 + u32::from(index % 3), 40), 10 * index);
            let path = file.source.name().to_owned();
            let read = move || fs::read(&path).map_err(Error::io(&path));
            let source = Source::Elsewhere(Elsewhere::new(format!("tar/{index}.png"), read));
            Job { keep: true, ..Job::new(source) }
        })
        .collect();
    let broken = || Err(Error::photo("tar/x.png", "the archive ends within it"));
    jobs.insert(4, Job { keep: true, ..Job::new(Source::Elsewhere(Elsewhere::new("tar/x.png", broken))) });
    jobs[2].keep = false;
    let done = bench.run(&jobs, &mut Fake::default());
    let names: Vec<_> = done.iter().map(|(name, _)| name.to_str().unwrap()).collect();
    assert_eq!(names[..6], ["tar/0.png", "tar/1.png", "tar/2.png", "tar/3.png", "tar/x.png", "tar/4.png"]);
    assert!(done[4].1.as_ref().unwrap_err().to_string().contains("tar/x.png: the archive ends within it"));
    for (index, (name, outcome)) in done.iter().enumerate().filter(|(index, _)| *index != 4) {
        let report = outcome.as_ref().unwrap();
        assert_eq!(report.input, name.display().to_string());
        if index == 2 {
            assert!(report.kept.is_empty());
            continue;
        }
        let b = 10.0 * f32::from(name.file_stem().unwrap().to_str().unwrap().parse::<u8>().unwrap()) / 255.0;
        let [(spatial, KeptMap::Map(map)), (channel, KeptMap::Channels(gate))] = &report.kept[..] else {
            panic!("{:?}", report.kept)
        };
        assert_eq!([spatial.to_string(), channel.to_string()], ["spatial", "channel:stage5"]);
        assert_eq!(map.statistics(), report.maps["spatial:stage5"]);
        let map = map.values();
        assert!((map - &array![[b, 0.0, 0.0]]).iter().all(|d| d.abs() < 1e-5), "{map}");
        assert!((gate - &Array1::linspace(0.0, b, 7)).iter().all(|d| d.abs() < 1e-5), "{gate}");
    }
}
