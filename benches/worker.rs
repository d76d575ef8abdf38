//! This crate's side of the comparison with its peers: `benches/peers/bench.py` tells it what to do, one command a line,
//! and reads one line of answer: `ok`, then milliseconds where something was timed; or `error`, then why.
//!
//! | command | what is timed |
//! |---|---|
//! | `empty` | nothing: the cost of asking |
//! | `forward BATCH HEIGHT WIDTH` | the default network with its attention, pixels to logits and maps |
//! | `graph FILE HEIGHT WIDTH` | a network by its graph, one picture to its outputs |
//! | `cbam N C H W` | one CBAM block |
//! | `floor N C H W` | three reads and one write of that tensor |
//! | `patch HEIGHT WIDTH` | patch attention with weights, at stage 5 of a picture of that size |
//! | `decode PHOTO` | a file's bytes to pixels |
//! | `encode PHOTO OUT` | that picture's pixels to a file, in the format of its name |
//! | `overlay MAP PHOTO OUT` | a file to the file of its overlay, the network loaded |
//! | `photos FOLDER COUNT` | – ; writes photos of 500×375, made of the bundled ones, unless they are there |
//! | `large OUT` | – ; writes one of 4000×3000, unless it is there |
//! | `save PHOTO FOLDER` | – ; writes the network's input and everything it says about it as `.npy` |
//!
//! Its arguments, if any, are the device, `cpu` (default) or `cuda`, the network's precision, `f32` (default), `f16` or `bf16`, and whether
//! libtorch's threads make room for others as in the programs, `shared` (default), or not, `alone`.

mod common;

use std::collections::HashMap;
use std::fs;
use std::hint::black_box;
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use cbam::ErrorKind;
use cbam::files::write_whole;
use cbam::graph::GraphNetwork;
use cbam::maps::MapName;
use cbam::model::{Description, Look, Model, Question};
use cbam::network::{ForwardPrecision, Pass};
use cbam::photo::{self, ImageSize, Limits, Photo, Preprocess, Resampled};
use cbam::pipeline::{self, Destination, Event, Job, Options, Source, Target};
use cbam::render::{PictureFormat, encode};
use cbam::sys::{self, DeviceSpec};
use image::DynamicImage;
use image::imageops::FilterType;
use ndarray::Axis;
use rayon::prelude::*;
use tch::{Device, Tensor};

use common::{CbamBlock, Looking, PatchBlock, THREADS, default_network, normal};

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if arguments == ["--bench"] {
        println!("worker: driven by benches/peers/bench.py (make bench-peers)");
        return;
    }
    let served = serve(&arguments);
    if let Err(error) = &served {
        eprintln!("worker: {error:#}");
    }
    cbam_cli::common::exit::exit(served.is_err().into()) // as cbam-run ends
}

fn serve(arguments: &[String]) -> Result<()> {
    let argument = |index: usize, default| arguments.get(index).map_or(default, String::as_str);
    let (device, precision): (DeviceSpec, ForwardPrecision) =
        (argument(0, "cpu").parse()?, argument(1, "f32").parse()?);
    let alone = argument(2, "shared") == "alone";
    let mut worker = None; // made for the first command: without any, this is an empty process
    for line in io::stdin().lock().lines() {
        let line = line?;
        let worker = match &mut worker {
            Some(worker) => worker,
            none => none.insert(Worker::new(device, precision, alone)?),
        };
        let words: Vec<_> = line.split_whitespace().collect();
        match worker.answer(&words) {
            Ok(Some(milliseconds)) => println!("ok {milliseconds:.6}"),
            Ok(None) => println!("ok"),
            Err(error) => println!("error {line}: {error:#}"),
        }
        io::stdout().flush()?;
    }
    Ok(())
}

