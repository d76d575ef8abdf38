//! What a TIFF's samples mean.

use image::DynamicImage;

use super::alpha::{self, Alpha, channels, finish};
use super::chunks::packed_sample;
use super::layout::{Layout, compression, photometric, refused};
use super::numbers::Numbers;
use super::tag;
use crate::photo::buffer;
use crate::photo::colour::{InkSamples, Inks, Pixels};
use crate::photo::ifd::Directory;
use crate::photo::srgb::transfer;

/// The picture that the samples are, and what was assumed.
pub(super) fn pixels(
    directory: &Directory<'_>,
    layout: &Layout,
    samples: Vec<u8>,
) -> Result<(Pixels, Vec<String>), String> {
    let colours = colours(layout)?;
    if layout.samples < colours {
        return Err(format!("broken TIFF: it has {} samples a pixel, and its colours need {colours}", layout.samples));
    }
    let alpha = Alpha::of(layout, colours);
    let mut notes: Vec<String> = alpha::left_out(layout, colours, alpha).into_iter().collect();
    if directory.number(tag::PHOTOMETRIC).is_none() {
        let guess = if layout.photometric == photometric::RGB { "red, green and blue" } else { "grey" };
        notes.push(format!("it does not say what its colours are: taken for {guess}"));
    }
    if let Some(numbers) = Numbers::of(layout, &samples)? {
        let plain =
            [photometric::WHITE_IS_ZERO, photometric::BLACK_IS_ZERO, photometric::RGB].contains(&layout.photometric);
        if !plain {
            return Err(refused(&format!("colours of {} bits that are neither grey nor RGB", layout.bits)));
        }
        let (mut values, assumed) = numbers.scaled(directory, layout, colours, alpha)?;
        notes.extend(assumed);
        let (alpha, said) = Alpha::or_none(alpha, colours, &mut values);
        notes.extend(said);
        return Ok((image(layout, colours, alpha, values, buffer::of_sixteen)?, notes));
    }
    let palette = layout.photometric == photometric::PALETTE;
    let most = (1_u64 << layout.bits) - 1;
    let scale = |value: u32, full: u64| if palette { value } else { (u64::from(value) * full / most) as u32 };
    let pixels = match layout.bits {
        8 => eight(directory, layout, alpha, samples, &mut notes),
        16 => {
            let samples = samples.as_chunks::<2>().0.iter().map(|n| u16::from_ne_bytes(*n)).collect();
            sixteen(directory, layout, alpha, samples, &mut notes)
        }
        1..=7 => {
            let samples = unpack(layout, &samples, |value| scale(value, 255) as u8);
            eight(directory, layout, alpha, samples, &mut notes)
        }
        _ => {
            let samples = unpack(layout, &samples, |value| scale(value, 65_535) as u16);
            sixteen(directory, layout, alpha, samples, &mut notes)
        }
    };
    Ok((pixels?, notes))
}

/// How many samples of a pixel are colours.
fn colours(layout: &Layout) -> Result<usize, String> {
    Ok(match layout.photometric {
        photometric::WHITE_IS_ZERO | photometric::BLACK_IS_ZERO | photometric::MASK | photometric::PALETTE => 1,
        photometric::RGB | photometric::YCBCR | photometric::CIE_LAB | photometric::ICC_LAB => 3,
        photometric::INKS => 4,
        32_844 | 32_845 => return Err(refused("LogLuv colours")),
        other => return Err(refused(&format!("colours of number {other}"))),
    })
}

/// Packed samples, each row from a byte of its own.
fn unpack<T>(layout: &Layout, packed: &[u8], value: impl Fn(u32) -> T) -> Vec<T> {
    let count = layout.size.width as usize * layout.samples;
    let row_bytes = (count * layout.bits as usize).div_ceil(8).max(1);
    let rows = packed.chunks_exact(row_bytes);
    let mut out = Vec::with_capacity(count * layout.size.height as usize);
    rows.for_each(|row| out.extend((0..count).map(|index| value(packed_sample(row, index, layout.bits)))));
    out
}

