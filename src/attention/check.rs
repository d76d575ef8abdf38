//! What every layer checks, once, at its edge.

use tch::{Device, Kind, Tensor};

use crate::{Error, ErrorKind, Result, sys};

/// An [`ErrorKind::Input`] of `layer`.
pub(super) fn wrong(layer: &'static str, expected: impl Into<String>, got: impl Into<String>) -> Error {
    ErrorKind::Input { layer, expected: expected.into(), got: got.into() }.into()
}

/// The sizes of a feature map `[N, C, H, W]`, none of them 0; `channels` fixes C.
pub(super) fn map_size(layer: &'static str, xs: &Tensor, channels: Option<i64>) -> Result<[i64; 4]> {
    let size = xs.size();
    match size[..] {
        [n, c, h, w] if n.min(c).min(h).min(w) > 0 && channels.is_none_or(|expected| c == expected) => Ok([n, c, h, w]),
        _ => {
            let channels = channels.map_or_else(|| "C".to_owned(), |c| c.to_string());
            Err(wrong(layer, format!("a map [N, {channels}, H, W], none of them 0"), format!("{size:?}")))
        }
    }
}

/// The sizes of a sequence `[N, T, width]`, none of them 0.
pub(super) fn sequence_size(layer: &'static str, name: &str, xs: &Tensor, width: i64) -> Result<[i64; 3]> {
    let size = xs.size();
    match size[..] {
        [n, t, d] if n.min(t) > 0 && d == width => Ok([n, t, d]),
        _ => Err(wrong(layer, format!("{name} [N, T, {width}], none of them 0"), format!("{size:?}"))),
    }
}

/// That `xs` has the kind and device of `like`, a parameter or another input.
pub(super) fn same_place(layer: &'static str, name: &str, xs: &Tensor, like: &Tensor) -> Result<()> {
    let ((kind, device), expected) = ((xs.f_kind()?, xs.device()), (like.f_kind()?, like.device()));
    if (kind, device) == expected {
        return Ok(());
    }
    let (expected_kind, expected_device) = expected;
    let expected = format!("{name} of kind {expected_kind:?} on {expected_device:?}");
    Err(wrong(layer, expected, format!("{kind:?} on {device:?}")))
}

/// That `xs` holds floating-point numbers.
pub(super) fn floating(layer: &'static str, name: &str, xs: &Tensor) -> Result<()> {
    match xs.f_kind()? {
        Kind::Float | Kind::Double | Kind::Half | Kind::BFloat16 => Ok(()),
        kind => Err(wrong(layer, format!("{name} of a floating-point kind"), format!("{kind:?}"))),
    }
}

/// The width of a hidden layer: `channels / reduction`, rounded down.
pub(super) fn reduced(channels: i64, reduction: i64) -> Result<i64> {
    positive("channels", channels)?;
    positive("reduction", reduction)?;
    match channels / reduction {
        0 => Err(Error::argument("reduction", format!("{reduction} leaves nothing of {channels} channels"))),
        hidden => Ok(hidden),
    }
}

/// That a number of a configuration is at least 1.
pub(super) fn positive(argument: &str, value: i64) -> Result<()> {
    if value >= 1 { Ok(()) } else { Err(Error::argument(argument, format!("must be at least 1, not {value}"))) }
}

/// The product of some numbers of a configuration, which must be one that a tensor may have for a side.
pub(super) fn product(argument: &str, numbers: &[i64]) -> Result<i64> {
    let product = numbers.iter().try_fold(1_i64, |product, number| product.checked_mul(*number));
    product.filter(|product| i32::try_from(*product).is_ok()).ok_or_else(|| {
        let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
        Error::argument(argument, format!("{} is too large", numbers.join(" × ")))
    })
}

/// Whether a layer of these parameters may take its kernel for `xs`: there is one for it, and nobody asks for gradients.
pub(super) fn fused<'a>(xs: &Tensor, parameters: impl IntoIterator<Item = &'a Tensor>) -> bool {
    let learns = || xs.requires_grad() || parameters.into_iter().any(Tensor::requires_grad);
    xs.device() == Device::Cpu && xs.kind() == Kind::Float && xs.numel() > 0 && !(sys::grad_enabled() && learns())
}
