//! What films are written as: containers, codecs, and what each takes.

use std::path::Path;

use cbam_core::photo::ImageSize;
use cbam_core::text::named;

use super::probe::Stream;

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
    pub(super) fn words(self, purpose: Purpose) -> &'static [&'static str] {
        match self {
            // A frame to begin with in every second.
            Self::Vp9 if purpose == Purpose::Page => {
                const PAGE: [&str; 13] = [
                    "libvpx-vp9",
                    "-crf",
                    "32",
                    "-b:v",
                    "0",
                    "-row-mt",
                    "1",
                    "-deadline",
                    "realtime",
                    "-cpu-used",
                    "6",
                    "-g",
                    "25",
                ];
                &PAGE
            }
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
    pub(super) fn live_words(self) -> &'static [&'static str] {
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
    pub(super) fn is_lossless(self) -> bool {
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
pub(super) const GIF: u64 = 20_000_000;

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

    pub(super) fn format(self) -> &'static str {
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
    pub(super) fn takes_stream(self, stream: &Stream) -> Option<&'static str> {
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

/// What a film is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To be kept.
    File,
    /// To be seen at once: each frame is written as soon as it is there.
    Live,
    /// To be played in a page, from any frame on: small, and quickly made.
    Page,
}

/// The longest side of a film in a page.
const PAGE_SIDE: u32 = 1280;

/// The size of a film in a page.
pub(super) fn page_size(film: ImageSize) -> ImageSize {
    let longest = film.width.max(film.height).max(1);
    let side = |of: u32| {
        let [of, longest, most] = [of, longest, longest.min(PAGE_SIDE)].map(u64::from);
        ((of * most + longest / 2) / longest).max(1) as u32
    };
    ImageSize::new(side(film.width), side(film.height))
}

/// How a film is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form<'a> {
    pub(super) container: Container,
    pub(super) codec: Codec,
    pub(super) size: ImageSize,
    /// What was done to the frames, for the file to say.
    pub(super) words: &'a str,
    pub(super) purpose: Purpose,
    /// How long the last frame is shown, in nanoseconds, if that is known.
    pub(super) last: Option<u64>,
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
