//! Pictures whose attention is drawn while the network learns: one sees how focus forms.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::{DynamicImage, ImageFormat};

use super::log::Log;
use crate::files::write_whole;
use crate::maps::{MapName, Method, Readout, Scale};
use crate::model::{Look, Model, Question};
use crate::network::Network;
use crate::photo::Photo;
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
        let labels = network.describe().labels;
        for (name, photo) in &self.pictures {
            let picture = network.preprocess().resample(photo)?;
            // Grad-CAM is what there is to see without attention, and to compare it with.
            let look = network.look(&[&picture], &Question::about(&[MapName::explain(Method::GradCam)]))?.remove(0);
            let sheet = panel(
                photo,
                &tiles(&look)?,
                &top(&look.readout, &labels),
                &format!("{name}  ·  step {step}"),
                &Overlay::default(),
            )?;
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

fn stem(path: &Path) -> String {
    path.file_stem().map_or_else(|| "picture".to_owned(), |stem| stem.to_string_lossy().into_owned())
}

/// Every map but single heads, each on its own scale.
fn tiles(look: &Look) -> Result<Vec<PanelTile>> {
    let names =
        look.readout.map_names().into_iter().filter(|name| !matches!(name, MapName::Patch { head: Some(_), .. }));
    let tile = |name: MapName| {
        let map = look.map(&name)?;
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
