//! What a film holds, as ffprobe tells, or as a picture that moves says by itself.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use cbam_core::photo::{ImageSize, Limits};
use cbam_core::text::printable;
use cbam_core::{Error, Result};
use serde::Deserialize;

use super::animation::Animation;
use super::tools;

/// A film.
#[derive(Debug)]
pub(super) struct Film {
    pub(super) path: PathBuf,
    /// Whether it is a picture that moves, which is not read by ffmpeg.
    pub(super) moves: bool,
    /// Whether nothing but its pictures is to be had.
    pub(super) alone: bool,
    /// The stream of pictures, by its number in the file.
    pub(super) stream: usize,
    /// Upright, with square pixels.
    pub(super) size: ImageSize,
    /// As the stream has its colours.
    pub(super) colour: Colour,
    /// What it is called: `language`, `title`.
    pub(super) tags: BTreeMap<String, String>,
    /// How long a frame usually lasts, in nanoseconds.
    pub(super) usual: Option<NonZeroU64>,
    /// The unit of the times of frames, in seconds: `1/12800`.
    pub(super) unit: String,
    /// When the file begins, in nanoseconds: its times are told from there.
    pub(super) start: i64,
    /// How many frames it says that it has.
    pub(super) frames: Option<u64>,
    /// What else it holds.
    pub(super) others: Vec<Stream>,
    /// What is worth saying before the work.
    pub(super) notes: Vec<String>,
}

/// How a stream of pictures has its colours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Colour {
    /// The matrix from luma and chroma, as ffmpeg's scaler calls it.
    pub(super) matrix: &'static str,
    /// Whether its numbers span all of 0 to 255.
    pub(super) full: bool,
    /// What the file says, to be said again: matrix, primaries, transfer.
    pub(super) tags: [Option<String>; 3],
}

/// A stream beside the pictures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stream {
    pub(super) number: usize,
    /// `audio`, `subtitle`, …
    pub(super) kind: String,
    pub(super) codec: String,
}

#[derive(Deserialize)]
struct Told {
    #[serde(default)]
    streams: Vec<ToldStream>,
    #[serde(default)]
    format: ToldFormat,
}

#[derive(Deserialize, Default)]
struct ToldFormat {
    start_time: Option<String>,
    duration: Option<String>,
}

#[derive(Deserialize)]
struct ToldStream {
    index: usize,
    #[serde(default)]
    codec_type: String,
    #[serde(default)]
    codec_name: String,
    width: Option<u32>,
    height: Option<u32>,
    sample_aspect_ratio: Option<String>,
    pix_fmt: Option<String>,
    color_range: Option<String>,
    color_space: Option<String>,
    color_primaries: Option<String>,
    color_transfer: Option<String>,
    avg_frame_rate: Option<String>,
    time_base: Option<String>,
    nb_frames: Option<String>,
    duration: Option<String>,
    #[serde(default)]
    disposition: BTreeMap<String, i32>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    #[serde(default)]
    side_data_list: Vec<SideData>,
}

#[derive(Deserialize)]
struct SideData {
    rotation: Option<f64>,
}

impl Film {
    /// What a file says of itself.
    pub(super) fn open(path: &Path, limits: &Limits) -> Result<Self> {
        match Animation::open(path)? {
            Some(animation) => Self::moving(path, animation, limits),
            None => Self::probe(path, limits),
        }
    }

    fn moving(path: &Path, mut animation: Animation, limits: &Limits) -> Result<Self> {
        let size = animation.size;
        check(path, size, limits)?;
        let first = animation.next().map(|_| animation.time());
        let (usual, colour) = (first.and_then(NonZeroU64::new), Colour::unknown(size.height));
        Ok(Self { moves: true, usual, colour, ..Self::stream(path, size) })
    }

