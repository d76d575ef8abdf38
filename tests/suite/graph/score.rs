//! Explanations of a number that somebody names, and how pictures are taken that are not red, green and blue.

use cbam::explain::{ExplainOptions, Features};
use cbam::graph::{Graph, GraphNetwork};
use cbam::maps::Method;
use cbam::model::{Model, Question};
use cbam::network::Outputs;
use cbam::photo::{Channels, Preprocess};
use tch::{Device, Tensor};

use super::{Golden, array, difference, golden, open};
use crate::explain::explained;

fn scored(file: &str, score: &str) -> cbam::Result<GraphNetwork> {
    let graph = Graph::open(golden(file)).unwrap().with_score(&score.parse()?)?;
    GraphNetwork::new(graph, Device::Cpu, Preprocess { short_side: 64, ..Preprocess::imagenet() })
}

#[test]
fn a_logit_by_name_is_the_class_s_score() {
    let (by_class, by_score) = (open("small.pt2"), scored("small.pt2", "out[:, 2]").unwrap());
    let (input, options) = (Golden::open("small.pt2").input().narrow(0, 0, 1), ExplainOptions::default());
    for method in [Method::GradCam, Method::LayerCam, Method::ScoreCam] {
        let ours = explained(&by_score, &input, method, None, 0, &options).unwrap();
        let theirs = explained(&by_class, &input, method, None, 2, &options).unwrap();
        // Score-CAM weighs by probabilities where there are some.
        if method != Method::ScoreCam {
            assert_eq!(ours, theirs, "{method}");
        }
        assert!(ours.iter().all(|value| value.is_finite()), "{method}");
    }
    let about = by_score.describe();
    assert_eq!((about.outputs, about.classes(), &about.labels[..]), (Outputs::Score, 1, &["out[:, 2]".to_owned()][..]));
    assert!(by_score.run(&input).unwrap()[0].probabilities.is_empty(), "a number that is no probability");
}

#[test]
fn a_part_of_a_map_is_explained_as_pytorch_has_it() {
    let (network, golden) = (scored("neck.pt2", "output[0][:, 8].mean()").unwrap(), Golden::open("neck.pt2"));
    let pixels = golden.input().narrow(0, 0, 1);
    let map = explained(&network, &pixels, Method::GradCam, Some("cbam4"), 0, &ExplainOptions::default()).unwrap();
    let theirs = array(&golden.get("score"));
    let most = theirs.iter().copied().fold(0.0, f32::max);
    let off = difference(&map.into_dyn(), &theirs);
    assert!(off < 1e-5 * most && most > 0.0, "off by {off} of {most}");
    // By itself it looks at what the answer is made of, and not at the answer.
    let place = Features::default_place(&network).unwrap();
    assert!(!place.starts_with("out"), "{place}");
    assert!(network.describe().maps.contains(&"gradcam".parse().unwrap()));
}

#[test]
fn a_pixel_s_number_is_that_of_the_place_over_it() {
    let photo = cbam::photo::open(&crate::file("assets/images/coffee.jpg"), &cbam::photo::Limits::default()).unwrap();
    let at = |score: &str, [x, y]: [u32; 2]| {
        let score = score.parse::<cbam::graph::Score>().unwrap().at(x, y);
        let graph = Graph::open(golden("neck.pt2")).unwrap().with_score(&score)?;
        GraphNetwork::new(graph, Device::Cpu, Preprocess { short_side: 64, ..Preprocess::imagenet() })
    };
    let map: cbam::maps::MapName = "layercam:cbam4".parse().unwrap();
    let looked = |network: &GraphNetwork| {
        let picture = network.describe().preprocess.resample(&photo).unwrap();
        let shape = picture.geometry();
        let looks = network.look(&[&picture, &picture], &Question::about(std::slice::from_ref(&map)));
        looks.map(|looks| (looks[1].readout.explanations[0].map.clone(), shape))
    };
    let (first, geometry) = looked(&at("output[0][:, 8]", [10, 20]).unwrap()).unwrap();
    let network = scored("neck.pt2", "output[0][:, 8].mean()").unwrap();
    let size = geometry.network;
    let pixels = Tensor::zeros([1, 3, size.height.into(), size.width.into()], (tch::Kind::Float, Device::Cpu));
    let shape = network.forward(&pixels).unwrap()[0].as_ref().unwrap().size();
    let place = |[x, y]: [u32; 2]| {
        let [fx, fy] = geometry.fraction(x, y).unwrap();
        [(fy * shape[2] as f32) as i64, (fx * shape[3] as f32) as i64]
    };
    for pixel in [[10, 20], [0, geometry.picture.height - 1], [300, 200]] {
        let (ours, _) = looked(&at("output[0][:, 8]", pixel).unwrap()).unwrap();
        let [row, column] = place(pixel);
        let (theirs, _) = looked(&scored("neck.pt2", &format!("output[0][:, 8, {row}, {column}]")).unwrap()).unwrap();
        assert_eq!(ours, theirs, "{pixel:?}");
        assert!(pixel == [10, 20] || ours != first, "{pixel:?} is another place");
    }
    let error = looked(&at("output[0][:, 8]", [100_000, 5]).unwrap()).unwrap_err().to_string();
    assert!(error.contains("point 100000,5: outside the picture"), "{error}");
    let refused = |score: &str| at(score, [1, 1]).unwrap_err().to_string();
    assert!(refused("output[0]").contains("choose one of its maps"));
    assert!(refused("output[0][:, 8, 0:2]").contains("of a whole map"));
    assert!(refused("output[0][:, 8, 0]").contains("choose one of its maps"));
    assert!(refused("output[0][:, :, 2]").contains("is not known to be maps over the picture"));
    // By itself it looks at what the answer is made of, and not at the answer.
    let place = Features::default_place(&at("output[0][:, 8]", [1, 1]).unwrap()).unwrap();
    assert!(!place.starts_with("out"), "{place}");
    // And not at what is the same for every pixel.
    let map: cbam::maps::MapName = "gradcam".parse().unwrap();
    let by_itself = |pixel| {
        let network = at("output[0][:, 8]", pixel).unwrap();
        let picture = network.describe().preprocess.resample(&photo).unwrap();
        let looks = network.look(&[&picture], &Question::about(std::slice::from_ref(&map))).unwrap();
        let map = looks[0].readout.explanations[0].map.clone();
        let most = map.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
        map / most
    };
    let maps = [[10, 20], [590, 390], [300, 200], [590, 10]].map(by_itself);
    assert!(maps.windows(2).any(|pair| (&pair[0] - &pair[1]).iter().any(|off| off.abs() > 1e-2)), "{maps:?}");
}

