//! The passes: decode → network → draw; or decode → network → spool, then decode → draw.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use crossbeam_channel::Receiver;
use ndarray::{Array3, Axis};
use rayon::{Scope, ThreadPool};
use serde::{Deserialize, Serialize};

use super::batch::Bins;
use super::draw::{self, Spans};
use super::gate::{Bounds, Gate, Ticket};
use super::inspect::choose_maps;
use super::report::milliseconds;
use super::spool::Spool;
use super::tell::InOrder;
use super::{Event, Inspect, Job, Options, PictureReport, Timings};
use crate::maps::{MapName, Readout, Scale};
use crate::photo::{Geometry, ImageSize, Photo, Preprocess};
use crate::{Error, Result};

/// One run over all jobs.
pub(super) struct Run<'a, T> {
    jobs: &'a [Job],
    options: &'a Options,
    cancel: &'a AtomicBool,
    telling: Mutex<(InOrder<Result<PictureReport>>, T)>,
    /// What the network says about itself, once it is open; none if it cannot be opened.
    network: OnceLock<Option<NetworkFacts>>,
}

pub(super) struct NetworkFacts {
    preprocess: Preprocess,
    pub(super) labels: Vec<String>,
    /// The maps of this run.
    pub(super) maps: Vec<MapName>,
}

/// A decoded picture on its way to the network.
struct Decoded<'g> {
    index: usize,
    /// Kept only if something is drawn over it in this pass.
    photo: Option<Photo>,
    pixels: Array3<f32>,
    geometry: Geometry,
    /// The points whose rows of weights are asked for.
    queries: Vec<[f32; 2]>,
    decode_ms: f64,
    ticket: Ticket<'g>,
}

/// What the network said about a picture.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Seen {
    pub(super) geometry: Geometry,
    pub(super) readout: Readout,
    pub(super) timings: Timings,
}

/// What becomes of a picture after the network, with the picture itself if it was kept.
type Then<'a> = dyn Fn(usize, Option<Photo>, Result<Seen>) + Sync + 'a;

