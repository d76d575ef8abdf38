//! Whole runs, with a network whose answers are known.

mod bench;
mod kept;
mod sheets;

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use ndarray::{Array1, array};
use ndarray_npy::ReadNpyExt;

use super::*;
use crate::render::PictureFormat;
use crate::{Error, Result};
use bench::{Bench, Fake, many, npy, of_three_sizes, picture};

#[test]
fn every_picture_is_done_in_order_in_batches_of_one_size() {
    let bench = Bench::new();
    let jobs = many(&bench);
    let mut network = Fake { labels: vec!["a".into(), "b".into(), "c".into()], ..Fake::default() };
    let done = bench.run(&jobs, &mut network);
    assert_eq!(done.len(), 24);
    for (index, (name, outcome)) in done.iter().enumerate() {
        let report = outcome.as_ref().unwrap();
        assert!(name.ends_with(format!("{index:02}.png")), "{name:?} came at {index}");
        let b = 10.0 * index as f32 / 255.0;
        let map = npy(&bench.path(&format!("out/{index:02}.png.npy")));
        assert!((&map - &array![[b, 0.0, 0.0]]).iter().all(|d| d.abs() < 1e-5), "{index}: {map}");
        let drawn = picture(&bench.path(&format!("out/{index:02}.png")));
        assert_eq!((drawn.width(), drawn.height()), (report.size.width, report.size.height));
        assert_eq!(report.top[0].label, "c");
        assert_eq!(report.channels["stage5"][0].channel, if index == 0 { 0 } else { 6 });
        assert!((report.maps["spatial:stage5"].max - b).abs() < 1e-5);
        assert_eq!(report.outputs.len(), 2);
    }
    let batches = network.batches.into_inner().unwrap();
    assert_eq!(batches.iter().sum::<usize>(), 24);
    assert!(batches.iter().all(|batch| *batch <= 4), "{batches:?}");
}

#[test]
fn a_bad_picture_is_named_and_stops_nothing() {
    let bench = Bench::new();
    let mut jobs = many(&bench);
    fs::write(bench.path("text.png"), "no picture").unwrap();
    jobs.insert(5, bench.job("text.png"));
    jobs.insert(9, bench.job("absent.png"));
    let done = bench.run(&jobs, &mut Fake::default());
    let failed: Vec<_> = done.iter().enumerate().filter(|(_, (_, outcome))| outcome.is_err()).collect();
    assert_eq!(failed.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [5, 9]);
    for (_, (name, outcome)) in failed {
        let message = outcome.as_ref().unwrap_err().to_string();
        assert!(message.starts_with(&name.display().to_string()), "{message}");
    }
    assert_eq!(done.len(), 26);
}

#[test]
fn one_picture_cannot_fail_its_batch() {
    let bench = Bench::new();
    let jobs: Vec<_> =
        (0..8).map(|i| bench.grey(&format!("{i}.png"), (40, 40), if i == 3 { 250 } else { 20 })).collect();
    let done = bench.run(&jobs, &mut Fake { too_bright: Some(0.9), ..Fake::default() });
    for (index, (name, outcome)) in done.iter().enumerate() {
        assert_eq!(outcome.is_err(), index == 3, "{index}: {outcome:?}");
        if let Err(error) = outcome {
            let message = error.to_string();
            assert!(message.contains(&name.display().to_string()) && message.contains("too bright"), "{message}");
        }
    }
}

#[test]
fn an_output_that_cannot_be_written_is_that_pictures_error() {
    let bench = Bench::new();
    let mut jobs = many(&bench);
    fs::write(bench.path("file"), "").unwrap();
    jobs[2].maps = vec![bench.path("file/below.npy")];
    let done = bench.run(&jobs, &mut Fake::default());
    assert_eq!(done.iter().filter(|(_, outcome)| outcome.is_ok()).count(), 23);
    assert!(done[2].1.as_ref().unwrap_err().to_string().contains("file"), "{:?}", done[2].1);
}

