//! Feature maps with their channels together.

use ndarray::{Array4, ArrayView4};
use rayon::prelude::*;

use super::Clamp;
use super::buffer::{Shared, Source, product};
use crate::{Error, Result};

/// A feature map of f32, `[N, H, W, C]` in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Map {
    numbers: Vec<f32>,
    images: usize,
    height: usize,
    width: usize,
    channels: usize,
}

impl Map {
    /// Of numbers `[N, H, W, C]`. N may be 0.
    ///
    /// # Errors
    /// [`Error::Input`] if there are not as many as the shape says, or H, W or C is 0.
    pub fn new(shape: [usize; 4], numbers: Vec<f32>) -> Result<Self> {
        let [images, height, width, channels] = shape;
        let count = shape.iter().try_fold(1, |product: usize, side| product.checked_mul(*side));
        if count != Some(numbers.len()) || height.min(width).min(channels) == 0 {
            let got = format!("{shape:?} of {} numbers", numbers.len());
            return Err(Error::Input { layer: "map", expected: "[N, H, W, C], H, W and C not 0".to_owned(), got });
        }
        Ok(Self { numbers, images, height, width, channels })
    }

    /// Of an array `[N, C, H, W]` in any layout.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn of(array: ArrayView4<'_, f32>) -> Result<Self> {
        let pixels = array.permuted_axes([0, 2, 3, 1]);
        let (images, height, width, channels) = pixels.dim();
        let numbers = match pixels.as_slice() {
            Some(numbers) => numbers.to_vec(),
            None => pixels.iter().copied().collect(),
        };
        Self::new([images, height, width, channels], numbers)
    }

    /// Of `[N, H, W, C]` numbers of which `fill` writes image after image.
    ///
    /// # Errors
    /// What `fill` returns; else as [`new`](Self::new).
    pub fn filled(shape: [usize; 4], fill: impl Fn(usize, &mut [f32]) -> Result<()>) -> Result<Self> {
        let count = shape[1] * shape[2] * shape[3];
        let mut numbers = vec![0.0; shape[0] * count];
        for image in 0..shape[0] {
            fill(image, &mut numbers[image * count..(image + 1) * count])?;
        }
        Self::new(shape, numbers)
    }

    /// How many images.
    pub fn images(&self) -> usize {
        self.images
    }

    /// Rows of each.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Columns of each.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Channels of each.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// `[N, H, W, C]`.
    pub fn shape(&self) -> [usize; 4] {
        [self.images, self.height, self.width, self.channels]
    }

    /// All numbers, `[N, H, W, C]`.
    pub fn numbers(&self) -> &[f32] {
        &self.numbers
    }

    /// The same, to be changed.
    pub fn numbers_mut(&mut self) -> &mut [f32] {
        &mut self.numbers
    }

    /// The same, to be kept.
    pub fn into_numbers(self) -> Vec<f32> {
        self.numbers
    }

    /// As an array `[N, C, H, W]`; in memory the channels stay together.
    pub fn into_array(self) -> Array4<f32> {
        let shape = (self.images, self.height, self.width, self.channels);
        let pixels = Array4::from_shape_vec(shape, self.numbers);
        pixels
            .unwrap_or_else(|error| unreachable!("a map has as many numbers as its shape says: {error}"))
            .permuted_axes([0, 3, 1, 2])
    }

    /// The numbers of one image, `[H, W, C]`.
    pub fn image(&self, image: usize) -> &[f32] {
        let count = self.height * self.width * self.channels;
        &self.numbers[image * count..(image + 1) * count]
    }

    /// Some of the images.
    pub fn part(&self, images: std::ops::Range<usize>) -> Self {
        let count = self.height * self.width * self.channels;
        let numbers = self.numbers[images.start * count..images.end * count].to_vec();
        Self { numbers, images: images.len(), ..*self }
    }

    /// With every value clamped.
    pub fn clamped(mut self, clamp: Clamp) -> Self {
        for x in &mut self.numbers {
            *x = x.clamp(clamp.low, clamp.high);
        }
        self
    }

    /// The sum with a map of the same shape, clamped.
    ///
    /// # Panics
    /// If the shapes differ.
    pub fn add(mut self, other: &Self, clamp: Clamp) -> Self {
        assert_eq!(self.shape(), other.shape(), "shapes that do not add");
        let row = (self.width * self.channels).max(1);
        let add = |(to, from): (&mut [f32], &[f32])| {
            for (to, from) in to.iter_mut().zip(from) {
                *to = (*to + from).clamp(clamp.low, clamp.high);
            }
        };
        if rayon::current_num_threads() > 1 {
            let rows = self.numbers.par_chunks_mut(row).zip(other.numbers.par_chunks(row));
            rows.with_max_len(1).for_each(add);
        } else {
            self.numbers.chunks_mut(row).zip(other.numbers.chunks(row)).for_each(add);
        }
        self
    }

    /// The mean of each channel: `[N, 1, 1, C]`.
    pub fn mean(&self) -> Self {
        let positions = self.height * self.width;
        let mut means = vec![0.0; self.images * self.channels];
        for (image, means) in
            self.numbers.chunks_exact(positions * self.channels).zip(means.chunks_exact_mut(self.channels))
        {
            for position in image.chunks_exact(self.channels) {
                for (mean, x) in means.iter_mut().zip(position) {
                    *mean += x;
                }
            }
            for mean in means {
                *mean /= positions as f32;
            }
        }
        Self { numbers: means, height: 1, width: 1, ..*self }
    }

    pub(super) fn source(&self) -> Source {
        Source(self.numbers.as_ptr())
    }
}

/// A map that is being made: memory of its size, which holds nothing yet.
#[derive(Debug)]
pub(crate) struct Unwritten(Map);

impl Unwritten {
    /// Room for a map of this shape.
    ///
    /// # Panics
    /// If no memory holds it.
    pub(super) fn of([images, height, width, channels]: [usize; 4]) -> Self {
        // Tasks count within an image, also where there is none.
        product(&[height, width, channels]);
        let numbers = Vec::with_capacity(product(&[images, height, width, channels]));
        Self(Map { numbers, images, height, width, channels })
    }

    /// Where its numbers go.
    pub(super) fn target(&mut self) -> Shared {
        Shared(self.0.numbers.as_mut_ptr())
    }

    /// The numbers of a map of the same shape.
    pub(super) fn source_like(&self, other: &Map) -> Source {
        assert_eq!(self.0.shape(), other.shape(), "shapes that do not add");
        other.source()
    }

    /// The map.
    ///
    /// # Safety
    /// Every number of it must have been written through [`target`](Self::target).
    pub(super) unsafe fn written(mut self) -> Map {
        let count = self.0.shape().iter().product();
        // SAFETY: there is room for as many, and the caller promises that all of them were written.
        unsafe { self.0.numbers.set_len(count) };
        self.0
    }
}