/// What was made for earlier commands is kept, so that only the work itself is timed.
struct Worker {
    device: Device,
    precision: ForwardPrecision,
    network: Option<Looking>,
    graphs: HashMap<String, GraphNetwork>,
    pixels: HashMap<Vec<i64>, Tensor>,
    cbam: HashMap<i64, CbamBlock>,
    patch: Option<PatchBlock>,
    photos: HashMap<PathBuf, Photo>,
    /// By size, what is read and where it is written.
    memory: HashMap<Vec<i64>, [Vec<f32>; 2]>,
}

impl Worker {
    fn new(device: DeviceSpec, precision: ForwardPrecision, alone: bool) -> Result<Self> {
        let device = sys::resolve(device)?;
        if alone {
            tch::set_num_threads(i32::try_from(THREADS.get())?);
        } else {
            sys::set_all_threads(Some(THREADS))?;
        }
        let (pixels, cbam, photos, memory) = (HashMap::new(), HashMap::new(), HashMap::new(), HashMap::new());
        Ok(Self { device, precision, network: None, graphs: HashMap::new(), pixels, cbam, patch: None, photos, memory })
    }

    /// Carries out one command; milliseconds where something is timed.
    fn answer(&mut self, words: &[&str]) -> Result<Option<f64>> {
        let numbers = || words[1..].iter().map(|word| Ok(word.parse()?)).collect::<Result<Vec<i64>>>();
        Ok(Some(match *words {
            ["empty"] => time(|| ()),
            ["forward", ..] => match numbers()?[..] {
                [batch, height, width] => self.forward([batch, 3, height, width].map(|side| side as usize))?,
                _ => bail!("takes BATCH HEIGHT WIDTH"),
            },
            ["graph", file, height, width] => self.graph(file, height.parse()?, width.parse()?)?,
            ["cbam", ..] => self.cbam(&numbers()?)?,
            ["floor", ..] => self.floor(&numbers()?)?,
            ["patch", ..] => match numbers()?[..] {
                [height, width] => self.patch(height, width)?,
                _ => bail!("takes HEIGHT WIDTH"),
            },
            ["decode", photo] => {
                let bytes = fs::read(photo).context(photo.to_owned())?;
                let start = Instant::now();
                photo::decode(Path::new(photo), &bytes, &Limits::default())?;
                milliseconds(start)
            }
            ["encode", photo, out] => self.encode(Path::new(photo), Path::new(out))?,
            ["overlay", map, photo, out] => self.overlay(map, photo, out)?,
            ["photos", folder, count] => {
                make_photos(Path::new(folder), count.parse()?)?;
                return Ok(None);
            }
            ["large", out] => {
                make_large(Path::new(out))?;
                return Ok(None);
            }
            ["save", photo, folder] => {
                self.save(Path::new(photo), Path::new(folder))?;
                return Ok(None);
            }
            _ => bail!("no such command, or not its arguments"),
        }))
    }

    fn network(&mut self) -> Result<&mut Looking> {
        if self.network.is_none() {
            self.network = Some(default_network(self.device, self.precision)?);
        }
        self.network.as_mut().context("the network was just made")
    }

    fn tensor(&mut self, size: &[i64], device: Device) -> Tensor {
        self.pixels.entry(size.to_vec()).or_insert_with(|| normal(size, device)).shallow_clone()
    }

    fn forward(&mut self, size: [usize; 4]) -> Result<f64> {
        let device = self.device;
        let network = self.network()?;
        let xs = network.pixels(size);
        let start = Instant::now();
        let output = network.forward(&xs)?;
        if let Device::Cuda(index) = device {
            tch::Cuda::synchronize(index as i64);
        }
        let taken = milliseconds(start);
        black_box(output);
        Ok(taken)
    }

