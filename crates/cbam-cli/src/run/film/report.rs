//! What is written of a film beside the film: its maps, and what was seen frame by frame.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use cbam_core::classes::Outputs;
use cbam_core::files::WholeFile;
use cbam_core::maps::{MapName, MapStatistics};
use cbam_core::photo::ImageSize;
use cbam_core::pipeline::{Target, TopClass};
use cbam_core::{Error, Result};
use serde::Serialize;

use super::look::Study;
use super::steady::Spans;
use crate::run::json::Report;

/// A film in a report.
#[derive(Serialize)]
struct Told {
    input: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    damaged: Option<String>,
    size: ImageSize,
    network_size: Option<ImageSize>,
    maps: Vec<String>,
    /// What the network's numbers for the classes are.
    outputs_are: Outputs,
    /// The class that the maps are of, and its mean probability.
    #[serde(skip_serializing_if = "Option::is_none")]
    explained: Option<TopClass>,
    /// What spans the colours of each map; each frame's own if there is none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    scale: BTreeMap<String, [f32; 2]>,
    /// How much of a drawn map is from beside its frame.
    #[serde(skip_serializing_if = "Option::is_none")]
    smooth: Option<f32>,
    every: usize,
    outputs: Vec<String>,
    frames: Vec<ToldFrame>,
}

#[derive(Serialize)]
struct ToldFrame {
    /// Seconds from the beginning of the film.
    time: f64,
    /// Whether it is the first of a shot.
    cut: bool,
    top: Vec<TopClass>,
    /// The statistics of each map as the network has it, before it is smoothed.
    maps: BTreeMap<String, MapStatistics>,
}

/// Writes the report.
pub(super) fn write(study: &mut Study<'_>, target: &Target, spans: Option<&Spans>, outputs: &[PathBuf]) -> Result<()> {
    let mut frames = Vec::with_capacity(study.frames);
    for index in 0..study.frames {
        let record = study.record(index)?;
        let (time, cut) = (record.time as f64 / 1e9, record.cut);
        let top = record.top().iter();
        let top =
            top.map(|(class, share)| TopClass { class: *class, label: study.label(*class), probability: Some(*share) });
        let top = top.collect();
        let maps = study.maps_of(record.values())?;
        let maps = study.drawn().iter().zip(maps).map(|(name, map)| (name.to_string(), map.statistics())).collect();
        frames.push(ToldFrame { time, cut, top, maps });
    }
    let scale = |(index, name): (usize, &MapName)| {
        let span = spans?.all(index)?;
        Some((name.to_string(), [span.low, span.high]))
    };
    let told = Told {
        input: study.name().display().to_string(),
        damaged: study.broken.clone(),
        size: study.film.size,
        network_size: study.forms.first().map(|form| form.geometry.network),
        maps: study.drawn().iter().map(MapName::to_string).collect(),
        outputs_are: study.outputs,
        explained: study.named(),
        scale: study.drawn().iter().enumerate().filter_map(scale).collect(),
        smooth: study.request.is_drawn().then_some(study.request.smooth),
        every: study.request.every,
        outputs: outputs.iter().map(|path| path.display().to_string()).collect(),
        frames,
    };
    let mut report = Report::create(target, false)?;
    report.film(&told)?;
    report.commit()
}

/// Writes all maps of a name as one array of numpy's, `[T, h, w]` of float32, as the network has them.
pub(super) fn write_maps(study: &mut Study<'_>, index: usize, path: &Path) -> Result<()> {
    let lengths: Vec<_> = study.forms.iter().map(|form| form.dim.0 * form.dim.1).collect();
    let begin: usize = lengths.iter().take(index).sum();
    let own = begin..begin + lengths.get(index).copied().unwrap_or_default();
    let (rows, columns) = study.forms.get(index).map_or((0, 0), |form| form.dim);
    let mut file = WholeFile::create(path)?;
    let write = |file: &mut WholeFile, bytes: &[u8]| file.write_all(bytes).map_err(Error::io(path));
    write(&mut file, &header([study.frames, rows, columns]))?;
    for frame in 0..study.frames {
        let record = study.record(frame)?;
        let values = record.values().get(own.clone()).unwrap_or_default();
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        write(&mut file, &bytes)?;
    }
    file.commit()
}

/// What stands before the numbers of an array in a file of numpy's, version 1.0; of all at once a library would write it.
fn header(shape: [usize; 3]) -> Vec<u8> {
    let [frames, rows, columns] = shape;
    let mut text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({frames}, {rows}, {columns}), }}");
    let before = b"\x93NUMPY\x01\x00".len() + 2;
    let padding = 64 - (before + text.len() + 1) % 64;
    text.extend(std::iter::repeat_n(' ', padding));
    text.push('\n');
    [b"\x93NUMPY\x01\x00", &(text.len() as u16).to_le_bytes()[..], text.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;
    use ndarray_npy::ReadNpyExt;

    #[test]
    fn numpy_reads_what_is_written() {
        let mut bytes = super::header([2, 1, 3]);
        assert_eq!(bytes.len() % 64, 0);
        bytes.extend((0..6).flat_map(|value| (value as f32).to_le_bytes()));
        let read = Array3::<f32>::read_npy(&bytes[..]).unwrap();
        assert_eq!(read, Array3::from_shape_vec((2, 1, 3), (0..6).map(|value| value as f32).collect()).unwrap());
    }
}
