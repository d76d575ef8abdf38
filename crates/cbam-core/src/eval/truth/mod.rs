//! The truth about a set of pictures: where the objects are, and of which class.
//!
//! | `--truth` names | format | class | objects |
//! |---|---|---|---|
//! | a file | a table, separated by tabs, commas or semicolons | if there is a column | boxes, if there are columns |
//! | a file `.json` | COCO instances | where a category is one of the network's classes | boxes |
//! | a folder of `.xml` | Pascal VOC | where a name is one of the network's classes | boxes |
//! | a folder of `.png` | masks, other than black is object, 255 of indexed ones is void | never | pixels |
//! | a folder with a folder of pictures for each class | class folders | always | unknown |
//!
//! What makes no sense in it costs itself alone: a box, a line, a file. It is counted in [`Truth::remarks`].

mod coco;
mod draft;
mod folders;
mod masks;
mod names;
mod pictures;
mod read;
mod record;
mod table;
mod voc;

use std::fmt;
use std::path::{Path, PathBuf};

use ndarray::Array2;

use super::Remarks;
use super::components::component_boxes;
use crate::photo::{ImageSize, is_picture, is_system};
use crate::{Error, Result};

pub use names::ClassNames;
use pictures::{Pictures, inside};

const NO_SIZE: &str = "pictures whose size the truth does not have, taken from the picture";
const NO_PICTURE: &str = "parts of the truth whose picture is not there, left out";
const LEADS_OUT: &str = "pictures whose path leads out of the folder of pictures, refused";

/// A box in pixels of the upright picture; the low corner belongs to it, the high corner does not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BoundingBox {
    /// The left edge.
    pub x0: f64,
    /// The top edge.
    pub y0: f64,
    /// The right edge, greater than `x0`.
    pub x1: f64,
    /// The bottom edge, greater than `y0`.
    pub y1: f64,
}

impl BoundingBox {
    /// The area in pixels.
    pub fn area(&self) -> f64 {
        (self.x1 - self.x0) * (self.y1 - self.y0)
    }

    /// The area of the overlap divided by that of the union, in `[0, 1]`.
    pub fn iou(&self, other: &Self) -> f64 {
        let width = self.x1.min(other.x1) - self.x0.max(other.x0);
        let height = self.y1.min(other.y1) - self.y0.max(other.y0);
        let overlap = width.max(0.0) * height.max(0.0);
        overlap / (self.area() + other.area() - overlap).max(f64::MIN_POSITIVE)
    }

    /// The part that lies on a picture of `size`.
    pub fn cut(&self, size: ImageSize) -> Self {
        let (width, height) = (f64::from(size.width), f64::from(size.height));
        Self {
            x0: self.x0.clamp(0.0, width),
            y0: self.y0.clamp(0.0, height),
            x1: self.x1.clamp(0.0, width),
            y1: self.y1.clamp(0.0, height),
        }
    }

    /// Whether it covers something of a picture of `size`; of one of unknown size, whether it could.
    fn covers(&self, size: Option<ImageSize>) -> bool {
        let Self { x0, y0, x1, y1 } = *self;
        let within = size.is_none_or(|size| x0 < f64::from(size.width) && y0 < f64::from(size.height));
        let finite = [x0, y0, x1, y1].iter().all(|corner| corner.is_finite());
        finite && within && x0 < x1 && y0 < y1 && x1 > 0.0 && y1 > 0.0
    }
}

/// One picture of the truth.
#[derive(Debug, Clone, PartialEq)]
pub struct TruthRow {
    /// The picture's path inside its folder or archive, with `/` between the parts.
    pub image: String,
    /// The true class (ImageNet: its place among the sorted WordNet ids), where it is known and one of the network's.
    pub class: Option<usize>,
    /// The size of the picture whose pixels the truth counts, if it says so.
    pub size: Option<ImageSize>,
    /// Whether a table of truth says that the boxes are small, so that the centre alone is a weak guess.
    pub small: bool,
    /// Where the objects are.
    pub object: Object,
}