fn eight(
    directory: &Directory<'_>,
    layout: &Layout,
    alpha: Option<Alpha>,
    mut samples: Vec<u8>,
    notes: &mut Vec<String>,
) -> Result<Pixels, String> {
    let colours = colours(layout)?;
    match layout.photometric {
        photometric::PALETTE => return palette(directory, layout, alpha, &samples),
        photometric::INKS => {
            inks(directory)?;
            let samples = InkSamples::Eight(Alpha::chosen(None, layout, colours, samples));
            return Ok(Pixels::Inks(Inks { width: layout.size.width, height: layout.size.height, samples }));
        }
        photometric::YCBCR => luma(directory, layout, &mut samples),
        photometric::CIE_LAB | photometric::ICC_LAB => {
            let offset = if layout.photometric == photometric::ICC_LAB { 128.0 } else { 0.0 };
            for pixel in samples.chunks_exact_mut(layout.samples) {
                let chroma = |n: u8| if offset > 0.0 { f32::from(n) - offset } else { f32::from(n.cast_signed()) };
                let lab = [f32::from(pixel[0]) / 2.55, chroma(pixel[1]), chroma(pixel[2])];
                pixel[..3].copy_from_slice(&lab_to_srgb(lab).map(|value| (value * 255.0).round() as u8));
            }
        }
        _ => {}
    }
    let mut samples = Alpha::chosen(alpha, layout, colours, samples);
    let (alpha, said) = Alpha::or_none(alpha, colours, &mut samples);
    notes.extend(said);
    finish(&mut samples, colours, alpha, layout.photometric == photometric::WHITE_IS_ZERO, u8::MAX);
    image(layout, colours, alpha, samples, buffer::of_eight)
}

fn sixteen(
    directory: &Directory<'_>,
    layout: &Layout,
    alpha: Option<Alpha>,
    mut samples: Vec<u16>,
    notes: &mut Vec<String>,
) -> Result<Pixels, String> {
    let colours = colours(layout)?;
    match layout.photometric {
        photometric::PALETTE => return palette(directory, layout, alpha, &samples),
        photometric::INKS => {
            inks(directory)?;
            let samples = InkSamples::Sixteen(Alpha::chosen(None, layout, colours, samples));
            return Ok(Pixels::Inks(Inks { width: layout.size.width, height: layout.size.height, samples }));
        }
        photometric::YCBCR => return Err(refused("luma and chroma (YCbCr) of more than 8 bits")),
        photometric::CIE_LAB | photometric::ICC_LAB => {
            let icc = layout.photometric == photometric::ICC_LAB;
            for pixel in samples.chunks_exact_mut(layout.samples) {
                let chroma =
                    |n: u16| if icc { f32::from(n) / 256.0 - 128.0 } else { f32::from(n.cast_signed()) / 256.0 };
                let lightness = f32::from(pixel[0]) / if icc { 652.8 } else { 655.35 };
                let lab = [lightness, chroma(pixel[1]), chroma(pixel[2])];
                pixel[..3].copy_from_slice(&lab_to_srgb(lab).map(|value| (value * 65_535.0).round() as u16));
            }
        }
        _ => {}
    }
    let mut samples = Alpha::chosen(alpha, layout, colours, samples);
    let (alpha, said) = Alpha::or_none(alpha, colours, &mut samples);
    notes.extend(said);
    finish(&mut samples, colours, alpha, layout.photometric == photometric::WHITE_IS_ZERO, u16::MAX);
    image(layout, colours, alpha, samples, buffer::of_sixteen)
}

/// The picture of the chosen samples.
fn image<T>(
    layout: &Layout,
    colours: usize,
    alpha: Option<Alpha>,
    samples: Vec<T>,
    of: impl FnOnce(u32, u32, usize, Vec<T>) -> Option<DynamicImage>,
) -> Result<Pixels, String> {
    let image = of(layout.size.width, layout.size.height, channels(colours, alpha), samples);
    image.map(Pixels::Image).ok_or_else(|| "broken TIFF: samples are missing".to_owned())
}

/// Inks that are cyan, magenta, yellow and black.
fn inks(directory: &Directory<'_>) -> Result<(), String> {
    match directory.number(tag::INK_SET) {
        None | Some(1) => Ok(()),
        Some(_) => Err(refused("inks other than cyan, magenta, yellow and black")),
    }
}

