//! How much of one pass is kept.

use ndarray::{Array3, ArrayView3, Axis};

/// How much of one pass a readout keeps beside its maps. What is more than these is large.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Detail {
    /// Nothing.
    #[default]
    Maps,
    /// Where every patch of the finest grid looks, the mean over heads.
    Means,
    /// Where every patch looks, head by head; the features before channel gates; the features that [`likeness`](super::likeness) is
    /// made from; and what speaks for each class.
    Whole,
}

/// The most weights of one attention that are kept.
const MOST: usize = 4 << 20;

impl Detail {
    /// What is kept of the weights of a self-attention over patches, `[heads, patches, patches]`, times `scale`. `first` is that of the
    /// finest grid. If those of all heads are too many it is their mean, `[1, patches, patches]`, and `None` if that is too large.
    pub fn weights(self, weights: ArrayView3<'_, f32>, first: bool, scale: f32) -> Option<Array3<f32>> {
        let (heads, queries, keys) = weights.dim();
        let of_head = queries * keys;
        let kept = match self {
            Self::Maps => return None,
            Self::Means if !first => return None,
            _ if of_head > MOST => return None,
            Self::Whole if heads * of_head <= MOST => weights.to_owned(),
            _ => weights.mean_axis(Axis(0))?.insert_axis(Axis(0)),
        };
        Some(kept * scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_heads_become_their_mean() {
        let weights = |heads, patches| Array3::from_shape_fn((heads, patches, patches), |(head, ..)| head as f32);
        let kept = |detail: Detail, heads, patches, first| {
            let kept = detail.weights(weights(heads, patches).view(), first, 2.0);
            kept.map(|kept| (kept.dim(), kept[[0, 0, 0]]))
        };
        assert_eq!(kept(Detail::Whole, 2, 1024, false), Some(((2, 1024, 1024), 0.0)));
        assert_eq!(kept(Detail::Whole, 5, 1024, false), Some(((1, 1024, 1024), 4.0)));
        assert_eq!(kept(Detail::Whole, 1, 2049, true), None);
        assert_eq!(kept(Detail::Means, 2, 4, true), Some(((1, 4, 4), 1.0)));
        assert_eq!(kept(Detail::Means, 2, 4, false), None);
        assert_eq!(kept(Detail::Maps, 2, 4, true), None);
    }
}
