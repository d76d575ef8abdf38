//! A film on a page: the film itself, and what a network sees in each of its frames.

use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::prelude::BASE64_STANDARD;
use base64::write::EncoderWriter;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use serde::Serialize;

use super::facts::{Entry, Place, facts, in_script};
use super::picture::{Index, part_seen, sides};
use super::record::range;
use super::web::FILM;
use super::writer::{spool_error, title, write, write_picture};
use super::{PageHead, PageSubject};
use crate::files::WholeFile;
use crate::maps::{AttentionMap, MapName, MapRange, ScaleLimits};
use crate::photo::{Geometry, ImageSize};
use crate::{Error, Result};

/// What is known of a film before its frames are.
#[derive(Debug, Clone)]
pub struct PageFilm {
    /// Its name, as it was given.
    pub name: String,
    /// How the network takes its frames.
    pub geometry: Geometry,
    /// The maps of each frame.
    pub maps: Vec<PageFilmMap>,
    /// The kind of the video that browsers play, as `video/webm`.
    pub kind: &'static str,
    /// Its size, which may be smaller than the film's.
    pub video_size: ImageSize,
    /// Whether it has sound.
    pub sound: bool,
    /// The class that maps of a class are of.
    pub class: Option<usize>,
    /// Whether that is the one that the network holds the likeliest on the whole.
    pub likeliest: bool,
    /// What is missing or broken of it.
    pub damaged: Option<String>,
    /// What was assumed about it.
    pub notes: Vec<String>,
    /// What was done to its maps, in words.
    pub done: Vec<String>,
}

/// A map of a film on a page.
#[derive(Debug, Clone)]
pub struct PageFilmMap {
    /// Its name.
    pub name: MapName,
    /// What its values mean.
    pub range: MapRange,
    /// Rows and columns.
    pub grid: (usize, usize),
    /// The patch that looks, if it is of one.
    pub cell: Option<[usize; 2]>,
    /// The least and the greatest value that it has in any frame.
    pub values: ScaleLimits,
    /// What spans its colours, if that is one range for all frames.
    pub span: Option<ScaleLimits>,
}

/// A frame of a film.
#[derive(Debug, Clone, Copy)]
pub struct PageFrame<'a> {
    /// When it is shown, in nanoseconds from the beginning of the film.
    pub time: u64,
    /// Whether it is the first of a shot.
    pub cut: bool,
    /// The likeliest classes and their probabilities, the likeliest first.
    pub top: &'a [(usize, f32)],
    /// All maps, in their order.
    pub maps: &'a [AttentionMap],
}

/// The page of a film in the making: frames come one after another, and the file is written in the end, whole or not at all.
#[derive(Debug)]
pub struct FilmPageWriter {
    path: PathBuf,
    /// As long as it is not written, nobody sees it.
    file: WholeFile,
    head: PageHead,
    subject: Arc<PageSubject>,
    film: PageFilm,
    frames: Frames,
    /// The maps of all frames: zlib's form of their codes, in Base64.
    codes: ZlibEncoder<EncoderWriter<'static, base64::engine::GeneralPurpose, BufWriter<File>>>,
}

/// What is told of frames beside their maps.
#[derive(Debug, Default, Serialize)]
struct Frames {
    /// In milliseconds.
    times: Vec<f64>,
    cuts: Vec<usize>,
    top: Vec<Vec<(usize, f32)>>,
}

#[derive(Serialize)]
struct Record<'a> {
    name: &'a str,
    size: [u32; 2],
    network_size: [u32; 2],
    seen: Option<[u32; 4]>,
    damaged: Option<&'a str>,
    notes: &'a [String],
    done: &'a [String],
    likeliest: Option<usize>,
    explained: Option<usize>,
    video: Video,
    maps: Vec<Map>,
    #[serde(flatten)]
    frames: Frames,
}

#[derive(Serialize)]
struct Video {
    kind: &'static str,
    size: [u32; 2],
    sound: bool,
}

#[derive(Serialize)]
struct Map {
    name: String,
    range: &'static str,
    of_class: bool,
    grid: [usize; 2],
    cell: Option<[usize; 2]>,
    /// What the codes 0 and 255 stand for.
    low: f32,
    high: f32,
}

