//! The passes: decode → network → draw; or decode → network → spool, then decode → draw.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use rayon::ThreadPool;

use super::draw::{self, Spans};
use super::gate::{Admitted, Bounds, Gate};
use super::state::{Run, Seen, bytes, guarded, lock, pictures};
use super::{Event, Job, PictureReport};
use crate::files::Spool;
use crate::maps::Scale;
use crate::model::Model;
use crate::photo::{Encoded, Photo};
use crate::{Error, Result};

/// The stack of a thread of the pool: a main thread's usual size, as networks run on it, and tasks may start within one
/// another where one waits for its parts.
const STACK: usize = 8 << 20;

impl<'a, T: FnMut(Event<'_>) + Send> Run<'a, T> {
    pub(super) fn start<M: Model>(&self, load: impl FnOnce() -> Result<M> + Send) -> Result<()> {
        self.options.overlay.check()?;
        let threads = self.options.threads.get();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).stack_size(STACK).build();
        let pool = pool.map_err(|error| Error::argument("threads", error))?;
        if self.options.scale == Scale::Run && self.jobs.iter().any(Job::draws) {
            let (spool, spans) = self.first_pass(&pool, load)?;
            self.second_pass(&pool, &spool, &spans);
            return Ok(());
        }
        let gate = self.gate(self.bounds());
        let spans = Spans::Each(self.options.scale);
        self.look(&pool, &gate, true, load, &|index, photo, seen| {
            let outcome = seen.and_then(|seen| self.finish(index, photo, seen, &spans));
            self.tell(&gate, index, outcome);
        })
    }

    /// Keeps what the network says in a spool (or why a picture failed), and finds the span of every map.
    fn first_pass<M: Model>(
        &self,
        pool: &ThreadPool,
        load: impl FnOnce() -> Result<M> + Send,
    ) -> Result<(Mutex<Spool<Record>>, Spans)> {
        let spool = Mutex::new(Spool::new()?);
        let spans = Mutex::new(HashMap::new());
        let broken = OnceLock::new();
        let gate = self.gate(Bounds { ahead: usize::MAX, ..self.bounds() });
        self.look(pool, &gate, false, load, &|index, _, seen| {
            let job = &self.jobs[index];
            let seen = seen.and_then(|seen| {
                let widened = draw::widen(&mut lock(&spans), job, self.options.compare, &self.facts().maps, &seen);
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
        let gate = self.gate(self.bounds());
        pool.in_place_scope(|tasks| {
            while let Some(admitted) = gate.admit() {
                let gate = &gate;
                tasks.spawn(move |_| self.draw_again(gate, admitted, spool, spans));
            }
        });
    }

    /// Decodes a picture again and draws it, unless there is no room for it yet.
    fn draw_again(
        &self,
        gate: &Gate<'a, Encoded<'a>>,
        admitted: Admitted<'_, Encoded<'a>>,
        spool: &Mutex<Spool<Record>>,
        spans: &Spans,
    ) {
        let (index, again, mut ticket) = match admitted {
            Admitted::New(index, ticket) => (index, None, ticket),
            Admitted::Again(index, encoded, ticket) => (index, Some(encoded), ticket),
        };
        let job = &self.jobs[index];
        let is_new = again.is_none();
        let read = || job.draws().then(|| job.source.read(&self.options.limits)).transpose();
        let encoded = match again.map_or_else(|| guarded(job, read), |encoded| Ok(Some(encoded))) {
            Ok(encoded) => encoded,
            Err(error) => return self.tell(gate, index, Err(self.first_reason(index, spool).unwrap_or(error))),
        };
        let encoded = match encoded {
            Some(encoded) if is_new && !ticket.reserve(encoded.needs()) => {
                return ticket.defer(index, encoded.needs(), encoded);
            }
            encoded => encoded,
        };
        let drawn = || {
            let seen = match lock(spool).get(index)? {
                Some(Ok(seen)) => seen,
                Some(Err(reason)) => return Err(Error::photo(job.source.name(), reason)),
                None => return Err(Error::photo(job.source.name(), "not seen in the first pass")),
            };
            let photo = encoded.map(Encoded::decode).transpose()?;
            ticket.decoded(photo.as_ref().map_or(0, bytes));
            if photo.as_ref().is_some_and(|photo| photo.size() != seen.look.geometry.picture) {
                return Err(Error::photo(job.source.name(), "the picture changed while the run went on"));
            }
            self.finish(index, photo, seen, spans)
        };
        let outcome = guarded(job, drawn);
        self.tell(gate, index, outcome);
    }

    /// Why the first pass failed on a picture, if it did.
    fn first_reason(&self, index: usize, spool: &Mutex<Spool<Record>>) -> Option<Error> {
        let record = lock(spool).get(index).ok()??;
        Some(Error::photo(self.jobs[index].source.name(), record.err()?))
    }

    fn gate(&self, bounds: Bounds) -> Gate<'a, Encoded<'a>> {
        Gate::new(self.jobs.len(), bounds, self.cancel)
    }

    fn finish(&self, index: usize, photo: Option<Photo>, seen: Seen, spans: &Spans) -> Result<PictureReport> {
        let job = &self.jobs[index];
        guarded(job, || draw::finish(job, self.options, self.facts(), photo, seen, spans))
    }

    fn bounds(&self) -> Bounds {
        // The network may still be loading: enough for batches of one.
        let pictures = pictures(self.options, 1);
        Bounds { pictures, undecoded: self.options.threads.get(), bytes: self.options.memory, ahead: 4 }
    }
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
