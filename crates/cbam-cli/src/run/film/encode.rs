//! Drawn frames into a film, encoded by ffmpeg, with the sound and all else of the one that they came from.

use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::Receiver;
use std::thread::JoinHandle;

use cbam_core::files::WholeFile;
use cbam_core::photo::ImageSize;
use cbam_core::{Error, Result};
use image::RgbImage;

use super::form::{Codec, Container, Form, GIF, Purpose, page_size};
use super::probe::Film;
use super::{comment, matroska, tools};

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

impl Encoder {
    /// Begins to write a film, `-` to standard output; the notes say what is left out of it.
    pub(super) fn create(film: &Film, path: &Path, form: &Form<'_>) -> Result<(Self, Vec<String>)> {
        let Form { container, codec, size, words, purpose, last } = *form;
        let live = purpose == Purpose::Live;
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
        let left_out = take_others(&mut command, film, container, purpose);
        command.args(["-metadata", &format!("comment={words}")]);
        for (name, value) in &film.tags {
            command.args(["-metadata:s:v:0", &format!("{name}={value}")]);
        }
        command.arg("-c:v").args(codec.words(purpose));
        if live {
            command.args(codec.live_words()).args(["-flush_packets", "1"]);
        }
        command.args(["-vf", &filter(film, codec, size, purpose)]);
        command.args(["-fps_mode", "passthrough", "-enc_time_base:v", &film.unit]);
        let options = ["-colorspace", "-color_primaries", "-color_trc"];
        for (option, tag) in options.into_iter().zip(&film.colour.tags).filter(|_| !codec.is_lossless()) {
            let tag = if purpose == Purpose::Page { Some("bt709") } else { tag.as_deref() };
            if let Some(tag) = tag {
                command.args([option, tag]);
            }
        }
        if let (Container::Mp4 | Container::Mov, Some(unit)) = (container, film.unit.strip_prefix("1/")) {
            command.args(["-video_track_timescale", unit]);
        }
        if purpose == Purpose::Page {
            // Else frames come as much later as Opus begins before its sound; what it begins with, browsers do not take.
            command.args(["-avoid_negative_ts", "disabled", "-bsf:a", "noise=drop=lt(pts\\,0)"]);
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
        let begun = matroska::header(&mut frames, size, film.usual.filter(|_| purpose != Purpose::Page));
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

    /// Writes drawn frames and their times as they come, until there are no more.
    pub(super) fn write_all(mut self, drawn: &Receiver<(u64, RgbImage)>) -> Result<Self> {
        drawn.iter().try_for_each(|(time, pixels)| self.write(time, &pixels))?;
        Ok(self)
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
        if let Some(file) = self.end()? {
            comment::add(file.place(), self.container, &self.words).map_err(Error::io(&self.path))?;
            file.commit()?;
        }
        let path = self.path.display();
        let why = "which a GIF shows at most";
        Ok((self.left_out > 0)
            .then(|| format!("{path}: {} frames over 50 a second are left out, {why}", self.left_out)))
    }

    /// Ends the film; its file as yet without a name, unless it went to standard output.
    pub(super) fn end(&mut self) -> Result<Option<WholeFile>> {
        if let Some(mut frames) = self.frames.take() {
            frames.flush().map_err(|error| self.failed(error))?;
        }
        let status = self.child.wait().map_err(Error::io(&self.path))?;
        if !status.success() {
            return Err(self.failed(std::io::Error::other(format!("ffmpeg ended with {status}"))));
        }
        Ok(self.file.take())
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

/// Has a film take what there is beside its pictures; what is left out, in words.
fn take_others(command: &mut Command, film: &Film, container: Container, purpose: Purpose) -> Vec<String> {
    let (mut left_out, mut count) = (Vec::new(), 0);
    for stream in &film.others {
        let (how, taker) = match purpose {
            Purpose::Page if stream.kind == "audio" => ((count == 0).then_some("libopus"), "a page that has one"),
            Purpose::Page => (None, "a page"),
            Purpose::File | Purpose::Live => (container.takes_stream(stream), container.format()),
        };
        let Some(how) = how else {
            left_out.push(format!(
                "{}: stream {} ({} {}) is left out, which {taker} does not take",
                film.path.display(),
                stream.number,
                stream.kind,
                stream.codec,
            ));
            continue;
        };
        count += 1;
        command.args(["-map", &format!("1:{}", stream.number), &format!("-c:{count}"), how]);
        if purpose == Purpose::Page {
            command.args(["-ac", "2"]);
        }
    }
    left_out
}

/// From red, green and blue to what the codec takes, in the film's own colours.
fn filter(film: &Film, codec: Codec, size: ImageSize, purpose: Purpose) -> String {
    match codec {
        Codec::Ffv1 => return "format=bgr0".to_owned(),
        Codec::Apng => return "format=rgb24".to_owned(),
        // Colours of its own for each frame: of the whole film they would be known when all of it is in memory.
        Codec::Gif => {
            return "split[a][b];[a]palettegen=stats_mode=single[p];[b][p]paletteuse=new=1".to_owned();
        }
        Codec::H264 | Codec::H265 | Codec::Vp9 | Codec::Av1 => {}
    }
    // Browsers know what BT.709 is.
    let (matrix, full) =
        if purpose == Purpose::Page { ("bt709", false) } else { (film.colour.matrix, film.colour.full) };
    let to = if purpose == Purpose::Page { page_size(size) } else { size };
    let scaled = if to == size { String::new() } else { format!("scale={}:{}:flags=bicubic,", to.width, to.height) };
    // Every other pixel has a colour: an odd side gets one more, as its neighbour is.
    let [right, below] = [to.width % 2, to.height % 2];
    let padded = if right + below > 0 {
        let (width, height) = (to.width + right, to.height + below);
        format!("pad={width}:{height},fillborders=right={right}:bottom={below}:mode=smear,")
    } else {
        String::new()
    };
    let range = if full { "pc" } else { "tv" };
    let flags = "bicubic+accurate_rnd+full_chroma_int";
    format!(
        "{scaled}{padded}scale=in_range=pc:out_range={range}:out_color_matrix={matrix}:flags={flags},format=yuv420p"
    )
}
