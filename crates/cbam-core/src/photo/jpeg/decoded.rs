//! What libjpeg makes of a JPEG.

/// A decoded JPEG.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// 1 grey, 3 red, green and blue, or 4 inks (CMYK) as they are in the file.
    pub(crate) channels: usize,
    /// `[height, width, channels]`.
    pub(crate) samples: Vec<u8>,
    /// What was wrong; `None` if nothing was.
    pub(crate) damage: Option<Damage>,
    /// The warning, if the colours were guessed: libjpeg takes three components for YCbCr then, and four for YCCK.
    pub(crate) guessed: Option<String>,
}

/// What was wrong with a JPEG that was decoded all the same.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Damage {
    /// libjpeg's first warning.
    pub(crate) message: String,
    /// Whether the file ends before the picture does.
    pub(crate) cut_off: bool,
    /// The share of rows that were read before the file ended, 0 to 1; 1 if that was not the first scan's fault.
    pub(crate) read: f64,
}

/// What the samples of a JPEG are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colours {
    /// What its markers say.
    AsMarked,
    /// Luma and chroma, whatever they say.
    Luma,
    /// Something that is not to be converted.
    Plain,
}
