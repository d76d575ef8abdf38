//! Whole studies of a model whose answers are known.

use std::cell::Cell;
use std::fs;

use image::{Rgb, RgbImage};
use ndarray::{Array1, Array2, Array3, ArrayView3, ArrayView4, Axis};

use super::*;
use crate::eval::{FaithfulnessOptions, PictureSource, ScoreCache};
use crate::explain::{ExplainOptions, Features};
use crate::maps::{GateReadout, Readout};
use crate::model::{Description, Look, Model, Question, explain_looks};
use crate::photo::{Preprocess, Resampled};
use crate::{Error, Result};

/// The side of a cell of its map, in pixels of its input.
const CELL: usize = 8;

/// A model that attends to what is bright, and is the surer of class 0 the more of it there is.
#[derive(Default)]
struct Fake {
    /// It attends to what is dark.
    inverted: bool,
    /// It gives out no features.
    closed: bool,
    looks: Cell<usize>,
}

/// The brightness of each cell of a picture `[3, H, W]`.
fn cells(pixels: ArrayView3<'_, f32>) -> Array2<f32> {
    let (_, height, width) = pixels.dim();
    Array2::from_shape_fn((height / CELL, width / CELL), |(y, x)| {
        let (y, x) = (y * CELL, x * CELL);
        pixels.slice(ndarray::s![.., y..y + CELL, x..x + CELL]).mean().unwrap().clamp(0.0, 1.0)
    })
}

impl Model for Fake {
    fn describe(&self) -> Description {
        Description {
            preprocess: Preprocess { short_side: 32, mean: [0.0; 3], std: [255.0; 3], ..Preprocess::default() },
            numbers: 2,
            labels: vec!["bright".into(), "dark".into()],
            maps: ["spatial:head", "gradcam", "eigencam", "occlusion"].map(|name| name.parse().unwrap()).into(),
            places: self.places(),
            default_place: self.default_place(),
            ..Description::default()
        }
    }

    fn look(&self, pictures: &[&Resampled], question: &Question<'_>) -> Result<Vec<Look>> {
        self.looks.set(self.looks.get() + pictures.len());
        let preprocess = self.describe().preprocess;
        let look = |picture: &&Resampled| {
            let pixels = preprocess.normalised(picture)?;
            let logits = self.logits(pixels.view().insert_axis(Axis(0)))?;
            let map = cells(pixels.view()).mapv(|b| if self.inverted { 1.0 - b } else { b });
            let readout = Readout {
                probabilities: self.outputs().probabilities(logits.view())?.remove_axis(Axis(0)),
                gates: vec![GateReadout {
                    stage: "head".into(),
                    channel: Array1::ones(1),
                    spatial: Some(map),
                    ..GateReadout::default()
                }],
                patches: Vec::new(),
                rollout: None,
                outputs: Vec::new(),
                ..Readout::default()
            };
            Ok(Look { readout, geometry: picture.geometry(), likeliest: Some(0), explained: None })
        };
        let mut looks = pictures.iter().map(look).collect::<Result<Vec<_>>>()?;
        explain_looks(self, &preprocess, pictures, &mut looks, question)?;
        Ok(looks)
    }

    fn features(&self) -> Option<&dyn Features> {
        (!self.closed).then_some(self)
    }
}

impl Features for Fake {
    fn numbers(&self) -> usize {
        2
    }

    fn logits(&self, pixels: ArrayView4<'_, f32>) -> Result<Array2<f32>> {
        let brightness = |pixels: ArrayView3<'_, f32>| 20.0 * pixels.mean().unwrap();
        let numbers = pixels.outer_iter().flat_map(|pixels| [brightness(pixels), 0.0]).collect();
        Array2::from_shape_vec((pixels.len_of(Axis(0)), 2), numbers).map_err(Error::internal)
    }

    fn places(&self) -> Vec<String> {
        vec!["stem".into(), "head".into()]
    }

    fn features(&self, _: &str, pixels: ArrayView3<'_, f32>) -> Result<Array3<f32>> {
        Ok(cells(pixels).insert_axis(Axis(0)))
    }
}

