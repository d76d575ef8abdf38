//! From the command line to a study that is ready to run.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use cbam_core::device::DeviceSpec;
use cbam_core::eval::{Clutter, FaithfulnessOptions, PictureSource, Remarks, ScoreCache};
use cbam_core::explain::ExplainOptions;
use cbam_core::photo::{Limits, Photo, decode};
use cbam_core::{Error, Result};
use image::{DynamicImage, Rgb, RgbImage};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::backend::{Backend, How};
use crate::eval::args::{Cli, Measure};
use crate::eval::chosen::Row;
use crate::eval::opened::Opened;
use crate::eval::scene::Sight;
use crate::eval::study::Study;
use crate::eval::subject::{Subject, subjects};

/// Pictures of the sanity check: every map is made once more for each level of randomisation.
const SANE: usize = 25;
/// Other pictures that the grounds of clutter are made from, and wallpapers.
const GROUNDS: usize = 64;
/// The short side of cluttered pictures, in the network's short sides.
const CLUTTER_SIDES: u32 = 2;

/// A study of `rows`, with the subset chosen, networks randomised and grounds read.
pub(crate) fn study<'a>(
    backend: &dyn Backend,
    cli: &Cli,
    how: &How,
    network: &'a Opened,
    source: &PictureSource,
    rows: &[Row],
) -> anyhow::Result<Study<'a>> {
    let about = network.describe();
    let mut preprocess = about.preprocess.clone();
    preprocess.short_side = cli.size.unwrap_or(preprocess.short_side);
    let subjects = subjects(&about, &cli.maps)?;
    let maps = subjects.iter().filter(|subject| !subject.is_baseline()).count();
    let folder = |subject: &Subject| -> Option<PathBuf> {
        let folder = cli.maps_dir.as_ref().filter(|_| !subject.is_baseline())?;
        Some(if maps == 1 { folder.clone() } else { folder.join(subject.to_string().replace(':', "-")) })
    };
    let folders = subjects.iter().map(folder).collect();
    let explain = ExplainOptions::default().with_masks(cli.rise_masks).with_seed(cli.seed);
    // A processor is fastest where the features of a batch fit its caches.
    let batch = if network.device == DeviceSpec::Cpu { 4 } else { 32 };
    let faithfulness = FaithfulnessOptions::default().with_steps(cli.steps).with_seed(cli.seed).with_batch(batch);
    let faithfulness = cli.measures(Measure::Faithfulness).then_some(faithfulness);

    let mut drawn: Vec<usize> = (0..rows.len()).collect();
    drawn.shuffle(&mut ChaCha8Rng::seed_from_u64(cli.seed));
    drawn.truncate(cli.subset);
    let sanity = cli.measures(Measure::Sanity);
    let sane: HashSet<usize> = if sanity { drawn.iter().take(SANE).copied().collect() } else { HashSet::new() };
    let randomised = if sanity { network.randomised(backend, cli, how)? } else { Vec::new() };

    let limits = Limits::of_pixels(cli.max_pixels);
    let clutter = cli.measures(Measure::Clutter).then(|| clutter(cli, source, rows, preprocess.short_side, &limits));
    let clutter = clutter.transpose()?;
    let clutter_key = clutter.as_ref().map_or_else(String::new, |clutter| ScoreCache::key(&[&clutter.fingerprint()]));
    let context = format!(
        "{} {} {} {:?} {preprocess:?} {explain:?}",
        program()?,
        backend.libraries(),
        network.fingerprint,
        network.device == DeviceSpec::Cpu
    );
    let cache = cli.cache_folder().map_or_else(|| Ok(ScoreCache::in_memory()), |folder| ScoreCache::open(&folder))?;
    let mut study = Study {
        network,
        subjects,
        preprocess,
        explain,
        folders,
        subset: drawn.into_iter().collect(),
        faithfulness,
        sane,
        randomised,
        seed: cli.seed,
        clutter,
        context,
        clutter_key,
        cache,
        limits,
        fresh: 0,
        remarks: Remarks::default(),
    };
    try_maps(&mut study, cli.maps.is_empty())?;
    Ok(study)
}

