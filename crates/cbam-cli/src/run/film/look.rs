//! What a network sees in the frames of a film.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;

use cbam_core::classes::Outputs;
use cbam_core::files::Spool;
use cbam_core::maps::{AttentionMap, MapName, MapRange};
use cbam_core::model::{Look, Model, Question};
use cbam_core::photo::{Geometry, Preprocess};
use cbam_core::pipeline::{Options, TopClass};
use cbam_core::{Error, Result};
use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::probe::Film;
use super::steady::{Smoothing, Spans, Votes};
use super::taken::{Ending, Pass, Taken, gathered, read};
use super::{Picture, Request};

/// How many of the likeliest classes are kept of a frame.
const TOP: usize = 5;

/// How many heads a page shows that nobody asked for.
const MOST_HEADS: usize = 64;

/// What is known of a frame.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Record {
    /// When it is shown, in nanoseconds.
    pub(super) time: u64,
    /// Whether it is the first of a shot.
    pub(super) cut: bool,
    /// What the network saw; `None` of a frame that it did not look at.
    pub(super) seen: Option<Seen>,
    /// The values of the maps that are drawn, if these are others than the network's.
    smooth: Option<Vec<f32>>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Seen {
    /// The likeliest classes and their probabilities, the likeliest first.
    top: Vec<(usize, f32)>,
    /// The maps' values, one map after the other, row by row, unscaled.
    values: Vec<f32>,
}

/// What a map has in all frames.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    pub(super) dim: (usize, usize),
    pub(super) range: MapRange,
    pub(super) geometry: Geometry,
    pub(super) cell: Option<[usize; 2]>,
}

/// A film, and what a network sees in it.
pub(super) struct Study<'a> {
    pub(super) film: &'a Film,
    network: &'a dyn Model,
    pub(super) request: &'a Request,
    pub(super) options: &'a Options,
    pub(super) cancel: &'a AtomicBool,
    /// Those that are drawn and told, then those that a page has besides.
    pub(super) maps: Vec<MapName>,
    /// How many the former are.
    drawn: usize,
    pub(super) labels: Vec<String>,
    /// How many classes are kept of a frame.
    pub(super) shown: usize,
    /// What its numbers for the classes are.
    pub(super) outputs: Outputs,
    pub(super) preprocess: Preprocess,
    /// How many frames serve the network together.
    pub(super) batch: usize,
    /// The class that the maps are of, once it is known; `None` where none is of a class.
    pub(super) class: Option<usize>,
    spool: Spool<Record>,
    /// How many frames there are, and when the last one is shown.
    pub(super) frames: usize,
    pub(super) last: u64,
    /// When the last frame is over, where that is known.
    pub(super) end: Option<u64>,
    /// Of each map.
    pub(super) forms: Vec<Form>,
    /// The mean probability of its class.
    pub(super) probability: Option<f32>,
    /// Why the film ends before its end.
    pub(super) broken: Option<String>,
    pub(super) notes: Vec<String>,
}

