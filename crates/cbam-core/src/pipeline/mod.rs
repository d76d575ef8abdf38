//! Many pictures through one network: decoding, the network and drawing overlap, and memory stays bounded.
//!
//! ```text
//! jobs ─▶ gate ─▶ decode, resample ─▶ batches of one size ─▶ network ─▶ draw, encode, write ─▶ outcomes, in order
//!        (waits)      (pool)            (one thread of the pool)         (pool)
//! ```
//!
//! One pool of [`Options::threads`] threads does everything. The network stays on one of them, and what it shares out
//! itself goes to the others as they have nothing else to do; when no picture waits for it, its thread decodes and draws
//! too. So every core has work as long as there is any, and none has two threads that want it.
//!
//! The gate is the only place that waits for room: it admits a picture when few enough are under way, by number and by
//! bytes. Tasks on the pool never wait for one another, so nothing can deadlock, and only the jobs themselves
//! grow with the number of pictures.
//!
//! # Memory
//! | what | at most |
//! |---|---|
//! | pictures under way, from admission to outcome | [`Options::threads`] + 2 batches |
//! | of these, being decoded: a file and its pixels each | one for each thread |
//! | decoded pixels, pictures at the size of the network, copies and maps as large as a picture that drawing takes, and what pictures declare that are being decoded (their file, their pixels, and what the decoder works in) | [`Options::memory`]; a picture larger than that passes alone |
//! | of pictures that wait for room: their files | one for each thread |
//! | a thread that draws | of a PNG, 128 kB of pixels or a row, painted and filtered, and the file; other formats are painted in the picture's own pixels |
//! | the network | its weights and one batch |
//! | outcomes reported late, because an earlier picture takes long | 4 times the pictures under way, without pixels |
//!
//! With [`Scale::Run`] there are two passes. The first keeps what the network said in a temporary file, and finds the
//! range of values of each map; the second decodes the pictures again and draws.

mod batch;
mod draw;
mod drawing;
mod gate;
mod job;
mod look;
mod report;
mod run;
mod sheet;
mod state;
mod tell;
#[cfg(test)]
mod tests;

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::atomic::AtomicBool;

use crate::Result;
use crate::classes::ClassChoice;
use crate::explain::ExplainOptions;
use crate::maps::{MapName, Scale};
use crate::model::Model;
use crate::photo::Limits;
use crate::render::Overlay;

pub use draw::at_width;
pub use drawing::Drawing;
pub use job::{Destination, Elsewhere, Job, Source, Stream, Target};
pub use report::{ChannelStrength, KeptMap, PictureReport, Timings, TopClass};
pub use sheet::{comparison_legend, map_legend};

/// How a run goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// The maps to save and to draw; see [`Job`]. Default: none, which means the network's first map. That is
    /// [`MapName::Fused`] if it has attention, else Grad-CAM.
    pub maps: Vec<MapName>,
    /// The overlay is one sheet that shows all the maps side by side. Default: no.
    pub compare: bool,
    /// The class that explanations, `fused` and `object` are of. Default: each picture's likeliest.
    pub class: Option<ClassChoice>,
    /// The names of the classes, in the order of the network's. Default: the network's own.
    pub labels: Option<Vec<String>>,
    /// How explanations are made.
    pub explain: ExplainOptions,
    /// What spans the colours. Default: each map's own range.
    pub scale: Scale,
    /// How overlays look.
    pub overlay: Overlay,
    /// What panels call the network. Default: nothing.
    pub network: Option<String>,
    /// A strip below each overlay names the map, the class that it is of and the scale of its colours. Default: no.
    pub legend: bool,
    /// The width of overlays, in pixels; their height follows. Default: the picture's.
    pub width: Option<NonZeroU32>,
    /// Short side of the network's input, in pixels. Default: the network's own.
    pub short_side: Option<u32>,
    /// Threads of the run. Default: all cores.
    pub threads: NonZeroUsize,
    /// The most pictures in one batch. Default: what serves the network best, [`Model::batch_size`].
    pub batch_size: Option<NonZeroUsize>,
    /// Quality of JPEG output, 1 to 100. Default: 90.
    pub jpeg_quality: u8,
    /// How large a picture may be.
    pub limits: Limits,
    /// The bytes that pictures under way take together, decoded or being decoded; a picture that needs more passes alone.
    /// Default: 512 MiB.
    pub memory: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            maps: Vec::new(),
            compare: false,
            class: None,
            labels: None,
            explain: ExplainOptions::default(),
            scale: Scale::Image,
            overlay: Overlay::default(),
            network: None,
            legend: false,
            width: None,
            short_side: None,
            threads: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            batch_size: None,
            jpeg_quality: 90,
            limits: Limits::default(),
            memory: 512 << 20,
        }
    }
}

/// What a run tells while it goes.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "one for each picture, reported and not kept")]
pub enum Event<'a> {
    /// The first of two passes is done with a picture; reported in any order.
    Looked,
    /// A costly explanation of a picture goes on.
    Explaining {
        /// The picture.
        job: &'a Job,
        /// The map.
        map: &'a MapName,
        /// How many runs of the network are done.
        done: usize,
        /// Of how many.
        total: usize,
    },
    /// A picture is done; reported in the order of the jobs.
    Done {
        /// The picture.
        job: &'a Job,
        /// What was seen and written, or why not; the error names the picture or the file at fault.
        outcome: Result<PictureReport>,
    },
}

/// Looks at every picture and writes what each job asks for; a picture that fails does not stop the others.
///
/// `load` opens the network, on a thread of the run's own pool, while the first pictures are decoded already; the network
/// stays on that thread, which runs its share of rayon's work too. The calling thread waits.
/// `tell` is called for each picture, from any thread, one call at a time. Setting `cancel` ends the run soon: pictures
/// under way are dropped and not reported, and no file is left half-written.
///
/// # Errors
/// What `load` returns; [`Error::Argument`](crate::Error::Argument) if the network has no map of that name, no such class or
/// not as many as there are labels, a class is asked for and no map depends on it, or an option is out of range; [`Error::Io`](crate::Error::Io) if the temporary file of [`Scale::Run`] or the threads cannot be
/// made. What is wrong with one picture is reported, not returned.
pub fn run<M: Model>(
    jobs: &[Job],
    options: &Options,
    load: impl FnOnce() -> Result<M> + Send,
    cancel: &AtomicBool,
    tell: impl FnMut(Event<'_>) + Send,
) -> Result<()> {
    state::Run::new(jobs, options, cancel, tell).start(load)
}
