//! The network as [`Model`] and [`Features`]: what it says of itself, how it looks at pictures, what its places hold.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use half::f16;
use ndarray::{Array2, Array3, ArrayView3, ArrayView4, Axis, Ix2};
use tch::{Device, Kind, Tensor};

use super::Network;
use crate::classes::Outputs;
use crate::explain::{Features, Slope, features_of, gradient, slope_of, tensor_scores};
use crate::host::to_host;
use crate::model::{Description, Look, Model, Question, explain_looks, tuned_batch_size};
use crate::photo::{ImageSize, Resampled};
use crate::{ErrorKind, Result};

impl Model for Network {
    fn describe(&self) -> Description {
        self.config.describe(&self.preprocess)
    }

    /// On a CPU a batch costs as much as its pictures one by one, and more memory; it only occupies many threads better.
    /// On a GPU it is found by trying.
    fn batch_size(&self, pictures: usize, size: ImageSize) -> usize {
        if self.is_one_by_one() {
            return 1;
        }
        if self.device() == Device::Cpu {
            return (tch::get_num_threads() as usize / 4).clamp(1, 8);
        }
        tuned_batch_size(pictures, |batch| {
            let start = Instant::now();
            // Most of tch's methods panic where memory is short.
            let passed = catch_unwind(AssertUnwindSafe(|| self.try_out(batch, size)));
            passed.is_ok_and(|passed| passed.is_ok()).then(|| start.elapsed())
        })
    }

    fn look(&self, pictures: &[&Resampled], question: &Question<'_>) -> Result<Vec<Look>, ErrorKind> {
        question.check_class(self.answers())?;
        let points = pictures
            .iter()
            .map(|picture| question.points(&picture.geometry()))
            .collect::<Result<Vec<_>, ErrorKind>>()?;
        let seen = self.see(pictures, &points, question.class, question.detail)?;
        let look = |(seen, picture): (super::run::Seen, &&Resampled)| Look {
            readout: seen.readout,
            geometry: picture.geometry(),
            likeliest: seen.likeliest,
            explained: None,
        };
        let mut looks: Vec<_> = seen.into_iter().zip(pictures).map(look).collect();
        explain_looks(self, &self.preprocess, pictures, &mut looks, question)?;
        Ok(looks)
    }

    fn features(&self) -> Option<&dyn Features> {
        Some(self)
    }
}

impl Network {
    /// One picture `[3, H, W]` as its input.
    fn picture(&self, pixels: ArrayView3<'_, f32>) -> Result<Tensor> {
        self.input(&pixels.insert_axis(Axis(0)))
    }

    /// Features `[N, C, h, w]` as a tensor on its device; what its precision cannot hold is cut to its range.
    fn features_in(&self, features: ArrayView4<'_, f32>) -> Result<Tensor> {
        let features = crate::host::to_tensor(features)?.f_to_device(self.device())?;
        if self.variables.kind() == Kind::Half {
            return Ok(features.f_clamp(f16::MIN.to_f64(), f16::MAX.to_f64())?);
        }
        Ok(features)
    }
}

impl Features for Network {
    fn numbers(&self) -> usize {
        self.config.classes as usize
    }

    fn outputs(&self) -> Outputs {
        self.config.outputs
    }

    fn logits(&self, pixels: ArrayView4<'_, f32>) -> Result<Array2<f32>, ErrorKind> {
        let input = self.input(&pixels)?;
        Ok(tch::no_grad(|| to_host::<Ix2>(&self.forward(&input, false)?.logits))?)
    }

    fn places(&self) -> Vec<String> {
        Network::places(self).into_iter().map(str::to_owned).collect()
    }

    fn features(&self, place: &str, pixels: ArrayView3<'_, f32>) -> Result<Array3<f32>, ErrorKind> {
        let (place, input) = (self.place(Some(place))?, self.picture(pixels)?);
        Ok(tch::no_grad(|| features_of(&self.features_at(place, &input)?, 0))?)
    }

    fn logits_from(&self, place: &str, features: ArrayView4<'_, f32>) -> Result<Array2<f32>, ErrorKind> {
        let (place, features) = (self.place(Some(place))?, self.features_in(features)?);
        Ok(tch::no_grad(|| to_host::<Ix2>(&Network::logits_from(self, place, &features)?))?)
    }

    /// Runs the network once to the end and back to the place.
    fn slope(&self, place: &str, pixels: ArrayView3<'_, f32>, class: usize) -> Result<Slope, ErrorKind> {
        let (place, input) = (self.place(Some(place))?, self.picture(pixels)?);
        let features = tch::no_grad(|| self.features_at(place, &input))?;
        let scores =
            |features: &Tensor| tensor_scores(self.config.outputs, &Network::logits_from(self, place, features)?);
        let gradient = gradient(&features, &[class as i64], scores)?;
        Ok(slope_of(&features, &gradient, 0)?)
    }
}
