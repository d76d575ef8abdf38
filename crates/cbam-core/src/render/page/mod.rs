//! The interactive page: one HTML file that shows where a network looks in one picture or in many, without any network connection.
//!
//! [`PageWriter`] takes pictures as they come ([`PagePicture`]) and writes the page in the end. The page holds a program of its own
//! (`web/` in this crate) and data in this format, version [`VERSION`]:
//!
//! | where | what |
//! |---|---|
//! | `<script type="application/json" id="head">` | what is said once: the network, the look, the colours, an index of the pictures |
//! | `<script type="application/json" class="picture" data-index="I">` | all that is shown of picture I |
//! | `<script type="text/plain" id="film-maps">`, `film-video` | of a film, its frames' maps and the video itself |
//! | `I.js` in the folder `head.split`, if there is one | the same, as a call of `cbamPicture(I, …)`: pages of over 150 MB come in parts |
//!
//! Of a picture `maps` are on their own grids, `attention` has a row for each patch (where it looks), `gates` the gates of channels with
//! the features before them, `classes` what speaks for each class, and `ground` the features from which `fused` and `object` of another
//! class are made (`rule` names the maps that they are made of). Numbers lie in `blob`, zlib's form of arrays in Base64; each array says
//! its type, its first byte, its count, and for whole numbers what the least and the greatest code stand for. A map is kept as it is;
//! among many pictures in 16 bits between its least and its greatest value, and a patch's row in 64 steps up to its greatest weight.
//!
//! Of a film ([`FilmPageWriter`]) the page holds a video that browsers play, and of each frame its time, its likeliest classes and its
//! maps, in 8 bits between the least and the greatest value of the map in all frames.
//!
//! The page asks nothing of any network, and its Content-Security-Policy lets it ask nothing: no address but its own data, no script and
//! no style but its own.

mod facts;
mod film;
mod live;
mod pack;
mod picture;
mod record;
#[cfg(test)]
mod tests;
mod truth;
mod web;
mod writer;

use std::collections::BTreeMap;

use crate::Result;
use crate::classes::Outputs;
use crate::maps::{MapName, Scale};

use super::Overlay;
use facts::Place;

pub use film::{FilmPageWriter, PageFilm, PageFilmMap, PageFrame};
pub use live::{LiveEngine, live};
pub use pack::Packing;
pub use picture::{PagePicture, PageSource};
pub use truth::{PageMeasures, PageTruth};
pub use writer::{PageWriter, page};

/// The version of the data's format. A page and its data are written together, so no program needs to read an older one.
pub const VERSION: u32 = 1;

/// What a page says once that is known before any picture is.
#[derive(Debug, Clone)]
pub struct PageHead {
    /// The program that writes it, with its version.
    pub program: String,
    /// When, as RFC 3339 has it.
    pub date: String,
    /// The words of a command line that opens the network as it was opened, without pictures, maps, class, look and outputs.
    pub command: Vec<String>,
    /// The words that go with a method's maps in a command line, by the method's name.
    pub methods: BTreeMap<&'static str, Vec<String>>,
    /// What the network is called.
    pub network: String,
    /// How maps are laid over pictures, to begin with.
    pub overlay: Overlay,
    /// What was measured of the pictures, if they were.
    pub report: Option<PageReport>,
}

/// What a page says of a study.
#[derive(Debug, Clone)]
pub struct PageReport {
    /// Sections that stand above the pictures, as HTML without scripts and styles. It is put into the page as it is: whoever makes it
    /// has to escape what comes from elsewhere.
    pub html: String,
    /// The maps that were measured, the first to begin with.
    pub maps: Vec<MapName>,
    /// What was measured of each.
    pub measures: Vec<PageMeasure>,
}

/// Something that is measured of a map on a picture.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub struct PageMeasure {
    /// By which [`PageMeasures`] have it.
    pub key: &'static str,
    /// What it is called.
    pub words: &'static str,
    /// Whether high is good.
    pub high: bool,
}

impl PageHead {
    /// What a page of this says once, as JSON, before it has any picture: for a program that looks at pictures as they come.
    ///
    /// # Errors
    /// [`Error::Internal`](crate::Error::Internal) if the colours cannot be packed.
    pub fn json(&self, subject: &PageSubject) -> Result<String> {
        facts::facts(self, Some(subject), &[], &BTreeMap::new(), Place::Page)
    }
}

/// What a page is of, which is known when the network is open.
#[derive(Debug, Clone)]
pub struct PageSubject {
    /// The maps that were asked for; the first is shown first.
    pub maps: Vec<MapName>,
    /// The names of the classes.
    pub labels: Vec<String>,
    /// What the network's numbers for them are.
    pub outputs: Outputs,
    /// The class that was asked for.
    pub class: Option<usize>,
    /// What spans the colours.
    pub scale: Scale,
}

impl PageSubject {
    /// The two maps whose disagreement a gallery can be sorted by: the first, and the class activation.
    fn disagreement(&self) -> Option<[MapName; 2]> {
        let first = self.maps.iter().find(|name| !matches!(name, MapName::Channel(_)))?;
        (*first != picture::CLASS_ACTIVATION).then(|| [first.clone(), picture::CLASS_ACTIVATION])
    }
}
