//! Scaled dot-product attention over many heads, with its weights.
//!
//! Both products are [`Pointwise`] ones: a head's keys are the matrix that its queries go through, then its values the
//! matrix that the weights go through. A block of queries stays in the cache from its scores to its context.

use pulp::{Simd, WithSimd};

use super::buffer::{Shared, Source, product};
use super::exp::softmax;
use super::pointwise::Pointwise;
use super::rows::Rows;
use super::{Clamp, Map, Unwritten, dispatch, each};

/// The queries of one task.
const BLOCK: usize = 64;

/// Projected queries, keys and values, `[N, 1, T, heads · width]` each.
#[derive(Debug)]
pub struct Heads<'a> {
    /// The queries.
    pub query: &'a Map,
    /// The keys.
    pub key: &'a Map,
    /// The values, as many as keys.
    pub value: &'a Map,
    /// How many heads.
    pub count: usize,
}

impl Heads<'_> {
    /// How many weights there are: `[N, heads, Tq, Tk]`.
    ///
    /// # Panics
    /// If no memory holds as many.
    pub fn weights(&self) -> usize {
        product(&[self.query.images(), self.count, self.query.width(), self.key.width()])
    }

    /// The context of every query, `[N, 1, Tq, heads · width]`, and the weights `[N, heads, Tq, Tk]`, which go to `weights`.
    ///
    /// # Panics
    /// If the shapes do not fit one another, or there is not room for all weights.
    pub fn attend(&self, weights: &mut [f32]) -> Map {
        let Self { query, key, value, count: heads } = *self;
        let (images, queries, keys, inner) = (query.images(), query.width(), key.width(), query.channels());
        let width = inner / heads;
        assert_eq!([key.images(), value.images(), value.width()], [images, images, keys], "keys and values");
        assert_eq!([query.height(), key.height(), value.height()], [1; 3], "rows");
        assert_eq!([key.channels(), value.channels(), width * heads], [inner; 3], "widths");
        assert!(queries.min(keys).min(width) > 0, "attention over nothing");
        let mut context = Unwritten::of([images, 1, queries, inner]);
        assert_eq!(weights.len(), self.weights(), "weights");
        let (context_to, weights_to) = (context.target(), Shared(weights.as_mut_ptr()));
        let [query_from, key_from, value_from] = [query, key, value].map(Map::source);
        let scale = 1.0 / (width as f32).sqrt();
        let parallel = rayon::current_num_threads() > 1;
        each(images * heads, parallel, |task| {
            let (image, head) = (task / heads, task % heads);
            // SAFETY: one head of one image in each buffer; no other task writes there.
            unsafe {
                let head_of = |from: Source, tokens: usize| from.at(image * tokens * inner + head * width);
                let (keys_at, values_at) = (head_of(key_from, keys), head_of(value_from, keys));
                let (keys_at, values_at) = (Source(keys_at), Source(values_at));
                let zeros = vec![0.0; keys.max(width)];
                let score = |key, i| *keys_at.at(key * inner + i) * scale;
                let scores = Pointwise::of(width, &zeros[..keys], score, Clamp::NONE);
                let sums = Pointwise::of(keys, &zeros[..width], |i, key| *values_at.at(key * inner + i), Clamp::NONE);
                let blocks = queries.div_ceil(BLOCK);
                each(blocks, parallel && images * heads < 2 * rayon::current_num_threads(), |block| {
                    let (from, to) = (queries * block / blocks, queries * (block + 1) / blocks);
                    let first = (image * queries + from) * inner + head * width;
                    dispatch(Block {
                        scores: &scores,
                        sums: &sums,
                        query: query_from.at(first),
                        weights: weights_to.at((task * queries + from) * keys),
                        context: context_to.at(first),
                        inner,
                        count: to - from,
                    });
                });
            }
        });
        // SAFETY: every head of every query was computed.
        unsafe { context.written() }
    }
}

/// Some queries of one head.
struct Block<'a> {
    scores: &'a Pointwise,
    sums: &'a Pointwise,
    query: *const f32,
    weights: *mut f32,
    context: *mut f32,
    inner: usize,
    count: usize,
}

impl WithSimd for Block<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { scores, sums, query, weights, context, inner, count } = self;
        let keys = scores.outputs();
        // SAFETY: whoever made the block promised `count` queries of `inner` numbers, room for their weights of every key and
        // for their contexts, `inner` apart.
        unsafe {
            for panel in 0..scores.panels() {
                let ys = weights.add(panel * super::PANEL);
                scores.panel(simd, panel, Rows::of(query, inner, ys, keys, count));
            }
            for row in std::slice::from_raw_parts_mut(weights, count * keys).chunks_exact_mut(keys) {
                softmax(simd, row);
            }
            for panel in 0..sums.panels() {
                let ys = context.add(panel * super::PANEL);
                sums.panel(simd, panel, Rows::of(weights, keys, ys, inner, count));
            }
        }
    }
}
