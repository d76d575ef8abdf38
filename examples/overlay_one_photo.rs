//! A photo to its attention overlay, with the library alone: decode, prepare, run, pick a map, draw.
//!
//! `cargo run --release --example overlay_one_photo -- assets/images/coffee.jpg target/overlay.png`

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use cbam::classes::imagenet_classes;
use cbam::maps::MapName;
use cbam::model::{Model, Question};
use cbam::network::Network;
use cbam::photo::{self, Limits};
use cbam::render::Overlay;
use tch::Device;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let input = arguments.next().unwrap_or_else(|| "assets/images/coffee.jpg".into());
    let output = arguments.next().unwrap_or_else(|| "target/overlay.png".into());
    match run(&input, &output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("overlay_one_photo: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(input: &str, output: &str) -> Result<(), Box<dyn Error>> {
    let network = Network::pretrained(Device::Cpu)?.for_inference()?;
    let photo = photo::open(Path::new(input), &Limits::default())?;
    let picture = network.preprocess().resample(&photo)?;
    let look = network.look(&[&picture], &Question::about(&[MapName::Fused]))?.remove(0);

    // What it is.
    let mut classes: Vec<_> = look.readout.probabilities.iter().zip(imagenet_classes()).collect();
    classes.sort_by(|a, b| b.0.total_cmp(a.0));
    for (probability, name) in &classes[..3] {
        println!("{:5.1} %  {name}", 100.0 * **probability);
    }

    // Where the network looks.
    let map = look.map(&MapName::Fused)?;
    let [x, y] = look.geometry.pixel(map.statistics().peak);
    println!("most attention at pixel {x},{y} of {}", photo.size());
    let overlay = Overlay::default().draw(&photo, &map)?;
    overlay.save(output).map_err(|error| format!("{output}: {error}"))?;
    println!("{output}");
    Ok(())
}