    /// Its pictures lie as those that are looked at: a pixel's channels together.
    fn graph(&mut self, file: &str, height: i64, width: i64) -> Result<f64> {
        let pixels = self.tensor(&[1, height, width, 3], self.device).permute([0, 3, 1, 2]);
        let network = match self.graphs.entry(file.to_owned()) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(GraphNetwork::open(file, self.device, Preprocess::imagenet())?)
            }
        };
        let start = Instant::now();
        let output = network.forward(&pixels)?;
        if let Device::Cuda(index) = self.device {
            tch::Cuda::synchronize(index as i64);
        }
        let taken = milliseconds(start);
        black_box(output);
        Ok(taken)
    }

    fn cbam(&mut self, size: &[i64]) -> Result<f64> {
        ensure!(size.len() == 4, "takes N C H W");
        let xs = self.tensor(size, Device::Cpu);
        let block = match self.cbam.entry(size[1]) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => entry.insert(CbamBlock::new(size[1])?),
        };
        let start = Instant::now();
        let output = block.forward(&xs)?;
        let taken = milliseconds(start);
        black_box(output);
        Ok(taken)
    }

    /// What no fused CBAM can do without: a read for the channel pools, one for the spatial pools of the gated features,
    /// and one to write the result. The memory that is written is there already.
    fn floor(&mut self, size: &[i64]) -> Result<f64> {
        const PART: usize = 1 << 14;
        ensure!(size.len() == 4, "takes N C H W");
        if !self.memory.contains_key(size) {
            let values = Vec::<f32>::try_from(normal(size, Device::Cpu).flatten(0, -1))?;
            self.memory.insert(size.to_vec(), [values.clone(), values]);
        }
        let [values, copy] = self.memory.get_mut(size).context("the memory was just made")?;
        let start = Instant::now();
        for _ in 0..2 {
            black_box(values.par_chunks(PART).map(sum).sum::<f32>());
        }
        copy.par_chunks_mut(PART).zip(values.par_chunks(PART)).for_each(|(to, from)| to.copy_from_slice(from));
        Ok(milliseconds(start))
    }

    fn patch(&mut self, height: i64, width: i64) -> Result<f64> {
        let xs = PatchBlock::features(height, width);
        let block = match &mut self.patch {
            Some(block) => block,
            none => none.insert(PatchBlock::new()?),
        };
        let start = Instant::now();
        let output = block.forward(&xs)?;
        let taken = milliseconds(start);
        black_box(output);
        Ok(taken)
    }

    fn encode(&mut self, path: &Path, out: &Path) -> Result<f64> {
        if !self.photos.contains_key(path) {
            self.photos.insert(path.to_owned(), photo::open(path, &Limits::default())?);
        }
        let (photo, format) = (&self.photos[path], format(out)?);
        let start = Instant::now();
        let bytes = encode(&photo.image, format, Options::default().jpeg_quality)?;
        write_whole(out, &bytes)?;
        Ok(milliseconds(start))
    }

    fn overlay(&mut self, map: &str, photo: &str, out: &str) -> Result<f64> {
        let destination = Destination { target: Target::File(out.into()), format: format(Path::new(out))? };
        let job = Job { overlays: vec![destination], ..Job::new(Source::File(photo.into())) };
        let options = Options { maps: vec![map.parse::<MapName>()?], threads: THREADS, ..Options::default() };
        let network = self.network()?;
        let mut failed = None;
        let start = Instant::now();
        pipeline::run(
            &[job],
            &options,
            || Ok(Lent(network)),
            &AtomicBool::new(false),
            |event| {
                if let Event::Done { outcome: Err(error), .. } = event {
                    failed = Some(error);
                }
            },
        )?;
        let taken = milliseconds(start);
        failed.map_or(Ok(taken), |error| Err(error.into()))
    }

    /// Writes the input that PHOTO becomes, and everything that the network returns for it.
    fn save(&mut self, photo: &Path, folder: &Path) -> Result<()> {
        let photo = photo::open(photo, &Limits::default())?;
        let network = self.network()?;
        let network = match network {
            Looking::Inference(network) => network,
            Looking::Network(_) => bail!("save writes what the form for inference says"),
        };
        let pixels = network.preprocess().apply(&photo)?.pixels.insert_axis(Axis(0));
        let Pass { logits, attention, .. } = network.forward(pixels.view())?;
        ndarray_npy::write_npy(folder.join("pixels.npy"), &pixels)?;
        ndarray_npy::write_npy(folder.join("logits.npy"), &logits)?;
        for block in &attention {
            let file = |map: &str| folder.join(format!("{}.{map}.npy", block.stage));
            block.channel.iter().try_for_each(|channel| ndarray_npy::write_npy(file("channel"), &channel.gate))?;
            block.spatial.iter().try_for_each(|spatial| ndarray_npy::write_npy(file("spatial"), &spatial.gate))?;
            block.patch.iter().try_for_each(|patch| ndarray_npy::write_npy(file("patch"), &patch.weights))?;
        }
        Ok(())
    }
}

