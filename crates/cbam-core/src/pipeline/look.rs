//! One pass through the network: decode → batches of one size → network.

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use rayon::{Scope, ThreadPool};

use super::batch::Bins;
use super::gate::{Admitted, Gate};
use super::report::milliseconds;
use super::state::{NetworkFacts, Place, Run, Seen, bytes, guarded, lock, pictures};
use super::{Event, Job, Timings, draw};
use crate::maps::Detail;
use crate::model::{Look, Model, Question, Step};
use crate::photo::{Encoded, ImageSize, Photo, Resampled};
use crate::render::page::PageSubject;
use crate::text::printable_path;
use crate::{Error, Result};

/// How often the network's thread, while it waits for a picture, looks whether there is a task that it could do.
const TASK_POLL: Duration = Duration::from_micros(500);

/// A picture that is read, but not yet as the network wants it.
struct Opened<'g, 'a> {
    index: usize,
    photo: Photo,
    read: Duration,
    ticket: Place<'g, 'a>,
}

/// A decoded picture on its way to the network.
struct Decoded<'g, 'a> {
    index: usize,
    /// Kept only if something is drawn over it in this pass.
    photo: Option<Photo>,
    damage: Option<String>,
    notes: Vec<String>,
    resampled: Resampled,
    decode_ms: f64,
    ticket: Place<'g, 'a>,
}

/// What becomes of a picture after the network, with the picture itself if it was kept.
pub(super) type Then<'a> = dyn Fn(usize, Option<Photo>, Result<Seen>) + Sync + 'a;