/// Indices to the colours of the map: three runs, of all reds, all greens and all blues, 16 bits each.
fn palette<T: Copy + Into<u32>>(
    directory: &Directory<'_>,
    layout: &Layout,
    alpha: Option<Alpha>,
    samples: &[T],
) -> Result<Pixels, String> {
    let map = directory.numbers(tag::COLOUR_MAP).unwrap_or_default();
    let count = 1_usize << layout.bits;
    if map.len() < 3 * count {
        return Err("broken TIFF: its palette is too short".to_owned());
    }
    // Old writers put 8 bits there.
    let shift = if map.iter().all(|value| *value < 256) { 0 } else { 8 };
    let colour = |index: usize| [0, 1, 2].map(|run| (map[run * count + index.min(count - 1)] >> shift) as u8);
    let colours: Vec<[u8; 3]> = (0..count).map(colour).collect();
    let number = |sample: T| (sample.into() as usize).min(count - 1);
    let pixels = samples.chunks_exact(layout.samples);
    let values = match alpha {
        None => pixels.flat_map(|pixel| colours[number(pixel[0])]).collect(),
        Some(alpha) => {
            let rgba = pixels.flat_map(|pixel| {
                let [red, green, blue] = colours[number(pixel[0])];
                [red, green, blue, (number(pixel[alpha.at]) * 255 / (count - 1)) as u8]
            });
            rgba.collect()
        }
    };
    image(layout, 3, alpha, values, buffer::of_eight)
}

/// Luma and chroma to red, green and blue (TIFF 6.0, section 21). JPEGs inside are that already.
fn luma(directory: &Directory<'_>, layout: &Layout, samples: &mut [u8]) {
    if layout.compression == compression::JPEG && !layout.planar {
        return;
    }
    let some = |tag, count: usize| {
        directory.fractions(tag).filter(|list| list.len() >= count && list.iter().all(|n| n.is_finite()))
    };
    let coefficients = some(tag::YCBCR_COEFFICIENTS, 3).unwrap_or_else(|| vec![0.299, 0.587, 0.114]);
    let range = some(tag::BLACK_AND_WHITE, 6).unwrap_or_else(|| vec![0.0, 255.0, 128.0, 255.0, 128.0, 255.0]);
    let [red, green, blue] = [coefficients[0], coefficients[1], coefficients[2]];
    let full = |value: u8, run: usize, span: f64| {
        (f64::from(value) - range[2 * run]) * span / (range[2 * run + 1] - range[2 * run])
    };
    for pixel in samples.chunks_exact_mut(layout.samples) {
        let [y, cb, cr] = [full(pixel[0], 0, 255.0), full(pixel[1], 1, 127.0), full(pixel[2], 2, 127.0)];
        let r = y + cr * (2.0 - 2.0 * red);
        let b = y + cb * (2.0 - 2.0 * blue);
        let g = (y - blue * b - red * r) / green;
        pixel[..3].copy_from_slice(&[r, g, b].map(|value| value.round().clamp(0.0, 255.0) as u8));
    }
}

/// CIE L*a*b* (D50) to sRGB, 0 to 1.
fn lab_to_srgb([lightness, a, b]: [f32; 3]) -> [f32; 3] {
    /// The white of D50, and the way from it to linear sRGB (Bradford).
    const WHITE: [f32; 3] = [0.9642, 1.0, 0.8249];
    const TO_SRGB: [[f32; 3]; 3] =
        [[3.133_856, -1.616_867, -0.490_615], [-0.978_768, 1.916_142, 0.033_454], [0.071_945, -0.228_991, 1.405_243]];
    let y = (lightness + 16.0) / 116.0;
    let inverse = |t: f32| if t > 6.0 / 29.0 { t.powi(3) } else { (t - 4.0 / 29.0) * 108.0 / 841.0 };
    let xyz = [inverse(y + a / 500.0) * WHITE[0], inverse(y) * WHITE[1], inverse(y - b / 200.0) * WHITE[2]];
    TO_SRGB.map(|row| transfer(row[0] * xyz[0] + row[1] * xyz[1] + row[2] * xyz[2]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lab_white_black_and_red() {
        let near = |lab, rgb: [f32; 3]| lab_to_srgb(lab).iter().zip(rgb).all(|(a, b)| (a - b).abs() < 0.01);
        assert!(near([100.0, 0.0, 0.0], [1.0; 3]) && near([0.0, 0.0, 0.0], [0.0; 3]));
        assert!(near([54.29, 80.81, 69.89], [1.0, 0.0, 0.0]), "{:?}", lab_to_srgb([54.29, 80.81, 69.89]));
    }
}
