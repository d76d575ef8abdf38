//! What the steps of a run share: the jobs, what the network says about itself, what is reported.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use serde::{Deserialize, Serialize};

use super::gate::{Gate, Ticket};
use super::sheet::UNREADABLE;
use super::tell::InOrder;
use super::{Event, Job, Options, PictureReport, Timings};
use crate::classes::Outputs;
use crate::maps::MapName;
use crate::model::{Look, Step};
use crate::photo::{Encoded, Photo, Preprocess};
use crate::render::page::PageSubject;
use crate::{Error, Result};

/// One run over all jobs.
pub(super) struct Run<'a, T> {
    pub(super) jobs: &'a [Job],
    pub(super) options: &'a Options,
    pub(super) cancel: &'a AtomicBool,
    pub(super) telling: Mutex<(InOrder<Result<PictureReport>>, T)>,
    /// What the network says about itself, once it is open; `None` if it cannot be opened.
    pub(super) network: OnceLock<Option<NetworkFacts>>,
}

/// What the network says about itself, and the maps of this run.
pub(super) struct NetworkFacts {
    pub(super) preprocess: Preprocess,
    pub(super) labels: Vec<String>,
    pub(super) maps: Vec<MapName>,
    /// What a page says of it.
    pub(super) subject: Arc<PageSubject>,
    /// These, and those that panels show besides.
    pub(super) asked: Vec<MapName>,
    /// What its numbers for the classes are.
    pub(super) outputs: Outputs,
    /// The class that its maps are of; `None` is each picture's likeliest.
    pub(super) class: Option<usize>,
    /// Whether it is said that the font lacks characters of a label: once is enough.
    pub(super) font_told: AtomicBool,
}

/// What the network said about a picture.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Seen {
    pub(super) look: Look,
    pub(super) timings: Timings,
    pub(super) damage: Option<String>,
    pub(super) notes: Vec<String>,
}

/// A picture's place among those that are under way.
pub(super) type Place<'g, 'a> = Ticket<'g, Encoded<'a>>;

impl<'a, T: FnMut(Event<'_>) + Send> Run<'a, T> {
    pub(super) fn new(jobs: &'a [Job], options: &'a Options, cancel: &'a AtomicBool, tell: T) -> Self {
        Self { jobs, options, cancel, telling: Mutex::new((InOrder::new(), tell)), network: OnceLock::new() }
    }

    /// What the network says about itself; asked only where it has seen a picture, so it is open.
    pub(super) fn facts(&self) -> &NetworkFacts {
        self.network.get().and_then(Option::as_ref).expect("the network has seen a picture")
    }

    pub(super) fn tell(&self, gate: &Gate<'a, Encoded<'a>>, index: usize, outcome: Result<PictureReport>) {
        let mut telling = lock(&self.telling);
        let (order, tell) = &mut *telling;
        let told = order.put(index, outcome, |index, mut outcome| {
            if let Ok(report) = &mut outcome {
                let facts = self.facts(); // a picture is done, so the network is open
                report
                    .notes
                    .retain(|note| !note.starts_with(UNREADABLE) || !facts.font_told.swap(true, Ordering::Relaxed));
            }
            tell(Event::Done { job: &self.jobs[index], outcome });
        });
        drop(telling);
        gate.told(told);
    }

    /// Tells how far a costly explanation of picture `index` is, and says whether to go on.
    pub(super) fn explaining(&self, index: usize, Step { map, done, total, .. }: Step<'_>) -> bool {
        (lock(&self.telling).1)(Event::Explaining { job: &self.jobs[index], map, done, total });
        !self.cancelled()
    }

    pub(super) fn cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }
}

/// How many pictures may be under way: two batches, so that the next is gathered while one runs, and what the threads
/// hold.
pub(super) fn pictures(options: &Options, batch_size: usize) -> usize {
    options.threads.get() + 2 * batch_size
}

/// The bytes of a picture's pixels.
pub(super) fn bytes(photo: &Photo) -> u64 {
    photo.image.as_bytes().len() as u64
}

/// Names the picture in errors, and turns a panic (a decoder's, say) into one: it must not take the run with it.
pub(super) fn guarded<R>(job: &Job, work: impl FnOnce() -> Result<R>) -> Result<R> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|error| job.blame(error)),
        Err(_) => Err(Error::photo(job.source.name(), "an internal error: the code that worked on it panicked")),
    }
}

/// What is behind these locks is changed in single steps that do not panic half-way.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
