//! Every picture on the report's page: its maps, the truth as it is, and what was measured.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use cbam_core::eval::{BoundingBox, Object, PictureSource, RemarkKind, Remarks, thresholds};
use cbam_core::maps::{Detail, MapName};
use cbam_core::photo::ImageSize;
use cbam_core::render::page::{
    Packing, PageMeasure, PageMeasures, PagePicture, PageSource, PageSubject, PageTruth, PageWriter,
};
use cbam_core::study::{Drawn, Faithful, Figures, Measured, MeasuredMap, Set, Study, Subject};
use cbam_core::{Error, Result};

use crate::eval::console;

/// The most pictures that a page shows; of more it shows some, evenly over the set.
const MOST: usize = 5_000;

/// What is measured of a map on a picture, of all that may be.
const MEASURES: [PageMeasure; 9] = [
    PageMeasure { key: "iou", words: "IoU", high: true },
    PageMeasure { key: "pointing", words: "pointing", high: true },
    PageMeasure { key: "energy", words: "energy", high: true },
    PageMeasure { key: "box", words: "IoU of the box", high: true },
    PageMeasure { key: "insertion", words: "insertion", high: true },
    PageMeasure { key: "deletion", words: "deletion", high: false },
    PageMeasure { key: "drop", words: "average drop", high: false },
    PageMeasure { key: "increase", words: "increase", high: true },
    PageMeasure { key: "road", words: "ROAD", high: true },
];

/// The maps that a report shows: what was measured, but for what knows nothing of the picture.
pub(crate) fn maps(study: &Study<'_>) -> Vec<MapName> {
    let name = |subject: &Subject| if let Subject::Map(name) = subject { Some(name.clone()) } else { None };
    study.subjects().iter().filter_map(name).collect()
}

/// What was measured of any of them.
pub(crate) fn measures(set: &Set<'_>) -> Vec<PageMeasure> {
    let all = |measured: &MeasuredMap| of_map(measured, (0, 0));
    let has = |key: &str| set.measured.iter().flat_map(|measured| &measured.maps).any(|map| all(map).contains_key(key));
    MEASURES.into_iter().filter(|measure| has(measure.key)).collect()
}

/// A sentence about the pictures that the page does not show.
pub(crate) fn left_out(set: &Set<'_>) -> Option<String> {
    let count = set.measured.len();
    (count > MOST).then(|| format!("this page shows {MOST} of {count} pictures, evenly over the set"))
}

/// Puts the pictures on the page. What was measured before and cannot be shown any more is told, and named there.
pub(crate) fn pictures(
    study: &Study<'_>,
    set: &Set<'_>,
    all: &Figures,
    subject: &Arc<PageSubject>,
    page: &mut PageWriter,
    quiet: bool,
) -> Result<()> {
    for missing in set.missing {
        let error = Error::photo(&set.rows[missing.row].image, &missing.reason);
        page.failure(Path::new(&set.rows[missing.row].image), &error);
    }
    let chosen = chosen(set.measured);
    let names: Vec<&str> = chosen.iter().map(|measured| set.rows[measured.row].image.as_str()).collect();
    let best = best_thresholds(study, all);
    let mut lost = BTreeMap::new();
    let bar = console::drawing(names.len(), quiet);
    study.pictures().source.visit(&names, study.options().limits.max_bytes, |place, bytes| {
        let shown = bytes.and_then(|bytes| show(study, set, chosen[place], &bytes, &best, subject));
        match shown {
            Ok(picture) => page.picture(picture)?,
            Err(error) => {
                page.failure(Path::new(names[place]), &error);
                lost.insert(names[place], error.to_string());
            }
        }
        bar.inc(1);
        Ok(())
    })?;
    bar.finish_and_clear();
    let mut remarks = Remarks::default();
    for reason in lost.values() {
        remarks.add(RemarkKind::Changed, "pictures that could not be drawn again, named in the report", reason);
    }
    console::tell(&remarks, false);
    Ok(())
}

/// One for each picture, at most [`MOST`], evenly over all.
fn chosen(measured: &[Measured]) -> Vec<&Measured> {
    let step = measured.len().div_ceil(MOST).max(1);
    measured.iter().step_by(step).collect()
}

