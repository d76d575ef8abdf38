//! How many pictures may be under way at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often a waiting [`Gate::admit`] looks at the cancel flag, which a signal handler sets without waking anyone.
const CANCEL_POLL: Duration = Duration::from_millis(50);

/// What the pictures under way may take together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    /// Pictures admitted and not yet done with.
    pub(super) pictures: usize,
    /// Pictures admitted and not yet decoded: their size is unknown.
    pub(super) undecoded: usize,
    /// Bytes of decoded pixels. No picture is admitted while they are reached, so they are passed by at most
    /// `undecoded` pictures.
    pub(super) bytes: u64,
    /// How far the newest picture may be ahead of the oldest one whose outcome was not told, as a multiple of
    /// `pictures`.
    pub(super) ahead: usize,
}

#[derive(Debug)]
struct State {
    bounds: Bounds,
    pictures: usize,
    undecoded: usize,
    bytes: u64,
    told: usize,
    closed: bool,
}

/// Admits pictures in order, within [`Bounds`]. This is the only place where the pipeline waits for room.
#[derive(Debug)]
pub(super) struct Gate<'a> {
    cancel: &'a AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
}

impl<'a> Gate<'a> {
    pub(super) fn new(bounds: Bounds, cancel: &'a AtomicBool) -> Self {
        let state = State { bounds, pictures: 0, undecoded: 0, bytes: 0, told: 0, closed: false };
        Self { cancel, state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Waits until there is room for picture `index`; none once the gate is closed or the run is cancelled.
    pub(super) fn admit(&self, index: usize) -> Option<Ticket<'_>> {
        let mut state = self.state();
        loop {
            if state.closed || self.cancel.load(Ordering::Relaxed) {
                return None;
            }
            let Bounds { pictures, undecoded, bytes, ahead } = state.bounds;
            if state.pictures < pictures
                && state.undecoded < undecoded
                && (state.bytes < bytes || state.pictures == 0)
                && index < pictures.saturating_mul(ahead).saturating_add(state.told)
            {
                state.pictures += 1;
                state.undecoded += 1;
                return Some(Ticket { gate: self, bytes: None });
            }
            state = self.changed.wait_timeout(state, CANCEL_POLL).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Sets how many pictures may be under way.
    pub(super) fn widen(&self, pictures: usize) {
        self.update(|state| state.bounds.pictures = pictures);
    }

    /// Notes that the outcomes of the first `told` pictures are told.
    pub(super) fn told(&self, told: usize) {
        self.update(|state| state.told = told);
    }

    /// Admits no more.
    pub(super) fn close(&self) {
        self.update(|state| state.closed = true);
    }

    fn update(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }

    /// The state is plain counters, each changed in one step, so a poisoned lock holds nothing half-done.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One picture's place; dropping it makes room.
#[derive(Debug)]
pub(super) struct Ticket<'a> {
    gate: &'a Gate<'a>,
    bytes: Option<u64>,
}

impl Ticket<'_> {
    /// Notes that the picture is decoded and takes `bytes`.
    pub(super) fn decoded(&mut self, bytes: u64) {
        let before = self.bytes.replace(bytes);
        self.gate.update(|state| {
            state.bytes = state.bytes - before.unwrap_or(0) + bytes;
            state.undecoded -= usize::from(before.is_none());
        });
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let bytes = self.bytes;
        self.gate.update(|state| {
            state.pictures -= 1;
            state.bytes -= bytes.unwrap_or(0);
            state.undecoded -= usize::from(bytes.is_none());
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { pictures: 3, undecoded: 2, bytes: 100, ahead: 2 };

    /// Whether picture `index` is admitted at once (the ticket is given back).
    fn admits(gate: &Gate<'_>, index: usize) -> bool {
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| gate.admit(index).is_some());
            let start = std::time::Instant::now();
            while !waiting.is_finished() && start.elapsed() < Duration::from_millis(120) {
                std::thread::sleep(Duration::from_millis(5));
            }
            let at_once = waiting.is_finished();
            if !at_once {
                gate.cancel.store(true, Ordering::Relaxed);
            }
            let admitted = waiting.join().is_ok_and(|admitted| admitted);
            gate.cancel.store(false, Ordering::Relaxed);
            at_once && admitted
        })
    }

    #[test]
    fn each_bound_holds_and_gives_way() {
        let cancel = AtomicBool::new(false);
        let gate = Gate::new(BOUNDS, &cancel);
        let mut first = gate.admit(0).unwrap();
        let mut second = gate.admit(1).unwrap();
        assert!(!admits(&gate, 2), "two are undecoded");
        first.decoded(10);
        assert!(admits(&gate, 2));
        second.decoded(95);
        assert!(!admits(&gate, 2), "the bytes are reached");
        drop(second);
        assert!(admits(&gate, 2));
        let mut third = gate.admit(2).unwrap();
        third.decoded(1);
        let _fourth = gate.admit(3).unwrap();
        assert!(!admits(&gate, 4), "three are under way");
        drop(third);
        assert!(admits(&gate, 4));
        assert!(!admits(&gate, 6), "too far ahead of the first");
        gate.told(1);
        assert!(admits(&gate, 6));
        gate.told(0);
        gate.widen(4);
        assert!(admits(&gate, 6));
    }

    #[test]
    fn a_picture_over_the_budget_passes_alone() {
        let cancel = AtomicBool::new(false);
        let gate = Gate::new(BOUNDS, &cancel);
        let mut first = gate.admit(0).unwrap();
        first.decoded(1_000);
        assert!(!admits(&gate, 1));
        drop(first);
        assert!(admits(&gate, 1));
    }

    #[test]
    fn closing_and_cancelling_admit_no_more() {
        let cancel = AtomicBool::new(false);
        let gate = Gate::new(BOUNDS, &cancel);
        cancel.store(true, Ordering::Relaxed);
        assert!(gate.admit(0).is_none());
        cancel.store(false, Ordering::Relaxed);
        gate.close();
        assert!(gate.admit(0).is_none());
    }
}
