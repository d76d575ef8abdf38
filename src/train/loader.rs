//! Work that is made ready in the background, in order, while the network is busy with what came before.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::Result;

/// How many batches wait, at most, beside the one that is being made and the one that is being used.
const AHEAD: usize = 2;

/// How fast pictures were read, decoded and prepared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct LoaderReport {
    /// How many pictures.
    pub pictures: usize,
    /// How long the loader worked on them, in seconds; while it waited for the network, it did not work.
    pub seconds: f64,
    /// How long the network waited for the loader, in seconds.
    pub waited: f64,
}

impl LoaderReport {
    /// Pictures per second of the loader alone.
    pub fn images_per_second(&self) -> f64 {
        if self.seconds > 0.0 { self.pictures as f64 / self.seconds } else { 0.0 }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.pictures += other.pictures;
        self.seconds += other.seconds;
        self.waited += other.waited;
    }
}

/// Makes each of `jobs` ready with `prepare` on a thread of its own, which may use others, a few ahead of `work`, which gets
/// them in order. `size` is how many pictures a job has. An error of `work` ends both.
pub(super) fn prefetch<J: Send, T: Send>(
    jobs: impl Iterator<Item = J> + Send,
    size: impl Fn(&J) -> usize + Send,
    prepare: impl Fn(J) -> T + Send,
    mut work: impl FnMut(T) -> Result<()>,
) -> Result<LoaderReport> {
    let (sender, receiver) = crossbeam_channel::bounded(AHEAD);
    std::thread::scope(|scope| {
        let loader = scope.spawn(move || {
            let (mut pictures, mut busy) = (0, Duration::ZERO);
            for job in jobs {
                pictures += size(&job);
                let start = Instant::now();
                let ready = prepare(job);
                busy += start.elapsed();
                if sender.send(ready).is_err() {
                    break;
                }
            }
            (pictures, busy)
        });
        let mut waited = Duration::ZERO;
        {
            // Owned here, so that an error ends the loader too.
            let receiver = receiver;
            loop {
                let start = Instant::now();
                let Ok(ready) = receiver.recv() else { break };
                waited += start.elapsed();
                work(ready)?;
            }
        }
        let (pictures, busy) = match loader.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        Ok(LoaderReport { pictures, seconds: busy.as_secs_f64(), waited: waited.as_secs_f64() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn work_comes_in_order_and_an_error_ends_it() {
        let mut seen = Vec::new();
        let report = prefetch(
            0..20usize,
            |_| 3,
            |job| job * 2,
            |ready| {
                seen.push(ready);
                Ok(())
            },
        );
        assert_eq!(seen, (0..20).map(|job| job * 2).collect::<Vec<_>>());
        assert_eq!(report.unwrap().pictures, 60);
        let mut count = 0;
        let error = prefetch(
            0..usize::MAX,
            |_| 1,
            |job| job,
            |_| {
                count += 1;
                if count == 3 { Err(ErrorKind::Interrupted.into()) } else { Ok(()) }
            },
        );
        assert!(matches!(error.unwrap_err().kind(), ErrorKind::Interrupted));
    }
}
