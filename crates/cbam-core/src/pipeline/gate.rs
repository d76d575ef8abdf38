//! How many pictures may be under way at once.

use std::collections::VecDeque;
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
    /// Bytes of decoded pixels, and of what pictures declare that are being decoded. Only a picture that is larger than
    /// all of them passes them, and it does so alone.
    pub(super) bytes: u64,
    /// How far the newest picture may be ahead of the oldest one whose outcome was not reported, as a multiple of
    /// `pictures`.
    pub(super) ahead: usize,
}

#[derive(Debug)]
struct State<H> {
    bounds: Bounds,
    /// The next picture to admit.
    next: usize,
    pictures: usize,
    undecoded: usize,
    bytes: u64,
    told: usize,
    closed: bool,
    deferred: VecDeque<Deferred<H>>,
}

/// A picture that was read, and for which there was no room: it keeps its place, and what was read.
#[derive(Debug)]
struct Deferred<H> {
    index: usize,
    bytes: u64,
    held: H,
}

impl<H> State<H> {
    fn has_room_for(&self, bytes: u64) -> bool {
        self.bytes == 0 || self.bytes.saturating_add(bytes) <= self.bounds.bytes
    }
}

/// A picture's turn.
#[derive(Debug)]
pub(super) enum Admitted<'g, H> {
    /// To be read.
    New(usize, Ticket<'g, H>),
    /// It was read, and was [put off](Ticket::defer): there is room for it now.
    Again(usize, H, Ticket<'g, H>),
}

/// Admits pictures in order, within [`Bounds`]. This is the only place where the pipeline waits for room.
///
/// How large a picture is shows when it is read; one for which there is no room is put off, with what was read of it
/// (`H`), and no further one is admitted before it. So no task waits.
#[derive(Debug)]
pub(super) struct Gate<'a, H> {
    cancel: &'a AtomicBool,
    count: usize,
    state: Mutex<State<H>>,
    changed: Condvar,
}

impl<'a, H> Gate<'a, H> {
    /// For `count` pictures.
    pub(super) fn new(count: usize, bounds: Bounds, cancel: &'a AtomicBool) -> Self {
        let deferred = VecDeque::new();
        let state = State { bounds, next: 0, pictures: 0, undecoded: 0, bytes: 0, told: 0, closed: false, deferred };
        Self { cancel, count, state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Waits until there is room for the next picture; `None` once all are decoded, the gate is closed or the run is
    /// cancelled.
    pub(super) fn admit(&self) -> Option<Admitted<'_, H>> {
        let mut state = self.state();
        loop {
            if state.closed || self.cancel.load(Ordering::Relaxed) {
                return None;
            }
            let Bounds { pictures, undecoded, bytes, ahead } = state.bounds;
            if let Some(first) = state.deferred.front() {
                if state.has_room_for(first.bytes)
                    && let Some(Deferred { index, bytes, held }) = state.deferred.pop_front()
                {
                    state.bytes += bytes;
                    return Some(Admitted::Again(index, held, Ticket { gate: self, bytes, decoded: false }));
                }
            } else if state.next < self.count {
                if state.pictures < pictures
                    && state.undecoded < undecoded
                    && (state.bytes < bytes || state.pictures == 0)
                    && state.next < pictures.saturating_mul(ahead).saturating_add(state.told)
                {
                    state.pictures += 1;
                    state.undecoded += 1;
                    state.next += 1;
                    return Some(Admitted::New(state.next - 1, Ticket { gate: self, bytes: 0, decoded: false }));
                }
            } else if state.undecoded == 0 {
                return None;
            }
            state = self.changed.wait_timeout(state, CANCEL_POLL).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Sets how many pictures may be under way.
    pub(super) fn widen(&self, pictures: usize) {
        self.update(|state| state.bounds.pictures = pictures);
    }

    /// Notes that the outcomes of the first `told` pictures are reported.
    pub(super) fn told(&self, told: usize) {
        self.update(|state| state.told = told);
    }

    /// Admits no more.
    pub(super) fn close(&self) {
        self.update(|state| state.closed = true);
    }

    fn update(&self, change: impl FnOnce(&mut State<H>)) {
        change(&mut self.state());
        self.changed.notify_all();
    }

    /// The state is plain counters, each changed in one step, so a poisoned lock holds nothing half-done.
    fn state(&self) -> MutexGuard<'_, State<H>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One picture's place; dropping it makes room.
#[derive(Debug)]
pub(super) struct Ticket<'g, H> {
    gate: &'g Gate<'g, H>,
    /// What it takes, or is about to.
    bytes: u64,
    decoded: bool,
}

impl<H> Ticket<'_, H> {
    /// Takes room for a picture that will take `bytes` while it is decoded; false if there is none now. There always is if
    /// no other picture takes any.
    pub(super) fn reserve(&mut self, bytes: u64) -> bool {
        let mut state = self.gate.state();
        let room = state.has_room_for(bytes);
        if room {
            state.bytes += bytes;
            self.bytes += bytes;
        }
        room
    }

    /// Puts off picture `index`, which will take `bytes`, until there is room; it stays under way.
    pub(super) fn defer(self, index: usize, bytes: u64, held: H) {
        self.gate.update(|state| state.deferred.push_back(Deferred { index, bytes, held }));
        std::mem::forget(self); // its place goes on with the picture
    }

    /// Notes that the picture is decoded and takes `bytes`.
    pub(super) fn decoded(&mut self, bytes: u64) {
        let before = std::mem::replace(&mut self.bytes, bytes);
        let first = !std::mem::replace(&mut self.decoded, true);
        self.gate.update(|state| {
            state.bytes = state.bytes - before + bytes;
            state.undecoded -= usize::from(first);
        });
    }
}

impl<H> Drop for Ticket<'_, H> {
    fn drop(&mut self) {
        let (bytes, decoded) = (self.bytes, self.decoded);
        self.gate.update(|state| {
            state.pictures -= 1;
            state.bytes -= bytes;
            state.undecoded -= usize::from(!decoded);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { pictures: 3, undecoded: 2, bytes: 100, ahead: 2 };

    fn gate(count: usize, cancel: &AtomicBool) -> Gate<'_, &'static str> {
        Gate::new(count, BOUNDS, cancel)
    }

    /// The next picture's ticket, if it is admitted at once.
    fn at_once<'g>(gate: &'g Gate<'_, &'static str>) -> Option<Admitted<'g, &'static str>> {
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| gate.admit());
            let start = std::time::Instant::now();
            while !waiting.is_finished() && start.elapsed() < Duration::from_millis(120) {
                std::thread::sleep(Duration::from_millis(5));
            }
            let at_once = waiting.is_finished();
            if !at_once {
                gate.cancel.store(true, Ordering::Relaxed);
            }
            let admitted = waiting.join().unwrap();
            gate.cancel.store(false, Ordering::Relaxed);
            admitted.filter(|_| at_once)
        })
    }

