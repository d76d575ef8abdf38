//! Drawn frames into a film, encoded by ffmpeg, with the sound and all else of the one that they came from.

use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};
use std::thread::JoinHandle;

use cbam_core::files::WholeFile;
use cbam_core::photo::ImageSize;
use cbam_core::text::named;
use cbam_core::{Error, Result};
use image::RgbImage;

use super::probe::{Film, Stream};
use super::{comment, matroska, tools};

/// What a film is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Codec {
    H264,
    H265,
    Vp9,
    Av1,
    Ffv1,
    Gif,
    Apng,
}

named! {
    Codec as "codec";
    H264 => "h264", H265 => "h265", Vp9 => "vp9", Av1 => "av1", Ffv1 => "ffv1", Gif => "gif", Apng => "apng"
}

impl Codec {
    /// The words for its encoder: as good as cannot be told from the source, at a usual speed.
    fn words(self) -> &'static [&'static str] {
        match self {
            Self::H264 => &["libx264", "-preset", "medium", "-crf", "16"],
            Self::H265 => &["libx265", "-preset", "medium", "-crf", "20", "-x265-params", "log-level=error"],
            Self::Vp9 => {
                &["libvpx-vp9", "-crf", "24", "-b:v", "0", "-row-mt", "1", "-deadline", "good", "-cpu-used", "3"]
            }
            Self::Av1 => &["libsvtav1", "-preset", "8", "-crf", "28"],
            Self::Ffv1 => &["ffv1", "-level", "3"],
            Self::Gif => &["gif"],
            Self::Apng => &["apng", "-pred", "mixed", "-plays", "0"],
        }
    }

    /// So that no frame waits for others.
    fn live_words(self) -> &'static [&'static str] {
        match self {
            Self::H264 | Self::H265 => &["-tune", "zerolatency"],
            Self::Vp9 => &["-deadline", "realtime", "-lag-in-frames", "0"],
            Self::Av1 => &["-svtav1-params", "lookahead=0:pred-struct=1"],
            Self::Ffv1 | Self::Gif | Self::Apng => &[],
        }
    }

    /// What holds films of it, by extension.
    pub(crate) fn container(self) -> &'static str {
        match self {
            Self::Gif => ".gif",
            Self::Apng => ".apng",
            _ => ".mkv",
        }
    }

    /// Whether what comes out of it is what went in, in red, green and blue.
    fn is_lossless(self) -> bool {
        matches!(self, Self::Ffv1 | Self::Apng)
    }
}

/// What holds a film.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Container {
    Mp4,
    Mov,
    Matroska,
    Webm,
    /// A picture that moves, for ever.
    Gif,
    Apng,
}

/// The least time between two frames of a GIF that browsers show as it is, in nanoseconds.
const GIF: u64 = 20_000_000;

impl Container {
    /// By the extension of a file; `None` for one that is of none that is written.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        Some(match &*extension {
            "mp4" | "m4v" => Self::Mp4,
            "mov" => Self::Mov,
            "mkv" => Self::Matroska,
            "webm" => Self::Webm,
            "gif" => Self::Gif,
            "apng" => Self::Apng,
            _ => return None,
        })
    }

    /// The codec where none is asked for.
    pub(crate) fn usual(self) -> Codec {
        match self {
            Self::Webm => Codec::Vp9,
            Self::Gif => Codec::Gif,
            Self::Apng => Codec::Apng,
            Self::Mp4 | Self::Mov | Self::Matroska => Codec::H264,
        }
    }

    pub(crate) fn takes(self, codec: Codec) -> bool {
        match self {
            Self::Mp4 | Self::Mov => {
                matches!(codec, Codec::H264 | Codec::H265 | Codec::Av1) || (self == Self::Mp4 && codec == Codec::Vp9)
            }
            Self::Matroska => !matches!(codec, Codec::Gif | Codec::Apng),
            Self::Webm => matches!(codec, Codec::Vp9 | Codec::Av1),
            Self::Gif => codec == Codec::Gif,
            Self::Apng => codec == Codec::Apng,
        }
    }

    fn format(self) -> &'static str {
        match self {
            Self::Mp4 => "mp4",
            Self::Mov => "mov",
            Self::Matroska => "matroska",
            Self::Webm => "webm",
            Self::Gif => "gif",
            Self::Apng => "apng",
        }
    }

    /// How it takes a stream beside the pictures: as it is, or text as text of its own kind; `None` where it does not.
    fn takes_stream(self, stream: &Stream) -> Option<&'static str> {
        const TEXT: [&str; 6] = ["subrip", "ass", "ssa", "webvtt", "mov_text", "text"];
        let codec = &*stream.codec;
        let (audio, subtitles) = match self {
            Self::Mp4 => (matches!(codec, "aac" | "mp3" | "ac3" | "eac3" | "alac" | "opus" | "flac"), "mov_text"),
            Self::Mov => {
                (matches!(codec, "aac" | "mp3" | "ac3" | "eac3" | "alac") || codec.starts_with("pcm_s"), "mov_text")
            }
            Self::Matroska => (!codec.is_empty(), "srt"),
            Self::Webm => (matches!(codec, "opus" | "vorbis"), "webvtt"),
            Self::Gif | Self::Apng => return None,
        };
        match &*stream.kind {
            "audio" => audio.then_some("copy"),
            "subtitle" if self == Self::Matroska && !matches!(codec, "mov_text" | "text") => Some("copy"),
            "subtitle" => TEXT.contains(&codec).then_some(subtitles),
            _ => None,
        }
    }
}