/// Where the objects of a picture are.
#[derive(Debug, Clone, PartialEq)]
pub enum Object {
    /// Boxes around every object; at least one.
    Boxes(Vec<BoundingBox>),
    /// A picture of the same size whose pixels that are not black are the objects, and 255 of an indexed one void.
    Mask(PathBuf),
    /// Nobody knows: only the class is known.
    Unknown,
}

/// The pixels and boxes of the objects of one picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Region {
    /// The pixels of the objects, `[height, width]`.
    pub inside: Array2<bool>,
    /// The pixels that are neither object nor ground, `[height, width]`; `None` if there are none.
    pub void: Option<Array2<bool>>,
    /// The box around each object, cut to the picture; for a mask, the one around each of its connected parts.
    pub boxes: Vec<BoundingBox>,
}

impl TruthRow {
    /// Where the objects are on the picture, of `size`, pixel by pixel. What of it was assumed or left out goes to `remarks`.
    ///
    /// A box covers whole pixels: the floor of its low corner up to the ceiling of its high corner. The region is the
    /// union of the boxes, or the mask.
    ///
    /// # Errors
    /// [`Error::Photo`] if the truth has another size, or no box lies on the picture; [`Error::Io`] or [`Error::Photo`] if
    /// the mask cannot be read, is of another size or has no object; [`Error::Truth`] if the object is unknown.
    pub fn region(&self, size: ImageSize, remarks: &mut Remarks) -> Result<Region> {
        self.check_size(size)?;
        match &self.object {
            Object::Boxes(boxes) => {
                let usable = |found| draft::usable(found, Some(size), &self.image, remarks);
                let boxes: Vec<BoundingBox> = boxes.iter().filter_map(usable).collect();
                if boxes.is_empty() {
                    return Err(Error::photo(&self.image, format!("no box of the truth lies on its {size} pixels")));
                }
                Ok(Region::of_boxes(&boxes, size))
            }
            Object::Mask(path) => masks::region(path, size, remarks),
            Object::Unknown => Err(Error::truth(&self.image, "where its objects are is unknown")),
        }
    }

    /// That the picture has the size that the truth says.
    ///
    /// # Errors
    /// [`Error::Photo`] with both sizes if it does not.
    pub fn check_size(&self, size: ImageSize) -> Result<()> {
        match self.size {
            Some(truth) if truth != size => {
                Err(Error::photo(&self.image, format!("{size} pixels, where the truth has {truth}")))
            }
            _ => Ok(()),
        }
    }

    /// Whether it says where the objects are.
    pub fn has_object(&self) -> bool {
        self.object != Object::Unknown
    }
}

impl Region {
    /// The share of the picture that the objects cover.
    pub fn share(&self) -> f64 {
        let covered = self.inside.iter().filter(|inside| **inside).count();
        covered as f64 / self.inside.len().max(1) as f64
    }

    /// The region of `boxes` on a picture of `size`.
    pub fn of_boxes(boxes: &[BoundingBox], size: ImageSize) -> Self {
        Self { inside: fill(boxes, size), void: None, boxes: boxes.iter().map(|b| b.cut(size)).collect() }
    }

    /// The region of the pixels `inside`, `[height, width]`, with a box around each of its connected parts; pixels that are `void` are
    /// neither object nor ground.
    pub fn of_mask(inside: Array2<bool>, void: Option<Array2<bool>>) -> Self {
        let boxes = component_boxes(&inside);
        Self { inside, void, boxes }
    }
}

/// The pixels that lie in any of the boxes, `[height, width]`.
fn fill(boxes: &[BoundingBox], size: ImageSize) -> Array2<bool> {
    let (width, height) = (size.width as usize, size.height as usize);
    let mut inside = Array2::from_elem((height, width), false);
    for b in boxes {
        // A float cast saturates, so what lies left of or above the picture is cut at 0.
        let (left, top) = (b.x0.floor() as usize, b.y0.floor() as usize);
        let (right, bottom) = ((b.x1.ceil() as usize).min(width), (b.y1.ceil() as usize).min(height));
        if left < right && top < bottom {
            inside.slice_mut(ndarray::s![top..bottom, left..right]).fill(true);
        }
    }
    inside
}