/// Parts of the bundled photos, of 500×375, every other one mirrored.
fn make_photos(folder: &Path, count: usize) -> Result<()> {
    fs::create_dir_all(folder)?;
    let pictures = ["astronaut.jpg", "chelsea.jpg", "coffee.jpg", "rocket.jpg"]
        .map(|name| photo::open(&common::bundled(name), &Limits::default()));
    for number in 0..count {
        let out = folder.join(format!("{number:04}.jpg"));
        if out.exists() {
            continue;
        }
        let Ok(Photo { image, .. }) = &pictures[number % pictures.len()] else {
            bail!("a bundled photo cannot be read")
        };
        // Of a ratio of 4 to 3, between three fifths and all of what fits, anywhere.
        let share = |step: usize| (number * step % 97) as f32 / 96.0;
        let scale = (image.width() as f32 / 4.0).min(image.height() as f32 / 3.0) * (0.6 + 0.4 * share(31));
        let (width, height) = ((4.0 * scale) as u32, (3.0 * scale) as u32);
        let left = (share(53) * (image.width() - width) as f32) as u32;
        let top = (share(71) * (image.height() - height) as f32) as u32;
        let part = image.crop_imm(left, top, width, height).resize_exact(500, 375, FilterType::CatmullRom);
        write_jpeg(&out, &if number % 2 == 0 { part } else { part.fliph() })?;
    }
    Ok(())
}

fn make_large(out: &Path) -> Result<()> {
    if out.exists() {
        return Ok(());
    }
    let coffee = photo::open(&common::bundled("coffee.jpg"), &Limits::default())?;
    write_jpeg(out, &coffee.image.resize_to_fill(4000, 3000, FilterType::CatmullRom))
}

fn write_jpeg(out: &Path, image: &DynamicImage) -> Result<()> {
    Ok(write_whole(out, &encode(image, PictureFormat::Jpeg, 90)?)?)
}

/// A network that is kept for the next run.
struct Lent<'n>(&'n mut Looking);

impl Model for Lent<'_> {
    fn describe(&self) -> Description {
        self.0.model().describe()
    }

    fn batch_size(&self, pictures: usize, size: ImageSize) -> usize {
        self.0.model().batch_size(pictures, size)
    }

    fn look(&self, pictures: &[&Resampled], question: &Question<'_>) -> cbam::Result<Vec<Look>, ErrorKind> {
        self.0.model().look(pictures, question)
    }
}

fn time<T>(work: impl FnOnce() -> T) -> f64 {
    let start = Instant::now();
    black_box(work());
    milliseconds(start)
}

fn milliseconds(start: Instant) -> f64 {
    1e3 * start.elapsed().as_secs_f64()
}

/// A sum in as many parts as vector instructions can take at once.
fn sum(values: &[f32]) -> f32 {
    let (chunks, rest) = values.as_chunks::<64>();
    let mut lanes = [0.0; 64];
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(lane, value)| *lane += value);
    }
    lanes.iter().chain(rest).sum()
}

fn format(path: &Path) -> Result<PictureFormat> {
    let extension = path.extension().and_then(|extension| extension.to_str());
    Ok(extension.with_context(|| format!("{}: no extension", path.display()))?.parse()?)
}