#[test]
fn the_scale_of_the_run_is_that_of_its_extremes() {
    let mut bench = Bench::new();
    let mut jobs = many(&bench);
    jobs[0].panel = Some(Destination { target: Target::File(bench.path("panel.png")), format: PictureFormat::Png });
    fs::write(bench.path("text.png"), "no picture").unwrap();
    jobs.push(bench.job("text.png"));
    let outputs = |bench: &Bench, scale: Scale| {
        let bench = Bench {
            options: Options { scale, ..bench.options.clone() },
            folder: tempfile::tempdir().unwrap(),
            cancel: AtomicBool::new(false),
        };
        let mut jobs = jobs.clone();
        for (index, job) in jobs.iter_mut().enumerate() {
            job.overlays[0].target = Target::File(bench.path(&format!("{index}.png")));
            job.panel = None;
            job.maps = Vec::new();
        }
        let done = bench.run(&jobs, &mut Fake::default());
        let failed = done.iter().position(|(_, outcome)| outcome.is_err());
        assert_eq!((done.len(), failed), (25, Some(24)));
        (0..24).map(|index| picture(&bench.path(&format!("{index}.png")))).collect::<Vec<_>>()
    };
    let run = outputs(&bench, Scale::Run);
    // The least value of any map is 0, the greatest that of the brightest picture.
    assert_eq!(run, outputs(&bench, Scale::Fixed(0.0, 230.0 / 255.0)));
    assert_ne!(run, outputs(&bench, Scale::Image));

    // Everything else that a job asks for is made in two passes as in one.
    bench.options.scale = Scale::Run;
    let done = bench.run(&jobs, &mut Fake::default());
    assert_eq!(done[0].1.as_ref().unwrap().outputs.len(), 3);
    assert!(bench.path("panel.png").is_file());
    let message = done[24].1.as_ref().unwrap_err().to_string();
    assert_eq!(message.matches("text.png").count(), 1, "{message}");
}

#[test]
fn two_passes_tell_their_progress() {
    let mut bench = Bench::new();
    bench.options.scale = Scale::Run;
    let jobs = many(&bench);
    let (mut looked, mut done) = (0, 0);
    let mut network = Fake::default();
    let tell = |event: Event<'_>| match event {
        Event::Looked => {
            assert_eq!(done, 0);
            looked += 1;
        }
        Event::Explaining { .. } => panic!("{event:?}"),
        Event::Done { .. } => done += 1,
    };
    run(&jobs, &bench.options, || Ok(&mut network), &bench.cancel, tell).unwrap();
    assert_eq!((looked, done), (24, 24));
}

#[test]
fn points_are_pixels_of_each_picture() {
    let mut bench = Bench::new();
    bench.options.maps = vec![MapName::PatchAt(45, 9)];
    let jobs = many(&bench);
    let done = bench.run(&jobs, &mut Fake::default());
    for (index, (_, outcome)) in done.iter().enumerate() {
        match index % 3 {
            2 => assert!(outcome.as_ref().unwrap_err().to_string().contains("40x40"), "{outcome:?}"),
            small => {
                let (width, height) = [(64.0, 48.0), (50.0, 70.0)][small];
                let map = npy(&bench.path(&format!("out/{index:02}.png.npy")));
                assert!(
                    (map[(0, 0)] - 45.5 / width).abs() < 1e-6 && (map[(0, 1)] - 9.5 / height).abs() < 1e-6,
                    "{map}"
                );
                assert!(outcome.as_ref().unwrap().maps.contains_key("patch@45,9"));
            }
        }
    }
}

#[test]
fn a_channel_gate_is_drawn_as_bars_and_saved_as_a_vector() {
    let mut bench = Bench::new();
    bench.options.maps = vec![MapName::Channel("stage5".into())];
    let jobs = [bench.grey("a.png", (80, 60), 128)];
    bench.run(&jobs, &mut Fake::default()).remove(0).1.unwrap();
    let saved = Array1::<f32>::read_npy(fs::File::open(bench.path("out/a.png.npy")).unwrap()).unwrap();
    assert_eq!(saved.len(), 7);
    assert_eq!(picture(&bench.path("out/a.png")).width(), 80);
}

#[test]
fn cancelling_ends_the_run_and_leaves_whole_files() {
    for scale in [Scale::Image, Scale::Run] {
        let mut bench = Bench::new();
        bench.options.scale = scale;
        let jobs = of_three_sizes(&bench, 100);
        let mut told = 0;
        let tell = |event: Event<'_>| {
            if let Event::Done { .. } = event {
                told += 1;
                bench.cancel.store(true, Ordering::Relaxed);
            }
        };
        let mut network = Fake::default();
        run(&jobs, &bench.options, || Ok(&mut network), &bench.cancel, tell).unwrap();
        // However the threads are scheduled: so far may the newest picture be ahead of the oldest untold one.
        let ahead = 4 * (3 + 2 * 4);
        assert!((1..=ahead).contains(&told), "{told}");
        for entry in fs::read_dir(bench.path("out")).unwrap() {
            let path = entry.unwrap().path();
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("png") => drop(picture(&path)),
                Some("npy") => drop(npy(&path)),
                _ => panic!("{path:?} was left"),
            }
        }
    }
}

