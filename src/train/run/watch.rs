//! Pictures whose attention is drawn while the network learns: one sees how focus forms.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::{DynamicImage, ImageFormat};
use ndarray::{Array3, Axis};
use tch::Tensor;

use super::log::Log;
use crate::explain::{ExplainOptions, explain};
use crate::files::write_whole;
use crate::maps::{Explanation, MapName, Method, Readout, Scale};
use crate::network::Network;
use crate::photo::{Geometry, Photo};
use crate::pipeline::Inspect;
use crate::render::{Overlay, PanelTile, TileContent, panel};
use crate::{Error, Result};

/// How many classes a panel names.
const CLASSES: usize = 5;

/// Some pictures, and the folder that their panels go to.
#[derive(Debug)]
pub(super) struct Watch {
    folder: PathBuf,
    pictures: Vec<(String, Photo)>,
}

impl Watch {
    /// The panels of a picture go to the folder of its name in `folder`; two of one name get numbers.
    pub(super) fn new(folder: &Path, pictures: Vec<(PathBuf, Photo)>) -> Self {
        let stems: Vec<_> = pictures.iter().map(|(path, _)| stem(path)).collect();
        let named = pictures.into_iter().enumerate().map(|(i, (_, photo))| {
            let alone = stems.iter().filter(|stem| **stem == stems[i]).count() == 1;
            (if alone { stems[i].clone() } else { format!("{}-{i}", stems[i]) }, photo)
        });
        Self { folder: folder.to_owned(), pictures: named.collect() }
    }

    /// Draws every picture's panel as it is after `step`: the PNG `NAME/step-STEP.png`, and a picture in the log.
    pub(super) fn draw(&self, network: &Network, step: usize, log: &mut Log) -> Result<()> {
        let labels = network.labels();
        for (name, photo) in &self.pictures {
            let input = network.config().preprocess().apply(photo)?;
            let mut readout = network.run(&input.pixels.view().insert_axis(Axis(0)), &[])?.remove(0);
            readout.explained(grad_cam(network, &input.pixels, &readout)?);
            let tiles = tiles(&readout, &input.geometry)?;
            let sheet = panel(photo, &tiles, &top(&readout, &labels), &Overlay::default())?;
            let (width, height) = sheet.dimensions();
            let path = self.folder.join(name).join(format!("step-{step:06}.png"));
            let mut png = Vec::new();
            let encoded = DynamicImage::from(sheet).write_to(&mut Cursor::new(&mut png), ImageFormat::Png);
            encoded.map_err(|error| Error::photo(&path, error))?;
            write_whole(&path, &png)?;
            log.picture(step, &format!("attention/{name}"), [width, height], &png)?;
        }
        Ok(())
    }
}

/// Grad-CAM of the likeliest class: what there is to see without attention, and to compare it with.
fn grad_cam(network: &Network, pixels: &Array3<f32>, readout: &Readout) -> Result<Explanation> {
    let shape: Vec<i64> = [1].into_iter().chain(pixels.shape().iter().map(|&side| side as i64)).collect();
    let values: Vec<f32> = pixels.iter().copied().collect();
    let pixels = Tensor::f_from_slice(&values)?.f_view(&shape[..])?.f_to_device(network.device())?;
    let likeliest = readout.probabilities.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    let class = likeliest.map_or(0, |(class, _)| class);
    let (method, options) = (Method::GradCam, ExplainOptions::default());
    let map = explain(network, &pixels, method, None, class as i64, &options, &mut |_, _| ())?;
    Ok(Explanation { method, stage: None, class, map })
}

fn stem(path: &Path) -> String {
    path.file_stem().map_or_else(|| "picture".to_owned(), |stem| stem.to_string_lossy().into_owned())
}

/// Every map but single heads, each on its own scale.
fn tiles(readout: &Readout, geometry: &Geometry) -> Result<Vec<PanelTile>> {
    let names = readout.map_names().into_iter().filter(|name| !matches!(name, MapName::Patch { head: Some(_), .. }));
    let tile = |name: MapName| {
        let map = readout.map(&name, geometry)?;
        let limits = Scale::default().limits(&map);
        Ok(PanelTile { title: name.to_string(), content: TileContent::Map { map, limits } })
    };
    names.map(tile).collect()
}

fn top(readout: &Readout, labels: &[String]) -> Vec<(String, f32)> {
    let mut classes: Vec<_> = readout.probabilities.iter().copied().enumerate().collect();
    classes.sort_by(|a, b| b.1.total_cmp(&a.1));
    let name = |class: usize| labels.get(class).cloned().unwrap_or_else(|| class.to_string());
    classes.into_iter().take(CLASSES).map(|(class, probability)| (name(class), probability)).collect()
}
