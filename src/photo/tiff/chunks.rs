//! From strips and tiles to samples, pixel by pixel.

use std::borrow::Cow;
use std::io::{self, Read, Seek, SeekFrom};

use tiff::TiffError;
use tiff::decoder::{Decoder, Limits};

use super::layout::{Format, Layout, compression, photometric, refused};
use super::tag;
use crate::photo::ifd::{Directory, Order};
use crate::sys::libjpeg::{self, Colours};

/// All samples, `[height, width, samples]`, in the machine's order of bytes; rows of less than 8 bits a sample (and of 9 to
/// 15) are packed, each row from a byte of its own. With them, what was wrong with JPEGs inside.
pub(super) fn read(
    bytes: &[u8],
    directory: &Directory<'_>,
    layout: &Layout,
) -> Result<(Vec<u8>, Option<String>), String> {
    if layout.compression == compression::JPEG {
        return read_jpegs(bytes, directory, layout);
    }
    let body: Cow<'_, [u8]> =
        if layout.reversed_bits { bytes.iter().map(|byte| byte.reverse_bits()).collect() } else { bytes.into() };
    if layout.has_packets() {
        return Ok((unpack_packets(layout, &read_plane(&body, layout, 0)?), None));
    }
    let planes = (0..layout.planes()).map(|plane| read_plane(&body, layout, plane));
    let planes = planes.collect::<Result<Vec<_>, _>>()?;
    Ok((interleave(planes, layout)?, None))
}

/// One plane, by the `tiff` crate, which is shown a TIFF of grey samples (or of several bands) with the same strips or
/// tiles.
fn read_plane(body: &[u8], layout: &Layout, plane: usize) -> Result<Vec<u8>, String> {
    let file = PlaneFile { prefix: directory_of_plane(layout, plane), body, at: 0 };
    let limits = Limits::unlimited(); // what is read is bounded by the file, and what is written by the buffer
    let mut decoder = Decoder::new(file).map_err(describe)?.with_limits(limits);
    let size = decoder.image_buffer_layout().map_err(describe)?.complete_len;
    let mut samples = Vec::new();
    samples.try_reserve_exact(size).map_err(|_| "TIFF over the limits: not enough memory for its samples")?;
    samples.resize(size, 0);
    decoder.read_image_bytes(&mut samples).map_err(describe)?;
    Ok(samples)
}

/// A little `BigTIFF` directory, to stand before the file itself.
fn directory_of_plane(layout: &Layout, plane: usize) -> Vec<u8> {
    let samples = if layout.planar { 1 } else { layout.samples };
    let [mut width, mut height] = [layout.size.width, layout.size.height];
    let [mut chunk_width, mut chunk_height] = [layout.chunk.width, layout.chunk.height];
    let (mut bits, mut bands, mut format) = (layout.bits, samples as u32, layout.format);
    if layout.has_packets() {
        let [along, down] = layout.chroma;
        let packet = along * down + 2;
        (width, chunk_width) = (width.div_ceil(along) * packet, chunk_width.div_ceil(along) * packet);
        (height, chunk_height) = (height.div_ceil(down), chunk_height.div_ceil(down));
        bands = 1;
    } else if bits > 8 && bits < 16 {
        // Packed bits: as bytes.
        let bytes = |width: u32| layout.row_bytes(width) as u32;
        (width, chunk_width, bits, bands, format) = (bytes(width), bytes(chunk_width), 8, 1, Format::Unsigned);
    }
    let [across, down] = layout.chunks();
    let count = across as usize * down as usize;
    let chunks = plane * count..(plane + 1) * count;
    let format = match format {
        Format::Unsigned => 1,
        Format::Signed => 2,
        Format::Float => 3,
    };
    let (offsets, lengths) =
        if layout.tiled { (tag::TILE_OFFSETS, tag::TILE_BYTES) } else { (tag::STRIP_OFFSETS, tag::STRIP_BYTES) };
    let mut entries: Vec<(u16, Vec<u64>)> = vec![
        (tag::WIDTH, vec![width.into()]),
        (tag::HEIGHT, vec![height.into()]),
        (tag::BITS, vec![bits.into()]),
        (tag::COMPRESSION, vec![layout.compression.into()]),
        (tag::PHOTOMETRIC, vec![photometric::BLACK_IS_ZERO.into()]),
        (tag::SAMPLES, vec![bands.into()]),
        (tag::PREDICTOR, vec![layout.predictor.into()]),
        (tag::SAMPLE_FORMAT, vec![format]),
        (offsets, layout.offsets[chunks.clone()].to_vec()),
        (lengths, layout.lengths[chunks].to_vec()),
    ];
    if layout.tiled {
        entries.push((tag::TILE_WIDTH, vec![chunk_width.into()]));
        entries.push((tag::TILE_HEIGHT, vec![chunk_height.into()]));
    } else {
        entries.push((tag::ROWS_PER_STRIP, vec![chunk_height.into()]));
    }
    entries.sort_by_key(|(tag, _)| *tag);
    write_directory(layout.order, &mut entries, offsets)
}