    /// Of which nothing is known but the size of its pictures.
    pub(super) fn stream(path: &Path, size: ImageSize) -> Self {
        Self {
            path: path.to_owned(),
            moves: false,
            alone: true,
            stream: 0,
            size,
            // As ffmpeg takes what says nothing, and says nothing of.
            colour: Colour { matrix: "bt601", full: false, tags: [Some("smpte170m".to_owned()), None, None] },
            tags: BTreeMap::new(),
            usual: NonZeroU64::new(40_000_000), // without any, players leave out the last frame
            unit: "1/1000".to_owned(),
            start: 0,
            frames: None,
            others: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// What ffprobe says of a file.
    fn probe(path: &Path, limits: &Limits) -> Result<Self> {
        let mut command = tools::command("ffprobe");
        command.args(["-protocol_whitelist", "file", "-show_streams", "-show_format", "-of", "json"]);
        command.arg(tools::file(path)).stdout(Stdio::piped());
        let said = tools::start(command)?.wait_with_output().map_err(Error::io(path))?;
        let refused = |message: String| Error::photo(path, message);
        if !said.status.success() {
            let complaint = String::from_utf8_lossy(&said.stderr);
            let complaint = complaint.lines().last().unwrap_or("ffprobe says nothing of it");
            let complaint = complaint.rsplit(": ").next().unwrap_or(complaint);
            return Err(refused(format!("is no film that ffmpeg reads: {}", printable(complaint))));
        }
        let told: Told = serde_json::from_slice(&said.stdout)
            .map_err(|error| refused(format!("ffprobe's answer cannot be read: {error}")))?;
        of(path, told, limits)
    }
}

fn of(path: &Path, told: Told, limits: &Limits) -> Result<Film> {
    let refused = |message: String| Error::photo(path, message);
    let is_picture = |stream: &ToldStream| {
        stream.codec_type == "video" && stream.disposition.get("attached_pic").is_none_or(|attached| *attached == 0)
    };
    let (videos, others): (Vec<_>, Vec<_>) = told.streams.into_iter().partition(is_picture);
    let mut videos = videos.into_iter();
    let video = videos.next().ok_or_else(|| refused("holds no moving pictures".to_owned()))?;
    let mut others: Vec<_> = others.into_iter().map(Stream::from).collect();
    others.extend(videos.map(Stream::from));
    others.sort_by_key(|stream| stream.number);

    if let Some(transfer @ ("smpte2084" | "arib-std-b67")) = video.color_transfer.as_deref() {
        let name = if transfer == "smpte2084" { "PQ" } else { "HLG" };
        return Err(refused(format!(
            "is HDR ({name}), whose brightness pictures on a screen of the usual kind do not have: make it SDR first, with \
             ffmpeg's filters zscale and tonemap"
        )));
    }
    let (Some(width @ 1..), Some(height @ 1..)) = (video.width, video.height) else {
        return Err(refused("its pictures have no size".to_owned()));
    };
    let mut size = ImageSize::new(width, height);
    if let Some([across, down]) = video.sample_aspect_ratio.as_deref().and_then(ratio).filter(|[a, b]| a != b) {
        size.width = (f64::from(width) * across / down).round().max(1.0) as u32;
    }
    let turned = video.side_data_list.iter().find_map(|data| data.rotation).unwrap_or(0.0);
    if (turned / 90.0).round() as i64 % 2 != 0 {
        size = ImageSize::new(size.height, size.width);
    }
    check(path, size, limits)?;
    let mut notes = Vec::new();
    let pixels = video.pix_fmt.clone().unwrap_or_default();
    if ["10", "12", "14", "16"].iter().any(|bits| pixels.trim_end_matches(['l', 'e', 'b']).ends_with(bits)) {
        notes.push(format!("{}: its pictures ({pixels}) are drawn in 8 bits", path.display()));
    }
    let rate = video.avg_frame_rate.as_deref().and_then(ratio).map(|[count, seconds]| count / seconds);
    let rate = rate.filter(|rate| rate.is_finite() && *rate > 0.0);
    let seconds = |text: &Option<String>| text.as_deref().and_then(|text| text.parse::<f64>().ok());
    let duration = seconds(&video.duration).or(seconds(&told.format.duration));
    let by_time = duration.zip(rate).map(|(duration, rate)| (duration * rate).round() as u64);
    Ok(Film {
        path: path.to_owned(),
        moves: false,
        alone: false,
        stream: video.index,
        size,
        colour: Colour::of(&video, height),
        tags: video.tags.clone().into_iter().filter(|(name, _)| matches!(&**name, "language" | "title")).collect(),
        usual: rate.and_then(|rate| NonZeroU64::new((1e9 / rate).round() as u64)),
        unit: video.time_base.clone().unwrap_or_else(|| "1/90000".to_owned()),
        start: (seconds(&told.format.start_time).unwrap_or(0.0) * 1e9).round() as i64,
        frames: video.nb_frames.as_deref().and_then(|count| count.parse().ok()).or(by_time),
        others,
        notes,
    })
}

fn check(path: &Path, size: ImageSize, limits: &Limits) -> Result<()> {
    if size.pixels() > limits.max_pixels {
        let message = format!("has pictures of {size} pixels, over the limit of {}", limits.max_pixels);
        return Err(Error::photo(path, message));
    }
    Ok(())
}

impl From<ToldStream> for Stream {
    fn from(told: ToldStream) -> Self {
        Self { number: told.index, kind: told.codec_type, codec: told.codec_name }
    }
}

impl Colour {
    fn of(video: &ToldStream, height: u32) -> Self {
        let known =
            |tag: &Option<String>| tag.clone().filter(|tag| !matches!(&**tag, "unknown" | "reserved" | "unspecified"));
        let tagged = known(&video.color_space);
        let matrix = match tagged.as_deref() {
            Some("bt709") => "bt709",
            Some("bt2020nc" | "bt2020c") => "bt2020",
            Some("fcc") => "fcc",
            Some("smpte240m") => "smpte240m",
            Some("smpte170m" | "bt470bg") => "bt601",
            _ => Self::unknown(height).matrix,
        };
        // Of red, green and blue, and of what the scaler does not know, becomes what is written here.
        let space = tagged.map(|tag| match (&*tag, matrix) {
            ("bt709" | "bt2020nc" | "bt2020c" | "fcc" | "smpte240m" | "smpte170m" | "bt470bg", _) => tag,
            (_, "bt709") => "bt709".to_owned(),
            _ => "smpte170m".to_owned(),
        });
        // ffprobe has other names for some than ffmpeg.
        let transfer = known(&video.color_transfer).map(|tag| match &*tag {
            "bt470m" => "gamma22".to_owned(),
            "bt470bg" => "gamma28".to_owned(),
            "log100" => "log".to_owned(),
            "log316" => "log_sqrt".to_owned(),
            "bt1361e" => "bt1361".to_owned(),
            _ => tag,
        });
        let tags = [space, known(&video.color_primaries), transfer];
        let pixels = video.pix_fmt.as_deref().unwrap_or_default();
        let full = video.color_range.as_deref() == Some("pc") || pixels.starts_with("yuvj");
        Self { matrix, full, tags }
    }

    /// What says nothing of itself is taken as players take it: by its size.
    fn unknown(height: u32) -> Self {
        Self { matrix: if height >= 720 { "bt709" } else { "bt601" }, full: false, tags: [None, None, None] }
    }
}

/// Two numbers above 0: `16:11`, `30000/1001`.
fn ratio(text: &str) -> Option<[f64; 2]> {
    let (first, second) = text.split_once([':', '/'])?;
    let numbers = [first.parse().ok()?, second.parse().ok()?];
    numbers.iter().all(|number: &f64| *number > 0.0).then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(stream: &str) -> Result<Film> {
        let text = format!(r#"{{"streams": [{stream}], "format": {{"start_time": "1.5", "duration": "2.0"}}}}"#);
        of(Path::new("clip.mp4"), serde_json::from_str(&text).unwrap(), &Limits::default())
    }

    #[test]
    fn sizes_are_upright_with_square_pixels() {
        let video =
            |more: &str| format!(r#"{{"index": 0, "codec_type": "video", "width": 720, "height": 576 {more}}}"#);
        let size = |more: &str| told(&video(more)).unwrap().size;
        assert_eq!(size(""), ImageSize::new(720, 576));
        assert_eq!(size(r#", "sample_aspect_ratio": "16:11""#), ImageSize::new(1047, 576));
        assert_eq!(size(r#", "sample_aspect_ratio": "0:1""#), ImageSize::new(720, 576));
        assert_eq!(size(r#", "side_data_list": [{"rotation": -90}]"#), ImageSize::new(576, 720));
        assert_eq!(size(r#", "side_data_list": [{}, {"rotation": 180}]"#), ImageSize::new(720, 576));
    }

    #[test]
    fn covers_are_no_films_and_hdr_is_refused_by_name() {
        let cover =
            r#"{"index": 0, "codec_type": "video", "width": 9, "height": 9, "disposition": {"attached_pic": 1}}"#;
        assert!(told(cover).unwrap_err().to_string().contains("holds no moving pictures"));
        let film = told(&format!(
            r#"{cover}, {{"index": 1, "codec_type": "video", "width": 8, "height": 6, "avg_frame_rate": "30000/1001", "pix_fmt": "yuv420p10le"}}"#
        ));
        let film = film.unwrap();
        assert_eq!((film.stream, film.frames, film.start), (1, Some(60), 1_500_000_000));
        assert_eq!(film.usual, NonZeroU64::new(33_366_667));
        assert_eq!((film.others.len(), film.notes.len()), (1, 1));
        let hdr = r#"{"index": 0, "codec_type": "video", "width": 8, "height": 6, "color_transfer": "smpte2084"}"#;
        assert!(told(hdr).unwrap_err().to_string().contains("is HDR (PQ)"));
    }

    #[test]
    fn colours_are_those_of_the_file_or_of_its_size() {
        let of = |height: u32, more: &str| {
            let video = format!(r#"{{"index": 0, "codec_type": "video", "width": 8, "height": {height} {more}}}"#);
            told(&video).unwrap().colour
        };
        assert_eq!((of(480, "").matrix, of(1080, "").matrix), ("bt601", "bt709"));
        assert_eq!(of(1080, r#", "color_space": "smpte170m""#).matrix, "bt601");
        let tags = |colours: &str| of(480, colours).tags;
        assert_eq!(tags(r#", "color_space": "gbr""#)[0].as_deref(), Some("smpte170m"));
        assert_eq!(tags(r#", "color_space": "ycgco", "color_transfer": "bt470bg""#)[2].as_deref(), Some("gamma28"));
        assert!(of(480, r#", "pix_fmt": "yuvj420p""#).full && !of(480, r#", "color_range": "tv""#).full);
    }
}