/// What becomes of a frame, and of what was seen in it.
pub(super) type Then<'t, 'a> = dyn FnMut(&mut Study<'a>, &Taken, Option<&Look>) -> Result<()> + 't;

impl<'a> Study<'a> {
    pub(super) fn new(
        film: &'a Film,
        network: &'a dyn Model,
        request: &'a Request,
        options: &'a Options,
        cancel: &'a AtomicBool,
    ) -> Result<Self> {
        options.overlay.check()?;
        options.explain.check()?;
        let about = network.describe();
        let mut maps = about.choose_maps(&options.maps)?;
        if request.picture == Picture::Panel {
            maps = about.with_usual(&maps);
            let more = about.maps.iter().filter(|map| of_panels(map) && !maps.contains(map));
            maps.extend(more.cloned().collect::<Vec<_>>());
        }
        let (drawn, mut left_out) = (maps.len(), None);
        if request.html.is_some() {
            maps = about.with_usual(&maps);
            let is_there = |map: &MapName| maps.iter().any(|own| own == map || about.last_of(own) == Some(map));
            let more: Vec<_> = about.maps.iter().filter(|map| of_pages(map) && !is_there(map)).cloned().collect();
            let (heads, more): (Vec<_>, Vec<_>) = more.into_iter().partition(MapName::is_single);
            maps.extend(more);
            if heads.len() <= MOST_HEADS {
                maps.extend(heads);
            } else {
                let count = heads.len();
                left_out =
                    Some(format!("the page has the means over heads, and none of the {count} heads: --map names some"));
            }
        }
        if let Some(map) = maps.iter().find(|map| matches!(map, MapName::Channel(_))) {
            return Err(Error::argument(format!("map {map}"), "a channel gate is of no place: films show maps"));
        }
        let labels = about.choose_labels(options.labels.as_deref())?;
        let class = options.class.as_ref();
        let class = class.map(|class| about.choose_class(class, &labels, &maps)).transpose()?;
        let shown = about.classes().min(TOP);
        let mut preprocess = about.preprocess;
        preprocess.short_side = options.short_side.unwrap_or(preprocess.short_side);
        preprocess.check()?;
        let frames = film.frames.map_or(usize::MAX, |frames| frames as usize);
        let batch = options.batch_size.map(std::num::NonZero::get);
        let batch = batch.unwrap_or_else(|| network.batch_size(frames, preprocess.network_size(film.size)));
        let notes = preprocess.squeezed(film.size).into_iter();
        let notes = notes.map(|note| format!("{}: {note}", film.path.display())).chain(left_out).collect();
        Ok(Self {
            film,
            network,
            request,
            options,
            cancel,
            maps,
            drawn,
            labels,
            shown,
            outputs: about.outputs,
            preprocess,
            batch: batch.max(1),
            class,
            spool: Spool::new()?,
            frames: 0,
            last: 0,
            end: None,
            forms: Vec::new(),
            probability: None,
            broken: None,
            notes,
        })
    }

    /// The maps that are drawn and told.
    pub(super) fn drawn(&self) -> &[MapName] {
        self.maps.get(..self.drawn).unwrap_or_default()
    }

    /// Looks at the whole film: at every frame once, and once more at those whose likeliest class is not the film's, where that makes a
    /// difference.
    pub(super) fn look(&mut self, done: &dyn Fn()) -> Result<()> {
        let mut votes = Votes::default();
        let mut classes = Vec::new();
        let asked = self.class;
        let pass = Pass { drawn: false, most: 16 * self.batch };
        let (broken, end) = self.pass(asked, None, pass, &mut |study, taken, look| {
            study.frames = taken.index + 1;
            study.last = taken.time;
            let seen = look.map(|look| {
                votes.add(look.readout.probabilities.iter());
                classes.push((taken.index, look.explained));
                study.seen(look)
            });
            done();
            let record = Record { time: taken.time, cut: taken.cut, seen: seen.transpose()?, smooth: None };
            study.spool.put(taken.index, &record)
        })?;
        (self.broken, self.end) = (broken, end);
        if asked.is_none() && classes.iter().any(|(_, class)| class.is_some()) {
            self.class = votes.class();
            let others = classes.iter().filter(|(_, class)| *class != self.class).map(|(index, _)| *index);
            let others: BTreeSet<_> = others.collect();
            if !others.is_empty() {
                self.pass(self.class, Some(&others), pass, &mut |study, taken, look| {
                    let Some(look) = look else { return Ok(()) };
                    let Some(mut record) = study.spool.get(taken.index)? else { return Ok(()) };
                    record.seen = Some(study.seen(look)?);
                    study.spool.put(taken.index, &record)
                })?;
            }
        }
        self.probability = self.class.and_then(|class| votes.mean(class));
        Ok(())
    }

    /// Goes through the film, and has the network look at those frames that are wanted, as many together as serve it; why the film is
    /// broken, if it is, and when its last frame is over.
    pub(super) fn pass(
        &mut self,
        class: Option<usize>,
        wanted: Option<&BTreeSet<usize>>,
        pass: Pass,
        then: &mut Then<'_, 'a>,
    ) -> Result<Ending> {
        let (film, every, cancel) = (self.film, self.request.every, self.cancel);
        let ahead = if pass.drawn { self.batch } else { 2 * self.batch };
        let preprocess = self.preprocess.clone();
        let takes = |index: usize| index.is_multiple_of(every) && wanted.is_none_or(|wanted| wanted.contains(&index));
        std::thread::scope(|threads| {
            let (sender, taken) = sync_channel(ahead);
            let reader = threads.spawn(move || read(film, &preprocess, takes, pass, cancel, &sender));
            let mut waiting = Vec::new();
            let answered = gathered(&taken, [self.batch, pass.most], &mut waiting, &mut |waiting| {
                self.answer(class, waiting, then)
            });
            drop(taken); // the reader ends
            let broken =
                reader.join().unwrap_or_else(|_| Err(Error::internal("the thread that reads a film panicked")));
            answered.and(broken)
        })
    }

    /// Has the network look at those frames that it is to look at.
    pub(super) fn answer(&mut self, class: Option<usize>, waiting: &[Taken], then: &mut Then<'_, 'a>) -> Result<()> {
        let pictures: Vec<_> = waiting.iter().filter_map(|taken| taken.resampled.as_ref()).collect();
        let maps = self.maps.clone();
        let cancel = self.cancel;
        let go_on = |_: cbam_core::model::Step<'_>| !cancel.load(Ordering::Relaxed);
        let question =
            Question { class, explain: self.options.explain.clone(), go_on: Some(&go_on), ..Question::about(&maps) };
        let looks = if pictures.is_empty() { Vec::new() } else { self.network.look(&pictures, &question)? };
        let mut looks = looks.into_iter();
        for taken in waiting {
            let look = taken.resampled.as_ref().and_then(|_| looks.next());
            then(self, taken, look.as_ref())?;
        }
        if self.cancel.load(Ordering::Relaxed) { Err(Error::Interrupted) } else { Ok(()) }
    }

    /// What is kept of a look.
    pub(super) fn seen(&mut self, look: &Look) -> Result<Seen> {
        let mut values = Vec::new();
        for (index, name) in self.maps.iter().enumerate() {
            let map = look.map(name)?;
            let form = Form { dim: map.values().dim(), range: map.range(), geometry: look.geometry, cell: map.cell() };
            match self.forms.get(index) {
                None => self.forms.push(form),
                Some(first) if first.dim != form.dim => {
                    return Err(Error::photo(&self.film.path, "its frames give maps of several sizes"));
                }
                Some(_) => {}
            }
            values.extend(map.values());
        }
        let mut top: Vec<_> = look.readout.probabilities.iter().copied().enumerate().collect();
        top.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        top.truncate(self.shown);
        Ok(Seen { top, values })
    }

    /// What is known of a frame; of one that the network did not look at, what it saw last.
    pub(super) fn record(&mut self, index: usize) -> Result<Record> {
        let missing = || Error::internal("a frame that was not seen");
        let mut record = self.spool.get(index)?.ok_or_else(missing)?;
        if record.seen.is_none() {
            let before = index - index % self.request.every;
            record.seen = self.spool.get(before)?.ok_or_else(missing)?.seen;
        }
        Ok(record)
    }

    /// The maps of a frame, of these values.
    pub(super) fn maps_of(&self, mut values: &[f32]) -> Result<Vec<AttentionMap>> {
        let of = |form: &Form| {
            let own = values.split_off(..form.dim.0 * form.dim.1).unwrap_or_default();
            let own = Array2::from_shape_vec(form.dim, own.to_vec()).map_err(Error::internal)?;
            let map = AttentionMap::new(own, form.range)?.over(&form.geometry);
            Ok(match form.cell {
                Some(cell) => map.seen_from(cell),
                None => map,
            })
        };
        self.forms.iter().map(of).collect()
    }

    /// Makes the maps that are drawn: means over neighbouring frames, forwards and then backwards.
    pub(super) fn smooth(&mut self) -> Result<()> {
        let past = self.request.smooth;
        if past == 0.0 {
            return Ok(());
        }
        let mut smoothing = Smoothing::new(past);
        for index in 0..self.frames {
            let mut record = self.record(index)?;
            record.smooth = Some(smoothing.next(record.values().to_vec(), record.cut));
            self.spool.put(index, &record)?;
        }
        let mut smoothing = Smoothing::new(past);
        let mut cut = true;
        for index in (0..self.frames).rev() {
            let mut record = self.record(index)?;
            record.smooth = record.smooth.take().map(|values| smoothing.next(values, cut));
            cut = record.cut;
            self.spool.put(index, &record)?;
        }
        Ok(())
    }

    /// What spans the colours of all frames.
    pub(super) fn spans(&mut self) -> Result<Spans> {
        let mut spans = Spans::new(self.options.scale);
        if spans.are_learnt() {
            for index in 0..self.frames {
                let values = self.record(index)?.drawn();
                spans.learn(&self.maps_of(&values)?);
            }
        }
        Ok(spans)
    }

    /// The class that the maps are of, or else the likeliest, and its mean probability.
    pub(super) fn named(&self) -> Option<TopClass> {
        let class = self.class?;
        Some(TopClass { class, label: self.label(class), probability: self.probability })
    }

    pub(super) fn label(&self, class: usize) -> String {
        self.labels.get(class).cloned().unwrap_or_else(|| format!("class {class}"))
    }

    /// That it has any frames.
    pub(super) fn check_frames(&self) -> Result<()> {
        if self.frames > 0 {
            return Ok(());
        }
        let why = self.broken.clone().unwrap_or_else(|| "it has no frames".to_owned());
        Err(Error::photo(&self.film.path, why))
    }

    pub(super) fn name(&self) -> &Path {
        &self.film.path
    }

    pub(super) fn cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }
}