/// The bytes of a `BigTIFF` up to its data. The offsets in `shifted` are of the file that follows.
fn write_directory(order: Order, entries: &mut [(u16, Vec<u64>)], shifted: u16) -> Vec<u8> {
    const LONG8: u16 = 16;
    let directory = 16 + 8 + 20 * entries.len() + 8;
    let values: usize = entries.iter().filter(|(_, values)| values.len() > 1).map(|(_, values)| 8 * values.len()).sum();
    let end = (directory + values) as u64;
    for value in entries.iter_mut().filter(|(tag, _)| *tag == shifted).flat_map(|(_, values)| values) {
        *value = value.saturating_add(end);
    }
    let two = |number: u16| if order == Order::Little { number.to_le_bytes() } else { number.to_be_bytes() };
    let eight = |number: u64| if order == Order::Little { number.to_le_bytes() } else { number.to_be_bytes() };
    let mut out = if order == Order::Little { b"II".to_vec() } else { b"MM".to_vec() };
    out.extend([43, 8, 0].into_iter().flat_map(two));
    out.extend(eight(16));
    out.extend(eight(entries.len() as u64));
    let mut place = directory as u64;
    for (tag, values) in entries.iter() {
        out.extend(two(*tag));
        out.extend(two(LONG8));
        out.extend(eight(values.len() as u64));
        if let [value] = values[..] {
            out.extend(eight(value));
        } else {
            out.extend(eight(place));
            place += 8 * values.len() as u64;
        }
    }
    out.extend(eight(0));
    for (_, values) in entries.iter().filter(|(_, values)| values.len() > 1) {
        out.extend(values.iter().flat_map(|value| eight(*value)));
    }
    out
}

/// A directory, and behind it the whole file.
struct PlaneFile<'a> {
    prefix: Vec<u8>,
    body: &'a [u8],
    at: u64,
}

impl Read for PlaneFile<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let at = usize::try_from(self.at).unwrap_or(usize::MAX);
        let rest = match self.prefix.get(at..) {
            Some(rest) if !rest.is_empty() => rest,
            _ => self.body.get(at - self.prefix.len()..).unwrap_or_default(),
        };
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for PlaneFile<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let length = (self.prefix.len() + self.body.len()) as u64;
        let place = match to {
            SeekFrom::Start(place) => Some(place),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => length.checked_add_signed(by),
        };
        self.at = place.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

/// Planes of one sample each to pixels.
fn interleave(mut planes: Vec<Vec<u8>>, layout: &Layout) -> Result<Vec<u8>, String> {
    if planes.len() == 1 {
        return Ok(planes.swap_remove(0));
    }
    let bytes = match layout.bits {
        8 | 16 | 32 | 64 => layout.bits as usize / 8,
        bits => return Err(refused(&format!("planes of {bits} bits a sample"))),
    };
    let count = planes.len();
    let mut out = vec![0; planes.iter().map(Vec::len).sum()];
    for (index, plane) in planes.iter().enumerate() {
        let samples = out.chunks_exact_mut(bytes * count).map(|pixel| &mut pixel[index * bytes..][..bytes]);
        samples.zip(plane.chunks_exact(bytes)).for_each(|(to, from)| to.copy_from_slice(from));
    }
    Ok(out)
}