/// While a thread of the pool waits for its share of the loading, it takes up whatever else there is: decoding, say.
#[test]
fn loading_may_use_the_pool_while_pictures_come() {
    let mut bench = Bench::new();
    for threads in [1, 2, 4] {
        bench.options.threads = NonZeroUsize::new(threads).unwrap();
        let jobs = many(&bench);
        let mut network = Fake::default();
        let network = &mut network;
        let mut told = 0;
        let tell = |event: Event<'_>| told += usize::from(matches!(event, Event::Done { outcome: Ok(_), .. }));
        let load = move || {
            let wait = |ms| std::thread::sleep(std::time::Duration::from_millis(ms));
            rayon::join(|| wait(20), || rayon::join(|| wait(60), || wait(90)));
            Ok(network)
        };
        run(&jobs, &bench.options, load, &bench.cancel, tell).unwrap();
        assert_eq!(told, 24, "{threads} threads");
    }
}

#[test]
fn what_the_network_lacks_is_said_once() {
    let mut bench = Bench::new();
    let jobs = many(&bench);
    let mut network = Fake::default();
    bench.options.maps = vec![MapName::Spatial(Some("stage9".into()))];
    let tell = |event: Event<'_>| {
        let Event::Done { job, .. } = event else { return };
        panic!("told {:?}", job.source);
    };
    let error = run(&jobs, &bench.options, || Ok(&mut network), &bench.cancel, tell).unwrap_err();
    assert!(matches!(error, Error::Argument { .. }), "{error}");
    let load = || Err::<&mut Fake, _>(Error::weights("w.safetensors", "broken"));
    let error = run(&jobs, &bench.options, load, &bench.cancel, tell).unwrap_err();
    assert_eq!(error.to_string(), "w.safetensors: broken");
}

#[test]
#[should_panic = "no network"]
fn a_panic_while_loading_ends_the_run() {
    let bench = Bench::new();
    let jobs = many(&bench);
    let load = || -> Result<&mut Fake> { panic!("no network") };
    let _ = run(&jobs, &bench.options, load, &bench.cancel, |_| {});
}

/// Every picture needs more than there is: each passes alone, in one pass and in two.
#[test]
fn with_too_little_memory_pictures_pass_one_by_one() {
    for (threads, scale) in [(1, Scale::Image), (3, Scale::Image), (3, Scale::Run)] {
        let mut bench = Bench::new();
        bench.options = Options { memory: 1, scale, threads: NonZeroUsize::new(threads).unwrap(), ..bench.options };
        let mut jobs = many(&bench);
        fs::write(bench.path("text.png"), "no picture").unwrap();
        jobs.insert(7, bench.job("text.png"));
        let done = bench.run(&jobs, &mut Fake::default());
        let failed: Vec<_> = done.iter().enumerate().filter(|(_, (_, outcome))| outcome.is_err()).collect();
        assert_eq!((done.len(), failed.len(), failed[0].0), (25, 1, 7), "{threads} threads");
        assert!(done.iter().zip(&jobs).all(|((name, _), job)| name == job.source.name()));
    }
}

#[test]
fn a_damaged_picture_is_done_and_said() {
    for scale in [Scale::Image, Scale::Run] {
        let mut bench = Bench::new();
        bench.options.scale = scale;
        let jobs = [bench.job("cut.png")];
        let whole = include_bytes!("../../../../../assets/images/chelsea.jpg");
        fs::write(bench.path("cut.png"), &whole[..whole.len() / 2]).unwrap();
        let report = bench.run(&jobs, &mut Fake::default()).remove(0).1.unwrap();
        let damaged = report.damaged.clone().unwrap();
        assert!(damaged.contains("the end is missing"), "{damaged}");
        let json = serde_json::to_string(&report).unwrap();
        assert!(json.contains("\"damaged\":\"the end") && !json.contains("notes"), "{json}");
        assert_eq!(picture(&bench.path("out/cut.png")).width(), 451);
    }
}