/// Whether a page has a map of its own accord, beside those that are asked for and the usual ones: all that are seen in passing.
fn of_pages(map: &MapName) -> bool {
    !matches!(map, MapName::Channel(_) | MapName::Explain { .. } | MapName::Output { channel: Some(_), .. })
}

/// Whether a panel has a map of its own accord, beside those that are asked for and the usual ones.
fn of_panels(map: &MapName) -> bool {
    match map {
        MapName::Patch { stage, head } => stage.is_none() && head.is_none(),
        map => matches!(map, MapName::Object | MapName::Rollout | MapName::Spatial(_) | MapName::Coordinate(_)),
    }
}

impl Seen {
    pub(super) fn into_parts(self) -> (Vec<f32>, Vec<(usize, f32)>) {
        (self.values, self.top)
    }
}

impl Record {
    /// The likeliest classes and their probabilities.
    pub(super) fn top(&self) -> &[(usize, f32)] {
        self.seen.as_ref().map_or(&[], |seen| &seen.top)
    }

    /// The values of the maps as the network has them.
    pub(super) fn values(&self) -> &[f32] {
        self.seen.as_ref().map_or(&[], |seen| &seen.values)
    }

    /// Those of the maps that are drawn.
    pub(super) fn drawn(mut self) -> Vec<f32> {
        self.smooth.take().unwrap_or_else(|| self.values().to_vec())
    }
}
