//! A network that several threads look through at a time.
#![allow(unsafe_code)]

use super::Network;
use crate::kernels::Lend;

// SAFETY: a pass only reads the network's tensors, and what writes in place (an optimizer, a loader) is never work that is given to
// another thread; the positions of its patch attention, which it keeps, lie behind a lock.
unsafe impl Lend for Network {}
