//! What a TIFF's samples mean.

use image::{DynamicImage, ImageBuffer};

use super::layout::{Layout, compression, photometric, refused};
use super::numbers::Numbers;
use super::tag;
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
    if let Some(numbers) = Numbers::of(layout, &samples)? {
        let plain =
            [photometric::WHITE_IS_ZERO, photometric::BLACK_IS_ZERO, photometric::RGB].contains(&layout.photometric);
        if !plain {
            return Err(refused(&format!("colours of {} bits that are neither grey nor RGB", layout.bits)));
        }
        let (mut values, note) = numbers.scaled(layout, colours, alpha != Alpha::None)?;
        finish(&mut values, colours, alpha, layout.photometric == photometric::WHITE_IS_ZERO, u16::MAX);
        return Ok((image16(layout, colours, alpha, values)?, note.into_iter().collect()));
    }
    let pixels = match layout.bits {
        8 => eight(directory, layout, alpha, samples),
        16 => sixteen(
            directory,
            layout,
            alpha,
            samples.as_chunks::<2>().0.iter().map(|n| u16::from_ne_bytes(*n)).collect(),
        ),
        1..=7 => {
            let most = (1_u32 << layout.bits) - 1;
            let scale =
                |value: u32| if layout.photometric == photometric::PALETTE { value } else { value * 255 / most };
            eight(directory, layout, alpha, unpack(layout, &samples, |value| scale(value) as u8))
        }
        _ => {
            let most = (1_u32 << layout.bits) - 1;
            let scale =
                |value: u32| if layout.photometric == photometric::PALETTE { value } else { value * 65_535 / most };
            sixteen(directory, layout, alpha, unpack(layout, &samples, |value| scale(value) as u16))
        }
    };
    Ok((pixels?, Vec::new()))
}

/// What the sample behind the colours is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Alpha {
    None,
    Plain,
    /// The colours are multiplied by it already.
    Multiplied,
}

impl Alpha {
    fn of(layout: &Layout, colours: usize) -> Self {
        match layout.extra.first() {
            _ if layout.samples <= colours => Self::None,
            Some(1) => Self::Multiplied,
            Some(2 | 999) => Self::Plain,
            None if layout.photometric == photometric::RGB && layout.samples == 4 => Self::Plain,
            _ => Self::None,
        }
    }
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
    let (bits, count) = (layout.bits as usize, layout.size.width as usize * layout.samples);
    let mut out = Vec::with_capacity(count * layout.size.height as usize);
    for row in packed.chunks_exact(layout.row_bytes(layout.size.width).max(1) as usize) {
        for sample in 0..count {
            let at = sample * bits;
            let byte = |index: usize| u32::from(row.get(at / 8 + index).copied().unwrap_or(0));
            let window = byte(0) << 16 | byte(1) << 8 | byte(2);
            out.push(value(window >> (24 - at % 8 - bits) & ((1 << bits) - 1)));
        }
    }
    out
}

fn eight(directory: &Directory<'_>, layout: &Layout, alpha: Alpha, mut samples: Vec<u8>) -> Result<Pixels, String> {
    match layout.photometric {
        photometric::PALETTE => return palette(directory, layout, alpha, &samples, |index| usize::from(*index)),
        photometric::INKS => {
            inks(directory)?;
            let samples = InkSamples::Eight(first(layout.samples, 4, samples));
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
    let colours = colours(layout)?;
    let mut samples = first(layout.samples, colours + usize::from(alpha != Alpha::None), samples);
    finish(&mut samples, colours, alpha, layout.photometric == photometric::WHITE_IS_ZERO, u8::MAX);
    let (width, height) = (layout.size.width, layout.size.height);
    let image = match (colours, alpha) {
        (1, Alpha::None) => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageLuma8),
        (1, _) => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageLumaA8),
        (_, Alpha::None) => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageRgb8),
        _ => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageRgba8),
    };
    image.map(Pixels::Image).ok_or_else(|| "broken TIFF: samples are missing".to_owned())
}

