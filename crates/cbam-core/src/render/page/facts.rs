//! What a page says once, and its list of pictures, as JSON.

use std::collections::BTreeMap;
use std::io::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::picture::{Index, Listed};
use super::{PageHead, PageReport, PageSubject, VERSION};
use crate::classes::Outputs;
use crate::maps::{MapName, Scale, ScaleLimits};
use crate::render::{Colormap, Opacity, Overlay};
use crate::{Error, Result};

/// How many colours a table has.
const COLOURS: usize = 1024;

/// A line of a page's list.
#[derive(Debug)]
pub(super) enum Entry {
    Picture { index: Box<Index>, maps: Vec<Listed>, bytes: u64 },
    Failure { name: String, error: String },
}

impl Entry {
    /// How many bytes the picture's data has.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Picture { bytes, .. } => *bytes,
            Self::Failure { .. } => 0,
        }
    }

    /// And with what stands in the list.
    pub(super) fn all_bytes(&self) -> u64 {
        match self {
            Self::Picture { index, bytes, .. } => *bytes + index.bytes() as u64,
            Self::Failure { name, error } => (name.len() + error.len()) as u64,
        }
    }

    pub(super) fn name(&self) -> &str {
        match self {
            Self::Picture { index, .. } => &index.name,
            Self::Failure { name, .. } => name,
        }
    }
}

/// Where a page has what it shows.
#[derive(Debug)]
pub(super) enum Place {
    /// In itself.
    Page,
    /// A file for each picture in this folder.
    Folder(String),
    /// In itself: one film.
    Film,
}

/// What a page says once. `spans` are the values that each map spans in all pictures.
pub(super) fn facts(
    head: &PageHead,
    subject: Option<&PageSubject>,
    entries: &[Entry],
    spans: &BTreeMap<String, ScaleLimits>,
    place: Place,
) -> Result<String> {
    let nothing = PageSubject {
        maps: Vec::new(),
        labels: Vec::new(),
        outputs: Outputs::default(),
        class: None,
        scale: Scale::Image,
    };
    let subject = subject.unwrap_or(&nothing);
    let spans = (subject.scale == Scale::Run).then_some(spans);
    let pictures = entries.iter().map(|entry| listed(entry, spans)).collect::<Result<Vec<_>>>()?;
    let compared = |entry: &Entry| matches!(entry, Entry::Picture { index, .. } if index.disagreement.is_some());
    let compared = entries.is_empty() || entries.iter().any(compared); // of none yet, there may be some
    let span = |(name, span): (&String, &ScaleLimits)| (name.clone(), json!([span.low, span.high]));
    let report = head.report.as_ref();
    let facts = json!({
        "format": "cbam-page",
        "version": VERSION,
        "made": { "program": head.program, "date": head.date },
        "command": head.command,
        "methods": head.methods,
        "network": { "name": head.network, "labels": subject.labels, "outputs": subject.outputs },
        "look": look(&head.overlay, subject),
        "usual": usual(),
        "spans": spans.map(|spans| spans.iter().map(span).collect::<Map<String, Value>>()),
        "colours": { "names": Colormap::ALL.map(Colormap::name), "count": COLOURS, "tables": colours()? },
        "film": matches!(place, Place::Film),
        "split": if let Place::Folder(folder) = place { Some(folder) } else { None },
        "disagreement": subject.disagreement().filter(|_| compared).map(|pair| strings(&pair)),
        "report": report.map(evaluation),
        "pictures": pictures,
    });
    Ok(in_script(&facts.to_string()))
}

/// What was measured of which maps.
fn evaluation(report: &PageReport) -> Value {
    let maps = strings(&report.maps);
    json!({ "map": maps.first(), "maps": maps, "measures": report.measures })
}

/// How pictures look, to begin with.
fn look(overlay: &Overlay, subject: &PageSubject) -> Value {
    json!({
        "maps": strings(&subject.maps),
        "colormap": overlay.colormap.name(),
        "alpha": overlay.alpha,
        "opacity": overlay.opacity.name(),
        "resample": overlay.resample.name(),
        "scale": subject.scale.to_string(),
        "contour": overlay.contour,
        "class": subject.class,
    })
}

/// How they look if nothing is said: what a command line leaves out.
fn usual() -> Value {
    let usual = Overlay::default();
    json!({
        "colormap": usual.colormap.name(),
        "alpha": {
            Opacity::Attention.name(): usual.alpha,
            Opacity::Constant.name(): Overlay::constant().alpha,
        },
        "opacity": usual.opacity.name(),
        "resample": usual.resample.name(),
        "scale": Scale::default().to_string(),
    })
}

fn strings(names: &[MapName]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

fn listed(entry: &Entry, spans: Option<&BTreeMap<String, ScaleLimits>>) -> Result<Value> {
    match entry {
        Entry::Failure { name, error } => Ok(json!({ "name": name, "error": error })),
        Entry::Picture { index, maps, .. } => listed_picture(index, maps, spans),
    }
}

/// What the list says of a picture; `spans` are what its maps span, if not values of their own.
pub(super) fn listed_picture(
    index: &Index,
    maps: &[Listed],
    spans: Option<&BTreeMap<String, ScaleLimits>>,
) -> Result<Value> {
    #[derive(Serialize)]
    struct Line<'a> {
        #[serde(flatten)]
        index: &'a Index,
        maps: Map<String, Value>,
    }
    let maps = maps.iter().map(|Listed { name, values, limits }| {
        let limits = spans.and_then(|spans| spans.get(name)).unwrap_or(limits);
        let codes: Vec<u8> = values.iter().map(|value| (limits.apply(*value) * 255.0 + 0.5) as u8).collect();
        let grid = [values.nrows(), values.ncols()];
        (name.clone(), json!({ "grid": grid, "values": BASE64_STANDARD.encode(codes) }))
    });
    serde_json::to_value(Line { index, maps: maps.collect() }).map_err(Error::internal)
}

/// The colours of every colour map, in the order of their names.
fn colours() -> Result<String> {
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::default());
    for colormap in Colormap::ALL {
        let table: [[u8; 3]; COLOURS] = colormap.table();
        packed.write_all(table.as_flattened()).map_err(Error::internal)?;
    }
    Ok(BASE64_STANDARD.encode(packed.finish().map_err(Error::internal)?))
}

/// JSON in which nothing ends a script.
pub(super) fn in_script(json: &str) -> String {
    json.replace('<', "\\u003c")
}