/// Three pictures of a bright square, and one that is none.
fn photos() -> (tempfile::TempDir, StudyPictures) {
    let folder = tempfile::tempdir().unwrap();
    let mut truth = vec!["image,class,x1,y1,x2,y2".to_owned(), "broken.png,bright,0,0,9,9".to_owned()];
    for (i, (left, top)) in [(0, 16), (32, 32), (48, 0)].into_iter().enumerate() {
        let inside = |x: u32, y: u32| (left..left + 16).contains(&x) && (top..top + 16).contains(&y);
        let picture = RgbImage::from_fn(64, 64, |x, y| Rgb([if inside(x, y) { 255 } else { 0 }; 3]));
        picture.save(folder.path().join(format!("{i}.png"))).unwrap();
        truth.push(format!("{i}.png,bright,{left},{top},{},{}", left + 16, top + 16));
    }
    fs::write(folder.path().join("broken.png"), "no picture").unwrap();
    fs::write(folder.path().join("truth.csv"), truth.join("\n")).unwrap();
    let classes = class_names(&Fake::default().describe(), None).unwrap();
    let source = PictureSource::at(folder.path()).unwrap();
    let pictures = StudyPictures::with_truth(source, folder.path().join("truth.csv"), &classes).unwrap();
    (folder, pictures)
}

fn options(maps: &[&str]) -> StudyOptions {
    StudyOptions { maps: maps.iter().map(|name| name.parse().unwrap()).collect(), ..StudyOptions::default() }
}

/// Everything that can be measured.
fn everything() -> StudyOptions {
    StudyOptions {
        explain: ExplainOptions::default().with_window(CELL).with_stride(CELL),
        faithfulness: Some(FaithfulnessOptions::default().with_steps(4)),
        clutter: Some(ClutterOptions::default()),
        ..options(&["spatial", "eigencam", "occlusion"])
    }
}

#[test]
fn any_model_is_studied_and_a_bad_picture_is_named() {
    let (folder, pictures) = photos();
    let (model, inverted) = (Fake::default(), Fake { inverted: true, ..Fake::default() });
    let study = Study::new(&model, &pictures, everything()).unwrap();
    let mut study = study.with_randomised(vec![Box::new(inverted)]);
    let mut works = Vec::new();
    let outcome = study.run(&mut |done| {
        works.push((done.row, done.work, done.missing.is_some()));
        true
    });
    let outcome = outcome.unwrap();
    assert_eq!(works.len(), 4);
    assert!(works.iter().all(|(row, work, missing)| *work == Work::Sanity && *missing == (*row == 0)), "{works:?}");
    assert_eq!(outcome.measured.iter().map(|measured| measured.row).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(outcome.missing[0].reason.contains("broken.png"), "{:?}", outcome.missing);

    let set = study.set(&outcome);
    let all = set.all();
    assert_eq!((all.accuracy.n, all.accuracy.top1.value), (3, 1.0));
    let spatial = &all.map("spatial").unwrap().summary;
    assert_eq!((spatial.n, spatial.missing, spatial.pointing.value), (3, 1, 1.0));
    assert_eq!(all.map("occlusion").unwrap().summary.pointing.value, 1.0);
    assert_eq!(all.map("gradcam").map(|figures| figures.summary.n), None);
    let faithful = set.faithfulness();
    assert_eq!(faithful.len(), 4, "all but the central pixel");
    let deletion = |name: &str| faithful.iter().find(|figures| figures.map == name).unwrap().deletion.value;
    assert!(deletion("spatial") < deletion("centre Gaussian"));
    let sanity = set.sanity();
    assert_eq!(sanity.iter().map(|figures| &figures.map[..]).collect::<Vec<_>>(), ["spatial", "eigencam"]);
    assert!(sanity[0].correlation[0].value < -0.9, "{sanity:?}");
    assert!(!set.clutter().is_empty());
    assert!(set.differences(2, 0).unwrap().iter().all(|found| found.against == "spatial" && found.map != "spatial"));
    let times = study.clock(&outcome.measured).unwrap();
    assert_eq!(times.iter().map(|time| &time.map[..]).collect::<Vec<_>>(), ["spatial", "eigencam", "occlusion"]);
    let bytes = fs::read(folder.path().join("1.png")).unwrap();
    let drawn = study.again(2, &bytes).unwrap();
    assert_eq!((drawn.photo.size().width, drawn.region.unwrap().boxes.len()), (64, 1));
    let names: Vec<_> = drawn.maps.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["spatial", "eigencam", "occlusion"], "the costly one is kept");
    assert!(drawn.maps.iter().all(|name| drawn.look.map(name).is_ok()));
}