/// A format of truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TruthFormat {
    /// A table, separated by tabs, commas or semicolons.
    Table,
    /// COCO instances, JSON.
    Coco,
    /// A folder of Pascal VOC annotations, XML.
    Voc,
    /// A folder of masks, PNG.
    Masks,
    /// A folder with a folder of pictures for each class.
    Folders,
}

impl fmt::Display for TruthFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Table => "table",
            Self::Coco => "COCO JSON",
            Self::Voc => "Pascal VOC XML",
            Self::Masks => "masks",
            Self::Folders => "class folders",
        })
    }
}

/// What is known about a set of pictures.
#[derive(Debug, Clone, PartialEq)]
pub struct Truth {
    /// How it was written down.
    pub format: TruthFormat,
    /// The pictures, in its order, each once; at least one.
    pub rows: Vec<TruthRow>,
    /// What was left out, changed or assumed while it was read.
    pub remarks: Remarks,
}

impl Truth {
    /// Reads the truth at `path`, in the format that the path tells: a table (a file, such as `.csv`), COCO instances (a
    /// file `.json`), Pascal VOC (a folder of `.xml`), class folders (a folder of folders that name classes of the network,
    /// or of pictures that are not all `.png`) or masks (a folder of `.png`).
    ///
    /// `classes` are the network's; `pictures` are the paths of the pictures that there are, which the files of a folder
    /// are matched with by their paths, or else by their stems.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file if it cannot be read; [`Error::Truth`] if it is of none of the formats, or nothing of it can
    /// be used.
    pub fn open(path: impl AsRef<Path>, classes: &ClassNames, pictures: &[String]) -> Result<Self> {
        let path = path.as_ref();
        if path.metadata().map_err(Error::io(path))?.is_dir() {
            return Self::open_folder(path, classes, &Pictures::new(pictures));
        }
        let mut remarks = Remarks::default();
        let (format, rows) = match extension(path).as_deref() {
            Some("json") => (TruthFormat::Coco, coco::read(path, classes, &mut remarks)?),
            Some("xml") => return Err(Error::truth(path, "one VOC file is one picture's: name the folder of them")),
            Some("png") => return Err(Error::truth(path, "one mask is one picture's: name the folder of them")),
            Some("tar" | "zip" | "gz") => {
                return Err(Error::truth(path, "an archive: unpack it and name the file or folder"));
            }
            _ => (TruthFormat::Table, table::read(path, classes, &mut remarks)?),
        };
        Self::of(path, format, rows, remarks)
    }

    /// Reads the truth that lies among the pictures themselves: Pascal VOC files beside them, or else the folders that they lie
    /// in are their classes.
    ///
    /// # Errors
    /// [`Error::Io`] if the folder cannot be read, [`Error::Truth`] if nothing in it can be used.
    pub fn open_among(folder: impl AsRef<Path>, classes: &ClassNames, pictures: &[String]) -> Result<Self> {
        let (folder, pictures) = (folder.as_ref(), &Pictures::new(pictures));
        let mut remarks = Remarks::default();
        let xml = files(folder, |path| extension(path).as_deref() == Some("xml"))?;
        let (format, rows) = if xml.is_empty() {
            let files = files(folder, is_picture)?;
            (TruthFormat::Folders, folders::read(&files, folder, classes, pictures, &mut remarks))
        } else {
            (TruthFormat::Voc, voc::read(&xml, folder, classes, pictures, &mut remarks))
        };
        Self::of(folder, format, rows, remarks)
    }

