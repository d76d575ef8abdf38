//! A film that is drawn while it is looked at, where nothing of the whole film is needed for that: it is decoded once.

use std::mem::take;
use std::sync::mpsc::sync_channel;

use cbam_core::maps::{MapName, Scale};
use cbam_core::{Error, Result};
use image::RgbImage;

use super::decode::Frame;
use super::draw::{Job, Painter, together};
use super::encode::Encoder;
use super::form::Container;
use super::look::Study;
use super::steady::{Spans, Votes};
use super::taken::Pass;

/// Whether a film is drawn at once: its class and its scale are given or play no part, no map depends on frames that come later, nothing
/// but the film is wanted, and its frames are small enough to wait until the network has looked at them.
pub(super) fn is_possible(study: &Study<'_>) -> bool {
    let request = study.request;
    let alone = request.maps_dir.is_none() && request.json.is_none() && request.html.is_none();
    // How long the last frame is shown stands in the command that writes these.
    let untimed =
        request.film.as_ref().is_some_and(|(_, container, _)| !matches!(container, Container::Gif | Container::Apng));
    let of_class = study.drawn().iter().any(MapName::needs_class);
    alone
        && untimed
        && request.smooth == 0.0
        && study.options.scale != Scale::Run
        && (study.class.is_some() || !of_class)
        && study.batch <= together(study.film.size)
}

/// Looks at a film, draws and writes it, all but its end.
pub(super) fn draw(
    study: &mut Study<'_>,
    encoder: Encoder,
    painter: &Painter<'_>,
    spans: &Spans,
    done: &dyn Fn(),
) -> Result<Encoder> {
    let most = together(study.film.size).min(16 * study.batch);
    let pictures = most.min(2 * rayon::current_num_threads());
    std::thread::scope(|threads| {
        let (send_drawn, drawn) = sync_channel::<(u64, RgbImage)>(pictures);
        let writer = threads.spawn(move || encoder.write_all(&drawn));
        let paint = |jobs: Vec<Job>| {
            painter.paint_all(jobs, spans).into_iter().try_for_each(|painted| {
                // What ended the writer is its own to say.
                send_drawn.send(painted?).map_err(|_| Error::internal("the writer of a film ended"))?;
                done();
                Ok(())
            })
        };
        let (mut votes, mut jobs) = (Votes::default(), Vec::new());
        let (mut values, mut top) = (Vec::new(), Vec::new());
        let looked = study.pass(study.class, None, Pass { drawn: true, most }, &mut |study, taken, look| {
            study.frames = taken.index + 1;
            study.last = taken.time;
            if let Some(look) = look {
                votes.add(look.readout.probabilities.iter());
                (values, top) = study.seen(look)?.into_parts();
            }
            let pixels = taken.pixels.take().ok_or_else(|| Error::internal("a frame that was not kept"))?;
            jobs.push((Frame { time: taken.time, pixels }, study.maps_of(&values)?, top.clone()));
            if jobs.len() >= pictures { paint(take(&mut jobs)) } else { Ok(()) }
        });
        let ended = looked.and_then(|ended| paint(jobs).map(|()| ended));
        drop(send_drawn);
        let written = writer.join().unwrap_or_else(|_| Err(Error::internal("a thread of a film panicked")));
        let encoder = written?;
        (study.broken, study.end) = ended?;
        study.probability = study.class.and_then(|class| votes.mean(class));
        Ok(encoder)
    })
}
