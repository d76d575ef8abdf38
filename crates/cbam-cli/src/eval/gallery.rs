//! The best, the middle and the worst pictures of a map, drawn small.

use std::collections::BTreeMap;
use std::io::Cursor;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cbam_core::eval::{BoundingBox, RemarkKind, Remarks, drawn_box, thresholds};
use cbam_core::maps::{Resample, Scale};
use cbam_core::photo::Photo;
use cbam_core::render::Overlay;
use cbam_core::study::{Drawn, Figures, Measured, Set, Study};
use cbam_core::{Error, Result};
use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, Rgb, RgbImage};
use serde::Serialize;

use crate::eval::console;

/// Maps that are shown, and pictures in each of the three rows.
const MAPS: usize = 6;
const SHOTS: usize = 4;
/// The longer side of a small picture.
const SIDE: u32 = 320;

/// The pictures of one map.
#[derive(Debug, Serialize)]
pub(crate) struct Gallery {
    map: String,
    /// What the pictures are ordered by.
    by: String,
    n: usize,
    /// Pictures that should be here, and could not be drawn again.
    missing: usize,
    rows: Vec<GalleryRow>,
}

#[derive(Debug, Serialize)]
struct GalleryRow {
    title: &'static str,
    shots: Vec<Shot>,
}

#[derive(Debug, Serialize)]
struct Shot {
    /// A JPEG as a data URI.
    picture: String,
    name: String,
    caption: String,
}

/// The galleries of the first maps. What was measured before and cannot be drawn any more is told.
pub(crate) fn galleries(study: &Study<'_>, set: &Set<'_>, all: &Figures) -> Result<Vec<Gallery>> {
    let maps = study.subjects().iter().enumerate().filter(|(_, subject)| !subject.is_baseline());
    let mut lost = BTreeMap::new();
    let galleries = maps.take(MAPS).map(|(i, _)| gallery(study, set, all, i, &mut lost));
    let galleries = galleries.collect::<Result<Vec<_>>>()?;
    let mut remarks = Remarks::default();
    for reason in lost.values() {
        let what = "pictures that could not be drawn again, left out of the report's best, median and worst";
        remarks.add(RemarkKind::Changed, what, reason);
    }
    console::tell(&remarks, false);
    Ok(galleries.into_iter().flatten().collect())
}

/// The gallery of one map; of pictures that cannot be drawn, `lost` gets the names and the reasons.
fn gallery(
    study: &Study<'_>,
    set: &Set<'_>,
    all: &Figures,
    i: usize,
    lost: &mut BTreeMap<String, String>,
) -> Result<Option<Gallery>> {
    let steps = thresholds();
    let figures = all.maps.get(i).map(|(_, figures)| figures).filter(|figures| figures.summary.n > 0);
    let best = figures.map(|figures| steps.iter().position(|t| *t == figures.summary.threshold).unwrap_or(0));
    let value = |measured: &Measured| match best {
        Some(best) => Some(measured.maps[i].located.as_ref()?.iou[best]),
        None => measured.maps[i].faithful.as_ref().map(|f| f.insertion_auc() - f.deletion_auc()),
    };
    let mut order: Vec<(f64, &Measured)> = set.measured.iter().filter_map(|m| Some((value(m)?, m))).collect();
    order.sort_by(|a, b| b.0.total_cmp(&a.0));
    let count = order.len();
    if count == 0 {
        return Ok(None);
    }
    let shots = SHOTS.min(count.div_ceil(3));
    let middle = (count - shots) / 2;
    let parts = [("best", 0..shots), ("median", middle..middle + shots), ("worst", count - shots..count)];
    let wanted: Vec<usize> = parts.iter().flat_map(|(_, range)| range.clone()).collect();
    let names: Vec<&str> = wanted.iter().map(|place| set.rows[order[*place].1.row].image.as_str()).collect();
    // Where all are shown anyway, the three parts share pictures, and each name is read once.
    let mut unique = names.clone();
    unique.sort_unstable();
    unique.dedup();
    let threshold = figures.map(|figures| figures.boxes[1].threshold);
    let mut drawn: Vec<Option<Shot>> = wanted.iter().map(|_| None).collect();
    let mut missing = 0;
    let mut show = |place: usize, bytes: &[u8]| -> Result<()> {
        for (slot, name) in names.iter().enumerate().filter(|(_, name)| **name == unique[place]) {
            let (value, measured) = order[wanted[slot]];
            let picture = draw(&study.again(measured.row, bytes, i)?, threshold)?;
            let caption = match best {
                Some(_) => format!("IoU {value:.2}"),
                None => format!("insertion − deletion {value:.2}"),
            };
            let right = measured.seen.truth.map(|(rank, _)| if rank == 0 { ", class right" } else { ", class wrong" });
            let caption = format!("{caption}{}", right.unwrap_or_default());
            drawn[slot] = Some(Shot { picture, name: (*name).to_owned(), caption });
        }
        Ok(())
    };
    study.pictures().source.visit(&unique, study.options().limits.max_bytes, |place, bytes| {
        if let Err(error) = bytes.and_then(|bytes| show(place, &bytes)) {
            missing += 1;
            lost.insert(unique[place].to_owned(), error.to_string());
        }
        Ok(())
    })?;
    let mut drawn = drawn.into_iter();
    let rows = parts
        .into_iter()
        .map(|(title, range)| GalleryRow { title, shots: drawn.by_ref().take(range.len()).flatten().collect() });
    let by = match best {
        Some(best) => format!("IoU at {:.2}, the best threshold of the set", steps[best]),
        None => "insertion less deletion".to_owned(),
    };
    Ok(Some(Gallery { map: study.subjects()[i].to_string(), by, n: count, missing, rows: rows.collect() }))
}