impl<'a, T: FnMut(Event<'_>) + Send> Run<'a, T> {
    pub(super) fn new(jobs: &'a [Job], options: &'a Options, cancel: &'a AtomicBool, tell: T) -> Self {
        Self { jobs, options, cancel, telling: Mutex::new((InOrder::new(), tell)), network: OnceLock::new() }
    }

    pub(super) fn start<M: Inspect>(&self, load: impl FnOnce() -> Result<M>) -> Result<()> {
        self.options.overlay.check()?;
        let threads = self.options.threads.get();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let pool = pool.map_err(|error| Error::argument("threads", error))?;
        if self.options.scale == Scale::Run && self.jobs.iter().any(Job::draws) {
            let (spool, spans) = self.first_pass(&pool, load)?;
            self.second_pass(&pool, &spool, &spans);
            return Ok(());
        }
        let gate = Gate::new(self.bounds(), self.cancel);
        let spans = Spans::Each(self.options.scale);
        self.look(&pool, &gate, true, load, &|index, photo, seen| {
            let outcome = seen.and_then(|seen| self.finish(index, photo.as_ref(), seen, &spans));
            drop(photo);
            self.tell(&gate, index, outcome);
        })
    }

    /// Keeps what the network says in a spool (or why a picture failed), and finds the span of every map.
    fn first_pass<M: Inspect>(
        &self,
        pool: &ThreadPool,
        load: impl FnOnce() -> Result<M>,
    ) -> Result<(Mutex<Spool<Record>>, Spans)> {
        let spool = Mutex::new(Spool::new(self.jobs.len())?);
        let spans = Mutex::new(HashMap::new());
        let broken = OnceLock::new();
        let gate = Gate::new(Bounds { ahead: usize::MAX, ..self.bounds() }, self.cancel);
        self.look(pool, &gate, false, load, &|index, _, seen| {
            let job = &self.jobs[index];
            let seen = seen.and_then(|seen| {
                let widened = draw::widen(&mut lock(&spans), job, &self.facts().maps, &seen);
                widened.map_err(|error| job.blame(error)).map(|()| seen)
            });
            let record = seen.map_err(|error| reason(job, error));
            if let Err(error) = lock(&spool).put(index, &record) {
                // Without the spool there is no second pass: the run ends here.
                let _ = broken.set(error);
                gate.close();
            }
            (lock(&self.telling).1)(Event::Looked);
        })?;
        match broken.into_inner() {
            Some(error) => Err(error),
            None => Ok((spool, Spans::Run(spans.into_inner().unwrap_or_else(PoisonError::into_inner)))),
        }
    }

    /// Decodes the pictures again and draws.
    fn second_pass(&self, pool: &ThreadPool, spool: &Mutex<Spool<Record>>, spans: &Spans) {
        let gate = Gate::new(self.bounds(), self.cancel);
        pool.in_place_scope(|tasks| {
            for (index, job) in self.jobs.iter().enumerate() {
                let Some(mut ticket) = gate.admit(index) else { break };
                let gate = &gate;
                tasks.spawn(move |_| {
                    let drawn = || {
                        let seen = match lock(spool).get(index)? {
                            Some(Ok(seen)) => seen,
                            Some(Err(reason)) => return Err(Error::photo(job.source.name(), reason)),
                            None => return Err(Error::photo(job.source.name(), "not seen in the first pass")),
                        };
                        let photo = job.draws().then(|| job.source.decode(&self.options.limits)).transpose()?;
                        ticket.decoded(photo.as_ref().map_or(0, bytes));
                        if photo.as_ref().is_some_and(|photo| photo.size() != seen.geometry.picture) {
                            return Err(Error::photo(job.source.name(), "the picture changed while the run went on"));
                        }
                        self.finish(index, photo.as_ref(), seen, spans)
                    };
                    let outcome = guarded(job, drawn);
                    self.tell(gate, index, outcome);
                    drop(ticket);
                });
            }
        });
    }

    /// Decodes every picture, runs the network on this thread, and hands over to `then` on the pool.
    fn look<M: Inspect>(
        &self,
        pool: &ThreadPool,
        gate: &Gate<'_>,
        keep_photo: bool,
        load: impl FnOnce() -> Result<M>,
        then: &Then<'_>,
    ) -> Result<()> {
        let (sender, decoded) = crossbeam_channel::unbounded(); // the gate bounds it
        pool.in_place_scope(|tasks| {
            std::thread::scope(|threads| {
                // However this thread leaves, nobody goes on waiting for it.
                let _release = Release { gate, network: &self.network };
                threads.spawn(move || {
                    for index in 0..self.jobs.len() {
                        let Some(ticket) = gate.admit(index) else { break };
                        let sender = sender.clone();
                        tasks.spawn(move |_| match self.decode(index, ticket, keep_photo) {
                            // If the network is gone, so is the run.
                            Some(Ok(decoded)) => drop(sender.send(decoded)),
                            Some(Err(error)) => then(index, None, Err(error)),
                            None => {}
                        });
                    }
                });
                let mut network = load()?;
                let maps = choose_maps(&self.options.maps, &network.map_names())?;
                let mut preprocess = network.preprocess();
                preprocess.short_side = self.options.short_side.unwrap_or(preprocess.short_side);
                let batch_size = self.options.batch_size.map_or_else(|| network.batch_size(), NonZeroUsize::get);
                gate.widen(pictures(self.options, batch_size));
                let facts = NetworkFacts { preprocess, labels: network.labels(), maps };
                let _ = self.network.set(Some(facts)); // set nowhere else but on release
                self.infer(&mut network, batch_size, &decoded, tasks, then);
                Ok(())
            })
        })
    }

    /// Decodes and resamples one picture; none if the run is over.
    fn decode<'g>(&self, index: usize, mut ticket: Ticket<'g>, keep_photo: bool) -> Option<Result<Decoded<'g>>> {
        if self.cancelled() {
            return None;
        }
        let job = &self.jobs[index];
        let start = Instant::now();
        let photo = match guarded(job, || job.source.decode(&self.options.limits)) {
            Ok(photo) => photo,
            Err(error) => return Some(Err(error)),
        };
        let read = start.elapsed();
        let facts = self.network.wait().as_ref()?; // the network may still be loading
        let start = Instant::now();
        Some(guarded(job, || {
            let prepared = facts.preprocess.apply(&photo)?;
            let queries = facts.maps.iter().filter_map(|name| name.query(&prepared.geometry).transpose());
            let mut queries: Vec<_> = queries.collect::<Result<_>>()?;
            queries.dedup();
            let photo = (keep_photo && job.draws()).then_some(photo);
            ticket.decoded(photo.as_ref().map_or(0, bytes) + 4 * prepared.pixels.len() as u64);
            let decode_ms = milliseconds(read + start.elapsed());
            Ok(Decoded {
                index,
                photo,
                pixels: prepared.pixels,
                geometry: prepared.geometry,
                queries,
                decode_ms,
                ticket,
            })
        }))
    }

    /// Takes pictures as they come, in batches of one size, until no more are to come.
    fn infer<'s>(
        &'s self,
        network: &mut impl Inspect,
        batch_size: usize,
        decoded: &Receiver<Decoded<'s>>,
        tasks: &Scope<'s>,
        then: &'s Then<'s>,
    ) {
        let mut bins = Bins::<(ImageSize, Vec<[f32; 2]>), _>::new(batch_size);
        loop {
            if bins.is_empty() {
                let Ok(first) = decoded.recv() else { return };
                bins.push((first.geometry.network, first.queries.clone()), first);
            }
            for next in decoded.try_iter() {
                bins.push((next.geometry.network, next.queries.clone()), next);
            }
            let Some(((_, queries), batch)) = bins.take() else { continue };
            if self.cancelled() {
                continue;
            }
            let start = Instant::now();
            let outcomes = inspect(network, &batch, &queries);
            let network_ms = milliseconds(start.elapsed()) / batch.len() as f64;
            for (picture, readout) in batch.into_iter().zip(outcomes) {
                let Decoded { index, photo, geometry, decode_ms, ticket, .. } = picture;
                let timings = Timings { decode_ms, network_ms, draw_ms: 0.0 };
                let seen = readout
                    .map(|readout| Seen { geometry, readout, timings })
                    .map_err(|error| self.jobs[index].blame(error));
                tasks.spawn(move |_| {
                    if !self.cancelled() {
                        then(index, photo, seen);
                    }
                    drop(ticket);
                });
            }
        }
    }

    fn finish(&self, index: usize, photo: Option<&Photo>, seen: Seen, spans: &Spans) -> Result<PictureReport> {
        let job = &self.jobs[index];
        guarded(job, || draw::finish(job, self.options, self.facts(), photo, seen, spans))
    }

    /// What the network says about itself; asked only where it has seen a picture, so it is open.
    fn facts(&self) -> &NetworkFacts {
        self.network.get().and_then(Option::as_ref).expect("the network has seen a picture")
    }

    fn tell(&self, gate: &Gate<'_>, index: usize, outcome: Result<PictureReport>) {
        let mut telling = lock(&self.telling);
        let (order, tell) = &mut *telling;
        let told = order.put(index, outcome, |index, outcome| tell(Event::Done { job: &self.jobs[index], outcome }));
        drop(telling);
        gate.told(told);
    }

    fn cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }

    fn bounds(&self) -> Bounds {
        // The network may still be loading: enough for batches of one.
        let pictures = pictures(self.options, 1);
        Bounds { pictures, undecoded: self.options.threads.get(), bytes: self.options.memory, ahead: 4 }
    }
}

