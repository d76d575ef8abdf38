//! One picture on a page: what is kept of it, packed.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use image::DynamicImage;
use ndarray::Array2;
use serde::Serialize;

use super::facts::listed_picture;
use super::record::Record;
use super::truth::{PageMeasures, Truth};
use super::{Packing, PageSubject};
use crate::maps::{AttentionMap, Detail, MapName, Method, Resample, Scale, ScaleLimits};
use crate::model::Look;
use crate::photo::{Geometry, ImageSize, Photo, resize_as_it_is};
use crate::render::{PictureFormat, encode};
use crate::{Error, Result};

/// The longest side of a picture on a page of its own, and of one among many.
const SIDE: u32 = 2048;
const PREVIEW_SIDE: u32 = 1024;
/// The longest side of a picture in a gallery.
const THUMB_SIDE: u32 = 256;
const THUMB_QUALITY: u8 = 68;
const QUALITY: u8 = 90;
/// What a picture among many may take on a page, in bytes, and in a report; the preview has what the rest leaves of it.
const BUDGET: usize = 150_000;
const REPORT_BUDGET: usize = 70_000;
/// What a preview may be: its longest side and its JPEG quality, the best first. The last is taken however large it is.
const PREVIEWS: [(u32, u8); 7] =
    [(PREVIEW_SIDE, 85), (PREVIEW_SIDE, 75), (PREVIEW_SIDE, 60), (768, 70), (640, 65), (512, 60), (384, 55)];
/// What a preview must have of that.
const LEAST_PREVIEW: usize = 40_000;
/// How many classes a gallery knows of a picture.
const TOP: usize = 5;

/// What there is to show of a picture.
#[derive(Debug)]
pub struct PageSource<'a> {
    /// Its name, as it was given.
    pub name: String,
    /// Its pixels.
    pub photo: &'a Photo,
    /// What the network saw in it.
    pub look: &'a Look,
    /// The maps that were asked for; the first is shown first.
    pub maps: &'a [MapName],
    /// How much is kept.
    pub detail: Detail,
    /// What is known and measured of it, in a report.
    pub measured: Option<&'a PageMeasures>,
    /// How that is packed.
    pub packing: Packing,
    /// What is missing or broken of it.
    pub damaged: Option<String>,
    /// What was assumed about it.
    pub notes: Vec<String>,
}

/// A picture as a page holds it.
#[derive(Debug, Clone)]
pub struct PagePicture {
    pub(super) subject: Arc<PageSubject>,
    pub(super) index: Index,
    /// The maps of a gallery.
    pub(super) maps: Vec<Listed>,
    /// The values that each map spans.
    pub(super) spans: Vec<(String, ScaleLimits)>,
    /// All that is shown of it alone, as JSON.
    pub(super) json: String,
}

/// A map in a gallery.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) values: Array2<f32>,
    pub(super) limits: ScaleLimits,
}

/// What a gallery says of a picture.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Index {
    pub(super) name: String,
    size: [u32; 2],
    seen: Option<[u32; 4]>,
    thumb: Option<String>,
    top: Vec<(usize, f32)>,
    explained: Option<usize>,
    entropy: Option<f32>,
    coverage: Option<f32>,
    pub(super) disagreement: Option<f32>,
    damaged: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    truth: Option<Truth>,
    #[serde(skip_serializing_if = "Option::is_none")]
    measures: Option<BTreeMap<String, BTreeMap<&'static str, f64>>>,
}

impl Index {
    /// Of a film whose maps are of a class.
    pub(super) fn of_film(name: &str, geometry: &Geometry, class: Option<usize>) -> Self {
        Self {
            name: name.to_owned(),
            size: sides(geometry.picture),
            seen: part_seen(geometry),
            thumb: None,
            top: Vec::new(),
            explained: class,
            entropy: None,
            coverage: None,
            disagreement: None,
            damaged: None,
            truth: None,
            measures: None,
        }
    }