/// The places of the thresholds at which each map's IoU, and that of its box, are best on the set.
fn best_thresholds(study: &Study<'_>, all: &Figures) -> HashMap<String, (usize, usize)> {
    let steps = thresholds();
    let place = |threshold: f64| steps.iter().position(|step| *step == threshold).unwrap_or(0);
    let of = |subject: &Subject| {
        let name = subject.to_string();
        let figures = all.map(&name)?;
        Some((name, (place(figures.summary.threshold), place(figures.boxes[1].threshold))))
    };
    study.subjects().iter().filter_map(of).collect()
}

fn show(
    study: &Study<'_>,
    set: &Set<'_>,
    measured: &Measured,
    bytes: &[u8],
    best: &HashMap<String, (usize, usize)>,
    subject: &Arc<PageSubject>,
) -> Result<PagePicture> {
    let drawn = study.again(measured.row, bytes)?;
    let of_map = |(subject, map): (&Subject, &MeasuredMap)| {
        let name = subject.to_string();
        let measures = of_map(map, best.get(&name).copied().unwrap_or_default());
        (name, measures)
    };
    let measures =
        study.subjects().iter().zip(&measured.maps).filter(|(subject, _)| !subject.is_baseline()).map(of_map);
    let measures = PageMeasures { truth: truth(set, measured, &drawn), measures: measures.collect() };
    let source = PageSource {
        name: path(study, &set.rows[measured.row].image),
        photo: &drawn.photo,
        look: &drawn.look,
        maps: &drawn.maps,
        detail: Detail::Maps,
        packing: Packing::Small,
        measured: Some(&measures),
        damaged: drawn.photo.damage.clone(),
        notes: drawn.photo.notes.clone(),
    };
    PagePicture::new(&source, subject.clone())
}

/// A picture's path, where it is a file of its own.
fn path(study: &Study<'_>, image: &str) -> String {
    match &study.pictures().source {
        PictureSource::Folder(folder) => folder.join(image).display().to_string(),
        PictureSource::Tar(_) => image.to_owned(),
    }
}

/// What was measured of a map on a picture; IoU at the best thresholds.
fn of_map(map: &MeasuredMap, (iou, of_box): (usize, usize)) -> BTreeMap<&'static str, f64> {
    let located = map.located.iter().flat_map(|located| {
        let yes = |is: bool| Some(f64::from(u8::from(is)));
        [
            ("iou", located.iou.get(iou).copied()),
            ("pointing", yes(located.pointing)),
            ("energy", Some(located.energy)),
            ("box", located.boxes.get(of_box).copied()),
        ]
    });
    let faithful = map.faithful.iter().flat_map(|faithful: &Faithful| {
        [
            ("insertion", Some(faithful.insertion_auc())),
            ("deletion", Some(faithful.deletion_auc())),
            ("drop", Some(faithful.drop)),
            ("increase", Some(f64::from(u8::from(faithful.increase)))),
            ("road", Some(faithful.road)),
        ]
    });
    located.chain(faithful).filter_map(|(key, value)| Some((key, value?))).collect()
}

/// What is in the picture: masks as masks, boxes as boxes.
fn truth(set: &Set<'_>, measured: &Measured, drawn: &Drawn) -> Option<PageTruth> {
    let row = set.rows[measured.row].truth.as_ref()?;
    let region = drawn.region.as_ref();
    let mask = region.filter(|_| matches!(row.object, Object::Mask(_))).map(|region| region.inside.clone());
    let ImageSize { width, height } = drawn.photo.size();
    let part = |found: &BoundingBox| {
        let [width, height] = [width, height].map(f64::from);
        [found.x0 / width, found.y0 / height, found.x1 / width, found.y1 / height]
    };
    Some(PageTruth {
        class: row.class,
        rank: measured.seen.truth.map(|(rank, _)| rank),
        small: row.small,
        boxes: region.filter(|_| mask.is_none()).iter().flat_map(|region| &region.boxes).map(part).collect(),
        mask,
    })
}
