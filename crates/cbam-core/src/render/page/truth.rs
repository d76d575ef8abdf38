//! What is known and measured of a picture, on the page of a report.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ndarray::Array2;
use serde::Serialize;

/// The longest side of a mask in a gallery, and where its picture is shown alone.
const LISTED: usize = 128;
const SHOWN: usize = 512;

/// What is known of a picture, and how well its maps do.
#[derive(Debug, Clone, Default)]
pub struct PageMeasures {
    /// What is in the picture; none if nobody knows.
    pub truth: Option<PageTruth>,
    /// By the names of maps, and of [`PageReport::measures`](super::PageReport::measures).
    pub measures: BTreeMap<String, BTreeMap<&'static str, f64>>,
}

/// What is in a picture.
#[derive(Debug, Clone, Default)]
pub struct PageTruth {
    /// Its class.
    pub class: Option<usize>,
    /// How many classes the network takes for likelier.
    pub rank: Option<usize>,
    /// Whether its objects are small.
    pub small: bool,
    /// The boxes of its objects: left, top, right and bottom as fractions of the picture.
    pub boxes: Vec<[f64; 4]>,
    /// The pixels of its objects, `[height, width]`, in the stead of boxes.
    pub mask: Option<Array2<bool>>,
}

/// The truth as a page reads it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Truth {
    class: Option<usize>,
    rank: Option<usize>,
    small: bool,
    boxes: Vec<[f64; 4]>,
    mask: Option<Mask>,
}

#[derive(Debug, Clone, Serialize)]
struct Mask {
    grid: [usize; 2],
    /// A bit for each cell, row after row, the first the most significant of its byte.
    bits: String,
}

impl Truth {
    /// As a gallery has it.
    pub(super) fn listed(truth: &PageTruth) -> Self {
        Self::with_mask(truth, LISTED)
    }

    /// As the picture alone has it.
    pub(super) fn shown(truth: &PageTruth) -> Self {
        Self::with_mask(truth, SHOWN)
    }

    fn with_mask(truth: &PageTruth, side: usize) -> Self {
        let PageTruth { class, rank, small, boxes, mask } = truth;
        let mask = mask.as_ref().map(|mask| Mask::of(mask, side));
        let boxes = if mask.is_some() { Vec::new() } else { boxes.clone() };
        Self { class: *class, rank: *rank, small: *small, boxes, mask }
    }
}

impl Mask {
    /// A mask no longer than that: each cell is as the pixel at its middle.
    fn of(mask: &Array2<bool>, side: usize) -> Self {
        let (height, width) = mask.dim();
        let scaled = |of: usize| (of * side).div_ceil(height.max(width).max(side)).max(1);
        let [rows, columns] = [height, width].map(scaled);
        let pixel = |cell: usize, cells: usize, pixels: usize| (2 * cell + 1) * pixels / (2 * cells);
        let inside = |row: usize, column: usize| {
            mask.get([pixel(row, rows, height), pixel(column, columns, width)]).copied().unwrap_or(false)
        };
        let mut bits = vec![0_u8; (rows * columns).div_ceil(8)];
        for cell in (0..rows * columns).filter(|cell| inside(cell / columns, cell % columns)) {
            bits[cell / 8] |= 0x80 >> (cell % 8);
        }
        Self { grid: [rows, columns], bits: BASE64_STANDARD.encode(bits) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_shrink_and_keep_their_shape() {
        let mask = Array2::from_shape_fn((100, 400), |(row, column)| row < 50 && column >= 200);
        let small = Mask::of(&mask, 8);
        assert_eq!(small.grid, [2, 8]);
        assert_eq!(BASE64_STANDARD.decode(small.bits).unwrap(), [0b0000_1111, 0]);
        let same = Mask::of(&Array2::from_elem((3, 5), true), 8);
        assert_eq!(same.grid, [3, 5]);
        assert_eq!(BASE64_STANDARD.decode(same.bits).unwrap(), [0xff, 0b1111_1110]);
    }

    #[test]
    fn a_mask_stands_in_the_stead_of_boxes() {
        let truth = PageTruth { boxes: vec![[0.0, 0.0, 0.5, 1.0]], ..PageTruth::default() };
        assert_eq!(Truth::shown(&truth).boxes.len(), 1);
        let masked = PageTruth { mask: Some(Array2::from_elem((2, 2), true)), ..truth };
        assert!(Truth::shown(&masked).boxes.is_empty());
    }
}