fn sixteen(directory: &Directory<'_>, layout: &Layout, alpha: Alpha, mut samples: Vec<u16>) -> Result<Pixels, String> {
    match layout.photometric {
        photometric::PALETTE => return palette(directory, layout, alpha, &samples, |index| usize::from(*index)),
        photometric::INKS => {
            inks(directory)?;
            let samples = InkSamples::Sixteen(first(layout.samples, 4, samples));
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
    let colours = colours(layout)?;
    let mut samples = first(layout.samples, colours + usize::from(alpha != Alpha::None), samples);
    finish(&mut samples, colours, alpha, layout.photometric == photometric::WHITE_IS_ZERO, u16::MAX);
    image16(layout, colours, alpha, samples)
}

fn image16(layout: &Layout, colours: usize, alpha: Alpha, samples: Vec<u16>) -> Result<Pixels, String> {
    let (width, height) = (layout.size.width, layout.size.height);
    let image = match (colours, alpha) {
        (1, Alpha::None) => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageLuma16),
        (1, _) => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageLumaA16),
        (_, Alpha::None) => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageRgb16),
        _ => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageRgba16),
    };
    image.map(Pixels::Image).ok_or_else(|| "broken TIFF: samples are missing".to_owned())
}

/// The first few samples of each pixel.
fn first<T: Copy>(samples: usize, wanted: usize, values: Vec<T>) -> Vec<T> {
    if samples == wanted {
        return values;
    }
    values.chunks_exact(samples).flat_map(|pixel| &pixel[..wanted]).copied().collect()
}

/// Turns black and white round where white is 0, and takes the alpha out of colours that are multiplied by it.
fn finish<T: Copy + Into<u64> + TryFrom<u64>>(
    samples: &mut [T],
    colours: usize,
    alpha: Alpha,
    inverted: bool,
    full: T,
) {
    let full = full.into();
    let number = |value: u64, old: T| T::try_from(value).unwrap_or(old);
    for pixel in samples.chunks_exact_mut(colours + usize::from(alpha != Alpha::None)) {
        let (values, coverage) = pixel.split_at_mut(colours);
        for value in values {
            if inverted {
                *value = number(full - (*value).into(), *value);
            }
            if let (Alpha::Multiplied, Some(coverage)) = (alpha, coverage.first()) {
                let coverage: u64 = (*coverage).into();
                let plain = ((*value).into() * full + coverage / 2).checked_div(coverage).unwrap_or(0);
                *value = number(plain.min(full), *value);
            }
        }
    }
}

/// Inks that are cyan, magenta, yellow and black.
fn inks(directory: &Directory<'_>) -> Result<(), String> {
    match directory.number(tag::INK_SET) {
        None | Some(1) => Ok(()),
        Some(_) => Err(refused("inks other than cyan, magenta, yellow and black")),
    }
}

/// Indices to the colours of the map: three runs, of all reds, all greens and all blues, 16 bits each.
fn palette<T>(
    directory: &Directory<'_>,
    layout: &Layout,
    alpha: Alpha,
    samples: &[T],
    index: impl Fn(&T) -> usize,
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
    let pixels = samples.chunks_exact(layout.samples);
    let (width, height) = (layout.size.width, layout.size.height);
    let image = if alpha == Alpha::None {
        let rgb = pixels.flat_map(|pixel| colours[index(&pixel[0]).min(count - 1)]).collect();
        ImageBuffer::from_raw(width, height, rgb).map(DynamicImage::ImageRgb8)
    } else {
        let rgba = pixels.flat_map(|pixel| {
            let [red, green, blue] = colours[index(&pixel[0]).min(count - 1)];
            [red, green, blue, (index(&pixel[1]) * 255 / (count - 1)) as u8]
        });
        ImageBuffer::from_raw(width, height, rgba.collect()).map(DynamicImage::ImageRgba8)
    };
    image.map(Pixels::Image).ok_or_else(|| "broken TIFF: samples are missing".to_owned())
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