    /// How many bytes its small picture has.
    pub(super) fn bytes(&self) -> usize {
        self.thumb.as_ref().map_or(0, String::len)
    }
}

impl PagePicture {
    /// A picture with what the network saw in it; the first of the subject's maps is the one that is shown.
    ///
    /// # Errors
    /// [`Error::Argument`] for a map that the look does not hold; [`Error::Photo`] for pixels that cannot be written.
    pub fn new(source: &PageSource<'_>, subject: Arc<PageSubject>) -> Result<Self> {
        let whole = source.detail == Detail::Whole;
        let maps = shown(source.look, source.maps, whole)?;
        let record = Record::new(source, &maps, source.detail != Detail::Maps)?;
        let (json, thumb) = if whole {
            (with_photo(record, data_url(&small(source.photo, SIDE)?, QUALITY)?)?, None)
        } else {
            among_many(source, &maps, record)?
        };
        let first = maps.first().map(|(_, map)| map);
        let statistics = first.map(AttentionMap::statistics);
        let spans = maps.iter().map(|(name, map)| (name.to_string(), Scale::Run.limits(map))).collect();
        let readout = &source.look.readout;
        let index = Index {
            name: source.name.clone(),
            size: sides(source.look.geometry.picture),
            seen: part_seen(&source.look.geometry),
            thumb,
            top: readout.top(TOP).into_iter().map(|class| (class, readout.probabilities[class])).collect(),
            explained: source.look.explained,
            entropy: statistics.map(|of| of.entropy),
            coverage: statistics.map(|of| of.coverage),
            disagreement: subject.disagreement().and_then(|pair| disagreement(&maps, &pair)),
            damaged: source.damaged.clone(),
            truth: source.measured.and_then(|measured| measured.truth.as_ref()).map(Truth::listed),
            measures: source.measured.map(|measured| measured.measures.clone()),
        };
        // A report shows any of those that were measured.
        let count = if source.measured.is_some() { source.maps.len() } else { 1 };
        let listed = maps.iter().take(if whole { 0 } else { count }).map(|(name, map)| Listed {
            name: name.to_string(),
            values: map.values().clone(),
            limits: subject.scale.limits(map),
        });
        Ok(Self { maps: listed.collect(), subject, index, spans, json })
    }

    /// The bytes that making one takes for pixels, of a picture of this size.
    pub(crate) fn takes(size: ImageSize) -> u64 {
        size.pixels().min(u64::from(SIDE).pow(2)) * 4
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.index.name
    }

    /// What a page's list says of it, as JSON.
    ///
    /// # Errors
    /// [`Error::Internal`] if it cannot be written as JSON.
    pub fn listed(&self) -> Result<String> {
        Ok(listed_picture(&self.index, &self.maps, None)?.to_string())
    }

    /// All that is shown of it alone, as JSON.
    pub fn record(&self) -> &str {
        &self.json
    }
}

/// The record of a picture among many, and its small picture: within the budget, if it can be.
fn among_many<'a>(
    source: &'a PageSource<'_>,
    maps: &[(MapName, AttentionMap)],
    mut record: Record<'a>,
) -> Result<(String, Option<String>)> {
    let (thumb, _) = data_url(&small(source.photo, THUMB_SIDE)?, THUMB_QUALITY)?;
    let budget = if source.measured.is_some() { REPORT_BUDGET } else { BUDGET };
    let room = |record: &Record<'_>| Ok::<_, Error>(budget.saturating_sub(record.json()?.len() + thumb.len()));
    if source.detail != Detail::Maps && room(&record)? < LEAST_PREVIEW {
        record = Record::new(source, maps, false)?; // of so many patches there is no room for where each looks
    }
    let preview = preview(source.photo, room(&record)?)?;
    Ok((with_photo(record, preview)?, Some(thumb)))
}

fn with_photo(mut record: Record<'_>, (photo, size): (String, [u32; 2])) -> Result<String> {
    (record.photo, record.photo_size) = (photo, size);
    record.json()
}

