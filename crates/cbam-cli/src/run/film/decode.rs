//! A film's frames with their times, decoded by ffmpeg, or here, if it is a picture that moves.

use std::io::{ErrorKind, Read};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;

use cbam_core::{Error, Result};
use image::RgbImage;

use super::animation::Animation;
use super::probe::Film;
use super::tools;

/// What ffmpeg writes before each frame: a raw pipe of frames carries no times, so they come beside it, on standard error.
pub(super) const TELLS_TIMES: &str =
    "metadata=mode=add:key=cbam:value=1,metadata=mode=print:key=cbam:file=pipe\\\\:2:direct=1";
/// How frames become red, green and blue: rounded well and without a shortcut for chroma, so that what is not drawn over comes back as it
/// was.
pub(super) const TO_RGB: &str =
    "out_range=pc:flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp,setsar=1,format=rgb24";
/// The two lines of what is told of a time.
const TIME: &str = "frame:";
const MARK: &str = "cbam=1";

/// What a program complained about, once it has ended.
pub(super) type Complaints = JoinHandle<Vec<String>>;

/// A frame.
#[derive(Debug)]
pub(super) struct Frame {
    /// When it is shown, in nanoseconds from the beginning of the film.
    pub(super) time: u64,
    /// Upright, `[H, W, 3]`.
    pub(super) pixels: RgbImage,
}

/// The frames of a film, in their order.
pub(super) enum Frames<'a> {
    Decoded(Box<Decoded<'a>>),
    Moving(Box<Animation>),
}

impl<'a> Frames<'a> {
    /// Begins to decode.
    pub(super) fn open(film: &'a Film) -> Result<Self> {
        if !film.moves {
            return Ok(Self::Decoded(Box::new(Decoded::open(film)?)));
        }
        let animation = Animation::open(&film.path)?.filter(|animation| animation.size == film.size);
        let animation = animation.ok_or_else(|| Error::photo(&film.path, "it changed"))?;
        Ok(Self::Moving(Box::new(animation)))
    }

    /// The next frame; `None` after the last one that can be read.
    pub(super) fn next(&mut self) -> Result<Option<Frame>> {
        match self {
            Self::Decoded(frames) => frames.next(),
            Self::Moving(frames) => Ok(frames.next().map(|(time, pixels)| Frame { time, pixels })),
        }
    }

    /// When the last frame is over, in nanoseconds, where that is known.
    pub(super) fn end(&self) -> Option<u64> {
        match self {
            Self::Decoded(_) => None,
            Self::Moving(frames) => Some(frames.time()),
        }
    }

    /// Why there are no more, if that is not the end of the film.
    pub(super) fn broken(self) -> Result<Option<String>> {
        match self {
            Self::Decoded(frames) => frames.broken(),
            Self::Moving(frames) => Ok(frames.broken()),
        }
    }
}

/// Frames that come from ffmpeg.
pub(super) struct Decoded<'a> {
    film: &'a Film,
    child: Child,
    pixels: ChildStdout,
    times: Receiver<Option<i64>>,
    complaints: Option<Complaints>,
    clock: Clock,
}

impl<'a> Decoded<'a> {
    fn open(film: &'a Film) -> Result<Self> {
        let (size, colour) = (film.size, &film.colour);
        let range = if colour.full { "pc" } else { "tv" };
        let pixels =
            format!("scale={}:{}:in_color_matrix={}:in_range={range}:{TO_RGB}", size.width, size.height, colour.matrix);
        let mut command = tools::command("ffmpeg");
        command.args(["-nostdin", "-protocol_whitelist", "file,pipe", "-copyts", "-i"]).arg(tools::file(&film.path));
        command.args(["-map", &format!("0:{}", film.stream), "-fps_mode", "passthrough"]);
        command.args(["-vf", &format!("settb=1/1000000000,{pixels},{TELLS_TIMES}")]);
        command.args(["-c:v", "rawvideo", "-f", "rawvideo", "pipe:1"]).stdout(Stdio::piped());
        let mut child = tools::start(command)?;
        let pixels = tools::pipe(child.stdout.take())?;
        let (times, complaints) = times(&mut child)?;
        let clock = Clock::new(Some(film.start), film.usual);
        Ok(Self { film, child, pixels, times, complaints: Some(complaints), clock })
    }

