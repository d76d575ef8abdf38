//! The maps over their frames.

use std::num::NonZeroU32;
use std::sync::mpsc::sync_channel;

use cbam_core::maps::{AttentionMap, ScaleLimits};
use cbam_core::photo::{ImageSize, Photo};
use cbam_core::pipeline::{Options, at_width};
use cbam_core::{Error, Result};
use image::{DynamicImage, RgbImage};
use rayon::prelude::*;

use super::decode::{Frame, Frames};
use super::encode::Encoder;
use super::look::Study;

/// What frames that are drawn together may take, in bytes.
const TOGETHER: u64 = 64 << 20;

/// The size of drawn frames.
pub(super) fn size(film: ImageSize, options: &Options) -> Result<ImageSize> {
    let Some(width) = options.width.map(NonZeroU32::get) else { return Ok(film) };
    let photo = Photo::from(DynamicImage::new_rgb8(film.width, film.height));
    let scaled = at_width(&photo, options)?;
    Ok(scaled.map_or(ImageSize::new(width, film.height), |scaled| scaled.size()))
}

/// Decodes the film again, draws and writes it.
pub(super) fn draw(study: &mut Study<'_>, encoder: Encoder, span: Option<ScaleLimits>, done: &dyn Fn()) -> Result<()> {
    let (film, frames) = (study.film, study.frames);
    let pictures =
        (TOGETHER / (film.size.pixels() * 3).max(1)).clamp(1, 2 * rayon::current_num_threads() as u64) as usize;
    std::thread::scope(|threads| {
        let (send_frame, decoded) = sync_channel(pictures);
        let reader = threads.spawn(move || {
            let mut source = Frames::open(film)?;
            for _ in 0..frames {
                let Some(frame) = source.next()? else { break };
                if send_frame.send(frame).is_err() {
                    break; // nobody wants more
                }
            }
            Ok(())
        });
        let (send_drawn, drawn) = sync_channel::<(u64, RgbImage)>(pictures);
        let writer = threads.spawn(move || {
            let mut encoder = encoder;
            for (time, pixels) in drawn {
                encoder.write(time, &pixels)?;
            }
            Ok(encoder)
        });
        let mut index = 0;
        let mut drawing = || -> Result<()> {
            loop {
                let together: Vec<Frame> = decoded.iter().take(pictures).collect();
                if together.is_empty() {
                    return Ok(());
                }
                let mut jobs = Vec::with_capacity(together.len());
                for frame in together {
                    let values = study.record(index)?.drawn();
                    jobs.push((frame, study.map_of(values)?));
                    index += 1;
                }
                let options = study.options;
                let painted: Vec<_> =
                    jobs.into_par_iter().map(|(frame, map)| paint(frame, &map, span, options)).collect();
                for painted in painted {
                    if send_drawn.send(painted?).is_err() {
                        return Ok(()); // it says why
                    }
                    done();
                }
                if study.cancelled() {
                    return Err(Error::Interrupted);
                }
            }
        };
        let outcome = drawing();
        drop(send_drawn);
        drop(decoded);
        let panicked = || Error::internal("a thread of a film panicked");
        let read = reader.join().unwrap_or_else(|_| Err(panicked()));
        let written = writer.join().unwrap_or_else(|_| Err(panicked()));
        outcome?;
        let encoder = written?;
        read?;
        if index < frames {
            return Err(Error::photo(
                study.name(),
                format!("gave {frames} frames first, and {index} then: it changed"),
            ));
        }
        encoder.finish()
    })
}

/// A map over its frame.
pub(super) fn paint(
    frame: Frame,
    map: &AttentionMap,
    span: Option<ScaleLimits>,
    options: &Options,
) -> Result<(u64, RgbImage)> {
    let Frame { time, pixels } = frame;
    let limits = span.unwrap_or_else(|| options.scale.limits(map));
    let photo = Photo::from(DynamicImage::from(pixels));
    let image = match at_width(&photo, options)? {
        Some(scaled) => scaled.image,
        None => photo.image,
    };
    Ok((time, options.overlay.paint(image, map, limits)?.into_rgb8()))
}
