//! Running a scripted network, and learning from how it fails.

use tch::{IValue, Kind, Tensor};

use super::outputs::Classes;
use super::{ScriptedNetwork, ending};
use crate::classes::Outputs;
use crate::host::to_host;
use crate::photo::ImageSize;
use crate::{Remedy, Result};

/// Channels of pictures that are not red, green and blue.
const OTHER_CHANNELS: [i64; 5] = [1, 4, 2, 6, 12];
/// Sides of pictures that networks of one size take.
const SIDES: [i64; 20] =
    [224, 28, 32, 48, 64, 96, 112, 128, 160, 192, 227, 240, 256, 288, 299, 320, 384, 416, 448, 512];

impl ScriptedNetwork {
    /// Everything that it gives out for a batch, in order; what is no tensor is none.
    pub(super) fn forward(&self, xs: &Tensor) -> Result<Vec<Option<Tensor>>> {
        self.try_forward(xs).map_err(|error| {
            let size = xs.size();
            let (height, width) = (size.get(2).copied().unwrap_or(0), size.get(3).copied().unwrap_or(0));
            // It ran on pictures of another size when it was opened; memory may be short all the same.
            let tried = self.preprocess.network_size(ImageSize::new(1, 1));
            let cause = first_line(&error);
            let as_tried = (width, height) == (tried.width.into(), tried.height.into());
            let wrong = self.wrong(format!("fails on pictures {size:?}, {width}x{height}: {cause}"));
            let of_another_size = !as_tried && !cause.contains("memory");
            if of_another_size { wrong.with_remedy(Remedy::Squares(None)) } else { wrong }
        })
    }

    /// What it gives out for the first picture, in f32, or in 16 bits if it runs in these alone; if it fails, the error says
    /// what it would take, if that can be found.
    pub(super) fn first(&mut self, picture: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let error = match self.try_forward(picture) {
            Ok(outputs) => return Ok(outputs),
            Err(error) => error,
        };
        for kind in [Kind::Half, Kind::BFloat16] {
            self.kind = kind;
            if let Ok(outputs) = self.try_forward(picture) {
                return Ok(outputs);
            }
        }
        self.kind = Kind::Float;
        Err({
            let size = picture.size();
            let cause = first_line(&error);
            match self.what_it_takes(size[2]) {
                Some((1, _)) => self.wrong(format!(
                    "takes grey pictures, of 1 channel, and is given 3: red, green and blue. Script or trace it behind \
                     a module that gives it the mean of the channels, x.mean(1, keepdim=True): {cause}"
                )),
                Some((3, side)) => {
                    let wrong = format!("takes pictures of {side}x{side} and not of {0}x{0} ({cause})", size[2]);
                    self.wrong(wrong).with_remedy(Remedy::Squares(Some(side)))
                }
                Some((channels, _)) => self.wrong(format!(
                    "takes pictures of {channels} channels, and is given 3, red, green and blue: {cause}"
                )),
                None => self.wrong(format!("fails on a picture {size:?}: {cause}")),
            }
        })
    }

    /// The channels and the side of a square picture that it does not fail on; `side` is tried first.
    fn what_it_takes(&self, side: i64) -> Option<(i64, i64)> {
        let takes = |channels: i64, side: i64| {
            let picture = Tensor::f_zeros([1, channels, side, side], (Kind::Float, self.device));
            picture.is_ok_and(|picture| self.try_forward(&picture).is_ok())
        };
        let other = OTHER_CHANNELS.into_iter().find(|channels| takes(*channels, side)).map(|channels| (channels, side));
        let sides = || SIDES.into_iter().filter(move |other| *other != side);
        let three = || sides().find(|side| takes(3, *side)).map(|side| (3, side));
        other.or_else(three).or_else(|| sides().find(|side| takes(1, *side)).map(|side| (1, side)))
    }

    fn try_forward(&self, xs: &Tensor) -> std::result::Result<Vec<Option<Tensor>>, tch::TchError> {
        tch::no_grad(|| self.outputs_of(xs))
    }

    fn try_as_it_is(&self, xs: &Tensor) -> std::result::Result<IValue, tch::TchError> {
        tch::no_grad(|| self.module.forward_is(&[IValue::Tensor(xs.shallow_clone())]))
    }

