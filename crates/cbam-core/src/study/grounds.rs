//! What cluttered pictures are made from.

use std::path::Path;

use image::DynamicImage;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::pictures::path;
use super::{ClutterOptions, StudyOptions, StudyPictures};
use crate::eval::{Clutter, PictureSource, Remarks, ScoreCache};
use crate::photo::decode;
use crate::{Error, Result};

/// Pictures are held with sides of at most this many pixels until all grounds are read.
const HELD: u32 = 1024;

/// What makes cluttered pictures.
pub(super) struct Grounds {
    pub(super) clutter: Clutter,
    /// What scores on cluttered pictures depend on.
    pub(super) key: String,
}

impl Grounds {
    /// Some of the pictures themselves, and wallpapers if there are any. What cannot be read is passed over here; the pictures' own
    /// faults come out when they are measured.
    pub(super) fn read(
        options: &ClutterOptions,
        pictures: &StudyPictures,
        short_side: u32,
        study: &StudyOptions,
    ) -> Result<Self> {
        let mut clutter = Clutter::new(study.seed, options.sides.saturating_mul(short_side));
        let drawing = Drawing { most: options.grounds, study };
        let names = pictures.rows.iter().map(|row| row.image.clone()).collect();
        drawing.read(&pictures.source, names, |name, picture| clutter.add_other(name, &picture))?;
        if let Some(wallpapers) = &options.wallpapers {
            let names = wallpapers.names(&mut Remarks::default())?;
            drawing.read(wallpapers, names, |_, picture| clutter.add_wallpaper(&picture))?;
            if clutter.grounds().1 == 0 {
                let message = format!("{} holds no picture that can be read", path(wallpapers).display());
                return Err(Error::argument("wallpapers", message));
            }
        }
        if clutter.grounds().0 < 2 {
            let message = "needs at least two pictures, to put one on what is left of the other";
            return Err(Error::argument("clutter", message));
        }
        let key = ScoreCache::key(&[&clutter.fingerprint()]);
        Ok(Self { clutter, key })
    }
}

/// Some pictures of a source.
struct Drawing<'a> {
    most: usize,
    study: &'a StudyOptions,
}

impl Drawing<'_> {
    /// Gives them to `take`, the same ones for a seed, in the order in which they are drawn.
    fn read(
        &self,
        source: &PictureSource,
        mut names: Vec<String>,
        mut take: impl FnMut(&str, DynamicImage) -> Result<()>,
    ) -> Result<()> {
        names.sort();
        names.shuffle(&mut ChaCha8Rng::seed_from_u64(self.study.seed));
        names.truncate(self.most);
        let (names, limits) = (names.iter().map(String::as_str).collect::<Vec<_>>(), &self.study.limits);
        let mut taken: Vec<(usize, DynamicImage)> = Vec::new();
        source.visit(&names, limits.max_bytes, |place, bytes| {
            if let Ok(photo) = bytes.and_then(|bytes| decode(Path::new(names[place]), &bytes, limits)) {
                // Held small: an archive gives its pictures in its own order, and there may be large ones.
                taken.push((place, photo.image.thumbnail(HELD, HELD)));
            }
            Ok(())
        })?;
        taken.sort_by_key(|(place, _)| *place);
        taken.into_iter().try_for_each(|(place, picture)| take(names[place], picture))
    }
}