/// Packets of several luma samples and one of each chroma (TIFF 6.0, section 21) to pixels.
fn unpack_packets(layout: &Layout, packets: &[u8]) -> Vec<u8> {
    let [along, down] = layout.chroma.map(|n| n as usize);
    let [width, height] = [layout.size.width as usize, layout.size.height as usize];
    let packet = along * down + 2;
    let row = width.div_ceil(along) * packet;
    let mut out = vec![0; 3 * width * height];
    for (index, pixel) in out.as_chunks_mut::<3>().0.iter_mut().enumerate() {
        let (x, y) = (index % width, index / width);
        let start = (y / down) * row + (x / along) * packet;
        if let Some([luma @ .., blue, red]) = packets.get(start..start + packet) {
            *pixel = [luma[(y % down) * along + x % along], *blue, *red];
        }
    }
    out
}

/// Strips or tiles that are JPEGs, with their tables in common.
fn read_jpegs(bytes: &[u8], directory: &Directory<'_>, layout: &Layout) -> Result<(Vec<u8>, Option<String>), String> {
    if layout.bits != 8 || layout.format != Format::Unsigned {
        return Err(refused(&format!("JPEGs of {} bits a sample", layout.bits)));
    }
    let tables =
        directory.bytes(tag::JPEG_TABLES).and_then(|tables| tables.strip_suffix(b"\xff\xd9")).unwrap_or_default();
    let colours =
        if layout.photometric == photometric::YCBCR && !layout.planar { Colours::Luma } else { Colours::Plain };
    let [across, down] = layout.chunks();
    let (samples, width) = (layout.samples, layout.size.width as usize);
    let within = if layout.planar { 1 } else { samples };
    let mut out = Vec::new();
    let size = usize::try_from(layout.bytes()).map_err(|_| "TIFF over the limits: too large for this machine")?;
    out.try_reserve_exact(size).map_err(|_| "TIFF over the limits: not enough memory for its samples")?;
    out.resize(size, 0);
    let mut damage = None;
    for (index, (offset, length)) in layout.offsets.iter().zip(&layout.lengths).enumerate() {
        let (plane, place) = (index / (across * down) as usize, index as u32 % (across * down));
        let [left, top] = [place % across * layout.chunk.width, place / across * layout.chunk.height];
        let start = usize::try_from(*offset).unwrap_or(usize::MAX);
        let chunk = bytes.get(start..start.saturating_add(*length as usize).min(bytes.len())).unwrap_or_default();
        let jpeg: Cow<'_, [u8]> =
            if tables.is_empty() { chunk.into() } else { [tables, chunk.get(2..).unwrap_or_default()].concat().into() };
        let decoded = libjpeg::decode(&jpeg, colours, [layout.chunk.width, layout.chunk.height]);
        let decoded = decoded.map_err(|message| {
            if message.starts_with("Unsupported") {
                return refused(&format!("a JPEG of another kind ({message})")); // lossless, in raw pictures above all
            }
            format!("broken TIFF: a JPEG in it: {message}")
        })?;
        if decoded.channels != within {
            return Err(format!("broken TIFF: a JPEG in it has {} samples a pixel", decoded.channels));
        }
        damage = damage.or(decoded.damage.map(|damage| damage.message));
        let columns = (decoded.width.min(layout.size.width - left)) as usize;
        let rows = decoded.height.min(layout.size.height - top) as usize;
        for (y, row) in decoded.samples.chunks_exact(decoded.width as usize * within).take(rows).enumerate() {
            let first = ((top as usize + y) * width + left as usize) * samples + plane;
            if within == samples {
                out[first..first + columns * samples].copy_from_slice(&row[..columns * samples]);
            } else {
                out[first..].iter_mut().step_by(samples).zip(&row[..columns]).for_each(|(to, from)| *to = *from);
            }
        }
    }
    Ok((out, damage))
}

fn describe(error: TiffError) -> String {
    match error {
        TiffError::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            "truncated TIFF: the end of the picture is missing".to_owned()
        }
        TiffError::UnsupportedError(error) => {
            format!("TIFF of a kind that is not read here ({error}); convert it to PNG")
        }
        TiffError::LimitsExceeded => "TIFF over the limits: too large for this machine".to_owned(),
        error => format!("broken TIFF: {error}"),
    }
}