#[test]
fn no_pictures_are_no_trouble() {
    let bench = Bench::new();
    assert!(bench.run(&[], &mut Fake::default()).is_empty());
}

#[test]
fn explanations_are_of_the_class_asked_for() {
    let mut bench = Bench::new();
    bench.options.maps = vec!["gradcam:stage5".parse().unwrap()];
    let jobs = many(&bench);
    let mut network = Fake { labels: ["red", "green", "blue"].map(str::to_owned).into(), ..Fake::default() };
    for (class, number) in [(None, 2), (Some(ClassChoice::Name("green".into())), 1)] {
        bench.options.class = class;
        for (index, (_, outcome)) in bench.run(&jobs, &mut network).into_iter().enumerate() {
            let report = outcome.unwrap();
            let map = npy(&bench.path(&format!("out/{index:02}.png.npy")));
            assert_eq!(map[(0, 1)], number as f32);
            assert_eq!(report.explained.unwrap().class, number);
            assert_eq!(report.maps["gradcam:stage5"].max, map.iter().copied().fold(0.0, f32::max));
        }
    }
    bench.options.class = Some(ClassChoice::Number(3));
    let error = run(&jobs, &bench.options, || Ok(&mut network), &bench.cancel, |_| {}).unwrap_err();
    assert!(matches!(error, Error::Argument { .. }) && error.to_string().contains("0 to 2"), "{error}");
}

#[test]
fn costly_explanations_tell_their_steps_and_can_be_stopped() {
    let mut bench = Bench::new();
    bench.options.maps = vec!["rise".parse().unwrap()];
    let jobs = many(&bench);
    let (mut steps, mut done) = (0, 0);
    let mut network = Fake::default();
    let count = |event: Event<'_>| match event {
        Event::Explaining { job, map, total, .. } => {
            assert_eq!((map.to_string().as_str(), total), ("rise", 4));
            assert_eq!(job.overlays.len(), 1);
            steps += 1;
        }
        Event::Done { outcome, .. } => done += usize::from(outcome.is_ok()),
        Event::Looked => {}
    };
    run(&jobs, &bench.options, || Ok(&mut network), &bench.cancel, count).unwrap();
    assert_eq!((steps, done), (24 * 5, 24));

    let mut steps = 0;
    let stop = |event: Event<'_>| match event {
        Event::Explaining { .. } => {
            steps += 1;
            bench.cancel.store(true, Ordering::Relaxed);
        }
        _ => panic!("{event:?}"),
    };
    run(&jobs, &bench.options, || Ok(&mut network), &bench.cancel, stop).unwrap();
    assert_eq!(steps, 1, "nothing is begun again");
}

#[test]
fn what_the_font_lacks_is_said_once_of_the_first_picture() {
    let mut bench = Bench::new();
    let jobs = many(&bench);
    let labels = ["a", "b", "漢字"].map(str::to_owned).to_vec();
    let told = |bench: &Bench| {
        let done = bench.run(&jobs, &mut Fake { labels: labels.clone(), ..Fake::default() });
        let notes = done.into_iter().map(|(_, outcome)| outcome.unwrap().notes);
        notes.enumerate().filter(|(_, notes)| !notes.is_empty()).map(|(index, _)| index).collect::<Vec<_>>()
    };
    bench.options.maps = vec![MapName::explain(crate::maps::Method::GradCam)];
    assert!(told(&bench).is_empty(), "nothing is written on the pictures");
    bench.options.legend = true;
    assert_eq!(told(&bench), [0]);
    bench.options.maps = vec![MapName::Spatial(None)];
    assert!(told(&bench).is_empty(), "this map is of no class");
}

#[test]
fn a_width_over_the_limit_is_refused_before_anything_is_written() {
    let mut bench = Bench::new();
    let jobs = [bench.grey("a.png", (60, 40), 200), bench.grey("b.png", (600, 4), 200)];
    bench.options.width = std::num::NonZeroU32::new(600);
    bench.options.limits = Limits::of_pixels(100_000);
    let done = bench.run(&jobs, &mut Fake::default());
    let message = done[0].1.as_ref().unwrap_err().to_string();
    assert!(message.contains("600x400") && message.contains("a.png"), "{message}");
    assert!(!bench.path("out/a.png.npy").exists());
    assert_eq!(picture(&bench.path("out/b.png")).width(), 600, "{:?}", done[1].1);
}