    /// The same, with gradients if they are on.
    pub(super) fn outputs_of(&self, xs: &Tensor) -> std::result::Result<Vec<Option<Tensor>>, tch::TchError> {
        let output = self.module.forward_is(&[IValue::Tensor(xs.f_to_kind(self.kind)?)])?;
        let mut outputs = Vec::new();
        flatten(output, &mut outputs);
        Ok(outputs)
    }

    /// The place of an output among the results that the code returns, if it is one of these and not a part of one.
    fn returned(&self, index: usize, picture: &Tensor) -> Option<usize> {
        let results = match self.try_as_it_is(&picture.f_to_kind(self.kind).ok()?).ok()? {
            IValue::Tuple(values) | IValue::GenericList(values) => values,
            IValue::GenericDict(entries) => entries.into_iter().map(|(_, value)| value).collect(),
            _ => return Some(index),
        };
        let mut before = Vec::new();
        for (place, result) in results.into_iter().enumerate() {
            if before.len() == index {
                return (!is_several(&result)).then_some(place);
            }
            flatten(result, &mut before);
        }
        None
    }

    /// What its numbers for the classes are, and on what ground: what its code ends in, or else whether they leave
    /// `[0, 1]` for pictures of several kinds. What numbers sum to says nothing.
    pub(super) fn guess(
        &self,
        file: &[u8],
        classes: Classes,
        grey: &Tensor,
        probe: &[Option<Tensor>],
    ) -> Result<(Outputs, String)> {
        let logits = Outputs::Softmax.of_logits(classes.numbers);
        match self.returned(classes.index, grey).and_then(|place| ending::of(file, place)) {
            Some(ending @ ("sigmoid" | "softmax")) => {
                return Ok((Outputs::Probabilities, format!("its code ends in a {ending}")));
            }
            Some(ending) => return Ok((logits, format!("its code ends in {ending}"))),
            None => {}
        }
        let beyond = |outputs: &[Option<Tensor>]| -> Result<Option<f32>> {
            let numbers = to_host::<ndarray::Ix2>(&self.numbers(outputs, classes, 1)?)?;
            Ok(numbers.iter().find(|number| !(0.0..=1.0).contains(*number)).copied())
        };
        let noise = noise_like(grey)?;
        if let Some(number) = beyond(probe)? {
            return Ok((logits, format!("it gave out {number:.3} for a grey picture")));
        }
        for picture in
            [noise.f_mul_scalar(2.0)?, noise.f_mul_scalar(0.5)?, grey.f_add_scalar(2.0)?, grey.f_sub_scalar(2.0)?]
        {
            if let Some(number) = beyond(&self.forward(&picture)?)? {
                return Ok((logits, format!("it gave out {number:.3} for a made-up picture")));
            }
        }
        Ok((Outputs::Probabilities, "they lie in [0, 1] for five made-up pictures".to_owned()))
    }
}

/// Noise of the shape of a picture, the same numbers at every opening.
pub(super) fn noise_like(picture: &Tensor) -> Result<Tensor> {
    let count = Tensor::f_arange(picture.numel() as i64, (Kind::Double, picture.device()))?;
    let noise = (count * 12.9898).f_sin()?.f_mul_scalar(43_758.545_3)?.f_frac()?.f_to_kind(Kind::Float)?;
    Ok(noise.f_view_as(picture)?)
}

/// All tensors of a result in their order, those of results within it too; what is no tensor is none.
fn flatten(result: IValue, outputs: &mut Vec<Option<Tensor>>) {
    match result {
        IValue::Tensor(tensor) => outputs.push(Some(tensor)),
        IValue::TensorList(tensors) => outputs.extend(tensors.into_iter().map(Some)),
        IValue::Tuple(values) | IValue::GenericList(values) => {
            for value in values {
                flatten(value, outputs);
            }
        }
        IValue::GenericDict(entries) => {
            for (_, value) in entries {
                flatten(value, outputs);
            }
        }
        _ => outputs.push(None),
    }
}

/// Whether a result holds others.
fn is_several(result: &IValue) -> bool {
    matches!(result, IValue::Tuple(_) | IValue::GenericList(_) | IValue::GenericDict(_) | IValue::TensorList(_))
}

/// What went wrong, without libtorch's account of how it got there.
pub(super) fn first_line(error: &tch::TchError) -> String {
    let text = error.to_string();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    // TorchScript tells the cause last, after the lines of its own code.
    let cause = text.lines().rev().find_map(|line| line.trim().strip_prefix("RuntimeError: "));
    cause.or_else(|| lines.next()).unwrap_or("libtorch does not say why").to_owned()
}
