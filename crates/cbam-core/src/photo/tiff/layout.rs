//! Where a TIFF's samples lie, and of what kind they are.

use super::tag;
use crate::photo::ImageSize;
use crate::photo::decode::Declared;
use crate::photo::ifd::{Directory, Order};

/// What the directory says about the samples.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) size: ImageSize,
    pub(super) order: Order,
    /// Samples of a pixel.
    pub(super) samples: usize,
    /// Bits of a sample.
    pub(super) bits: u32,
    pub(super) format: Format,
    pub(super) photometric: u16,
    pub(super) compression: u16,
    pub(super) predictor: u16,
    /// Whether each sample of a pixel lies in a plane of its own.
    pub(super) planar: bool,
    /// Whether the bits of each byte run from the lowest to the highest.
    pub(super) reversed_bits: bool,
    /// Pixels of a strip or tile.
    pub(super) chunk: ImageSize,
    pub(super) tiled: bool,
    /// Where each strip or tile lies, plane by plane.
    pub(super) offsets: Vec<u64>,
    pub(super) lengths: Vec<u64>,
    /// What the samples behind the colours are.
    pub(super) extra: Vec<u64>,
    /// How many pixels share a chroma sample, along and down.
    pub(super) chroma: [u32; 2],
}

/// How a sample's bits are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Unsigned,
    Signed,
    Float,
}

pub(super) mod compression {
    /// LZW with its codes from the lowest bit on, as TIFF 5.0 had it at first. Files give it the number of the other.
    pub(in super::super) const OLD_LZW: u16 = 0;
    pub(in super::super) const NONE: u16 = 1;
    pub(in super::super) const LZW: u16 = 5;
    pub(in super::super) const JPEG: u16 = 7;
}

pub(super) mod photometric {
    pub(in super::super) const WHITE_IS_ZERO: u16 = 0;
    pub(in super::super) const BLACK_IS_ZERO: u16 = 1;
    pub(in super::super) const RGB: u16 = 2;
    pub(in super::super) const PALETTE: u16 = 3;
    pub(in super::super) const MASK: u16 = 4;
    pub(in super::super) const INKS: u16 = 5;
    pub(in super::super) const YCBCR: u16 = 6;
    pub(in super::super) const CIE_LAB: u16 = 8;
    pub(in super::super) const ICC_LAB: u16 = 9;
}

/// The number of no predictor.
const PLAIN: u64 = 1;
/// The bytes that a byte of the file can become, at most: what deflate and LZW reach. (Facsimile coding is not bounded so.)
const MOST_PACKED: u64 = 1400;
/// What is smaller than this takes little memory, whatever its file holds, in bytes.
const SMALL: u64 = 16 << 20;

impl Layout {
    /// Reads the layout of a file.
    pub(super) fn read(directory: &Directory<'_>, file: &[u8]) -> Result<Self, String> {
        let number = |tag, default| directory.number(tag).unwrap_or(default);
        let side = |tag| u32::try_from(number(tag, 0)).map_err(|_| "broken TIFF: its size is wrong".to_owned());
        let size = ImageSize::new(side(tag::WIDTH)?, side(tag::HEIGHT)?);
        if size.pixels() == 0 {
            return Err("broken TIFF: it gives no size".to_owned());
        }
        let samples = number(tag::SAMPLES, 1);
        let bits = alike(directory, tag::BITS, 1, "samples of several depths")?;
        let format = match alike(directory, tag::SAMPLE_FORMAT, 1, "samples of several kinds")? {
            2 => Format::Signed,
            3 => Format::Float,
            5 | 6 => return Err(refused("complex numbers")),
            _ => Format::Unsigned,
        };
        if !(1..=64).contains(&samples) || !(1..=64).contains(&bits) {
            return Err(format!("TIFF with {samples} samples of {bits} bits is not read here; convert it to PNG"));
        }
        let tiled = directory.has(tag::TILE_WIDTH);
        let chunk = if tiled {
            ImageSize::new(side(tag::TILE_WIDTH)?, side(tag::TILE_HEIGHT)?)
        } else {
            let rows = number(tag::ROWS_PER_STRIP, u64::from(size.height)).clamp(1, u64::from(size.height));
            ImageSize::new(size.width, rows as u32)
        };
        if chunk.pixels() == 0 {
            return Err("broken TIFF: it gives no size of its tiles".to_owned());
        }
        let (offsets, lengths) =
            if tiled { (tag::TILE_OFFSETS, tag::TILE_BYTES) } else { (tag::STRIP_OFFSETS, tag::STRIP_BYTES) };
        let chroma = directory.numbers(tag::YCBCR_SUBSAMPLING).unwrap_or_default();
        let chroma = |index: usize| chroma.get(index).copied().unwrap_or(2).clamp(1, 4) as u32;
        let guessed = if samples >= 3 { photometric::RGB } else { photometric::BLACK_IS_ZERO };
        let mut layout = Self {
            size,
            order: directory.order(),
            samples: samples as usize,
            bits: bits as u32,
            format,
            photometric: number(tag::PHOTOMETRIC, guessed.into()) as u16,
            compression: number(tag::COMPRESSION, 1) as u16,
            predictor: number(tag::PREDICTOR, PLAIN) as u16,
            planar: number(tag::PLANAR, 1) == 2 && samples > 1,
            reversed_bits: number(tag::FILL_ORDER, 1) == 2,
            chunk,
            tiled,
            offsets: directory.numbers(offsets).unwrap_or_default(),
            lengths: directory.numbers(lengths).unwrap_or_default(),
            extra: directory.numbers(tag::EXTRA_SAMPLES).unwrap_or_default(),
            chroma: [chroma(0), chroma(1)],
        };
        layout.check_compression()?;
        layout.check_samples()?;
        layout.check_chunks(file.len() as u64)?;
        if layout.compression == compression::LZW && layout.begins_as_old_lzw(file) {
            layout.compression = compression::OLD_LZW;
        }
        Ok(layout)
    }