    fn new<'g>(gate: &'g Gate<'_, &'static str>, expected: usize) -> Ticket<'g, &'static str> {
        match at_once(gate) {
            Some(Admitted::New(index, ticket)) if index == expected => ticket,
            other => panic!("not picture {expected}: {other:?}"),
        }
    }

    #[test]
    fn each_bound_holds_and_gives_way() {
        let cancel = AtomicBool::new(false);
        let gate = gate(9, &cancel);
        let mut first = new(&gate, 0);
        let mut second = new(&gate, 1);
        assert!(at_once(&gate).is_none(), "two are undecoded");
        assert!(first.reserve(20));
        first.decoded(10);
        assert!(second.reserve(90), "20 were reserved, and 10 remain");
        second.decoded(95);
        assert!(at_once(&gate).is_none(), "the bytes are reached");
        drop(second);
        let mut third = new(&gate, 2);
        third.decoded(1);
        let fourth = new(&gate, 3);
        assert!(at_once(&gate).is_none(), "three are under way");
        drop(third);
        let fifth = new(&gate, 4);
        drop((fourth, fifth));
        let sixth = new(&gate, 5);
        assert!(at_once(&gate).is_none(), "too far ahead of the first");
        gate.told(1);
        drop(sixth);
        gate.widen(4);
        drop(new(&gate, 6));
    }

    #[test]
    fn a_picture_without_room_is_put_off_and_comes_before_all_others() {
        let cancel = AtomicBool::new(false);
        let gate = gate(4, &cancel);
        let mut first = new(&gate, 0);
        let mut second = new(&gate, 1);
        assert!(first.reserve(60) && !second.reserve(50));
        second.defer(1, 50, "read");
        first.decoded(60);
        assert!(at_once(&gate).is_none(), "the second has no room, and the third waits for it");
        first.decoded(50);
        let Some(Admitted::Again(1, "read", mut second)) = at_once(&gate) else { panic!("the second has room") };
        second.decoded(1);
        drop((first, second));
        drop((new(&gate, 2), new(&gate, 3)));
        assert!(gate.admit().is_none(), "all are decoded");
    }

    #[test]
    fn a_picture_over_all_bounds_passes_alone() {
        let cancel = AtomicBool::new(false);
        let gate = gate(4, &cancel);
        let mut small = new(&gate, 0);
        let mut huge = new(&gate, 1);
        assert!(small.reserve(1) && !huge.reserve(1_000));
        huge.defer(1, 1_000, "huge");
        assert!(at_once(&gate).is_none());
        drop(small);
        let Some(Admitted::Again(1, "huge", huge)) = at_once(&gate) else { panic!("nothing else is under way") };
        assert!(at_once(&gate).is_none());
        drop(huge);
        drop(new(&gate, 2));
    }

    #[test]
    fn the_last_picture_may_still_be_put_off() {
        let cancel = AtomicBool::new(false);
        let gate = gate(2, &cancel);
        let mut first = new(&gate, 0);
        let second = new(&gate, 1);
        assert!(first.reserve(100));
        assert!(at_once(&gate).is_none(), "all are admitted, and the last may come back");
        second.defer(1, 10, "last");
        drop(first);
        assert!(matches!(at_once(&gate), Some(Admitted::Again(1, "last", _))));
        assert!(gate.admit().is_none());
    }

    #[test]
    fn closing_and_cancelling_admit_no_more() {
        let cancel = AtomicBool::new(false);
        let gate = gate(3, &cancel);
        cancel.store(true, Ordering::Relaxed);
        assert!(gate.admit().is_none());
        cancel.store(false, Ordering::Relaxed);
        gate.close();
        assert!(gate.admit().is_none());
    }
}