/// A film being written; whole or not at all.
pub(super) struct Encoder {
    child: Child,
    frames: Option<BufWriter<ChildStdin>>,
    complaints: Option<JoinHandle<Vec<String>>>,
    file: Option<WholeFile>,
    path: std::path::PathBuf,
    container: Container,
    words: String,
    live: bool,
    /// When the frame that was written last is shown, and how many were left out.
    before: Option<u64>,
    left_out: usize,
}

/// How a film is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form<'a> {
    pub(super) container: Container,
    pub(super) codec: Codec,
    pub(super) size: ImageSize,
    /// What was done to the frames, for the file to say.
    pub(super) words: &'a str,
    /// Whether each frame is to be written as soon as it is there.
    pub(super) live: bool,
    /// How long the last frame is shown, in nanoseconds, if that is known.
    pub(super) last: Option<u64>,
}

impl Encoder {
    /// Begins to write a film, `-` to standard output; the notes say what is left out of it.
    pub(super) fn create(film: &Film, path: &Path, form: &Form<'_>) -> Result<(Self, Vec<String>)> {
        let Form { container, codec, size, words, live, last } = *form;
        let file = if path.as_os_str() == "-" { None } else { Some(WholeFile::create(path)?) };
        let mut command = tools::command("ffmpeg");
        command.args(["-y", "-copyts", "-f", "matroska"]);
        if live {
            command.args(["-fpsprobesize", "0", "-analyzeduration", "0"]);
        }
        command.args(["-i", "pipe:0"]);
        if !film.alone {
            command.args(["-itsoffset", &format!("{}us", -film.start / 1000), "-protocol_whitelist", "file,pipe"]);
            command.arg("-i").arg(tools::file(&film.path));
            command.args(["-map_metadata", "1", "-map_chapters", "1"]);
        }
        command.args(["-map", "0:v:0"]);
        let (mut left_out, mut count) = (Vec::new(), 0);
        for stream in &film.others {
            let Some(how) = container.takes_stream(stream) else {
                left_out.push(format!(
                    "{}: stream {} ({} {}) is left out, which {} does not take",
                    film.path.display(),
                    stream.number,
                    stream.kind,
                    stream.codec,
                    container.format()
                ));
                continue;
            };
            count += 1;
            command.args(["-map", &format!("1:{}", stream.number), &format!("-c:{count}"), how]);
        }
        command.args(["-metadata", &format!("comment={words}")]);
        for (name, value) in &film.tags {
            command.args(["-metadata:s:v:0", &format!("{name}={value}")]);
        }
        command.arg("-c:v").args(codec.words());
        if live {
            command.args(codec.live_words()).args(["-flush_packets", "1"]);
        }
        command.args(["-vf", &filter(film, codec, size)]);
        command.args(["-fps_mode", "passthrough", "-enc_time_base", &film.unit]);
        let [matrix, primaries, transfer] = &film.colour.tags;
        let tags = [("-colorspace", matrix), ("-color_primaries", primaries), ("-color_trc", transfer)];
        for (option, tag) in tags.into_iter().filter(|_| !codec.is_lossless()) {
            if let Some(tag) = tag {
                command.args([option, tag]);
            }
        }
        if let (Container::Mp4 | Container::Mov, Some(unit)) = (container, film.unit.strip_prefix("1/")) {
            command.args(["-video_track_timescale", unit]);
        }
        if matches!(container, Container::Mp4 | Container::Mov) {
            if codec == Codec::H265 {
                command.args(["-tag:v", "hvc1"]);
            }
            if !live {
                command.args(["-movflags", "+faststart"]); // writes all of it once more
            }
        }
        if let Some(last) = last {
            match container {
                Container::Gif => command.args(["-final_delay", &(last / 10_000_000).to_string()]),
                Container::Apng => command.args(["-final_delay", &format!("{}/1000", last / 1_000_000)]),
                _ => &mut command,
            };
        }
        match &file {
            Some(file) => command.args(["-f", container.format()]).arg(tools::file(file.place())),
            // Matroska waits for several frames.
            None => command.args(["-f", "nut", "pipe:1"]).stdout(Stdio::inherit()),
        };
        command.env("SVT_LOG", "1").stdin(Stdio::piped());
        let mut child = tools::start(command)?;
        let mut frames = BufWriter::with_capacity(1 << 20, tools::pipe(child.stdin.take())?);
        let said = tools::pipe(child.stderr.take())?;
        let complaints = Some(tools::complaints(said, |_| false));
        let begun = matroska::header(&mut frames, size, film.usual);
        let mut encoder = Self {
            child,
            frames: Some(frames),
            complaints,
            file,
            path: path.to_owned(),
            container,
            words: words.to_owned(),
            live,
            before: None,
            left_out: 0,
        };
        begun.map_err(|error| encoder.failed(error))?;
        Ok((encoder, left_out))
    }