#[test]
fn scores_that_are_none_are_refused() {
    let refused = |file: &str, score: &str| scored(file, score).unwrap_err().to_string();
    assert!(
        refused("neck.pt2", "output[0][:, 8]").contains("numbers for each picture; choose one of them, or add .mean()")
    );
    assert!(refused("neck.pt2", "output[2][:, 3]").contains("no such output; it has output[0], output[1]"));
    assert!(
        refused("small.pt2", "output[3]").contains("the first index is that of the pictures"),
        "of one output no fourth"
    );
    let error = refused("small.pt2", "output[:, 9]");
    assert!(error.contains("small.pt2: ") && error.contains("aten.select.int"), "{error}");
}

#[test]
fn channels_are_taken_in_the_order_of_the_network() {
    let photo = cbam::photo::open(&crate::file("assets/images/coffee.jpg"), &cbam::photo::Limits::default()).unwrap();
    let of = |channels, mean, std| {
        let preprocess = Preprocess { channels, mean, std, short_side: 64, ..Preprocess::imagenet() };
        preprocess.apply(&photo).unwrap().pixels
    };
    let rgb = of(Channels::Rgb, [0.0; 3], [1.0; 3]);
    let bgr = of(Channels::Bgr, [1.0, 2.0, 3.0], [1.0, 2.0, 4.0]);
    let grey = of(Channels::Grey, [0.0; 3], [1.0; 3]);
    for ((y, x), red) in rgb.index_axis(ndarray::Axis(0), 0).indexed_iter() {
        let (green, blue) = (rgb[[1, y, x]], rgb[[2, y, x]]);
        assert_eq!(bgr[[0, y, x]], blue - 1.0);
        assert_eq!(bgr[[1, y, x]], (green - 2.0) / 2.0);
        assert_eq!(bgr[[2, y, x]], (red - 3.0) / 4.0);
        let luma = (0.299 * red + 0.587 * green + 0.114 * blue).round();
        assert!((grey[[0, y, x]] - luma).abs() <= 1.0 && grey[[1, y, x]] == grey[[2, y, x]]);
    }
}

#[test]
fn a_network_of_one_channel_sees_grey() {
    let graph = Graph::open(golden("grey.pt2")).unwrap();
    assert_eq!(graph.channels(), Some(1));
    let network =
        GraphNetwork::new(graph, Device::Cpu, Preprocess { short_side: 64, ..Preprocess::imagenet_grey() }).unwrap();
    assert_eq!(network.describe().preprocess.channels, Channels::Grey);
    let golden = Golden::open("grey.pt2");
    let (one, three) = (golden.input(), golden.input().expand([-1, 3, -1, -1], false));
    let answer = |pictures: &Tensor| array(&network.forward(pictures).unwrap().remove(0).unwrap());
    assert_eq!(answer(&one), answer(&three));
    let off = difference(&answer(&one), &array(&golden.get("output")));
    assert!(off < 1e-5, "off by {off}");
}