    fn next(&mut self) -> Result<Option<Frame>> {
        let size = self.film.size;
        let mut pixels = vec![0; size.pixels() as usize * 3];
        match self.pixels.read_exact(&mut pixels) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
            read => read.map_err(Error::io(&self.film.path))?,
        }
        let time = self.clock.at(self.times.recv().ok().flatten());
        let pixels = RgbImage::from_raw(size.width, size.height, pixels);
        Ok(Some(Frame { time, pixels: pixels.ok_or_else(|| Error::internal("a frame of another size"))? }))
    }

    fn broken(mut self) -> Result<Option<String>> {
        ended(&mut self.child, &mut self.complaints).map_err(Error::io(&self.film.path))
    }
}

impl Drop for Decoded<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended
        let _ = self.child.wait();
    }
}

/// The times that a program tells of its frames, and what it complains about.
pub(super) fn times(child: &mut Child) -> Result<(Receiver<Option<i64>>, Complaints)> {
    let said = tools::pipe(child.stderr.take())?;
    let (tell, times) = channel();
    let complaints = tools::complaints(said, move |line| match line.strip_prefix(TIME) {
        Some(rest) => {
            let _ = tell.send(time(rest)); // nobody listens once frames are not wanted any more
            true
        }
        None => line == MARK,
    });
    Ok((times, complaints))
}

/// Why a program that gives no more frames ended; `None` if that is the end of the film.
pub(super) fn ended(child: &mut Child, complaints: &mut Option<Complaints>) -> std::io::Result<Option<String>> {
    let status = child.wait()?;
    let complaints = complaints.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
    Ok(match complaints.into_iter().next() {
        None if status.success() => None,
        None => Some(format!("ffmpeg ended with {status}")),
        complaint => complaint,
    })
}

/// When frames are shown.
pub(super) struct Clock {
    /// What is told when the film begins.
    begun: Option<i64>,
    last: Option<u64>,
    usual: u64,
}

/// A clock that goes back further than this was set anew, in nanoseconds.
const ANEW: u64 = 1_000_000_000;

impl Clock {
    /// Of a film that begins when this is told, or with its first frame; frames usually last so long, in nanoseconds.
    pub(super) fn new(begun: Option<i64>, usual: Option<std::num::NonZeroU64>) -> Self {
        Self { begun, last: None, usual: usual.map_or(40_000_000, std::num::NonZeroU64::get) }
    }

    /// When a frame is shown of which this is told, in nanoseconds from the beginning.
    pub(super) fn at(&mut self, told: Option<i64>) -> u64 {
        let next = self.last.map_or(0, |last| last + self.usual);
        let time = told.and_then(|told| u64::try_from(told - *self.begun.get_or_insert(told)).ok());
        let back = |last: u64| last.saturating_sub(ANEW);
        let time = match (told, time, self.last) {
            // Another clock: a stream that began once more.
            (Some(told), time, Some(last)) if last > ANEW && time.is_none_or(|time| time < back(last)) => {
                self.begun = Some(told - next as i64);
                next
            }
            // What goes back a little comes at once.
            (_, Some(time), Some(last)) if time <= last => last + 1_000_000,
            (_, Some(time), _) => time,
            (_, None, _) => next,
        };
        self.last = Some(time);
        time
    }
}

/// Of `0    pts:1536    pts_time:0.12`.
fn time(line: &str) -> Option<i64> {
    line.split_whitespace().find_map(|word| word.strip_prefix("pts:"))?.parse().ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_clock_that_is_set_anew_goes_on() {
        let mut clock = super::Clock::new(None, std::num::NonZeroU64::new(40));
        let second = 1_000_000_000;
        let times = [
            Some(5),
            Some(5 + 3 * second),
            Some(5 + 3 * second - 9),
            None,
            Some(77),
            Some(77 + second),
            Some(77 + second),
        ];
        let told = times.map(|time| clock.at(time));
        let last = 3 * second as u64 + 1_000_000 + 40;
        let expected = [0, 3 * second as u64, last - 40, last, last + 40, last + 40 + second as u64];
        assert_eq!(told[..6], expected);
        assert_eq!(told[6], told[5] + 1_000_000);
    }

    #[test]
    fn times_are_read_where_there_are_any() {
        assert_eq!(super::time("21   pts:25088   pts_time:1.96"), Some(25088));
        assert_eq!(super::time("0    pts:-40   pts_time:-0.04"), Some(-40));
        assert_eq!(super::time("0    pts:NOPTS pts_time:NOPTS"), None);
    }
}