    /// Writes a frame that is shown at a time, in nanoseconds.
    pub(super) fn write(&mut self, time: u64, pixels: &RgbImage) -> Result<()> {
        if self.container == Container::Gif && self.before.is_some_and(|before| time < before + GIF) {
            self.left_out += 1;
            return Ok(());
        }
        self.before = Some(time);
        let Some(frames) = &mut self.frames else { return Err(Error::internal("a film that is ended")) };
        let written =
            matroska::frame(frames, time, pixels).and_then(|()| if self.live { frames.flush() } else { Ok(()) });
        written.map_err(|error| self.failed(error))
    }

    /// Ends the film and gives it its name; what is to be said of it.
    pub(super) fn finish(mut self) -> Result<Option<String>> {
        if let Some(mut frames) = self.frames.take() {
            frames.flush().map_err(|error| self.failed(error))?;
        }
        let status = self.child.wait().map_err(Error::io(&self.path))?;
        if !status.success() {
            return Err(self.failed(std::io::Error::other(format!("ffmpeg ended with {status}"))));
        }
        if let Some(file) = self.file.take() {
            comment::add(file.place(), self.container, &self.words).map_err(Error::io(&self.path))?;
            file.commit()?;
        }
        let path = self.path.display();
        let why = "which a GIF shows at most";
        Ok((self.left_out > 0)
            .then(|| format!("{path}: {} frames over 50 a second are left out, {why}", self.left_out)))
    }

    /// What the program says of it, where it says something.
    fn failed(&mut self, error: std::io::Error) -> Error {
        drop(self.frames.take());
        let _ = self.child.wait();
        let complaints = self.complaints.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        let message = complaints.into_iter().next().unwrap_or_else(|| error.to_string());
        Error::io(&self.path)(std::io::Error::new(error.kind(), format!("ffmpeg: {message}")))
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended
        let _ = self.child.wait();
    }
}

/// From red, green and blue to what the codec takes, in the film's own colours.
fn filter(film: &Film, codec: Codec, size: ImageSize) -> String {
    match codec {
        Codec::Ffv1 => return "format=bgr0".to_owned(),
        Codec::Apng => return "format=rgb24".to_owned(),
        // Colours of its own for each frame: of the whole film they would be known when all of it is in memory.
        Codec::Gif => {
            return "split[a][b];[a]palettegen=stats_mode=single[p];[b][p]paletteuse=new=1".to_owned();
        }
        Codec::H264 | Codec::H265 | Codec::Vp9 | Codec::Av1 => {}
    }
    // Every other pixel has a colour: an odd side gets one more, as its neighbour is.
    let [right, below] = [size.width % 2, size.height % 2];
    let padded = if right + below > 0 {
        format!(
            "pad={}:{},fillborders=right={right}:bottom={below}:mode=smear,",
            size.width + right,
            size.height + below
        )
    } else {
        String::new()
    };
    let range = if film.colour.full { "pc" } else { "tv" };
    format!(
        "{padded}scale=in_range=pc:out_range={range}:out_color_matrix={}:flags=bicubic+accurate_rnd+full_chroma_int,format=yuv420p",
        film.colour.matrix
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_take_what_their_players_know() {
        let stream = |kind: &str, codec: &str| Stream { number: 1, kind: kind.to_owned(), codec: codec.to_owned() };
        let taken = |container: Container, kind, codec| container.takes_stream(&stream(kind, codec));
        assert_eq!(taken(Container::Mp4, "audio", "aac"), Some("copy"));
        assert_eq!(taken(Container::Mp4, "audio", "vorbis"), None);
        assert_eq!(taken(Container::Mp4, "subtitle", "subrip"), Some("mov_text"));
        assert_eq!(taken(Container::Mp4, "subtitle", "hdmv_pgs_subtitle"), None);
        assert_eq!(taken(Container::Matroska, "subtitle", "hdmv_pgs_subtitle"), Some("copy"));
        assert_eq!(taken(Container::Matroska, "subtitle", "mov_text"), Some("srt"));
        assert_eq!(taken(Container::Webm, "audio", "aac"), None);
        assert_eq!(taken(Container::Matroska, "data", "bin_data"), None);
        assert!(
            Container::of(Path::new("a.MP4")) == Some(Container::Mp4) && Container::of(Path::new("a.png")).is_none()
        );
        assert!(
            ["mp4", "mov", "mkv", "webm", "gif", "apng"]
                .iter()
                .filter_map(|extension| Container::of(Path::new(&format!("a.{extension}"))))
                .all(|container| container.takes(container.usual())
                    && container.takes(Codec::Gif) == (container == Container::Gif))
        );
        assert!(Codec::ALL.iter().all(|codec| {
            Container::of(Path::new(&format!("a{}", codec.container())))
                .is_some_and(|container| container.takes(*codec))
        }));
    }
}
