//! The random numbers of a training: a stream for each purpose, so that no change to one shifts the others.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// What random numbers are for. The numbers of the streams are part of what a seed means: they stay as they are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stream {
    /// Which pictures are distilled on.
    DistillSample,
    /// In which shape a step of a distillation sees its pictures.
    DistillSteps,
    /// In which order a distillation sees pictures.
    DistillOrder,
    /// Pictures pasted into clutter.
    Cluttered(Views),
    /// Stamps on backgrounds.
    Composite(Views),
    /// Which pictures of each class are trained on.
    SupervisedSample,
    /// libtorch's own numbers, of dropout.
    Torch,
    /// What is mixed with what.
    Mix,
    /// In which order an epoch sees pictures.
    Order,
    /// Which part of a picture is seen, and how.
    Augment,
}

/// Which views those of one shape are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Views {
    /// Those to train on.
    Training {
        /// The shape's place.
        shape: u64,
    },
    /// Those held out.
    HeldOut {
        /// The shape's place.
        shape: u64,
    },
}

impl Stream {
    const fn number(self) -> u64 {
        match self {
            Self::DistillSample => 0,
            Self::DistillSteps => 1,
            Self::DistillOrder => 2,
            Self::Cluttered(views) => views.number(),
            Self::Composite(views) => views.number() + 1,
            Self::SupervisedSample => 32,
            Self::Torch => 33,
            Self::Mix => 34,
            Self::Order => 35,
            Self::Augment => 36,
        }
    }
}

impl Views {
    const fn number(self) -> u64 {
        match self {
            Self::Training { shape } => 4 + 2 * shape,
            Self::HeldOut { shape } => 16 + 2 * shape,
        }
    }
}

/// The random numbers of one purpose and one number.
pub(super) fn rng(seed: u64, stream: Stream, number: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream.number() << 48 | number);
    rng
}
