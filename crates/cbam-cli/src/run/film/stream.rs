//! What cannot be read twice: frames are looked at and drawn as they come, one by one.

use std::cell::Cell;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use anyhow::Result;
use cbam_core::Error;
use cbam_core::maps::{MapName, Scale};
use cbam_core::photo::Photo;
use cbam_core::pipeline::Options;
use image::{DynamicImage, RgbImage};

use super::decode::Frame;
use super::draw::Painter;
use super::encode::Encoder;
use super::form::{Form, Purpose};
use super::live::Live;
use super::look::Study;
use super::probe::Film;
use super::steady::{Cuts, Smoothing, Spans};
use super::taken::Taken;
use super::{Request, bar, told};
use crate::backend::Backend;
use crate::common::duration::duration;
use crate::common::network::open;
use crate::common::{failed, print, say, status};
use crate::run::interrupt;

/// So long the span of the colours is learnt, in nanoseconds; from then on it stays.
const LEARNT: u64 = 2_000_000_000;

/// The greatest share of the past: a mean of it is two frames behind.
pub(crate) const MOST_PAST: f32 = 2.0 / 3.0;

/// Looks at a stream until it ends, or until it is asked to end.
pub(super) fn work(backend: &dyn Backend, request: &Request, options: &Options, film: &Film, live: Live) -> Result<u8> {
    let begun = Instant::now();
    let bar = bar(film, request);
    let note = |line: &str| {
        if !request.quiet {
            bar.suspend(|| say(line));
        }
    };
    let Some((path, container, codec)) = &request.film else {
        return Err(Error::internal("no film is drawn").into());
    };
    let network = open(backend, &request.model, &note)?;
    let mut study = Study::new(film, &network, request, options, interrupt::patient_flag())?;
    study.notes.iter().for_each(|line| note(line));
    let words = words(&study, request);
    let painter = Painter::new(&study, &format!("the first {}", duration(LEARNT as f64 / 1e9)));
    let form = Form {
        container: *container,
        codec: *codec,
        size: painter.size(film.size)?,
        words: &words,
        purpose: Purpose::Live,
        last: None,
    };
    let (encoder, left_out) = Encoder::create(film, path, &form)?;
    for line in &left_out {
        note(line);
    }
    let (spans, said) = stream(&mut study, live, encoder, &painter, &|| bar.inc(1))?;
    bar.finish_and_clear();
    if let Some(line) = said {
        note(&line);
    }
    for (index, name) in study.maps.iter().enumerate().filter(|_| spans.are_learnt()) {
        if let Some(span) = spans.all(index) {
            let (place, learnt) = (film.path.display(), duration(LEARNT as f64 / 1e9));
            note(&format!("{place}: scale of {name} {} to {}, that of the first {learnt}", span.low, span.high));
        }
    }
    if let Some(why) = &study.broken {
        let after = duration(study.last as f64 / 1e9);
        say(Error::photo(&film.path, format!("broken after {after}; what comes before is drawn: {why}")));
    }
    if !request.quiet {
        let to_stdout = path.as_os_str() == "-";
        let outputs = if to_stdout { Vec::new() } else { vec![path.clone()] };
        let line = told(&study, &outputs, begun.elapsed().as_secs_f64());
        if to_stdout {
            say(&line);
        } else if let Err(error) = print(&format!("{line}\n")) {
            return Ok(failed(error));
        }
    }
    Ok(if study.broken.is_some() { status::FAILED } else { status::DONE })
}

/// Why a stream is looked at no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// It ended.
    Stream,
    /// It was asked for.
    Asked,
    /// What is drawn cannot be written any more.
    Writer,
}

/// What ffmpeg says where nobody reads what it writes.
const GONE: &str = "Broken pipe";