/// The map over the picture, with the boxes of the truth (white) and the box that the map draws (cyan).
fn draw(of: &Drawn, threshold: Option<f64>) -> Result<String> {
    let Drawn { photo, map, region, .. } = of;
    let small = Photo::from(photo.image.thumbnail(SIDE, SIDE));
    let limits = Scale::Image.limits(map);
    let mut picture = Overlay::default().apply(&small, map, limits)?.to_rgb8();
    let (across, down) = (
        f64::from(picture.width()) / f64::from(photo.size().width),
        f64::from(picture.height()) / f64::from(photo.size().height),
    );
    let scaled =
        |b: &BoundingBox| BoundingBox { x0: b.x0 * across, y0: b.y0 * down, x1: b.x1 * across, y1: b.y1 * down };
    for found in region.iter().flat_map(|region| &region.boxes) {
        outline(&mut picture, scaled(found), Rgb([255; 3]));
    }
    if let Some(found) =
        threshold.and_then(|t| drawn_box(map.resample(small.size(), Resample::Bilinear).ok()?.values().view(), t))
    {
        outline(&mut picture, found, Rgb([0, 229, 255]));
    }
    let mut bytes = Cursor::new(Vec::new());
    let encoder = JpegEncoder::new_with_quality(&mut bytes, 82);
    let failed = |error: image::ImageError| Error::argument("report", error);
    DynamicImage::from(picture).write_with_encoder(encoder).map_err(failed)?;
    Ok(format!("data:image/jpeg;base64,{}", STANDARD.encode(bytes.into_inner())))
}

/// A line of two pixels in a dark one.
fn outline(picture: &mut RgbImage, found: BoundingBox, colour: Rgb<u8>) {
    let (right, bottom) = (i64::from(picture.width()) - 1, i64::from(picture.height()) - 1);
    let [x0, y0] = [found.x0, found.y0].map(|low| low.round() as i64);
    let [x1, y1] = [found.x1, found.y1].map(|high| high.round() as i64 - 1);
    for (inset, colour) in [(3, Rgb([0; 3])), (0, Rgb([0; 3])), (1, colour), (2, colour)] {
        let (x0, y0, x1, y1) = (x0 + inset, y0 + inset, x1 - inset, y1 - inset);
        let mut put = |x: i64, y: i64| {
            if (0..=right).contains(&x) && (0..=bottom).contains(&y) {
                picture.put_pixel(x as u32, y as u32, colour);
            }
        };
        (x0..=x1).for_each(|x| [y0, y1].into_iter().for_each(|y| put(x, y)));
        (y0..=y1).for_each(|y| [x0, x1].into_iter().for_each(|x| put(x, y)));
    }
}
