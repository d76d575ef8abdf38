//! What a pass keeps beside its maps: all that a page shows of a picture, the same by both executors and of graphs.

use cbam::maps::{Detail, MapName, Method, Readout};
use cbam::model::{Model, Question};
use cbam::network::Network;
use cbam::photo::Resampled;
use ndarray::{Array2, ArrayView2, Axis};
use tch::Device;

use crate::precision::{photos, resampled};

fn looked(model: &dyn Model, picture: &Resampled, maps: &[MapName], detail: Detail, class: Option<usize>) -> Readout {
    let question = Question { detail, class, ..Question::about(maps) };
    model.look(&[picture], &question).unwrap().remove(0).readout
}

fn close(a: ArrayView2<'_, f32>, b: ArrayView2<'_, f32>) -> bool {
    let top = b.iter().copied().fold(1e-12, f32::max);
    a.dim() == b.dim() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-4 * top)
}

/// The mean over queries of all that is kept.
fn received(weights: &ndarray::Array3<f32>, grid: (usize, usize)) -> Array2<f32> {
    let mean = weights.mean_axis(Axis(0)).unwrap().mean_axis(Axis(0)).unwrap();
    mean.into_shape_with_order(grid).unwrap()
}

#[test]
fn both_executors_keep_all_that_a_page_shows() {
    let network = Network::pretrained(Device::Cpu).unwrap();
    let form = Network::pretrained(Device::Cpu).unwrap().for_inference().unwrap();
    let picture = &resampled(&network)[0];
    let point = MapName::PatchAt(120, 120);
    let maps = [MapName::Fused, point.clone()];
    for model in [&form as &dyn Model, &network] {
        let plain = looked(model, picture, &maps, Detail::Maps, None);
        assert!(plain.classes.is_none() && plain.patches.iter().all(|patch| patch.weights.is_none()));
        assert!(plain.gates.iter().all(|gate| gate.features.is_none()));
        let means = looked(model, picture, &maps, Detail::Means, None);
        let counts: Vec<_> =
            means.patches.iter().map(|patch| patch.weights.as_ref().map(ndarray::Array3::dim)).collect();
        let (_, rows, columns) = means.patches[0].received.dim();
        let patches = rows * columns;
        assert_eq!(counts, [Some((1, patches, patches)), None], "the mean over heads, of the finest layer");

        let whole = looked(model, picture, &maps, Detail::Whole, None);
        for patch in &whole.patches {
            let weights = patch.weights.as_ref().unwrap();
            let (heads, rows, columns) = patch.received.dim();
            assert_eq!(weights.dim(), (heads, rows * columns, rows * columns));
            let mean = patch.received.mean_axis(Axis(0)).unwrap();
            assert!(close(received(weights, (rows, columns)).view(), mean.view()), "{}", patch.stage);
        }
        let row = &whole.patches[0].rows[0];
        let (rows, columns) = row.weights.dim();
        let [x, y] = row.query;
        let query = (y * rows as f32) as usize * columns + (x * columns as f32) as usize;
        let kept = whole.patches[0].weights.as_ref().unwrap().index_axis(Axis(1), query).mean_axis(Axis(0)).unwrap();
        assert!(close(kept.into_shape_with_order((rows, columns)).unwrap().view(), row.weights.view()));

        for gate in whole.gates.iter().filter(|gate| !gate.channel.is_empty()) {
            let features = gate.features.as_ref().unwrap();
            assert_eq!(features.codes.len_of(Axis(0)), gate.channel.len(), "{}", gate.stage);
        }
        let classes = whole.classes.as_ref().unwrap();
        let likeliest = whole.likeliest().unwrap();
        let place =
            |class: usize| classes.of.as_ref().map_or(Some(class), |of| of.iter().position(|kept| *kept == class));
        let second = (0..whole.probabilities.len())
            .filter(|class| *class != likeliest)
            .max_by(|a, b| whole.probabilities[*a].total_cmp(&whole.probabilities[*b]))
            .unwrap();
        for class in [likeliest, second] {
            let maps = [MapName::explain(Method::GradCam)];
            let explained = looked(model, picture, &maps, Detail::Maps, Some(class));
            let made = explained.explanations.iter().find(|made| made.class == class).unwrap();
            let kept = classes.maps.index_axis(Axis(0), place(class).unwrap());
            assert!(close(kept, made.map.view()), "class {class}");
        }
    }
    let [a, b] = [&form as &dyn Model, &network].map(|model| looked(model, picture, &maps, Detail::Whole, None));
    for (a, b) in a.patches.iter().zip(&b.patches) {
        let [a, b] = [a, b].map(|patch| patch.weights.as_ref().unwrap());
        let top = b.iter().copied().fold(0.0, f32::max);
        assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-3 * top), "{top}");
    }
    for (a, b) in a.gates.iter().zip(&b.gates) {
        let [a, b] = [a, b].map(|gate| gate.features.as_ref().unwrap());
        assert!(a.highs.iter().zip(&b.highs).all(|(a, b)| (a - b).abs() <= 1e-3 * b.abs().max(1.0)));
        assert!(a.codes.iter().zip(&b.codes).all(|(a, b)| a.abs_diff(*b) <= 2));
    }
}

#[test]
fn graphs_keep_where_patches_look_and_what_speaks_for_the_likeliest_classes() {
    let network = crate::graph::open("vit.pt2");
    let preprocess = network.describe().preprocess;
    let picture = preprocess.resample(&photos()[0]).unwrap();
    let whole = looked(&network, &picture, &[MapName::explain(Method::GradCam)], Detail::Whole, None);
    assert!(!whole.patches.is_empty());
    for patch in &whole.patches {
        let (heads, rows, columns) = patch.received.dim();
        let weights = patch.weights.as_ref().unwrap();
        assert_eq!(weights.dim(), (heads, rows * columns, rows * columns), "the class token is no patch");
        let mean = patch.received.mean_axis(Axis(0)).unwrap();
        assert!(close(received(weights, (rows, columns)).view(), mean.view()), "{}", patch.stage);
    }
    let classes = whole.classes.as_ref().unwrap();
    let of = classes.of.as_ref().unwrap();
    assert_eq!((of[0], of.len()), (whole.likeliest().unwrap(), whole.probabilities.len().min(10)));
    for (place, class) in of.iter().enumerate().take(2) {
        let explained = looked(&network, &picture, &[MapName::explain(Method::GradCam)], Detail::Maps, Some(*class));
        assert!(close(classes.maps.index_axis(Axis(0), place), explained.explanations[0].map.view()), "class {class}");
    }
}