/// How many pictures may be under way: two batches, so that the next is gathered while one runs, and what the threads
/// hold.
fn pictures(options: &Options, batch_size: usize) -> usize {
    options.threads.get() + 2 * batch_size
}

/// What the spool keeps of a picture: what was seen, or why nothing was.
type Record = Result<Seen, String>;

/// The reason alone, for a record: the picture's name is known from its job.
fn reason(job: &Job, error: Error) -> String {
    match error {
        Error::Photo { path, message } if path == job.source.name() => message,
        Error::Io { path, error } if path == job.source.name() => error.to_string(),
        other => other.to_string(),
    }
}

/// Runs a batch; if that fails, its pictures one by one, so that one cannot fail the others.
fn inspect(network: &mut impl Inspect, batch: &[Decoded<'_>], queries: &[[f32; 2]]) -> Vec<Result<Readout>> {
    if let [one] = batch {
        let readouts = network.inspect(one.pixels.view().insert_axis(Axis(0)), queries);
        return vec![readouts.and_then(|readouts| exactly(readouts, 1)).map(|mut readouts| readouts.remove(0))];
    }
    let views: Vec<_> = batch.iter().map(|picture| picture.pixels.view()).collect();
    let together = ndarray::stack(Axis(0), &views)
        .map_err(|error| Error::argument("batch", error))
        .and_then(|pixels| network.inspect(pixels.view(), queries))
        .and_then(|readouts| exactly(readouts, batch.len()));
    match together {
        Ok(readouts) => readouts.into_iter().map(Ok).collect(),
        Err(_) => batch.chunks(1).flat_map(|one| inspect(network, one, queries)).collect(),
    }
}

fn exactly(readouts: Vec<Readout>, count: usize) -> Result<Vec<Readout>> {
    if readouts.len() == count {
        return Ok(readouts);
    }
    let (expected, got) = (format!("{count} readouts"), readouts.len().to_string());
    Err(Error::Input { layer: "pipeline", expected, got })
}

/// The bytes of a picture's pixels.
fn bytes(photo: &Photo) -> u64 {
    photo.image.as_bytes().len() as u64
}

/// Names the picture in errors, and turns a panic (a decoder's, say) into one: it must not take the run with it.
fn guarded<R>(job: &Job, work: impl FnOnce() -> Result<R>) -> Result<R> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|error| job.blame(error)),
        Err(_) => Err(Error::photo(job.source.name(), "an internal error: the code that worked on it panicked")),
    }
}

/// What is behind these locks is changed in single steps that do not panic half-way.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Releases everyone who waits for the network's thread.
struct Release<'r, 'g> {
    gate: &'r Gate<'g>,
    network: &'r OnceLock<Option<NetworkFacts>>,
}

impl Drop for Release<'_, '_> {
    fn drop(&mut self) {
        self.gate.close();
        let _ = self.network.set(None); // already set, unless the network could not be opened
    }
}
