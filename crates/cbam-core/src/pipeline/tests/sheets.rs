//! Several maps of a picture: on one sheet, or an overlay for each.

use super::bench::{Bench, Fake, many, picture};
use super::*;
use crate::render::PictureFormat;

#[test]
fn a_comparison_stands_where_the_overlay_would() {
    let mut bench = Bench::new();
    bench.options.maps = ["gradcam", "fused", "spatial", "channel:stage5"].map(|name| name.parse().unwrap()).into();
    let mut jobs = many(&bench);
    jobs.truncate(3);
    for job in &mut jobs {
        job.maps.clear();
    }
    let mut sheets = |compare, scale| {
        bench.options = Options { compare, scale, ..bench.options.clone() };
        for (_, outcome) in bench.run(&jobs, &mut Fake::default()) {
            assert_eq!(outcome.unwrap().outputs.len(), 1);
        }
        picture(&bench.path("out/01.png"))
    };
    let overlay = sheets(false, Scale::Image);
    assert_eq!((overlay.width(), overlay.height()), (50, 70));
    let each = sheets(true, Scale::Image);
    assert!(each.width() > 600 && each.height() > 300, "{}x{}", each.width(), each.height());
    let (run, fixed) = (sheets(true, Scale::Run), sheets(true, Scale::Fixed(0.0, 2.0)));
    assert_eq!((run.width(), fixed.width()), (each.width(), each.width()));
    assert_ne!(run, each, "every map has the run's limits, not only the first");
    assert_ne!(fixed, each);
}

#[test]
fn every_map_has_an_overlay_or_one_has() {
    let mut bench = Bench::new();
    bench.options.maps = ["gradcam", "spatial", "channel:stage5"].map(|name| name.parse().unwrap()).into();
    let mut job = bench.grey("a.png", (60, 40), 200);
    job.maps.clear();
    let to = |name: &str| Destination { target: Target::File(bench.path(name)), format: PictureFormat::Png };
    job.overlays = vec![to("0.png"), to("1.png"), to("2.png")];
    let report = bench.run(&[job.clone()], &mut Fake::default()).remove(0).1.unwrap();
    assert_eq!(report.outputs.len(), 3);
    let drawn = ["0.png", "1.png", "2.png"].map(|name| picture(&bench.path(name)));
    assert!(drawn[0] != drawn[1] && drawn[1] != drawn[2]);
    for (count, compare) in [(2, false), (3, true)] {
        let job = Job { overlays: job.overlays[..count].to_vec(), ..job.clone() };
        let options = Options { compare, ..bench.options.clone() };
        let mut network = Fake::default();
        let refused = run(&[job], &options, || Ok(&mut network), &bench.cancel, |_| ()).unwrap_err();
        assert!(refused.to_string().contains("overlays"), "{refused}");
    }
}
