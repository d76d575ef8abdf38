//! Which pictures are measured, and what is known about them.

use std::collections::HashSet;
use std::path::Path;

use cbam_core::classes::read_labels;
use cbam_core::eval::{ClassNames, PictureSource, RemarkKind, Remarks, Truth, TruthFormat, TruthRow};
use cbam_core::model::Description;
use cbam_core::{Error, Result};

use crate::eval::args::Cli;

/// A picture to measure, and what is known about it.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) image: String,
    pub(crate) truth: Option<TruthRow>,
}

impl Row {
    /// Whether it is known where the objects are.
    pub(crate) fn has_object(&self) -> bool {
        self.truth.as_ref().is_some_and(TruthRow::has_object)
    }
}

/// The pictures to measure.
#[derive(Debug)]
pub(crate) struct Chosen {
    pub(crate) rows: Vec<Row>,
    /// How the truth is written down; none if there is none.
    pub(crate) format: Option<TruthFormat>,
    /// What is to be said of them.
    pub(crate) remarks: Remarks,
}

impl Cli {
    /// The pictures that are asked for.
    pub(crate) fn rows(&self, source: &PictureSource, network: &Description) -> Result<Chosen> {
        let mut remarks = Remarks::default();
        let Some(path) = &self.truth else {
            if self.small {
                return Err(Error::argument("--small", "needs a table of truth: --truth"));
            }
            let names = source.names(&mut remarks)?.into_iter().take(self.limit.unwrap_or(usize::MAX));
            let rows: Vec<Row> = names.map(|image| Row { image, truth: None }).collect();
            if rows.is_empty() {
                let message = match remarks.iter().next() {
                    Some(_) => format!("{} holds no picture that can be read; {remarks}", self.images.display()),
                    None => format!("{} holds no picture", self.images.display()),
                };
                return Err(Error::argument("--images", message));
            }
            return Ok(Chosen { rows, format: None, remarks });
        };
        let classes = self.class_names(network)?;
        let truth = self.open_truth(path, source, &classes, &mut remarks)?;
        let format = truth.format;
        if self.small && format != TruthFormat::Table {
            let message = format!("is for tables of truth with a column small; {} is {format}", path.display());
            return Err(Error::argument("--small", message));
        }
        remarks.merge(truth.remarks);
        let rows = truth.rows.into_iter().filter(|row| row.small || !self.small);
        let rows: Vec<TruthRow> = rows.take(self.limit.unwrap_or(usize::MAX)).collect();
        if rows.is_empty() {
            return Err(Error::argument("--truth", format!("{} has no row with small = 1", path.display())));
        }
        let rows = rows.into_iter().map(|row| Row { image: row.image.clone(), truth: Some(row) }).collect();
        Ok(Chosen { rows, format: Some(format), remarks })
    }

    /// The truth. Tables and COCO files name their pictures; the others are matched with what there is.
    fn open_truth(
        &self,
        path: &Path,
        source: &PictureSource,
        classes: &ClassNames,
        remarks: &mut Remarks,
    ) -> Result<Truth> {
        if !path.is_dir() {
            return Truth::open(path, classes, &[]);
        }
        let mut names = source.names(remarks)?;
        let real = |path: &Path| path.canonicalize().map_err(Error::io(path));
        let (own, images) = (real(path)?, real(&self.images)?);
        let truth = if own == images {
            Truth::open_among(path, classes, &names)?
        } else {
            // Masks that lie below the pictures are no pictures themselves.
            if let Ok(below) = own.strip_prefix(&images) {
                names.retain(|name| !Path::new(name).starts_with(below));
            }
            Truth::open(path, classes, &names)?
        };
        let known: HashSet<&str> = truth.rows.iter().map(|row| row.image.as_str()).collect();
        for name in names.iter().filter(|name| !known.contains(name.as_str())) {
            remarks.add(
                RemarkKind::Assumed,
                "pictures of which the truth has nothing that can be used, left out",
                name,
            );
        }
        Ok(truth)
    }

    /// The words for the network's classes.
    fn class_names(&self, network: &Description) -> Result<ClassNames> {
        let given = self.labels.as_ref().map(read_labels).transpose()?;
        let labels = network.choose_labels(given.as_deref())?;
        Ok(if labels.is_empty() { ClassNames::unnamed(network.classes()) } else { ClassNames::new(labels) })
    }
}

/// Refuses a truth of whose pictures not one is in the folder: it is the wrong folder, most likely.
pub(crate) fn check_pictures(source: &PictureSource, rows: &[Row]) -> Result<()> {
    let (PictureSource::Folder(folder), Some(first)) = (source, rows.first()) else { return Ok(()) };
    if rows.iter().any(|row| source.may_hold(&row.image)) {
        return Ok(());
    }
    let (folder, count) = (folder.display(), rows.len());
    let message = format!("{folder} has not one of the {count} pictures of the truth, such as {}", first.image);
    Err(Error::argument("--images", message))
}