/// The maps of a page: those asked for, then all others that there are; single heads only where all is kept.
fn shown(look: &Look, asked: &[MapName], whole: bool) -> Result<Vec<(MapName, AttentionMap)>> {
    let is_map = |name: &&MapName| !matches!(name, MapName::Channel(_));
    let of_all = |name: &&MapName| whole || !name.is_single();
    let held = look.readout.map_names();
    let others = held.iter().filter(|name| !asked.contains(name)).filter(of_all);
    let names = asked.iter().filter(is_map).chain(others);
    names.map(|name| Ok((name.clone(), look.map(name)?))).collect()
}

pub(super) fn sides(size: ImageSize) -> [u32; 2] {
    [size.width, size.height]
}

/// Left, top, width and height of the part that the network saw, if that is not all.
pub(super) fn part_seen(geometry: &Geometry) -> Option<[u32; 4]> {
    let part = geometry.seen;
    (!geometry.is_whole()).then_some([part.left, part.top, part.size.width, part.size.height])
}

/// The picture, no longer than that, in 8 bits.
fn small(photo: &Photo, side: u32) -> Result<DynamicImage> {
    let size = photo.size();
    let longest = size.width.max(size.height);
    let scaled = |of: u32| (u64::from(of) * u64::from(side)).div_ceil(u64::from(longest)).max(1) as u32;
    let image = if longest > side {
        resize_as_it_is(&photo.image, ImageSize::new(scaled(size.width), scaled(size.height)))?
    } else {
        photo.image.clone()
    };
    Ok(if image.color().has_alpha() { image.into_rgba8().into() } else { image.into_rgb8().into() })
}

/// A picture as an address that holds it: a PNG if something of it can be seen through, else a JPEG.
fn data_url(image: &DynamicImage, quality: u8) -> Result<(String, [u32; 2])> {
    let clear = image.as_rgba8().is_some_and(|image| image.pixels().any(|pixel| pixel.0[3] < 255));
    let (format, kind) = if clear { (PictureFormat::Png, "png") } else { (PictureFormat::Jpeg, "jpeg") };
    let bytes = encode(image, format, quality).map_err(Error::internal)?;
    Ok((format!("data:image/{kind};base64,{}", BASE64_STANDARD.encode(bytes)), [image.width(), image.height()]))
}

/// The best preview that fits.
fn preview(photo: &Photo, room: usize) -> Result<(String, [u32; 2])> {
    let mut image = small(photo, PREVIEW_SIDE)?;
    let mut preview = None;
    for (side, quality) in PREVIEWS {
        if image.width().max(image.height()) > side {
            image = small(&Photo::from(image), side)?;
        }
        let (text, size) = data_url(&image, quality)?;
        let fits = text.len() <= room;
        preview = Some((text, size));
        if fits {
            break;
        }
    }
    preview.ok_or_else(|| Error::internal("no preview"))
}

/// How far two maps are from one another: half the sum of the differences of their masses, on the finer grid; 0 where they are alike, 1
/// where they have no place in common.
fn disagreement(maps: &[(MapName, AttentionMap)], pair: &[MapName; 2]) -> Option<f32> {
    let [a, b] = [&pair[0], &pair[1]].map(|name| maps.iter().find(|(other, _)| other == name).map(|(_, map)| map));
    let (a, b) = (a?, b?);
    let grid = if a.values().len() >= b.values().len() { a.grid() } else { b.grid() };
    let mass = |map: &AttentionMap| {
        let values = map.clone().of_input().resample(grid, Resample::Bilinear).ok()?.into_values();
        let sum = values.sum();
        (sum > 0.0).then(|| values / sum)
    };
    Some((mass(a)? - mass(b)?).mapv(f32::abs).sum() / 2.0)
}

/// Grad-CAM at the last features.
pub(super) const CLASS_ACTIVATION: MapName = MapName::Explain { method: Method::GradCam, stage: None };