    /// Both kinds of LZW begin with code 256, of 9 bits.
    fn begins_as_old_lzw(&self, file: &[u8]) -> bool {
        let start = self.offsets.first().and_then(|offset| usize::try_from(*offset).ok());
        let Some(first) = start.and_then(|start| file.get(start..)?.first_chunk::<2>()) else { return false };
        let [first, second] = if self.reversed_bits { first.map(u8::reverse_bits) } else { *first };
        first == 0 && second & 1 == 1
    }

    fn check_compression(&self) -> Result<(), String> {
        Err(refused(match self.compression {
            7 if cfg!(target_family = "wasm") => "JPEGs in it, on WebAssembly, where there is no libjpeg,",
            1 | 4 | 5 | 7 | 8 | 32_773 | 32_946 => return Ok(()),
            2 | 3 | 32_771 => "CCITT Group 3 facsimile coding",
            6 => "the old kind of JPEG",
            34_661 => "JBIG",
            34_712 | 33_003 | 33_005 => "JPEG 2000",
            34_887 => "LERC",
            34_925 => "LZMA",
            50_000 => "Zstandard",
            50_001 => "WebP",
            50_002 | 52_546 => "JPEG XL",
            other => return Err(refused(&format!("compression number {other}"))),
        }))
    }

    /// Whether what the samples are before they are packed is read here.
    fn check_samples(&mut self) -> Result<(), String> {
        // Samples as differences are a matter of these packings alone.
        if !matches!(self.compression, compression::LZW | 8 | 32_946) {
            self.predictor = PLAIN as u16;
        }
        if self.photometric == photometric::YCBCR && self.planar && self.chroma != [1, 1] {
            return Err(refused("luma and coarser chroma (YCbCr) in planes"));
        }
        if self.has_packets() && self.bits != 8 {
            return Err(refused(&format!("luma and coarser chroma (YCbCr) of {} bits", self.bits)));
        }
        if u64::from(self.predictor) != PLAIN {
            if self.has_packets() {
                return Err(refused("luma and coarser chroma (YCbCr) as differences"));
            }
            if !matches!(self.bits, 8 | 16 | 32 | 64) {
                return Err(refused(&format!("samples of {} bits as differences", self.bits)));
            }
        }
        Ok(())
    }

    /// Sees to it that there is an offset and a length for each strip or tile.
    fn check_chunks(&mut self, file: u64) -> Result<(), String> {
        let [across, down] = self.chunks();
        let count = (u64::from(across) * u64::from(down)).saturating_mul(self.planes() as u64);
        if (self.offsets.len() as u64) < count {
            return Err("truncated TIFF: strips or tiles of it are missing".to_owned());
        }
        self.offsets.truncate(count as usize);
        let plain = self.compression == compression::NONE;
        let size = self.chunk_bytes();
        for index in 0..self.offsets.len() {
            let offset = self.offsets[index];
            let left = file.saturating_sub(offset);
            // Old writers leave the lengths out.
            let guess = if plain { size.min(left) } else { left };
            match self.lengths.get_mut(index) {
                Some(length) if *length == 0 => *length = guess,
                Some(length) => *length = (*length).min(left.max(1)),
                None => self.lengths.push(guess),
            }
            if offset >= file {
                return Err("truncated TIFF: the end of the picture is missing".to_owned());
            }
        }
        self.lengths.truncate(count as usize);
        Ok(())
    }