/// A hash of this very program: whatever maps and scores depend on is a part of it, so that none is kept from another state of it.
fn program() -> Result<String> {
    let path = std::env::current_exe().map_err(Error::io("this program"))?;
    Ok(ScoreCache::key(&[&std::fs::read(&path).map_err(Error::io(path))?]))
}

/// Makes every map that is not costly of a made-up picture: one that cannot be made is an error before any work, or, if nobody asked
/// for it, is left out.
fn try_maps(study: &mut Study<'_>, by_default: bool) -> Result<()> {
    let picture =
        RgbImage::from_fn(64, 48, |x, y| Rgb([(x * y % 251) as u8, (x * 37 % 256) as u8, (y * 53 % 256) as u8]));
    // A network that says nothing of such a picture may of others.
    let seen = Sight::of(study.network.model(), study, &Photo::from(DynamicImage::from(picture)), None);
    let Ok(mut sight) = seen else { return Ok(()) };
    for i in (0..study.subjects.len()).rev().filter(|i| !study.subjects[*i].is_costly()).collect::<Vec<_>>() {
        match sight.map(study.network.features()?, study, i, None) {
            Err(error) if by_default => {
                crate::common::say(format_args!("{} is left out: {error}", study.subjects[i]));
                study.subjects.remove(i);
                study.folders.remove(i);
            }
            made => drop(made?),
        }
    }
    Ok(())
}

/// The grounds: some of the pictures themselves, and wallpapers if there are any. What cannot be read is passed over
/// here; the pictures' own faults are told when they are measured.
fn clutter(
    cli: &Cli,
    source: &PictureSource,
    rows: &[Row],
    short_side: u32,
    limits: &Limits,
) -> anyhow::Result<Clutter> {
    let mut clutter = Clutter::new(cli.seed, CLUTTER_SIDES * short_side);
    let names: Vec<String> = rows.iter().map(|row| row.image.clone()).collect();
    read_some(source, names, cli.seed, limits, |name, picture| clutter.add_other(name, &picture))?;
    if let Some(path) = &cli.backgrounds {
        let wallpapers = PictureSource::at(path)?;
        let names = wallpapers.names(&mut Remarks::default())?;
        read_some(&wallpapers, names, cli.seed, limits, |_, picture| clutter.add_wallpaper(&picture))?;
        if clutter.grounds().1 == 0 {
            anyhow::bail!("--backgrounds: {} holds no picture that can be read", path.display());
        }
    }
    if clutter.grounds().0 < 2 {
        anyhow::bail!("--measure clutter: needs at least two pictures, to put one on what is left of the other");
    }
    Ok(clutter)
}

/// Gives some pictures of a source to `take`, the same ones for a seed, in the order of their names.
fn read_some(
    source: &PictureSource,
    mut names: Vec<String>,
    seed: u64,
    limits: &Limits,
    mut take: impl FnMut(&str, image::DynamicImage) -> Result<()>,
) -> Result<()> {
    names.sort();
    names.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    names.truncate(GROUNDS);
    let chosen: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut taken: Vec<(usize, image::DynamicImage)> = Vec::new();
    source.visit(&chosen, limits.max_bytes, |place, bytes| {
        if let Ok(photo) = bytes.and_then(|bytes| decode(Path::new(chosen[place]), &bytes, limits)) {
            // Held small: an archive gives its pictures in its own order, and there may be large ones.
            taken.push((place, photo.image.thumbnail(1024, 1024)));
        }
        Ok(())
    })?;
    taken.sort_by_key(|(place, _)| *place);
    taken.into_iter().try_for_each(|(place, picture)| take(chosen[place], picture))
}
