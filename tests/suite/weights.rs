//! Weights files: what PyTorch wrote, what a hostile hand wrote, and what this crate writes.

// What is copied must be the same, not nearly the same.
#![allow(clippy::float_cmp)]

pub(crate) mod answers;
mod apply;
mod beside;
mod claims;
#[cfg(feature = "cli")]
mod command;
mod damage;
mod doubts;
mod hostile;
mod layouts;
mod legacy;
mod pytorch;
mod save;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cbam::ErrorKind;
use cbam::weights::{Checkpoint, Dtype, StoredTensor, restore, store, store_all};
use tch::Tensor;

use crate::{file, program};

type Tensors = BTreeMap<String, StoredTensor>;

/// Zeros of any shape, which take no memory.
fn zeros(shape: &[i64]) -> StoredTensor {
    StoredTensor::zeros(Dtype::F32, shape).unwrap()
}

fn golden(name: &str) -> PathBuf {
    file("tests/golden/weights").join(name)
}

/// A file of every sort of PyTorch checkpoint.
fn checkpoint(name: &str) -> PathBuf {
    file("tests/golden/checkpoints").join(name)
}

fn read(bytes: &[u8]) -> Result<Checkpoint, ErrorKind> {
    Checkpoint::from_bytes("some.pth", bytes.to_vec())
}

/// The message of the error that reading must give.
fn refusal(bytes: &[u8]) -> String {
    match read(bytes) {
        Ok(checkpoint) => panic!("was read: {:?}", checkpoint.tensors.keys()),
        Err(error @ ErrorKind::Weights { .. }) => error.to_string(),
        Err(error) => panic!("another error: {error}"),
    }
}

#[track_caller]
fn assert_same(found: &Tensors, expected: &Tensors) {
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (name, tensor) in found {
        assert!(*tensor == expected[name], "{name}: {tensor:?} is not {:?}", expected[name]);
    }
}