    fn open_folder(folder: &Path, classes: &ClassNames, pictures: &Pictures<'_>) -> Result<Self> {
        let mut remarks = Remarks::default();
        let found = files(folder, |path| is_picture(path) || extension(path).as_deref() == Some("xml"))?;
        let is_xml = |file: &PathBuf| extension(file).as_deref() == Some("xml");
        let (xml, images): (Vec<_>, Vec<_>) = found.into_iter().partition(is_xml);
        let masks = images.iter().all(|file| extension(file).as_deref() == Some("png"));
        let (format, rows) = match (xml.is_empty(), images.is_empty()) {
            (true, true) => {
                let expected = "Pascal VOC files (.xml), masks (.png), or a folder of pictures for each class";
                return Err(Error::truth(folder, format!("a folder without {expected}")));
            }
            (false, false) if masks => {
                return Err(Error::truth(folder, "a folder with both .xml and .png: name the folder of one of them"));
            }
            (false, _) => (TruthFormat::Voc, voc::read(&xml, folder, classes, pictures, &mut remarks)),
            (true, false) if masks && !folders::are_classes(&images, folder, classes) => {
                (TruthFormat::Masks, masks::read(&images, folder, pictures, &mut remarks))
            }
            (true, false) => (TruthFormat::Folders, folders::read(&images, folder, classes, pictures, &mut remarks)),
        };
        Self::of(folder, format, rows, remarks)
    }

    /// The truth, if anything of it can be used.
    fn of(path: &Path, format: TruthFormat, rows: Vec<TruthRow>, remarks: Remarks) -> Result<Self> {
        if let Some(share) = only_shares(&rows) {
            let message = "boxes look like shares of the picture (0 to 1); pixels are wanted";
            return Err(Error::truth(path, format!("{format}: {message}; the first is {share}")));
        }
        if !rows.is_empty() {
            return Ok(Self { format, rows, remarks });
        }
        let reasons = if remarks.iter().next().is_some() { format!("; {remarks}") } else { String::new() };
        Err(Error::truth(path, format!("{format}: there is no picture to measure{reasons}")))
    }
}

/// The first box, of boxes that all lie within the first pixel, and not all on its edges: nobody draws those, they are shares
/// of the sides.
fn only_shares(rows: &[TruthRow]) -> Option<String> {
    let mut boxes = rows.iter().flat_map(|row| match &row.object {
        Object::Boxes(boxes) => boxes.as_slice(),
        _ => &[],
    });
    let corners = |of: &BoundingBox| [of.x0, of.y0, of.x1, of.y1];
    let within = |of: &BoundingBox| corners(of).iter().all(|corner| (0.0..=1.0).contains(corner));
    let parted = |of: &BoundingBox| corners(of).iter().any(|corner| corner.fract() != 0.0);
    if !boxes.clone().all(within) || !boxes.clone().any(parted) {
        return None;
    }
    boxes.next().map(|first| corners(first).map(|corner| corner.to_string()).join(","))
}

/// The files below a folder that are wanted, in the order of their paths, without what is hidden or the system's.
fn files(folder: &Path, wanted: impl Fn(&Path) -> bool) -> Result<Vec<PathBuf>> {
    let walk = walkdir::WalkDir::new(folder).follow_links(true).sort_by_file_name().into_iter();
    let mut files = Vec::new();
    for entry in walk.filter_entry(|entry| entry.depth() == 0 || !is_system(entry.file_name())) {
        let entry = match entry {
            // A link to nowhere, or round in circles, below the folder.
            Err(error) if error.depth() > 0 => continue,
            entry => entry.map_err(|error| Error::io(folder)(error.into()))?,
        };
        if entry.file_type().is_file() && wanted(entry.path()) {
            files.push(entry.into_path());
        }
    }
    Ok(files)
}

fn extension(path: &Path) -> Option<String> {
    path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase())
}

/// A size as a truth gives it, if it is one.
fn size(width: Option<f64>, height: Option<f64>) -> Option<ImageSize> {
    let side = |side: f64| (side >= 1.0 && side <= f64::from(u32::MAX) && side.fract() == 0.0).then_some(side as u32);
    Some(ImageSize::new(side(width?)?, side(height?)?))
}