#[test]
fn what_is_kept_is_not_measured_again() {
    let (_folder, pictures) = photos();
    let kept = tempfile::tempdir().unwrap();
    let measure = || {
        let model = Fake::default();
        let options = StudyOptions { clutter: None, ..everything() };
        let study = Study::new(&model, &pictures, options).unwrap();
        let mut study = study.with_cache(ScoreCache::open(kept.path()).unwrap(), "the model");
        let (before, mut fresh) = (model.looks.get(), 0);
        let outcome = study.run(&mut |done| {
            fresh += u32::from(done.fresh);
            true
        });
        (serde_json::to_string(&outcome.unwrap().measured).unwrap(), fresh, model.looks.get() - before)
    };
    let (first, fresh, looks) = measure();
    assert!(fresh == 3 && looks >= 3, "{fresh} {looks}");
    assert_eq!(measure(), (first, 0, 0));
}

#[test]
fn maps_are_saved_each_in_a_folder_of_its_own() {
    let (_folder, pictures) = photos();
    let saved = tempfile::tempdir().unwrap();
    let options = StudyOptions { maps_dir: Some(saved.path().into()), ..options(&["spatial", "eigencam:stem"]) };
    let model = Fake::default();
    let mut study = Study::new(&model, &pictures, options).unwrap();
    assert!(study.map_file(0, "0.png").is_none(), "a baseline is no map");
    study.run(&mut |_| true).unwrap();
    assert!(saved.path().join("spatial/0.npy").exists() && saved.path().join("eigencam-stem/2.npy").exists());
}

#[test]
fn a_model_without_features_is_studied_as_far_as_it_goes() {
    let (_folder, pictures) = photos();
    let model = Fake { closed: true, ..Fake::default() };
    let refused = Study::new(&model, &pictures, everything()).err().unwrap().to_string();
    assert!(refused.starts_with("faithfulness: needs"), "{refused}");
    assert!(Study::new(&model, &pictures, options(&["eigencam"])).is_err());
    let mut study = Study::new(&model, &pictures, options(&[])).unwrap();
    assert_eq!(study.left_out().len(), 1, "Grad-CAM, which nobody asked for");
    let outcome = study.run(&mut |_| true).unwrap();
    assert_eq!(study.set(&outcome).all().map("spatial").unwrap().summary.pointing.value, 1.0);
}

#[test]
fn who_follows_may_stop() {
    let (_folder, pictures) = photos();
    let model = Fake::default();
    let mut study = Study::new(&model, &pictures, options(&["spatial"])).unwrap();
    let outcome = study.run(&mut |done| done.row == 0).unwrap();
    assert_eq!((outcome.measured.len(), outcome.missing.len()), (1, 1));
    assert!(matches!(outcome.stopped, Some(Error::Interrupted)));
}

#[test]
fn pictures_need_no_truth_but_must_be_there() {
    let (folder, truthful) = photos();
    let pictures = StudyPictures::without_truth(truthful.source.clone()).unwrap();
    assert_eq!(pictures.rows.len(), 4);
    assert!(!pictures.rows.iter().any(Row::has_object));
    fs::create_dir(folder.path().join("empty")).unwrap();
    let empty = PictureSource::at(folder.path().join("empty")).unwrap();
    assert!(StudyPictures::without_truth(empty.clone()).unwrap_err().to_string().ends_with("holds no picture"));
    let elsewhere = StudyPictures { source: empty, ..truthful };
    let error = elsewhere.check().unwrap_err().to_string();
    assert!(error.starts_with("images: ") && error.contains("not one of the 4 pictures"), "{error}");
}