    /// Strips or tiles of a plane, along and down.
    pub(super) fn chunks(&self) -> [u32; 2] {
        [self.size.width.div_ceil(self.chunk.width), self.size.height.div_ceil(self.chunk.height)]
    }

    /// Rows of a strip or tile that are the picture's.
    pub(super) fn rows(&self, index: usize) -> u32 {
        let [across, down] = self.chunks();
        let above = (index as u64 / u64::from(across) % u64::from(down)) as u32 * self.chunk.height;
        self.chunk.height.min(self.size.height - above)
    }

    pub(super) fn planes(&self) -> usize {
        if self.planar { self.samples } else { 1 }
    }

    /// Whether luma and chroma come in packets, as they do where chroma is coarser and no JPEG unpacks it.
    pub(super) fn has_packets(&self) -> bool {
        self.photometric == photometric::YCBCR
            && self.compression != compression::JPEG
            && !self.planar
            && self.chroma != [1, 1]
    }

    /// Bytes of a row of `width` pixels of one plane, unpacked.
    pub(super) fn row_bytes(&self, width: u32) -> u64 {
        let samples = if self.planar { 1 } else { self.samples as u64 };
        (u64::from(width) * samples * u64::from(self.bits)).div_ceil(8)
    }

    /// Bytes of so many rows of a strip or tile, unpacked.
    pub(super) fn rows_bytes(&self, rows: u32) -> u64 {
        let (row, rows) = if self.has_packets() {
            let [along, down] = self.chroma.map(u64::from);
            let packets = u64::from(self.chunk.width).div_ceil(along);
            (packets * (along * down + 2), u64::from(rows).div_ceil(down))
        } else {
            (self.row_bytes(self.chunk.width), rows.into())
        };
        row.saturating_mul(rows)
    }

    /// Bytes of a strip or tile, unpacked.
    pub(super) fn chunk_bytes(&self) -> u64 {
        self.rows_bytes(self.chunk.height)
    }

    /// Bytes of all strips or tiles together, where they are unpacked before anything is read of them: to their edges, and
    /// each as often as the directory names it.
    fn unpacked_bytes(&self) -> u64 {
        let count = if self.compression == compression::OLD_LZW { self.offsets.len() } else { 0 };
        self.chunk_bytes().saturating_mul(count as u64)
    }

    /// The bytes of all samples.
    pub(super) fn bytes(&self) -> u64 {
        self.row_bytes(self.size.width).saturating_mul(u64::from(self.size.height)).saturating_mul(self.planes() as u64)
    }

    pub(super) fn declared(&self, file: usize) -> Result<Declared, String> {
        let size = self.size;
        let (bytes, unpacked) = (self.bytes().max(self.chunk_bytes()), self.unpacked_bytes());
        let most = match self.compression {
            compression::NONE => Some(2),
            compression::JPEG | 4 => None,
            _ => Some(MOST_PACKED),
        };
        let declared = bytes.max(unpacked);
        if declared > SMALL && most.is_some_and(|most| declared / most > file as u64) {
            let (count, of) = (self.offsets.len(), self.chunk);
            return Err(format!(
                "truncated TIFF: it declares {size} pixels, in {count} strips or tiles of {of}, more than a file of \
                 {file} bytes can hold"
            ));
        }
        // The file with each byte's bits the other way round.
        let turned = if self.reversed_bits { file as u64 } else { 0 };
        let channels = (self.samples as u64).min(4).max(if self.photometric == photometric::PALETTE { 3 } else { 1 });
        let pixels = size.pixels().saturating_mul(channels * if self.bits > 8 { 2 } else { 1 });
        Ok(Declared {
            size,
            pixels: pixels.max(self.bytes()),
            needs: [bytes, self.bytes(), unpacked, turned].into_iter().fold(pixels, u64::saturating_add),
        })
    }
}

/// The one value of a tag that has one for each sample.
fn alike(directory: &Directory<'_>, tag: u16, default: u64, what: &str) -> Result<u64, String> {
    match directory.numbers(tag).as_deref() {
        None | Some([]) => Ok(default),
        Some([first, rest @ ..]) if rest.iter().all(|other| other == first) => Ok(*first),
        Some(_) => Err(refused(what)),
    }
}

pub(super) fn refused(what: &str) -> String {
    format!("TIFF with {what} is not read here; convert it to PNG or to a usual TIFF")
}
