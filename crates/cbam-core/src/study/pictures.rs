//! The pictures that are measured, and what is known about them.

use std::collections::HashSet;
use std::path::Path;

use crate::eval::{ClassNames, PictureSource, RemarkKind, Remarks, Truth, TruthFormat, TruthRow};
use crate::model::Description;
use crate::{Error, Result};

/// A picture to measure, and what is known about it.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its path in the source, with `/` between the parts.
    pub image: String,
    /// What is right about it; none if that is not known.
    pub truth: Option<TruthRow>,
}

impl Row {
    /// Whether it is known where the objects are.
    pub fn has_object(&self) -> bool {
        self.truth.as_ref().is_some_and(TruthRow::has_object)
    }
}

/// The pictures to measure, where they are, and what is known about them.
///
/// The fields are open, for a truth of one's own and for a choice of rows.
#[derive(Debug, Clone)]
pub struct StudyPictures {
    /// Where they are.
    pub source: PictureSource,
    /// Each of them once, in the order of the truth, or of the source if there is no truth.
    pub rows: Vec<Row>,
    /// How the truth is written down; none if there is none.
    pub format: Option<TruthFormat>,
    /// What was left out, changed or assumed while they were listed.
    pub remarks: Remarks,
}

impl StudyPictures {
    /// All pictures of a source, about which nothing is known.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read, [`Error::Argument`] about `images` if it holds no picture.
    pub fn without_truth(source: PictureSource) -> Result<Self> {
        let mut remarks = Remarks::default();
        let names = source.names(&mut remarks)?;
        if names.is_empty() {
            let folder = path(&source).display();
            let message = match remarks.iter().next() {
                Some(_) => format!("{folder} holds no picture that can be read; {remarks}"),
                None => format!("{folder} holds no picture"),
            };
            return Err(Error::argument("images", message));
        }
        let rows = names.into_iter().map(|image| Row { image, truth: None }).collect();
        Ok(Self { source, rows, format: None, remarks })
    }

    /// The pictures of a truth: a table, a COCO file, or a folder of Pascal VOC files, of masks or of class folders. `classes` are the
    /// model's; see [`class_names`].
    ///
    /// Tables and COCO files name their pictures; the others are matched with what the source has.
    ///
    /// # Errors
    /// As [`Truth::open`]; if the source cannot be listed.
    pub fn with_truth(source: PictureSource, truth: impl AsRef<Path>, classes: &ClassNames) -> Result<Self> {
        let mut remarks = Remarks::default();
        let truth = open(truth.as_ref(), &source, classes, &mut remarks)?;
        remarks.merge(truth.remarks);
        let rows = truth.rows.into_iter().map(|row| Row { image: row.image.clone(), truth: Some(row) }).collect();
        Ok(Self { source, rows, format: Some(truth.format), remarks })
    }

    /// Refuses a folder that has not one of the pictures: it is the wrong folder, most likely. Of an archive that is known only once
    /// it is read.
    ///
    /// # Errors
    /// [`Error::Argument`] about `images`.
    pub fn check(&self) -> Result<()> {
        let (PictureSource::Folder(folder), Some(first)) = (&self.source, self.rows.first()) else { return Ok(()) };
        if self.rows.iter().any(|row| self.source.may_hold(&row.image)) {
            return Ok(());
        }
        let (folder, count) = (folder.display(), self.rows.len());
        let message = format!("{folder} has not one of the {count} pictures of the truth, such as {}", first.image);
        Err(Error::argument("images", message))
    }
}

/// The words for a model's classes, which a truth is matched with: those `given`, one for each class, or the model's own; of a model
/// that knows none, numbers.
///
/// # Errors
/// [`Error::Argument`] about `labels` if as many are not given as there are classes.
pub fn class_names(model: &Description, given: Option<&[String]>) -> Result<ClassNames> {
    let labels = model.choose_labels(given)?;
    Ok(if labels.is_empty() { ClassNames::unnamed(model.classes()) } else { ClassNames::new(labels) })
}

pub(super) fn path(source: &PictureSource) -> &Path {
    match source {
        PictureSource::Folder(path) | PictureSource::Tar(path) => path,
    }
}

fn open(truth: &Path, source: &PictureSource, classes: &ClassNames, remarks: &mut Remarks) -> Result<Truth> {
    if !truth.is_dir() {
        return Truth::open(truth, classes, &[]);
    }
    let mut names = source.names(remarks)?;
    let real = |path: &Path| path.canonicalize().map_err(Error::io(path));
    let (own, images) = (real(truth)?, real(path(source))?);
    let truth = if own == images {
        Truth::open_among(truth, classes, &names)?
    } else {
        // Masks that lie below the pictures are no pictures themselves.
        if let Ok(below) = own.strip_prefix(&images) {
            names.retain(|name| !Path::new(name).starts_with(below));
        }
        Truth::open(truth, classes, &names)?
    };
    let known: HashSet<&str> = truth.rows.iter().map(|row| row.image.as_str()).collect();
    for name in names.iter().filter(|name| !known.contains(name.as_str())) {
        remarks.add(RemarkKind::Assumed, "pictures of which the truth has nothing that can be used, left out", name);
    }
    Ok(truth)
}
