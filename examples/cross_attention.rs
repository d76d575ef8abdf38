//! Cross-attention between two pictures: where in one picture the patches of the other find their like.
//!
//! Queries are patches of the first picture, keys those of the second; both are the pretrained backbone's features after
//! stage 6, standardised, so no projection needs training: the rocket's nose looks at the shuttle's nose, sky at sky.
//! `cargo run --release --example cross_attention -- target/cross.png`

use std::path::Path;
use std::process::ExitCode;

use cbam::attention::scaled_dot_product;
use cbam::maps::{AttentionMap, MapRange, Resample, Scale};
use cbam::network::Network;
use cbam::photo::{self, Limits, Photo, Preprocess};
use cbam::render::Overlay;
use image::{RgbImage, imageops};
use ndarray::Array2;
use tch::{Device, Tensor};

/// The features of every patch, `[C, T]`, and the rows and columns of patches.
fn patches(network: &Network, photo: &Photo) -> cbam::Result<(Tensor, [usize; 2])> {
    let pixels = Preprocess { short_side: 320, ..network.config().preprocess() }.apply(photo)?.pixels;
    let rows = pixels.dim().1 as i64;
    let input = Tensor::from_slice(&pixels.into_iter().collect::<Vec<_>>()).view([1, 3, rows, -1]); // [1, 3, H, W]
    let backbone = network.backbone();
    let stages = || (0..6).fold(backbone.stem(&input, false), |xs, stage| backbone.stage(stage, &xs, false));
    let features = tch::no_grad(stages).squeeze_dim(0); // [C, rows, columns]
    Ok((features.flatten(1, 2), [features.size()[1] as usize, features.size()[2] as usize]))
}

fn main() -> ExitCode {
    let output = std::env::args().nth(1).unwrap_or_else(|| "target/cross.png".into());
    match run(&output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cross_attention: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(output: &str) -> Result<(), Box<dyn std::error::Error>> {
    let open = |name: &str| photo::open(Path::new(name), &Limits::default());
    let (from, to) = (open("assets/images/rocket.jpg")?, open("assets/images/astronaut.jpg")?);
    let network = Network::plain(Device::Cpu)?;
    let ((queries, from_grid), (keys, to_grid)) = (patches(&network, &from)?, patches(&network, &to)?);

    let (deviation, mean) = Tensor::cat(&[&queries, &keys], 1).std_mean_dim(1, true, true);
    let standard = |xs: Tensor| ((xs - &mean) / &deviation).transpose(0, 1); // [T, C]
    let unit = |xs: Tensor| &xs / xs.norm_scalaropt_dim(2, 1, true);
    let (queries, keys) = (unit(standard(queries)), unit(standard(keys)));
    let sharp = 12.0 * (keys.size()[1] as f64).sqrt(); // the scores become 12 times the cosine
    let weights = scaled_dot_product(&(queries * sharp), &keys, &keys, None)?.weights; // [queries, keys]

    let mut picture = RgbImage::new(420 + 280, 3 * 280);
    for (row, [y, x]) in [[3, 7], [5, 7], [2, 11]].into_iter().enumerate() {
        let asks = Array2::from_shape_fn(from_grid, |at| f32::from(at == (y, x)));
        let looks = weights.get((y * from_grid[1] + x) as i64);
        let looks = Array2::from_shape_vec(to_grid, Vec::<f32>::try_from(looks)?)?;
        for (column, photo, map, resample) in [(0, &from, asks, Resample::Nearest), (1, &to, looks, Resample::Bicubic)]
        {
            let map = AttentionMap::new(map, MapRange::Unit)?;
            let overlay = Overlay { resample, ..Overlay::default() };
            let tile = overlay.apply(photo, &map, Scale::Image.limits(&map))?;
            let tile = tile.resize(420, 280, imageops::FilterType::Triangle).to_rgb8();
            imageops::replace(&mut picture, &tile, column * 420, row as i64 * 280);
        }
    }
    picture.save(output).map_err(|error| format!("{output}: {error}"))?;
    println!("{output}: left the patch that asks, right where it looks");
    Ok(())
}