/// Three frames are under way: one that is decoded, one that is looked at, one that is encoded.
fn stream(
    study: &mut Study<'_>,
    live: Live,
    encoder: Encoder,
    painter: &Painter<'_>,
    done: &dyn Fn(),
) -> cbam_core::Result<(Spans, Option<String>)> {
    let to_stdout = study.request.film.as_ref().is_some_and(|(path, ..)| path.as_os_str() == "-");
    let mut said = None;
    let mut spans = Spans::new(study.options.scale);
    let mut smoothing = Smoothing::new(study.request.smooth);
    let mut cuts = Cuts::default();
    let (mut values, mut top) = (Vec::new(), Vec::new());
    let (cancel, stop) = (study.cancel, live.stop());
    std::thread::scope(|threads| {
        let (send_frame, frames) = sync_channel::<Frame>(0);
        let reader = threads.spawn(move || {
            let mut live = live;
            while let Some(frame) = live.next()? {
                if send_frame.send(frame).is_err() {
                    return Ok(None); // nobody wants more
                }
            }
            live.broken()
        });
        let (send_drawn, drawn) = sync_channel::<(u64, RgbImage)>(0);
        let writer = threads.spawn(move || {
            let (mut encoder, mut any) = (encoder, false);
            for (time, pixels) in drawn {
                encoder.write(time, &pixels)?;
                any = true;
            }
            if any { encoder.finish() } else { Ok(None) }
        });
        let mut drawing = || -> cbam_core::Result<End> {
            for index in 0_usize.. {
                let frame = loop {
                    if cancel.load(Ordering::Relaxed) {
                        return Ok(End::Asked); // that is how a camera ends
                    }
                    if writer.is_finished() {
                        return Ok(End::Writer);
                    }
                    match frames.recv_timeout(Duration::from_millis(100)) {
                        Ok(frame) => break frame,
                        Err(RecvTimeoutError::Timeout) => {}
                        Err(RecvTimeoutError::Disconnected) => return Ok(End::Stream),
                    }
                };
                let (time, mut cut) = (frame.time, false);
                if index.is_multiple_of(study.request.every) {
                    let photo = Photo::from(DynamicImage::from(frame.pixels.clone()));
                    let resampled = study.preprocess.resample(&photo)?;
                    cut = cuts.next(&resampled);
                    let taken = [Taken { index, time, cut, resampled: Some(resampled), pixels: Cell::default() }];
                    let answered = study.answer(study.class, &taken, &mut |study, _, look| {
                        if let Some(look) = look {
                            (values, top) = study.seen(look)?.into_parts();
                        }
                        Ok(())
                    });
                    match answered {
                        Err(Error::Interrupted) => return Ok(End::Asked),
                        answered => answered?,
                    }
                }
                let maps = study.maps_of(&smoothing.next(values.clone(), cut))?;
                if spans.are_learnt() && (index == 0 || time < LEARNT) {
                    spans.learn(&maps);
                }
                if send_drawn.send(painter.paint(frame, &maps, &top, &spans)?).is_err() {
                    return Ok(End::Writer);
                }
                study.frames = index + 1;
                study.last = time;
                done();
            }
            Ok(End::Stream)
        };
        let outcome = drawing();
        if !matches!(outcome, Ok(End::Stream)) {
            stop.stop(); // its next frame may never come
        }
        drop((send_drawn, frames));
        let panicked = || Error::internal("a thread of a film panicked");
        let written = writer.join().unwrap_or_else(|_| Err(panicked()));
        let read = reader.join().unwrap_or_else(|_| Err(panicked()));
        let end = outcome?;
        match written {
            // Who looked on went away.
            Err(error) if end == End::Writer && to_stdout && error.to_string().contains(GONE) => {}
            written => said = written?,
        }
        match end {
            End::Asked if study.frames == 0 => return Err(Error::Interrupted),
            End::Stream => study.broken = read?,
            End::Asked | End::Writer => {}
        }
        Ok((spans, said))
    })
}

/// What the file says was done to its frames.
fn words(study: &Study<'_>, request: &Request) -> String {
    let class = match study.class.map(|class| study.label(class)) {
        Some(label) => format!(" of {label:?}"),
        None if study.maps.iter().any(MapName::needs_class) => " of each frame's likeliest class".to_owned(),
        None => String::new(),
    };
    let scale = match request.options.scale {
        Scale::Fixed(low, high) => format!("{low} to {high}, as was asked for"),
        Scale::Run => format!("that of the first {}", duration(LEARNT as f64 / 1e9)),
        scale => format!("of each frame by itself ({scale})"),
    };
    let smooth = match request.smooth {
        past if past > 0.0 => format!("smoothed over the past (a frame n before counts {past}^n)"),
        _ => "not smoothed".to_owned(),
    };
    super::made(study, request, &class, &scale, &smooth)
}