impl FilmPageWriter {
    /// Begins the page `path`.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be written there, or there is no room for temporary files.
    pub fn create(path: &Path, head: PageHead, subject: Arc<PageSubject>, film: PageFilm) -> Result<Self> {
        let spool = tempfile::tempfile().map_err(spool_error)?;
        let text = EncoderWriter::new(BufWriter::new(spool), &BASE64_STANDARD);
        Ok(Self {
            path: path.to_owned(),
            file: WholeFile::create(path)?,
            head,
            subject,
            film,
            frames: Frames::default(),
            codes: ZlibEncoder::new(text, Compression::default()),
        })
    }

    /// The next frame.
    ///
    /// # Errors
    /// [`Error::Internal`] if its maps are not those of the film; [`Error::Io`] if there is no room for them.
    pub fn frame(&mut self, frame: PageFrame<'_>) -> Result<()> {
        let expected = self.film.maps.iter().map(|map| map.grid);
        if !frame.maps.iter().map(|map| map.values().dim()).eq(expected) {
            return Err(Error::internal("a frame with other maps than its film"));
        }
        let mut codes = Vec::new();
        for (map, of) in frame.maps.iter().zip(&self.film.maps) {
            let code = |value: &f32| (of.values.apply(*value) * 255.0 + 0.5) as u8;
            codes.extend(map.values().iter().map(code));
        }
        self.codes.write_all(&codes).map_err(spool_error)?;
        let Frames { times, cuts, top } = &mut self.frames;
        if frame.cut {
            cuts.push(times.len());
        }
        times.push(frame.time as f64 / 1e6);
        top.push(frame.top.to_vec());
        Ok(())
    }

    /// Writes the page, with the video of these bytes in it.
    ///
    /// # Errors
    /// [`Error::Io`] if something cannot be read or written; what was written is taken away then.
    pub fn finish(self, video: &mut dyn Read) -> Result<()> {
        let Self { path, mut file, head, subject, film, frames, codes } = self;
        let spool = codes.finish().and_then(|mut text| text.finish());
        let mut spool =
            spool.and_then(|spool| spool.into_inner().map_err(std::io::Error::from)).map_err(spool_error)?;
        spool.seek(SeekFrom::Start(0)).map_err(spool_error)?;
        let index = Index::of_film(&film.name, &film.geometry, film.class);
        let spans = film.maps.iter().filter_map(|map| Some((map.name.to_string(), map.span?))).collect();
        let record = serde_json::to_string(&Record::new(&film, frames)).map_err(Error::internal)?;
        let data = in_script(&record);
        let entries = [Entry::Picture { index: Box::new(index), maps: Vec::new(), bytes: data.len() as u64 }];
        let facts = facts(&head, Some(&subject), &entries, &spans, Place::Film)?;
        let mut data = |file: &mut dyn Write| -> Result<()> {
            let mut written = || -> std::io::Result<()> {
                write_picture(file, 0, &data)?;
                write!(file, "<script type=\"text/plain\" id=\"film-maps\">")?;
                std::io::copy(&mut spool, file)?;
                write!(file, "</script>\n<script type=\"text/plain\" id=\"film-video\">")?;
                let mut text = EncoderWriter::new(&mut *file, &BASE64_STANDARD);
                std::io::copy(video, &mut text)?;
                text.finish()?;
                drop(text);
                writeln!(file, "</script>")
            };
            written().map_err(Error::io(&path))
        };
        write(&mut file, &path, &head, (&title(&entries), &facts), &FILM, &mut data)?;
        file.commit()
    }
}

impl<'a> Record<'a> {
    fn new(film: &'a PageFilm, frames: Frames) -> Self {
        let map = |map: &PageFilmMap| Map {
            name: map.name.to_string(),
            range: range(map.range),
            of_class: map.name.needs_class(),
            grid: [map.grid.0, map.grid.1],
            cell: map.cell,
            low: map.values.low,
            high: map.values.high,
        };
        Self {
            name: &film.name,
            size: sides(film.geometry.picture),
            network_size: sides(film.geometry.network),
            seen: part_seen(&film.geometry),
            damaged: film.damaged.as_deref(),
            notes: &film.notes,
            done: &film.done,
            likeliest: film.class.filter(|_| film.likeliest),
            explained: film.class,
            video: Video { kind: film.kind, size: sides(film.video_size), sound: film.sound },
            maps: film.maps.iter().map(map).collect(),
            frames,
        }
    }
}
