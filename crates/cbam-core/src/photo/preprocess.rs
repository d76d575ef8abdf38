//! A picture to a network's input.

use image::DynamicImage;
use ndarray::Array3;
use serde::{Deserialize, Serialize};

use super::{Geometry, ImageSize, Part, Photo, resize::resize};
use crate::text::named;
use crate::{Error, Result};

/// How a picture becomes a network's input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Preprocess {
    /// The short side, in pixels; rounded to a multiple of [`multiple`](Self::multiple).
    pub short_side: u32,
    /// Both sides are multiples of this, the network's stride.
    pub multiple: u32,
    /// The long side is at most this many times the short one.
    pub max_ratio: u32,
    /// Subtracted from each channel, in the order of [`channels`](Self::channels), in `0..=255` units.
    pub mean: [f32; 3],
    /// Divides each channel after that, in `0..=255` units.
    pub std: [f32; 3],
    /// What stands for a pixel.
    #[serde(default, skip_serializing_if = "Channels::is_rgb")]
    pub channels: Channels,
    /// The only size that the network takes; the three numbers about sides then say nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed: Option<FixedSize>,
}

/// What stands for a pixel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channels {
    /// `rgb`: red, green and blue.
    #[default]
    Rgb,
    /// `bgr`: blue, green and red, as `OpenCV` and Caffe have them.
    Bgr,
    /// `grey`: the luma of ITU-R BT.601, as Pillow's `L` has it, three times; of 16 bits it is not rounded.
    Grey,
}

named! {
    Channels as "channels", read by meant;
    Rgb => "rgb", Bgr => "bgr", Grey => "grey",
}

fn meant(text: &str) -> String {
    let text = text.to_ascii_lowercase();
    if text == "gray" { "grey".to_owned() } else { text }
}

/// The luma of ITU-R BT.601, rounded as Pillow rounds it.
fn luma([r, g, b]: [u8; 3]) -> u8 {
    let [r, g, b] = [r, g, b].map(u32::from);
    ((19_595 * r + 38_470 * g + 7_471 * b + 0x8000) >> 16) as u8
}

fn of_sixteen(sample: u16) -> f32 {
    f32::from(sample) / 257.0
}

impl Channels {
    /// Whether they are red, green and blue.
    pub const fn is_rgb(&self) -> bool {
        matches!(self, Self::Rgb)
    }
}

/// The only size that a network takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FixedSize {
    /// The size.
    pub size: ImageSize,
    /// Whether all of a picture is squeezed to it; else its middle is taken, as much of it as has that shape.
    pub squeeze: bool,
}

impl Default for Preprocess {
    /// EfficientNet-Lite: short side 224, `(x - 127) / 128`.
    fn default() -> Self {
        Self {
            short_side: 224,
            multiple: 32,
            max_ratio: 4,
            mean: [127.0; 3],
            std: [128.0; 3],
            channels: Channels::Rgb,
            fixed: None,
        }
    }
}

/// A picture at the size at which a network sees it, opaque, in its own 8 or 16 bits.
#[derive(Debug, Clone)]
pub struct Resampled {
    samples: Samples, // as many as the geometry says
    geometry: Geometry,
}

/// Red, green and blue of each pixel, together.
#[derive(Debug, Clone)]
enum Samples {
    Eight(Vec<u8>),
    Sixteen(Vec<u16>),
}

impl Resampled {
    /// How the picture was stretched.
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// The bytes that its pixels take.
    pub fn bytes(&self) -> usize {
        match &self.samples {
            Samples::Eight(samples) => size_of_val(&samples[..]),
            Samples::Sixteen(samples) => size_of_val(&samples[..]),
        }
    }

    /// How many pictures there are, and their rows and columns.
    ///
    /// # Errors
    /// [`Error::Input`] if they are of several sizes, or there are none.
    pub fn shape_of(pictures: &[&Self]) -> Result<[usize; 3]> {
        let sizes = || pictures.iter().map(|picture| picture.geometry.network);
        let refused = |got| Err(Error::Input { layer: "Network", expected: "pictures of one size".to_owned(), got });
        match sizes().next() {
            None => refused("none".to_owned()),
            Some(size) => match sizes().find(|other| *other != size) {
                Some(other) => refused(format!("{size} and {other}")),
                None => Ok([pictures.len(), size.height as usize, size.width as usize]),
            },
        }
    }

    /// `[H, W, 3]`; `None` if it has 16 bits.
    pub fn eight_bits(&self) -> Option<&[u8]> {
        match &self.samples {
            Samples::Eight(samples) => Some(samples),
            Samples::Sixteen(_) => None,
        }
    }
}

