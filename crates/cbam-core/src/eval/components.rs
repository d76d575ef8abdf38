//! Connected parts of a picture; pixels that touch at a corner are connected.

use ndarray::Array2;

use super::BoundingBox;

/// One connected part: how many pixels it has, and the box around them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) pixels: u32,
    /// The first pixel in row order.
    first: u32,
    left: u32,
    top: u32,
    right: u32,
    bottom: u32,
}

impl Part {
    /// The box around the part, in whole pixels.
    pub(super) fn bounds(&self) -> BoundingBox {
        BoundingBox {
            x0: f64::from(self.left),
            y0: f64::from(self.top),
            x1: f64::from(self.right),
            y1: f64::from(self.bottom),
        }
    }

    /// Whether it is larger than the other; of equal ones, the first in row order counts as larger.
    fn beats(&self, other: &Self) -> bool {
        (self.pixels, other.first) > (other.pixels, self.first)
    }
}

/// The parts of a set of pixels that grows: a disjoint-set forest that knows the largest part.
pub(super) struct Growing {
    width: usize,
    height: usize,
    /// The pixel above in the tree, or itself; `NONE` outside the set.
    parent: Vec<u32>,
    /// Of roots.
    parts: Vec<Part>,
    largest: Option<Part>,
}

const NONE: u32 = u32::MAX;

impl Growing {
    /// No pixel of a picture of `height` rows and `width` columns.
    pub(super) fn new(height: usize, width: usize) -> Self {
        let count = height * width;
        let none = Part { pixels: 0, first: NONE, left: 0, top: 0, right: 0, bottom: 0 };
        Self { width, height, parent: vec![NONE; count], parts: vec![none; count], largest: None }
    }

    /// Adds the pixel at `index` in row order, once.
    pub(super) fn add(&mut self, index: usize) {
        let (row, column) = (index / self.width, index % self.width);
        let (x, y) = (column as u32, row as u32);
        self.parent[index] = index as u32;
        self.parts[index] = Part { pixels: 1, first: index as u32, left: x, top: y, right: x + 1, bottom: y + 1 };
        let mut root = index;
        for near_row in row.saturating_sub(1)..(row + 2).min(self.height) {
            for near_column in column.saturating_sub(1)..(column + 2).min(self.width) {
                let near = near_row * self.width + near_column;
                if self.parent[near] != NONE {
                    root = self.join(root, near);
                }
            }
        }
        // A part only grows, so the largest of all that ever were is the largest there is.
        let part = self.parts[root];
        if self.largest.is_none_or(|largest| part.beats(&largest)) {
            self.largest = Some(part);
        }
    }

    /// The largest part.
    pub(super) fn largest(&self) -> Option<Part> {
        self.largest
    }

    /// Every part, in row order of their first pixels.
    fn parts(&self) -> Vec<Part> {
        let roots = self.parent.iter().enumerate().filter(|(index, parent)| **parent == *index as u32);
        let mut parts: Vec<Part> = roots.map(|(index, _)| self.parts[index]).collect();
        parts.sort_unstable_by_key(|part| part.first);
        parts
    }

    fn root(&mut self, mut index: usize) -> usize {
        while self.parent[index] as usize != index {
            let above = self.parent[index] as usize;
            self.parent[index] = self.parent[above]; // halves the path on the way
            index = above;
        }
        index
    }

    fn join(&mut self, a: usize, b: usize) -> usize {
        let (a, b) = (self.root(a), self.root(b));
        if a == b {
            return a;
        }
        let (large, small) = if self.parts[a].pixels < self.parts[b].pixels { (b, a) } else { (a, b) };
        self.parent[small] = large as u32;
        let (part, other) = (self.parts[large], self.parts[small]);
        self.parts[large] = Part {
            pixels: part.pixels + other.pixels,
            first: part.first.min(other.first),
            left: part.left.min(other.left),
            top: part.top.min(other.top),
            right: part.right.max(other.right),
            bottom: part.bottom.max(other.bottom),
        };
        large
    }
}

/// The box around each connected part of the pixels `inside`, in row order of their first pixels.
pub(super) fn component_boxes(inside: &Array2<bool>) -> Vec<BoundingBox> {
    let mut growing = Growing::new(inside.nrows(), inside.ncols());
    for (index, _) in inside.iter().enumerate().filter(|(_, inside)| **inside) {
        growing.add(index);
    }
    growing.parts().iter().map(Part::bounds).collect()
}
