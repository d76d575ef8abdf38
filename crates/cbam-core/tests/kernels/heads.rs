//! Multi-head attention.

use cbam_core::kernels::Heads;

use super::{Plain, close, few, map, maps_close, on_each_arch};

#[test]
fn heads_are_those_of_plain_loops() {
    // Images, heads, width of each, queries, keys.
    let cases = [
        [1, 1, 1, 1, 1],
        [2, 3, 7, 5, 9],
        [3, 1, 40, 7, 1],
        [1, 2, 33, 1, 17],
        [1, 4, 16, 35, 35],
        [1, 2, 8, 70, 33], // several blocks
    ];
    on_each_arch(|arch| {
        for (seed, [images, heads, width, queries, keys]) in (1..).zip(few(cases)) {
            let name = format!("{arch} {images} {heads} {width} {queries} {keys}");
            let inner = heads * width;
            let query = map([images, 1, queries, inner], seed);
            let [key, value] = [seed + 10, seed + 20].map(|seed| map([images, 1, keys, inner], seed));
            let [q, k, v] = [&query, &key, &value].map(Plain::of);
            let mut weights = Vec::new();
            for image in 0..images {
                for head in 0..heads {
                    for from in 0..queries {
                        let product = |to: usize| {
                            let of =
                                |i| q.at([image, 0, from, head * width + i]) * k.at([image, 0, to, head * width + i]);
                            (0..width).map(of).sum::<f64>() / (width as f64).sqrt()
                        };
                        let powers: Vec<f64> = (0..keys).map(|to| product(to).exp()).collect();
                        let sum: f64 = powers.iter().sum();
                        weights.extend(powers.into_iter().map(|power| power / sum));
                    }
                }
            }
            let context = Plain::from([images, 1, queries, inner], |[image, _, from, channel]| {
                let row = ((image * heads + channel / width) * queries + from) * keys;
                (0..keys).map(|to| weights[row + to] * v.at([image, 0, to, channel])).sum()
            });
            let attention = Heads { query: &query, key: &key, value: &value, count: heads };
            let mut ours = vec![f32::NAN; attention.weights()];
            maps_close(&name, &attention.attend(&mut ours), &context);
            close(&name, &ours, &weights);
        }
    });
}