/// A picture as a network takes it.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// Normalised red, green and blue, `[3, H, W]`; in memory a pixel's three stand together.
    pub pixels: Array3<f32>,
    /// How the picture was stretched.
    pub geometry: Geometry,
}

impl Preprocess {
    /// ImageNet's mean and standard deviation, as torchvision's networks take pictures; short side 224.
    pub const fn imagenet() -> Self {
        let (mean, std) = ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375]);
        Self { short_side: 224, multiple: 32, max_ratio: 4, mean, std, channels: Channels::Rgb, fixed: None }
    }

    /// The same of grey pictures: the mean of ImageNet's, and their deviation, which are those of its colours, averaged.
    pub const fn imagenet_grey() -> Self {
        Self { mean: [0.449 * 255.0; 3], std: [0.226 * 255.0; 3], channels: Channels::Grey, ..Self::imagenet() }
    }

    /// The largest [`short_side`](Self::short_side), in pixels.
    pub const MAX_SHORT_SIDE: u32 = 8192;

    /// The size at which the network sees a picture of size `picture`.
    ///
    /// The short side becomes [`short_side`](Self::short_side), rounded to the nearest multiple of
    /// [`multiple`](Self::multiple) (at least one). The long side is scaled by the same factor and rounded likewise, so
    /// the picture is stretched by a few per cent at most; it is capped at [`max_ratio`](Self::max_ratio) times the
    /// short side, so a picture longer than that is squeezed. Halves round up. An empty `picture` counts as square.
    pub fn network_size(&self, picture: ImageSize) -> ImageSize {
        if let Some(fixed) = self.fixed {
            return fixed.size;
        }
        let multiple = u64::from(self.multiple.max(1));
        let steps = (u64::from(self.short_side) + multiple / 2) / multiple;
        let short_steps = steps.max(1);
        let (short, long) = (u64::from(picture.short_side()), u64::from(picture.width.max(picture.height)));
        // long / short * short_steps, rounded; in whole numbers, so that every machine agrees
        let long_steps = (2 * long * short_steps + short).checked_div(2 * short).unwrap_or(short_steps);
        let cap = short_steps * u64::from(self.max_ratio.max(1));
        let side = |steps: u64| u32::try_from(steps * multiple).unwrap_or(u32::MAX);
        let (short, long) = (side(short_steps), side(long_steps.clamp(short_steps, cap)));
        if picture.width < picture.height { ImageSize::new(short, long) } else { ImageSize::new(long, short) }
    }

    /// The part of a picture of size `picture` that the network sees: all of it, unless it takes one size only and nothing is squeezed.
    pub fn seen(&self, picture: ImageSize) -> Part {
        match self.fixed {
            Some(FixedSize { size, squeeze: false }) => Part::middle(picture, size),
            _ => Part::whole(picture),
        }
    }

    /// What is to be said of a picture that is longer than the network takes any, if squares are not what is asked for.
    pub fn squeezed(&self, picture: ImageSize) -> Option<String> {
        let (short, long) = (picture.short_side(), picture.width.max(picture.height));
        let most = self.max_ratio;
        let too_long = self.fixed.is_none() && most > 1 && u64::from(long) > u64::from(short) * u64::from(most);
        too_long.then(|| {
            format!(
                "it is longer than {most}:1, and the network sees it squeezed to that: cut it into parts to see more"
            )
        })
    }

    /// Composites on white, resamples and normalises: [`resample`](Self::resample), then [`normalise`](Self::normalise).
    ///
    /// # Errors
    /// As [`resample`](Self::resample).
    pub fn apply(&self, photo: &Photo) -> Result<Prepared> {
        let picture = self.resample(photo)?;
        Ok(Prepared { pixels: self.normalised(&picture)?, geometry: picture.geometry })
    }

    /// A picture's pixels, [normalised](Self::normalise): `[3, H, W]`; in memory a pixel's three stand together.
    ///
    /// # Errors
    /// None of a picture that [`resample`](Self::resample) made.
    pub fn normalised(&self, picture: &Resampled) -> Result<Array3<f32>> {
        let ImageSize { width, height } = picture.geometry.network;
        let mut pixels = Array3::zeros((height as usize, width as usize, 3));
        if let Some(values) = pixels.as_slice_mut() {
            self.normalise(picture, values)?;
        }
        Ok(pixels.permuted_axes([2, 0, 1]))
    }

    /// Composites on white and resamples.
    ///
    /// Resampling is bicubic (Catmull-Rom, `a = -1/2`, with its support widened when shrinking), as Pillow's
    /// `BICUBIC`, with which the networks were measured; it keeps the depth of 8 or 16 bits.
    ///
    /// # Errors
    /// [`Error::Argument`] if `short_side` is 0 or over [`MAX_SHORT_SIDE`](Self::MAX_SHORT_SIDE), `multiple` or
    /// `max_ratio` is 0, or `std` holds a 0; [`Error::Input`] if the picture is empty.
    pub fn resample(&self, photo: &Photo) -> Result<Resampled> {
        self.check()?;
        let picture = photo.size();
        if picture.pixels() == 0 {
            return Err(Error::Input {
                layer: "preprocess",
                expected: "a picture with pixels".to_owned(),
                got: picture.to_string(),
            });
        }
        let network = self.network_size(picture);
        let seen = self.seen(picture);
        let cut = (seen != Part::whole(picture))
            .then(|| photo.image.crop_imm(seen.left, seen.top, seen.size.width, seen.size.height));
        let samples = match resize(cut.as_ref().unwrap_or(&photo.image), network)? {
            DynamicImage::ImageRgb16(image) => Samples::Sixteen(image.into_raw()),
            other => Samples::Eight(other.into_rgb8().into_raw()),
        };
        Ok(Resampled { samples, geometry: Geometry { picture, network, seen } })
    }

    /// Checks its numbers.
    ///
    /// # Errors
    /// [`Error::Argument`] if one of them is out of range.
    pub fn check(&self) -> Result<()> {
        if self.short_side == 0 || self.short_side > Self::MAX_SHORT_SIDE {
            return Err(Error::argument("size", format!("{} is not in 1..={}", self.short_side, Self::MAX_SHORT_SIDE)));
        }
        if self.multiple == 0 || self.max_ratio == 0 || self.std.contains(&0.0) {
            return Err(Error::argument("preprocess", "multiple, max_ratio and std must not be 0"));
        }
        let sides = self.fixed.map(|fixed| [fixed.size.width, fixed.size.height]).into_iter().flatten();
        if let Some(side) = sides.into_iter().find(|side| !(1..=Self::MAX_SHORT_SIDE).contains(side)) {
            return Err(Error::argument("size", format!("{side} is not in 1..={}", Self::MAX_SHORT_SIDE)));
        }
        Ok(())
    }

    /// Takes the [`channels`](Self::channels), subtracts [`mean`](Self::mean) and divides by [`std`](Self::std): `[H, W, 3]`, 16 bits
    /// scaled to `0..=255` before.
    ///
    /// # Errors
    /// [`Error::Input`] if `values` does not have that many numbers.
    pub fn normalise(&self, picture: &Resampled, values: &mut [f32]) -> Result<()> {
        let ImageSize { width, height } = picture.geometry.network;
        if values.len() != 3 * width as usize * height as usize {
            return Err(Error::Input {
                layer: "preprocess",
                expected: format!("room for {width}x{height} pixels of 3 numbers"),
                got: format!("{} numbers", values.len()),
            });
        }
        match (&picture.samples, self.channels) {
            (Samples::Eight(samples), Channels::Rgb) => self.values(samples, f32::from, values),
            (Samples::Eight(samples), _) => self.values(&self.turned(samples, luma), f32::from, values),
            (Samples::Sixteen(samples), Channels::Rgb) => self.values(samples, of_sixteen, values),
            (Samples::Sixteen(samples), _) => {
                let samples: Vec<f32> = samples.iter().copied().map(of_sixteen).collect();
                self.values(
                    &self.turned(&samples, |[r, g, b]| 0.299 * r + 0.587 * g + 0.114 * b),
                    |sample| sample,
                    values,
                );
            }
        }
        Ok(())
    }

    /// The samples in the order of the channels.
    fn turned<T: Copy>(&self, samples: &[T], grey: impl Fn([T; 3]) -> T) -> Vec<T> {
        let pixels = samples.as_chunks::<3>().0.iter();
        pixels
            .flat_map(|&[r, g, b]| match self.channels {
                Channels::Rgb => [r, g, b],
                Channels::Bgr => [b, g, r],
                Channels::Grey => [grey([r, g, b]); 3],
            })
            .collect()
    }

    fn values<T: Copy>(&self, samples: &[T], value: impl Fn(T) -> f32, out: &mut [f32]) {
        /// Values taken at once: whole pixels, and whole vectors.
        const AT_ONCE: usize = 48;
        let of_channels = |channels: [f32; 3]| std::array::from_fn::<_, AT_ONCE, _>(|i| channels[i % 3]);
        let (means, stds) = (of_channels(self.mean), of_channels(self.std));
        for (out, samples) in out.chunks_mut(AT_ONCE).zip(samples.chunks(AT_ONCE)) {
            for (((out, sample), mean), std) in out.iter_mut().zip(samples).zip(&means).zip(&stds) {
                *out = (value(*sample) - mean) / std;
            }
        }
    }
}
