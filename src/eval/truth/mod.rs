//! The truth about a set of pictures: where the objects are, and of which class.
//!
//! | `--truth` names | format | class | objects |
//! |---|---|---|---|
//! | a file `.tsv` | a table, [`read_truth`] | always | boxes |
//! | a file `.json` | COCO instances | where a category is one of the network's classes | boxes |
//! | a folder of `.xml` | Pascal VOC | where a name is one of the network's classes | boxes |
//! | a folder of `.png` | masks, other than 0 is object | never | pixels |

mod coco;
mod masks;
mod names;
mod tsv;
mod voc;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::{fmt, io};

use ndarray::Array2;

use crate::photo::ImageSize;
use crate::{Error, Result};

pub use names::ClassNames;
pub use tsv::read_truth;

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

    /// Why it cannot be the box of an object on a picture of `size`, if it cannot.
    fn fault(&self, size: ImageSize) -> Option<String> {
        let Self { x0, y0, x1, y1 } = *self;
        let (width, height) = (f64::from(size.width), f64::from(size.height));
        let finite = [x0, y0, x1, y1].iter().all(|v| v.is_finite());
        let covers = x0 < x1 && y0 < y1 && x0 < width && y0 < height && x1 > 0.0 && y1 > 0.0;
        (!(finite && covers)).then(|| format!("covers nothing of a picture of {width}×{height} pixels"))
    }
}

/// One picture of the truth.
#[derive(Debug, Clone, PartialEq)]
pub struct TruthRow {
    /// The picture's path inside its folder or archive, with `/` between the parts.
    pub image: String,
    /// The true class (ImageNet: its place among the sorted WordNet ids), where it is known and one of the network's.
    pub class: Option<usize>,
    /// The size of the picture whose pixels the truth counts.
    pub size: ImageSize,
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
    /// A picture of the same size whose pixels that are not black are the objects.
    Mask(PathBuf),
}

/// The pixels and boxes of the objects of one picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Region {
    /// The pixels of the objects, `[height, width]`.
    pub inside: Array2<bool>,
    /// The box around each object, cut to the picture; for a mask, the one around each of its connected parts.
    pub boxes: Vec<BoundingBox>,
}

impl TruthRow {
    /// Where the objects are, pixel by pixel.
    ///
    /// A box covers whole pixels: the floor of its low corner up to the ceiling of its high corner. The region is the
    /// union of the boxes, or the mask.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Photo`] if the mask cannot be read, is of another size or is black.
    pub fn region(&self) -> Result<Region> {
        match &self.object {
            Object::Boxes(boxes) => {
                Ok(Region { inside: fill(boxes, self.size), boxes: boxes.iter().map(|b| b.cut(self.size)).collect() })
            }
            Object::Mask(path) => masks::region(path, self.size),
        }
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
        Self { inside: fill(boxes, size), boxes: boxes.iter().map(|b| b.cut(size)).collect() }
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
    /// A tab-separated table.
    Table,
    /// COCO instances, JSON.
    Coco,
    /// A folder of Pascal VOC annotations, XML.
    Voc,
    /// A folder of masks, PNG.
    Masks,
}

impl fmt::Display for TruthFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Table => "table",
            Self::Coco => "COCO JSON",
            Self::Voc => "Pascal VOC XML",
            Self::Masks => "masks",
        })
    }
}

/// What is known about a set of pictures.
#[derive(Debug, Clone, PartialEq)]
pub struct Truth {
    /// How it was written down.
    pub format: TruthFormat,
    /// The pictures, in its order.
    pub rows: Vec<TruthRow>,
}

impl Truth {
    /// Reads the truth at `path`, in the format that the path tells: see [the table](self).
    ///
    /// `classes` are the network's; `pictures` are the paths of the pictures that there are, which masks and VOC files
    /// are matched with by their stems.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file (and the line, picture or element) if something cannot be read or makes no sense,
    /// [`Error::Argument`] if the path is none of the formats.
    pub fn open(path: impl AsRef<Path>, classes: &ClassNames, pictures: &[String]) -> Result<Self> {
        let path = path.as_ref();
        let about = path.metadata().map_err(Error::io(path))?;
        let extension = |path: &Path| path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
        if !about.is_dir() {
            return match extension(path).as_deref() {
                Some("json") => Ok(Self { format: TruthFormat::Coco, rows: coco::read(path, classes)? }),
                Some("xml") => Err(refuse(path, "one VOC file is one picture's: name the folder of them")),
                Some("png") => Err(refuse(path, "one mask is one picture's: name the folder of them")),
                _ => Ok(Self { format: TruthFormat::Table, rows: read_truth(path)? }),
            };
        }
        let (mut xml, mut png) = (Vec::new(), Vec::new());
        for entry in walkdir::WalkDir::new(path).follow_links(true).sort_by_file_name() {
            let entry = entry.map_err(|error| Error::io(path)(error.into()))?;
            match extension(entry.path()).as_deref() {
                Some("xml") if entry.file_type().is_file() => xml.push(entry.into_path()),
                Some("png") if entry.file_type().is_file() => png.push(entry.into_path()),
                _ => {}
            }
        }
        match (xml.is_empty(), png.is_empty()) {
            (false, true) => {
                Ok(Self { format: TruthFormat::Voc, rows: voc::read(&xml, classes, &Pictures::new(pictures))? })
            }
            (true, false) => {
                Ok(Self { format: TruthFormat::Masks, rows: masks::read(&png, path, &Pictures::new(pictures))? })
            }
            (true, true) => Err(refuse(path, "a folder without .xml (Pascal VOC) and without .png (masks)")),
            (false, false) => Err(refuse(path, "a folder with both .xml and .png: name the folder of one of them")),
        }
    }
}

fn refuse(path: &Path, message: &str) -> Error {
    Error::argument("truth", format!("{}: {message}", path.display()))
}

/// An [`Error::Io`] about the content of a file.
fn wrong(path: &Path, message: impl Into<String>) -> Error {
    Error::io(path)(io::Error::new(io::ErrorKind::InvalidData, message.into()))
}

/// The pictures that there are, by path and by stem.
struct Pictures<'a> {
    paths: HashSet<&'a str>,
    /// None for a stem that several pictures share.
    stems: HashMap<&'a str, Option<&'a str>>,
}

impl<'a> Pictures<'a> {
    fn new(paths: &'a [String]) -> Self {
        let mut stems = HashMap::new();
        for path in paths {
            let stem = Path::new(path).file_stem().and_then(|stem| stem.to_str()).unwrap_or(path);
            stems.entry(stem).and_modify(|found| *found = None).or_insert(Some(path.as_str()));
        }
        Self { paths: paths.iter().map(String::as_str).collect(), stems }
    }

    /// The picture called `name`, or else the one with this stem; why there is none.
    fn find(&self, name: &str, stem: &str) -> std::result::Result<String, String> {
        if self.paths.contains(name) {
            return Ok(name.to_owned());
        }
        match self.stems.get(stem) {
            Some(Some(path)) => Ok((*path).to_owned()),
            Some(None) => Err(format!("several pictures are called {stem}")),
            None => Err(format!("no picture is called {stem}")),
        }
    }
}
