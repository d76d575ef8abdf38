//! Frames on their way to the network.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};

use cbam_core::Result;
use cbam_core::photo::{Photo, Preprocess, Resampled};
use image::{DynamicImage, RgbImage};

use super::decode::{Frame, Frames};
use super::probe::Film;
use super::steady::Cuts;

/// Why a film is broken, if it is, and when its last frame is over, where that is known.
pub(super) type Ending = (Option<String>, Option<u64>);

/// A frame on its way to the network.
pub(super) struct Taken {
    pub(super) index: usize,
    pub(super) time: u64,
    pub(super) cut: bool,
    pub(super) resampled: Option<Resampled>,
    /// Its pixels, if it is drawn at once.
    pub(super) pixels: Cell<Option<RgbImage>>,
}

/// What a pass over a film is for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pass {
    /// Whether frames are drawn at once, and so kept until they are looked at.
    pub(super) drawn: bool,
    /// The most frames that wait, those that are not looked at among them.
    pub(super) most: usize,
}

/// Reads the film and makes of frames what the network takes.
pub(super) fn read(
    film: &Film,
    preprocess: &Preprocess,
    takes: impl Fn(usize) -> bool,
    pass: Pass,
    cancel: &AtomicBool,
    to: &SyncSender<Taken>,
) -> Result<Ending> {
    let mut frames = Frames::open(film)?;
    let mut cuts = Cuts::default();
    let mut index = 0;
    while let Some(Frame { time, pixels }) = frames.next()? {
        let kept = Cell::new(pass.drawn.then(|| pixels.clone()));
        let photo = takes(index).then(|| Photo::from(DynamicImage::from(pixels)));
        let resampled = photo.map(|photo| preprocess.resample(&photo)).transpose()?;
        let cut = resampled.as_ref().is_some_and(|frame| cuts.next(frame));
        if to.send(Taken { index, time, cut, resampled, pixels: kept }).is_err() || cancel.load(Ordering::Relaxed) {
            return Ok((None, None)); // nobody wants more
        }
        index += 1;
    }
    let end = frames.end();
    Ok((frames.broken()?, end))
}

/// Calls `then` with frames as they come, so many of them together that the network looks at `batch`, and no more than `most`.
pub(super) fn gathered(
    taken: &Receiver<Taken>,
    [batch, most]: [usize; 2],
    waiting: &mut Vec<Taken>,
    then: &mut dyn FnMut(&[Taken]) -> Result<()>,
) -> Result<()> {
    let mut looked = 0;
    for frame in taken {
        looked += usize::from(frame.resampled.is_some());
        waiting.push(frame);
        if looked == batch || waiting.len() >= most {
            then(waiting)?;
            waiting.clear();
            looked = 0;
        }
    }
    then(waiting)
}
