//! Frames that come once: from a pipe, from a camera. ffmpeg says each frame's size with it, as nothing can be asked before.

use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};

use cbam_core::photo::{ImageSize, Limits};
use cbam_core::{Error, Result};
use image::RgbImage;

use super::decode::{Clock, Complaints, Frame, TELLS_TIMES, TO_RGB, ended, times};
use super::probe::Film;
use super::tools;

/// The frames of a stream.
pub(super) struct Live {
    path: PathBuf,
    child: Stop,
    pixels: BufReader<ChildStdout>,
    times: Receiver<Option<i64>>,
    complaints: Option<Complaints>,
    /// The first frame, until it is asked for.
    first: Option<RgbImage>,
    size: ImageSize,
    clock: Clock,
}

impl Live {
    /// Begins to read, and waits for the first frame: `-` is standard input, a device a camera.
    pub(super) fn open(path: &Path, limits: &Limits) -> Result<Self> {
        let mut command = tools::command("ffmpeg");
        // No frame waits for others to be decoded beside it.
        command.args(["-protocol_whitelist", "file,pipe", "-analyzeduration", "1000000"]);
        command.args(["-thread_type", "slice", "-fpsprobesize", "0", "-copyts"]);
        if ["-", "/dev/stdin", "/dev/fd/0"].iter().any(|name| path.as_os_str() == *name) {
            command.args(["-i", "pipe:0"]).stdin(Stdio::inherit());
        } else if is_camera(path)? {
            // Video4Linux takes the bare path of a device.
            command.args(["-nostdin", "-f", "v4l2", "-i"]).arg(std::path::absolute(path).map_err(Error::io(path))?);
        } else {
            command.args(["-nostdin", "-i"]).arg(tools::file(path));
        }
        command
            .args(["-map", "0:v:0", "-fps_mode", "passthrough", "-vf"])
            .arg(format!("settb=1/1000000000,scale=w=trunc(iw*if(sar\\,sar\\,1)+0.5):h=ih:{TO_RGB},{TELLS_TIMES}"));
        command.args(["-c:v", "ppm", "-threads", "1", "-f", "image2pipe", "-flush_packets", "1", "pipe:1"]);
        command.stdout(Stdio::piped());
        let mut child = tools::start(command)?;
        let (times, complaints) = times(&mut child)?;
        let pixels = tools::pipe(child.stdout.take())?;
        let mut live = Self {
            path: path.to_owned(),
            child: Stop(Arc::new(Mutex::new(child))),
            pixels: BufReader::with_capacity(1 << 16, pixels),
            times,
            complaints: Some(complaints),
            first: None,
            size: ImageSize::new(0, 0),
            clock: Clock::new(None, None),
        };
        let Some(first) = live.picture(limits.max_pixels)? else {
            let why = live.broken()?.unwrap_or_else(|| "it has no frames".to_owned());
            return Err(Error::photo(path, format!("is no film that ffmpeg reads: {why}")));
        };
        live.size = ImageSize::new(first.width(), first.height());
        live.first = Some(first);
        Ok(live)
    }

    /// What is known of it.
    pub(super) fn film(&self) -> Film {
        Film::stream(&self.path, self.size)
    }

    /// What ends it from outside.
    pub(super) fn stop(&self) -> Stop {
        self.child.clone()
    }

    /// The next frame; `None` after the last one.
    pub(super) fn next(&mut self) -> Result<Option<Frame>> {
        let pixels = match self.first.take() {
            Some(first) => first,
            None => match self.picture(self.size.pixels())? {
                Some(picture) => picture,
                None => return Ok(None),
            },
        };
        if pixels.dimensions() != (self.size.width, self.size.height) {
            return Err(Error::photo(&self.path, "its frames are of several sizes"));
        }
        let time = self.clock.at(self.times.recv().ok().flatten());
        Ok(Some(Frame { time, pixels }))
    }

    /// A picture as PPM has it: `P6`, width, height and 255 in words, and the bytes.
    fn picture(&mut self, most: u64) -> Result<Option<RgbImage>> {
        let mut words = Vec::new();
        while words.len() < 4 {
            let mut line = Vec::new();
            let read = self.pixels.by_ref().take(64).read_until(b'\n', &mut line).map_err(Error::io(&self.path))?;
            if read == 0 {
                return Ok(None);
            }
            words.extend(String::from_utf8_lossy(&line).split_whitespace().map(str::to_owned));
        }
        let of = |word: &String| word.parse::<u32>().ok();
        let (Some("P6"), Some(width), Some(height)) = (words.first().map(String::as_str), of(&words[1]), of(&words[2]))
        else {
            return Err(Error::internal("ffmpeg gave something else than a picture"));
        };
        let size = ImageSize::new(width, height);
        if size.pixels() > most {
            let message = format!("has pictures of {size} pixels, over the limit of {most}");
            return Err(Error::photo(&self.path, message));
        }
        let mut pixels = vec![0; size.pixels() as usize * 3];
        match self.pixels.read_exact(&mut pixels) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
            read => read.map_err(Error::io(&self.path))?,
        }
        Ok(RgbImage::from_raw(width, height, pixels))
    }

    /// Why there are no more, if that is not the end of the stream.
    pub(super) fn broken(&mut self) -> Result<Option<String>> {
        self.child.with(|child| ended(child, &mut self.complaints)).map_err(Error::io(&self.path))
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.child.stop();
    }
}

/// Ends a stream, whoever waits for its next frame.
#[derive(Clone)]
pub(super) struct Stop(Arc<Mutex<Child>>);

impl Stop {
    pub(super) fn stop(&self) {
        self.with(|child| {
            let _ = child.kill(); // it may have ended
            let _ = child.wait();
        });
    }

    fn with<T>(&self, then: impl FnOnce(&mut Child) -> T) -> T {
        then(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Whether a file is a device that gives pictures, as Linux has them.
fn is_camera(path: &Path) -> Result<bool> {
    let kind = std::fs::metadata(path).map_err(Error::io(path))?.file_type();
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        Ok(kind.is_char_device())
    }
    #[cfg(not(unix))]
    {
        let _ = kind;
        Ok(false)
    }
}