impl<'a, T: FnMut(Event<'_>) + Send> Run<'a, T> {
    /// Decodes every picture, runs the network, and hands over to `then`, all on the pool; the network stays on one of
    /// its threads.
    ///
    /// A task never waits for the network to open: opening it may use the pool itself, and then the thread that opens it
    /// may have taken up that very task.
    pub(super) fn look<M: Model>(
        &self,
        pool: &ThreadPool,
        gate: &Gate<'a, Encoded<'a>>,
        keep_photo: bool,
        load: impl FnOnce() -> Result<M> + Send,
        then: &Then<'_>,
    ) -> Result<()> {
        let (sender, decoded) = crossbeam_channel::unbounded(); // the gate bounds it
        let early = Arc::new(Mutex::new(Some(Vec::new()))); // until the network is open
        pool.scope(|tasks| {
            std::thread::scope(|threads| {
                // However this thread leaves, nobody goes on waiting for it.
                let _release = Release { gate, network: &self.network };
                let (for_tasks, of_early) = (early.clone(), sender.clone());
                threads.spawn(move || {
                    while let Some(admitted) = gate.admit() {
                        let (early, sender) = (for_tasks.clone(), sender.clone());
                        tasks.spawn(move |_| {
                            let (index, opened) = match admitted {
                                Admitted::New(index, ticket) => (index, self.read(index, ticket)),
                                Admitted::Again(index, encoded, ticket) => {
                                    (index, self.decode(index, Instant::now(), encoded, ticket).map(Some))
                                }
                            };
                            match opened {
                                Ok(opened) => {
                                    if let Some(opened) = opened.and_then(|opened| unless_early(&early, opened)) {
                                        self.hand_on(opened, keep_photo, &sender, then);
                                    }
                                }
                                Err(error) => then(index, None, Err(error)),
                            }
                        });
                    }
                });
                let network = load()?;
                let about = network.describe();
                let maps = about.choose_maps(&self.options.maps)?;
                let asked = if self.jobs.iter().any(Job::shows_all) { about.with_usual(&maps) } else { maps.clone() };
                self.check_overlays(maps.len())?;
                let labels = about.choose_labels(self.options.labels.as_deref())?;
                self.options.explain.check()?;
                let class = self.options.class.as_ref();
                let class = class.map(|class| about.choose_class(class, &labels, &asked)).transpose()?;
                let mut preprocess = about.preprocess;
                preprocess.short_side = self.options.short_side.unwrap_or(preprocess.short_side);
                let usual = preprocess.network_size(ImageSize::new(4, 3));
                let batch_size = self.options.batch_size.map(NonZeroUsize::get);
                let batch_size = batch_size.unwrap_or_else(|| network.batch_size(self.jobs.len(), usual));
                gate.widen(pictures(self.options, batch_size));
                let subject = PageSubject {
                    maps: maps.clone(),
                    labels: labels.clone(),
                    outputs: about.outputs,
                    class,
                    scale: self.options.scale,
                };
                let facts = NetworkFacts {
                    preprocess,
                    labels,
                    subject: Arc::new(subject),
                    maps,
                    asked,
                    outputs: about.outputs,
                    class,
                    font_told: AtomicBool::new(false),
                };
                let _ = self.network.set(Some(facts)); // set nowhere else but on release
                for opened in lock(&early).take().unwrap_or_default() {
                    let sender = of_early.clone();
                    tasks.spawn(move |_| self.hand_on(opened, keep_photo, &sender, then));
                }
                drop(of_early);
                self.infer(&network, batch_size, &decoded, tasks, then);
                Ok(())
            })
        })
    }

    /// Refuses jobs with as many overlays as there are no maps for.
    fn check_overlays(&self, maps: usize) -> Result<()> {
        let fit = |count: usize| count <= 1 || (count == maps && !self.options.compare);
        match self.jobs.iter().find(|job| !fit(job.overlays.len())) {
            Some(job) => {
                let (count, name) = (job.overlays.len(), printable_path(job.source.name()).to_string());
                Err(Error::argument(
                    "overlays",
                    format!("{count} of {name}; there is one, or one for each of {maps} maps"),
                ))
            }
            None => Ok(()),
        }
    }

    /// Reads one picture, and decodes it if there is room for it; `None` if there is none yet, or the run is over.
    fn read<'g>(&self, index: usize, mut ticket: Place<'g, 'a>) -> Result<Option<Opened<'g, 'a>>> {
        if self.cancelled() {
            return Ok(None);
        }
        let job = &self.jobs[index];
        let start = Instant::now();
        let encoded = guarded(job, || job.source.read(&self.options.limits))?;
        let needs = encoded.needs();
        if ticket.reserve(needs) {
            return self.decode(index, start, encoded, ticket).map(Some);
        }
        ticket.defer(index, needs, encoded);
        Ok(None)
    }

    fn decode<'g>(
        &self,
        index: usize,
        start: Instant,
        encoded: Encoded<'a>,
        mut ticket: Place<'g, 'a>,
    ) -> Result<Opened<'g, 'a>> {
        let photo = guarded(&self.jobs[index], || encoded.decode())?;
        ticket.decoded(bytes(&photo));
        Ok(Opened { index, photo, read: start.elapsed(), ticket })
    }

    /// Sends a picture to the open network, as that wants it.
    fn hand_on<'g>(&self, opened: Opened<'g, 'a>, keep_photo: bool, sender: &Sender<Decoded<'g, 'a>>, then: &Then<'_>) {
        let Some(Some(facts)) = self.network.get() else { return }; // the run is over
        let Opened { index, mut photo, read, mut ticket } = opened;
        let job = &self.jobs[index];
        let (damage, mut notes) = (photo.damage.take(), std::mem::take(&mut photo.notes));
        notes.extend(facts.preprocess.squeezed(photo.size()));
        let start = Instant::now();
        let decoded = guarded(job, || {
            let resampled = facts.preprocess.resample(&photo)?;
            Question::about(&facts.asked).points(&resampled.geometry())?; // one outside the picture is an error of its own
            let photo = (keep_photo && job.draws()).then_some(photo);
            let drawing = photo.as_ref().map_or(Ok(0), |photo| draw::needs(photo, job, self.options))?;
            ticket.decoded(photo.as_ref().map_or(0, bytes) + resampled.bytes() as u64 + drawing);
            let decode_ms = milliseconds(read + start.elapsed());
            Ok(Decoded { index, photo, damage, notes, resampled, decode_ms, ticket })
        });
        match decoded {
            Ok(decoded) => drop(sender.send(decoded)), // if the network is gone, so is the run
            Err(error) => then(index, None, Err(error)),
        }
    }

    /// Takes pictures as they come, in batches of one size, until no more are to come.
    fn infer<'s>(
        &'s self,
        network: &impl Model,
        batch_size: usize,
        decoded: &Receiver<Decoded<'s, 'a>>,
        tasks: &Scope<'s>,
        then: &'s Then<'s>,
    ) {
        let mut bins = Bins::<ImageSize, _>::new(batch_size);
        loop {
            for next in decoded.try_iter() {
                bins.push(next.resampled.geometry().network, next);
            }
            let Some((_, batch)) = bins.take() else {
                // Nothing for the network: this thread decodes or draws, as any other does.
                if rayon::yield_now() == Some(rayon::Yield::Executed) {
                    continue;
                }
                match decoded.recv_timeout(TASK_POLL) {
                    Ok(first) => bins.push(first.resampled.geometry().network, first),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
                continue;
            };
            if self.cancelled() {
                continue;
            }
            let start = Instant::now();
            let outcomes = self.ask(network, &batch);
            let network_ms = milliseconds(start.elapsed()) / batch.len() as f64;
            for (picture, look) in batch.into_iter().zip(outcomes) {
                let Decoded { index, photo, damage, notes, decode_ms, ticket, .. } = picture;
                let timings = Timings { decode_ms, network_ms, draw_ms: 0.0 };
                let whole = self.jobs[index].page == Some(Detail::Whole);
                let seen = look
                    .map(|mut look| {
                        look.readout.ground.take_if(|_| !whole); // only there another class may be asked of
                        Seen { look, timings, damage, notes }
                    })
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

    /// Runs a batch; if that fails, each half of it, down to one picture, so that none fails the others.
    fn ask(&self, network: &impl Model, batch: &[Decoded<'_, '_>]) -> Vec<Result<Look>> {
        match self.ask_together(network, batch) {
            Ok(looks) => looks.into_iter().map(Ok).collect(),
            Err(error) if batch.len() == 1 => vec![Err(error)],
            Err(_) => {
                let (first, second) = batch.split_at(batch.len() / 2);
                [first, second].into_iter().flat_map(|part| self.ask(network, part)).collect()
            }
        }
    }

    /// Most of tch's methods panic where libtorch fails, for want of memory say: that is an error of the batch, no more.
    fn ask_together(&self, network: &impl Model, batch: &[Decoded<'_, '_>]) -> Result<Vec<Look>> {
        if self.cancelled() {
            return Err(Error::Interrupted);
        }
        let pictures: Vec<_> = batch.iter().map(|picture| &picture.resampled).collect();
        let facts = self.facts();
        let go_on = |step: Step<'_>| self.explaining(batch[step.picture].index, step);
        let explain = self.options.explain.clone();
        let detail = batch.iter().filter_map(|picture| self.jobs[picture.index].page).max().unwrap_or_default();
        let asked = Question::about(&facts.asked);
        let question = Question { class: facts.class, explain, detail, go_on: Some(&go_on), ..asked };
        let looks = catch_unwind(AssertUnwindSafe(|| network.look(&pictures, &question)));
        let looks = looks
            .unwrap_or_else(|_| Err(Error::network("network", "libtorch failed on it, for want of memory perhaps")))?;
        exactly(looks, batch.len())
    }
}

/// The picture, unless the network is not open yet: then it is put with the others that came early.
fn unless_early<'g, 'a>(early: &Mutex<Option<Vec<Opened<'g, 'a>>>>, opened: Opened<'g, 'a>) -> Option<Opened<'g, 'a>> {
    match &mut *lock(early) {
        Some(early) => {
            early.push(opened);
            None
        }
        None => Some(opened),
    }
}

fn exactly(looks: Vec<Look>, count: usize) -> Result<Vec<Look>> {
    if looks.len() == count {
        return Ok(looks);
    }
    Err(Error::network("network", format!("{} answers about {count} pictures", looks.len())))
}

/// Releases everyone who waits for the network's thread.
struct Release<'r, 'a> {
    gate: &'r Gate<'a, Encoded<'a>>,
    network: &'r OnceLock<Option<NetworkFacts>>,
}

impl Drop for Release<'_, '_> {
    fn drop(&mut self) {
        self.gate.close();
        let _ = self.network.set(None); // already set, unless the network could not be opened
    }
}
